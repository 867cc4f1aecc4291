"""Accounts and their wallets."""

from http import HTTPStatus

from api.app import App
from florin.domain.account import OpenAccount
from florin.domain.currencies import EXPONENTS
from florin.domain.refusals import Refusal
from florin.edge.answers import account_created, account_details, wallet_balances
from florin.edge.http import Answer, Request
from florin.edge.ids import is_account_id
from florin.edge.once import once
from florin.edge.requests import AccountRequest, idempotency_key, read
from florin.handle import Refused
from florin.ports import Profile


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

    command = OpenAccount(tenant_id=request.tenant_id, currency=asked.currency, kind=asked.kind)
    opened = app.desk.open_account(command, once(request, key, asked, app.pepper()))
    if isinstance(opened, Refused):
        return opened
    return Answer(
        status=HTTPStatus.CREATED,
        body=account_created(asked, opened.receipt),
        replayed=opened.replayed,
    )


def show(app: App, request: Request) -> Answer | Refused:
    """GET /accounts/{account_id}"""
    profile = _profile(app, request)
    if isinstance(profile, Refused):
        return profile
    return Answer(body=account_details(profile))


def wallet(app: App, request: Request) -> Answer | Refused:
    """GET /wallets/{account_id}"""
    profile = _profile(app, request)
    if isinstance(profile, Refused):
        return profile
    return Answer(body=wallet_balances(app.accounts.wallet(profile)))


def _profile(app: App, request: Request) -> Profile | Refused:
    """The account that the path names."""
    return owned(app, request, request.path.get("account_id", ""))


def owned(app: App, request: Request, account_id: str) -> Profile | Refused:
    """An account of the caller's. Another tenant's account is not there at all."""
    profile = (
        app.accounts.profile(request.tenant_id, account_id) if is_account_id(account_id) else None
    )
    return profile or Refused(refusal=Refusal.ACCOUNT_NOT_FOUND)
