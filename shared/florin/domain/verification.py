"""Whether the books hold: what is compared with what, and what is said when it differs.

Nothing here reads or waits. Each check gets things that belong together and yields its findings:
a fact and its line, a line and its fact, a statement from line to line, a position and its
statement, a guard and its position, a total and the entries that it sums.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from florin.domain.ledger import Leg, Side


class Fault(StrEnum):
    """What can be wrong. Values go on the wire: add, never rename."""

    CHAIN_BROKEN = "chain_broken"
    VIEW_AHEAD = "view_ahead"
    ENTRY_UNBALANCED = "entry_unbalanced"
    WALLET_MISSING = "wallet_missing"
    LINE_MISSING = "line_missing"
    LINE_DIFFERS = "line_differs"
    LINE_WITHOUT_ENTRY = "line_without_entry"
    LINE_NUMBER = "line_number"
    BALANCE_AFTER = "balance_after"
    POSITION_NUMBER = "position_number"
    POSITION_BALANCE = "position_balance"
    GUARD = "guard"
    HOLD = "hold"
    HELD = "held"
    TOTAL_DEBITS = "total_debits"
    TOTAL_CREDITS = "total_credits"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something that is not as it must be. `at` names the stream, entry or account."""

    fault: Fault
    at: str
    expected: str
    found: str


def _differing(fault: Fault, at: str, expected: object, found: object) -> Iterator[Finding]:
    if expected != found:
        yield Finding(fault=fault, at=at, expected=str(expected), found=str(found))


# Streams.


def check_stream(
    stream: str, *, broken_at: int | None, head: int, view_version: int
) -> Iterator[Finding]:
    """The chain is whole, and the books do not know more of the stream than was recorded."""
    if broken_at is not None:
        yield Finding(
            fault=Fault.CHAIN_BROKEN,
            at=f"{stream}:{broken_at}",
            expected="the hash of what is stored, after the version before it",
            found="another hash, a gap, or what cannot be read",
        )
    elif view_version > head:
        yield from _differing(Fault.VIEW_AHEAD, stream, head, view_version)


def check_entry(entry_id: str, legs: Sequence[Leg]) -> Iterator[Finding]:
    """An entry sums to zero in each of its currencies."""
    for currency in dict.fromkeys(leg.amount.currency for leg in legs):
        debits, credits_ = sides([leg for leg in legs if leg.amount.currency == currency])
        yield from _differing(
            Fault.ENTRY_UNBALANCED, entry_id, f"{debits} {currency}", f"{credits_} {currency}"
        )


def sides(legs: Iterable[Leg]) -> tuple[int, int]:
    """Debits and credits, each summed, in minor units."""
    debits = credits_ = 0
    for leg in legs:
        if leg.side is Side.DEBIT:
            debits += leg.amount.minor
        else:
            credits_ += leg.amount.minor
    return debits, credits_


# Lines.


def check_leg(entry_id: str, leg: Leg, line: Leg | None, *, booked: bool) -> Iterator[Finding]:
    """A leg on a wallet has its line. Of one that is not `booked` the line may be on its way."""
    if line is not None:
        yield from _differing(
            Fault.LINE_DIFFERS, f"{leg.account} {entry_id}", _told(leg), _told(line)
        )
    elif booked:
        yield Finding(
            fault=Fault.LINE_MISSING,
            at=f"{leg.account} {entry_id}",
            expected=_told(leg),
            found="no line",
        )


def check_line(entry_id: str, line: Leg, legs: Sequence[Leg] | None) -> Iterator[Finding]:
    """A line has its entry, of which `legs` are all the legs, and says what that says."""
    at = f"{line.account} {entry_id}"
    own = [leg for leg in legs or () if leg.account == line.account]
    if not own:
        yield Finding(fault=Fault.LINE_WITHOUT_ENTRY, at=at, expected="no line", found=_told(line))
    elif line not in own:
        yield from _differing(Fault.LINE_DIFFERS, at, _told(own[0]), _told(line))


def _told(leg: Leg) -> str:
    return f"{leg.side} {leg.amount.minor} {leg.amount.currency}"


@dataclass(frozen=True, slots=True)
class Statement:
    """How far a statement was read, and the balance it had reached there."""

    number: int = 0
    balance_minor: int = 0


def check_next(before: Statement, wallet: str, line: Leg, after: Statement) -> Iterator[Finding]:
    """A line stands in the place after the last one and leaves the balance that it makes."""
    at = f"{wallet} line {after.number}"
    yield from _differing(Fault.LINE_NUMBER, at, before.number + 1, after.number)
    yield from _differing(
        Fault.BALANCE_AFTER, at, before.balance_minor + line.credit_minor, after.balance_minor
    )


# Positions and guards.


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A wallet's guard and position as of one moment, in minor units."""

    spendable_minor: int
    balance_minor: int
    number: int
    min_balance_minor: int = 0
    held_minor: int = 0

    def spendable_without(self, pending_minor: int) -> int:
        """What the guard must let be spent: the balance, less what has to stay, less what was
        taken already by entries that have no line yet.
        """
        return self.balance_minor - self.min_balance_minor - pending_minor

    @property
    def is_at_rest(self) -> bool:
        """Whether the guard needs no entry on its way to be explained."""
        return self.spendable_minor == self.spendable_without(0)


def check_position(wallet: str, statement: Statement, standing: Standing) -> Iterator[Finding]:
    """A position has as many lines as the statement, and the balance of its last one."""
    yield from _differing(Fault.POSITION_NUMBER, wallet, statement.number, standing.number)
    yield from _differing(
        Fault.POSITION_BALANCE, wallet, statement.balance_minor, standing.balance_minor
    )


def check_guard(wallet: str, standing: Standing, pending_minor: int) -> Iterator[Finding]:
    """A guard lets be spent what is there."""
    yield from _differing(
        Fault.GUARD, wallet, standing.spendable_without(pending_minor), standing.spendable_minor
    )


# What is put aside.


def check_hold(
    wallet: str, stream: str, legs: Iterable[Leg], aside_minor: int
) -> Iterator[Finding]:
    """What a stream is known to have put aside is what its entries left on the held account."""
    expected = sum(leg.credit_minor for leg in legs)
    yield from _differing(Fault.HOLD, f"{wallet} {stream}", expected, aside_minor)


def check_held(wallet: str, standing: Standing, aside_minor: int) -> Iterator[Finding]:
    """A position holds what all streams together have put aside."""
    yield from _differing(Fault.HELD, wallet, aside_minor, standing.held_minor)


# Totals.


@dataclass(frozen=True, slots=True)
class Total:
    """What was debited and credited to an account, in minor units."""

    debits_minor: int = 0
    credits_minor: int = 0

    def plus(self, leg: Leg, times: int = 1) -> "Total":
        debits, credits_ = sides([leg])
        return Total(self.debits_minor + times * debits, self.credits_minor + times * credits_)


def check_total(account: str, journal: Total, least: Total, most: Total) -> Iterator[Finding]:
    """A total is the sum of the entries in it. `least` and `most` are the total as it was read
    before and after these were summed; in between lies what was added meanwhile.
    """
    for fault, expected, low, high in (
        (Fault.TOTAL_DEBITS, journal.debits_minor, least.debits_minor, most.debits_minor),
        (Fault.TOTAL_CREDITS, journal.credits_minor, least.credits_minor, most.credits_minor),
    ):
        if not low <= expected <= high:
            found = f"{low}" if low == high else f"{low} to {high}"
            yield Finding(fault=fault, at=account, expected=str(expected), found=found)
