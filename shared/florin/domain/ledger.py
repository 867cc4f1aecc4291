"""Double entry, made of movements that cannot be one-sided.

A `Posting` names both of its accounts, so an unbalanced one has no spelling. An `Entry` is the
set of postings that one event causes; it has no identity of its own, for it lives inside the
event that caused it and is found by that event's stream and version.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NewType

from florin.domain.money import Money

Account = NewType("Account", str)
"""A name of the chart of accounts, such as `wallet:acct_01J…` or `platform:fees`."""


class Side(StrEnum):
    DEBIT = "DEBIT"
    CREDIT = "CREDIT"


@dataclass(frozen=True, slots=True, kw_only=True)
class Posting:
    """`amount` is debited to one account and credited to the other."""

    debit: Account
    credit: Account
    amount: Money

    def __post_init__(self) -> None:
        if self.debit == self.credit:
            raise ValueError(f"accounts must be different: {self.debit}")
        if self.amount.is_zero:
            raise ValueError("amount must not be zero")


@dataclass(frozen=True, slots=True, kw_only=True)
class Leg:
    """What an entry does to one account on one side: the form in which ledgers are read."""

    account: Account
    side: Side
    amount: Money

    @property
    def credit_minor(self) -> int:
        """The change of a credit-normal balance: credits are positive, debits negative."""
        return self.amount.minor if self.side is Side.CREDIT else -self.amount.minor


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """The postings that become visible together, and the version of the chart that made them.

    `guarded` is what was taken of an account in the very write of the entry, in minor units: its
    guard has moved already, and only the rest of the account follows later.
    """

    chart_version: int
    postings: tuple[Posting, ...]
    guarded: Mapping[Account, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.postings:
            raise ValueError("an entry moves something")

    def legs(self) -> tuple[Leg, ...]:
        """The entry by account and side, each once, debits first."""
        sums: dict[tuple[Account, Side], Money] = {}
        for posting in self.postings:
            for key in ((posting.debit, Side.DEBIT), (posting.credit, Side.CREDIT)):
                sums[key] = sums[key] + posting.amount if key in sums else posting.amount
        return tuple(
            Leg(account=account, side=side, amount=amount)
            for (account, side), amount in sorted(
                sums.items(), key=lambda item: item[0][1] != Side.DEBIT
            )
        )


def balances(entries: Iterable[Entry]) -> Mapping[tuple[Account, str], int]:
    """Credits minus debits in minor units, by account and currency."""
    totals: dict[tuple[Account, str], int] = {}
    for entry in entries:
        for leg in entry.legs():
            key = (leg.account, leg.amount.currency)
            totals[key] = totals.get(key, 0) + leg.credit_minor
    return totals
