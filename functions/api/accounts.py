"""Accounts and their wallets."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Final, TypeVar

import msgspec
from msgspec import UNSET, UnsetType

from api.app import App
from api.funding import closed
from florin.domain.account import AccountCommand, ChangeMinBalance, CloseAccount, OpenAccount
from florin.domain.currencies import EXPONENTS
from florin.domain.history import Recorded
from florin.domain.refusals import Refusal
from florin.edge.answers import (
    account_closes,
    account_created,
    account_details,
    min_balance_changed,
    wallet_balances,
)
from florin.edge.http import Answer, Request
from florin.edge.ids import is_account_id
from florin.edge.once import once
from florin.edge.requests import (
    AccountChangeRequest,
    AccountCloseRequest,
    AccountRequest,
    RequestBody,
    idempotency_key,
    read,
)
from florin.handle import Refused
from florin.ports import Profile

Body = TypeVar("Body", bound=RequestBody)


BALANCES_MAX: Final = 20
"""So many balances fit into one payment's transaction."""


def create(app: App, request: Request) -> Answer | Refused:
    """POST /accounts"""
    key = idempotency_key(request)
    if isinstance(key, Refused):
        return key
    asked = read(request, AccountRequest)
    if isinstance(asked, Refused):
        return asked
    if asked.currency not in EXPONENTS:
        return Refused(refusal=Refusal.CURRENCY_UNKNOWN, params=("currency",))
    parent = _parent(app, request.tenant_id, asked)
    if isinstance(parent, Refused):
        return parent

    def ready(now: datetime) -> Refusal | None:
        if parent is None:
            return None
        if closed(parent):
            return Refusal.ACCOUNT_CLOSED
        balances = [one for one in app.accounts.balances(parent) if not closed(one)]
        return Refusal.BALANCES_TOO_MANY if len(balances) >= BALANCES_MAX else None

    command = OpenAccount(
        tenant_id=request.tenant_id,
        currency=asked.currency,
        kind=asked.kind,
        min_balance_minor=asked.min_balance or 0,
        parent=asked.parent or None,
        priority=asked.priority or 0,
    )
    opened = app.desk.open_account(
        command, once(request, key, asked, app.pepper()), expires_in(asked.expires_in_s), ready
    )
    if isinstance(opened, Refused):
        about = ("parent",) if opened.refusal is Refusal.BALANCES_TOO_MANY else opened.params
        return replace(opened, params=about)
    return Answer(
        status=HTTPStatus.CREATED,
        body=account_created(asked, opened.receipt),
        replayed=opened.replayed,
    )


def _parent(app: App, tenant_id: str, asked: AccountRequest) -> Profile | Refused | None:
    """The account as a balance of which another one is to be opened, if it is; or why it cannot."""
    if asked.parent is UNSET:
        return None
    parent = app.accounts.profile(tenant_id, asked.parent) if is_account_id(asked.parent) else None
    if parent is None:
        return Refused(refusal=Refusal.ACCOUNT_NOT_FOUND, params=("parent",))
    if parent.parent is not None:
        return Refused(refusal=Refusal.BALANCE_NESTED, params=("parent",))
    if parent.currency != asked.currency:
        return Refused(refusal=Refusal.CURRENCY_DIFFERS, params=("currency",))
    return parent


def expires_in(seconds: int | UnsetType) -> timedelta | None:
    return None if seconds is UNSET else timedelta(seconds=seconds)


def change(app: App, request: Request) -> Answer | Refused:
    """POST /accounts/{account_id}"""

    def command(asked: AccountChangeRequest, now: datetime) -> AccountCommand:
        return ChangeMinBalance(min_balance_minor=asked.min_balance)

    return _change(app, request, AccountChangeRequest, command, min_balance_changed)


def close(app: App, request: Request) -> Answer | Refused:
    """POST /accounts/{account_id}/close"""

    def command(asked: AccountCloseRequest, now: datetime) -> AccountCommand:
        return CloseAccount(now=now)

    # What payments have brought may not have reached the wallet, which would look empty.
    app.catch_up(request.tenant_id, request.path.get("account_id", ""))
    return _change(app, request, AccountCloseRequest, command, account_closes)


def _change(
    app: App,
    request: Request,
    shape: type[Body],
    command: Callable[[Body, datetime], AccountCommand],
    told: Callable[[Recorded], msgspec.Struct],
) -> Answer | Refused:
    key = idempotency_key(request)
    if isinstance(key, Refused):
        return key
    asked = read(request, shape)
    if isinstance(asked, Refused):
        return asked
    profile = _profile(app, request, fresh=True)
    if isinstance(profile, Refused):
        return profile
    changed = app.desk.change_account(
        profile, lambda now: command(asked, now), once(request, key, asked, app.pepper())
    )
    if isinstance(changed, Refused):
        return changed
    assert changed.event is not None, "a change is told by its event"
    return Answer(status=HTTPStatus.CREATED, body=told(changed.event), replayed=changed.replayed)


def show(app: App, request: Request) -> Answer | Refused:
    """GET /accounts/{account_id}"""
    profile = _profile(app, request, fresh=True)
    if isinstance(profile, Refused):
        return profile
    return Answer(body=account_details(profile, app.clock.now()))


def wallet(app: App, request: Request) -> Answer | Refused:
    """GET /wallets/{account_id}"""
    profile = _profile(app, request)
    if isinstance(profile, Refused):
        return profile
    balances = app.accounts.balances(profile)
    return Answer(
        body=wallet_balances(
            profile,
            app.accounts.wallet(profile),
            [(balance, app.accounts.wallet(balance)) for balance in balances],
            app.clock.now(),
        )
    )


def _profile(app: App, request: Request, *, fresh: bool = False) -> Profile | Refused:
    """The account that the path names."""
    return owned(app, request, request.path.get("account_id", ""), fresh=fresh)


def owned(app: App, request: Request, account_id: str, *, fresh: bool = False) -> Profile | Refused:
    """An account of the caller's. Another tenant's account is not there at all."""
    profile = (
        app.accounts.profile(request.tenant_id, account_id, fresh=fresh)
        if is_account_id(account_id)
        else None
    )
    return profile or Refused(refusal=Refusal.ACCOUNT_NOT_FOUND)
