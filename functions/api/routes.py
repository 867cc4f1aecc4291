"""Every route of the API, and what happens to a request on its way through one.

API Gateway has matched the path already, so a route is found by its name in a table. The table
and the API's document are compared by a test, both ways.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from api import accounts, api_keys, dead_letters, holds, ledger, payments
from api.app import App
from api.denials import denied
from florin.domain.keys import Scope
from florin.domain.refusals import Refusal
from florin.edge import log
from florin.edge.card_data import outside_the_body
from florin.edge.http import Answer, Request, refusal_answer, response
from florin.edge.ids import is_payment_id
from florin.edge.listing import PAYMENT_FILTERS
from florin.handle import Refused
from florin.ports import ContentionError


@dataclass(frozen=True, slots=True)
class Route:
    """`scope` is what a route's caller needs, and PUBLIC where anybody may call; `query` names the
    parameters that the route takes.
    """

    answer: Callable[[App, Request], Answer | Refused]
    scope: Scope | None
    query: frozenset[str] = frozenset()

    @property
    def public(self) -> bool:
        return self.scope is PUBLIC


PUBLIC: Final = None


def document(app: App, request: Request) -> Answer:
    """GET /openapi.json"""
    return Answer(body=app.document())


def page(app: App, request: Request) -> Answer:
    """GET /docs"""
    shown = app.page()
    headers = {
        "Content-Type": "text/html; charset=utf-8",
        "Content-Security-Policy": shown.policy,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
    }
    return Answer(body=shown.html, headers=headers)


ROUTES: Final[Mapping[str, Route]] = {
    "POST /payments": Route(payments.create, Scope.PAYMENTS_WRITE),
    "GET /payments": Route(payments.listing, Scope.PAYMENTS_READ, query=PAYMENT_FILTERS),
    "GET /payments/{payment_id}": Route(payments.show, Scope.PAYMENTS_READ),
    "GET /payments/{payment_id}/events": Route(payments.events, Scope.PAYMENTS_READ),
    "GET /payments/{payment_id}/ledger": Route(payments.ledger, Scope.PAYMENTS_READ),
    "POST /payments/{payment_id}/capture": Route(payments.capture, Scope.PAYMENTS_WRITE),
    "POST /payments/{payment_id}/cancel": Route(payments.cancel, Scope.PAYMENTS_WRITE),
    "POST /payments/{payment_id}/refund": Route(payments.refund, Scope.PAYMENTS_REFUND),
    "POST /payments/{payment_id}/resolve": Route(payments.resolve, Scope.PAYMENTS_RESOLVE),
    "POST /accounts": Route(accounts.create, Scope.ACCOUNTS_WRITE),
    "GET /accounts/{account_id}": Route(accounts.show, Scope.ACCOUNTS_READ),
    "POST /accounts/{account_id}": Route(accounts.change, Scope.ACCOUNTS_WRITE),
    "POST /accounts/{account_id}/close": Route(accounts.close, Scope.ACCOUNTS_WRITE),
    "POST /holds": Route(holds.create, Scope.HOLDS_WRITE),
    "GET /holds/{hold_id}": Route(holds.show, Scope.HOLDS_READ),
    "POST /holds/{hold_id}/capture": Route(holds.capture, Scope.HOLDS_WRITE),
    "POST /holds/{hold_id}/void": Route(holds.void, Scope.HOLDS_WRITE),
    "GET /wallets/{account_id}": Route(accounts.wallet, Scope.ACCOUNTS_READ),
    "GET /ledger": Route(ledger.statement, Scope.LEDGER_READ, query=ledger.STATEMENT_QUERY),
    "GET /ledger/verification": Route(ledger.verification, Scope.LEDGER_READ),
    "POST /ledger/verification": Route(ledger.verify, Scope.LEDGER_VERIFY),
    "GET /dead-letters": Route(
        dead_letters.collect, Scope.DEAD_LETTERS_READ, query=dead_letters.LIST_QUERY
    ),
    "GET /dead-letters/{dead_letter_id}": Route(dead_letters.show, Scope.DEAD_LETTERS_READ),
    "POST /dead-letters/{dead_letter_id}/redrive": Route(
        dead_letters.redrive, Scope.DEAD_LETTERS_REDRIVE
    ),
    "POST /dead-letters/redrive": Route(dead_letters.redrive_all, Scope.DEAD_LETTERS_REDRIVE),
    "POST /api-keys": Route(api_keys.create, Scope.API_KEYS_WRITE),
    "GET /api-keys": Route(api_keys.listing, Scope.API_KEYS_READ, query=api_keys.LIST_QUERY),
    "GET /api-keys/{api_key_id}": Route(api_keys.show, Scope.API_KEYS_READ),
    "POST /api-keys/{api_key_id}/roll": Route(api_keys.roll, Scope.API_KEYS_WRITE),
    "POST /api-keys/{api_key_id}/revoke": Route(api_keys.revoke, Scope.API_KEYS_WRITE),
    "GET /openapi.json": Route(document, PUBLIC),
    "GET /docs": Route(page, PUBLIC),
}


def handle(event: Mapping[str, Any], app: App) -> dict[str, Any]:
    """Answer one event of API Gateway, whatever it is, and tell of it in one line."""
    began = time.perf_counter()
    request = Request.of(event)
    outcome = _outcome(app, request)
    if isinstance(outcome, Refused):
        answer = refusal_answer(outcome, request.request_id)
    else:
        answer = outcome
    log.line(
        "request",
        request_id=request.request_id,
        tenant_id=request.tenant_id,
        route=request.route,
        status=int(answer.status),
        duration_ms=round((time.perf_counter() - began) * 1000, 1),
        payment_id=answer.payment_id or _named_payment(request),
    )
    return response(answer, request.request_id)


def _outcome(app: App, request: Request) -> Answer | Refused:
    try:
        return _routed(app, request)
    except ContentionError:
        return Refused(refusal=Refusal.CONTENTION)
    except Exception as error:  # noqa: BLE001  # whatever it is, the client gets our error object
        log.failure("unexpected", error, request_id=request.request_id, route=request.route)
        return Refused(refusal=Refusal.INTERNAL)


def _routed(app: App, request: Request) -> Answer | Refused:
    route = ROUTES.get(request.route)
    if route is None:
        return Refused(refusal=Refusal.ROUTE_NOT_FOUND)
    closed = _closed(app, request, route)
    if closed is not None:
        return Refused(refusal=closed)
    card_data = outside_the_body(request)
    if card_data:
        return Refused(refusal=Refusal.CARD_DATA, params=card_data)
    unknown = request.query.keys() - route.query
    if unknown:
        return Refused(refusal=Refusal.PARAMETER_UNKNOWN, params=tuple(sorted(unknown)))
    if request.repeated:
        return Refused(refusal=Refusal.PARAMETER_INVALID, params=tuple(sorted(request.repeated)))
    return route.answer(app, request)


def _closed(app: App, request: Request, route: Route) -> Refusal | None:
    """Why the route is closed to the caller, if so.

    Who had a key and may not is told of in the log: it may be a key in the wrong hands.
    """
    if route.scope is PUBLIC:
        return None
    if request.caller is None:
        return Refusal.UNAUTHENTICATED
    refusal = request.caller.refused(route.scope, request.address, app.clock.now())
    if refusal is not None:
        denied(request, refusal)
    return refusal


def _named_payment(request: Request) -> str | None:
    """The payment that the path names, if it is an id at all: anything else stays out of logs."""
    payment_id = request.path.get("payment_id", "")
    return payment_id if is_payment_id(payment_id) else None
