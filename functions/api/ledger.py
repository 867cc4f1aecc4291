"""The ledger: statements of wallets, lines of payments, and whether the books hold."""

from dataclasses import replace
from http import HTTPStatus
from typing import Final

from api.accounts import owned
from api.app import App
from florin.domain.refusals import Refusal
from florin.edge.answers import (
    payment_statement,
    statement_list,
    verification_accepted,
    verification_details,
)
from florin.edge.http import Answer, Request
from florin.edge.ids import is_payment_id
from florin.edge.once import once
from florin.edge.requests import VerificationRequest, idempotency_key, page_limit, read
from florin.handle import Refused
from florin.ports import wallet_key

STATEMENT_QUERY: Final = frozenset({"account_id", "payment_id", "limit", "starting_after"})


def statement(app: App, request: Request) -> Answer | Refused:
    """GET /ledger?account_id=… or ?payment_id=…"""
    match sorted(request.query.keys() & {"account_id", "payment_id"}):
        case ["account_id"]:
            return _of_account(app, request)
        case ["payment_id"]:
            return _of_payment(app, request)
        case []:
            params = ("account_id", "payment_id")
            return Refused(refusal=Refusal.PARAMETER_MISSING, params=params)
        case both:
            return Refused(refusal=Refusal.PARAMETER_INVALID, params=tuple(both))


def _of_account(app: App, request: Request) -> Answer | Refused:
    limit = page_limit(request)
    if isinstance(limit, Refused):
        return limit
    profile = owned(app, request, request.query["account_id"])
    if isinstance(profile, Refused):
        return replace(profile, params=("account_id",))
    wallet = wallet_key(profile)
    before = None
    if "starting_after" in request.query:
        before = app.books.line_number(wallet, request.query["starting_after"])
        if before is None:
            return Refused(refusal=Refusal.PARAMETER_INVALID, params=("starting_after",))
    # One more than asked for tells whether there are more.
    lines = app.books.statement(wallet, limit=limit + 1, before=before)
    return Answer(body=statement_list(lines[:limit], has_more=len(lines) > limit))


def _of_payment(app: App, request: Request) -> Answer | Refused:
    limit = page_limit(request)
    if isinstance(limit, Refused):
        return limit
    payment_id = request.query["payment_id"]
    unknown = Refused(refusal=Refusal.PAYMENT_NOT_FOUND, params=("payment_id",))
    if not is_payment_id(payment_id):
        return unknown
    history = app.store.read(payment_id)
    if not history.belongs_to(request.tenant_id):
        return unknown
    after = request.query.get("starting_after")
    page = payment_statement(history, limit=limit, after=after)
    if page is None:
        return Refused(refusal=Refusal.PARAMETER_INVALID, params=("starting_after",))
    return Answer(body=page, payment_id=payment_id)


def verification(app: App, request: Request) -> Answer:
    """GET /ledger/verification"""
    last, running = app.runs.last(request.tenant_id), app.runs.underway(request.tenant_id)
    return Answer(body=verification_details(last, running))


def verify(app: App, request: Request) -> Answer | Refused:
    """POST /ledger/verification"""
    key = idempotency_key(request)
    if isinstance(key, Refused):
        return key
    asked = read(request, VerificationRequest)
    if isinstance(asked, Refused):
        return asked
    requested = app.verification.request(once(request, key, asked, app.pepper()))
    if isinstance(requested, Refused):
        return requested
    return Answer(
        status=HTTPStatus.CREATED,
        body=verification_accepted(requested.receipt),
        replayed=requested.replayed,
    )
