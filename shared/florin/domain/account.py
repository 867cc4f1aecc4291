"""An account: who can be paid. It has one currency, and one wallet in it."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from functools import reduce
from typing import Final, assert_never

from florin.domain.refusals import Refusal


class AccountKind(StrEnum):
    SELLER = "seller"
    CUSTOMER = "customer"


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenAccount:
    tenant_id: str
    currency: str
    kind: AccountKind


AccountCommand = OpenAccount


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountOpened:
    tenant_id: str
    currency: str
    kind: AccountKind


AccountEvent = AccountOpened


@dataclass(frozen=True, slots=True)
class NoAccount: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedAccount:
    terms: AccountOpened


AccountState = NoAccount | OpenedAccount

INITIAL: Final[AccountState] = NoAccount()


def decide(command: AccountCommand, account: AccountState) -> tuple[AccountEvent, ...] | Refusal:
    """The facts that follow from a command, or the refusal."""
    match account:
        case NoAccount():
            return (
                AccountOpened(
                    tenant_id=command.tenant_id, currency=command.currency, kind=command.kind
                ),
            )
        case OpenedAccount():
            return Refusal.ACCOUNT_EXISTS
        case _:
            assert_never(account)


def evolve(account: AccountState, event: AccountEvent) -> AccountState:
    """The state after a fact. A history that cannot have happened is corruption and raises."""
    match account:
        case NoAccount():
            return OpenedAccount(terms=event)
        case OpenedAccount():
            raise AssertionError(f"{event} cannot follow {account}")
        case _:
            assert_never(account)


def fold(events: Iterable[AccountEvent]) -> AccountState:
    return reduce(evolve, events, INITIAL)
