"""An account: who can be paid, and can pay. It has one currency, and one wallet in it.

    NoAccount ─ OpenAccount ─▶ OpenedAccount ─ CloseAccount ─▶ the same, which closes at a time

An account may be a *balance* of another one: money of the same holder that is spent before or
after the rest, by `priority`, and until `expires_at`.

An account closes slowly, because others remember for half a minute that it is open: until
`closes_at` it takes no new business while what was under way arrives, and then it is closed.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from functools import reduce
from typing import Final

from florin.domain.refusals import Refusal

CLOSES_AFTER: Final = timedelta(seconds=60)
"""Twice as long as anybody remembers a profile."""


class AccountKind(StrEnum):
    SELLER = "seller"
    CUSTOMER = "customer"


class AccountState(StrEnum):
    """Whether an account takes part in payments. Values go on the wire: add, never rename."""

    OPEN = "open"
    CLOSING = "closing"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenAccount:
    """`min_balance_minor` is how low the wallet may go: nothing, or less."""

    tenant_id: str
    currency: str
    kind: AccountKind
    min_balance_minor: int = 0
    parent: str | None = None
    priority: int = 0
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeMinBalance:
    """Let the wallet go as low as this."""

    min_balance_minor: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CloseAccount:
    """Take no new business from now on."""

    now: datetime


AccountCommand = OpenAccount | ChangeMinBalance | CloseAccount


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountOpened:
    """`parent` is the account of which this one is a balance."""

    tenant_id: str
    currency: str
    kind: AccountKind
    min_balance_minor: int = 0
    parent: str | None = None
    priority: int = 0
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountMinBalanceChanged:
    """The wallet may go as low as this, and could go as low as that."""

    min_balance_minor: int
    was_minor: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountClosing:
    """It takes no new business, and may owe nothing any more."""

    closes_at: datetime


AccountEvent = AccountOpened | AccountMinBalanceChanged | AccountClosing


@dataclass(frozen=True, slots=True)
class NoAccount:
    """Nobody has opened it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedAccount:
    """Open, or closing when it has a time to close at."""

    terms: AccountOpened
    min_balance_minor: int
    closes_at: datetime | None = None


Account = NoAccount | OpenedAccount

INITIAL: Final[Account] = NoAccount()
NOTHING: Final[tuple[AccountEvent, ...]] = ()


def state_at(closes_at: datetime | None, now: datetime) -> AccountState:
    """Where an account is on its way to being closed."""
    if closes_at is None:
        return AccountState.OPEN
    return AccountState.CLOSING if now < closes_at else AccountState.CLOSED


def decide(command: AccountCommand, account: Account) -> tuple[AccountEvent, ...] | Refusal:
    """The facts that follow from a command, nothing if they are facts already, or the refusal."""
    match command, account:
        case OpenAccount(), NoAccount():
            return (_opened(command),)
        case OpenAccount(), OpenedAccount():
            return Refusal.ACCOUNT_EXISTS
        case _, NoAccount():
            return Refusal.ACCOUNT_NOT_FOUND
        case _, OpenedAccount(closes_at=closes_at) if closes_at is not None:
            return Refusal.ACCOUNT_CLOSED
        case ChangeMinBalance(min_balance_minor=wanted), OpenedAccount(min_balance_minor=now):
            return (AccountMinBalanceChanged(min_balance_minor=wanted, was_minor=now),)
        case CloseAccount(now=now), OpenedAccount():
            return (AccountClosing(closes_at=now + CLOSES_AFTER),)
        case _:
            raise AssertionError(f"no rule for {command} on {account}")


def _opened(asked: OpenAccount) -> AccountOpened:
    return AccountOpened(
        tenant_id=asked.tenant_id,
        currency=asked.currency,
        kind=asked.kind,
        min_balance_minor=asked.min_balance_minor,
        parent=asked.parent,
        priority=asked.priority,
        expires_at=asked.expires_at,
    )


def evolve(account: Account, event: AccountEvent) -> Account:
    """The state after a fact. A history that cannot have happened is corruption and raises."""
    match account, event:
        case NoAccount(), AccountOpened():
            return OpenedAccount(terms=event, min_balance_minor=event.min_balance_minor)
        case OpenedAccount(closes_at=None), AccountMinBalanceChanged():
            return replace(account, min_balance_minor=event.min_balance_minor)
        case OpenedAccount(closes_at=None), AccountClosing():
            return replace(account, closes_at=event.closes_at, min_balance_minor=0)
        case _:
            raise AssertionError(f"{event} cannot follow {account}")


def fold(events: Iterable[AccountEvent]) -> Account:
    return reduce(evolve, events, INITIAL)
