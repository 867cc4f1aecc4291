"""Every route of the API, and what happens to a request on its way through one.

API Gateway has matched the path already, so a route is found by its name in a table. The table
and the API's document are compared by a test, both ways.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from api import accounts, dead_letters, holds, ledger, payments
from api.app import App
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
    """`public` routes need no API key; `query` names the parameters that a route takes."""

    answer: Callable[[App, Request], Answer | Refused]
    public: bool = False
    query: frozenset[str] = frozenset()


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
    "POST /payments": Route(payments.create),
    "GET /payments": Route(payments.listing, query=PAYMENT_FILTERS),
    "GET /payments/{payment_id}": Route(payments.show),
    "GET /payments/{payment_id}/events": Route(payments.events),
    "GET /payments/{payment_id}/ledger": Route(payments.ledger),
    "POST /payments/{payment_id}/capture": Route(payments.capture),
    "POST /payments/{payment_id}/cancel": Route(payments.cancel),
    "POST /payments/{payment_id}/refund": Route(payments.refund),
    "POST /payments/{payment_id}/resolve": Route(payments.resolve),
    "POST /accounts": Route(accounts.create),
    "GET /accounts/{account_id}": Route(accounts.show),
    "POST /accounts/{account_id}": Route(accounts.change),
    "POST /accounts/{account_id}/close": Route(accounts.close),
    "POST /holds": Route(holds.create),
    "GET /holds/{hold_id}": Route(holds.show),
    "POST /holds/{hold_id}/capture": Route(holds.capture),
    "POST /holds/{hold_id}/void": Route(holds.void),
    "GET /wallets/{account_id}": Route(accounts.wallet),
    "GET /ledger": Route(ledger.statement, query=ledger.STATEMENT_QUERY),
    "GET /ledger/verification": Route(ledger.verification),
    "POST /ledger/verification": Route(ledger.verify),
    "GET /dead-letters": Route(dead_letters.collect, query=dead_letters.LIST_QUERY),
    "GET /dead-letters/{dead_letter_id}": Route(dead_letters.show),
    "POST /dead-letters/{dead_letter_id}/redrive": Route(dead_letters.redrive),
    "POST /dead-letters/redrive": Route(dead_letters.redrive_all),
    "GET /openapi.json": Route(document, public=True),
    "GET /docs": Route(page, public=True),
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
    if not (route.public or request.tenant_id):
        return Refused(refusal=Refusal.UNAUTHENTICATED)
    card_data = outside_the_body(request)
    if card_data:
        return Refused(refusal=Refusal.CARD_DATA, params=card_data)
    unknown = request.query.keys() - route.query
    if unknown:
        return Refused(refusal=Refusal.PARAMETER_UNKNOWN, params=tuple(sorted(unknown)))
    if request.repeated:
        return Refused(refusal=Refusal.PARAMETER_INVALID, params=tuple(sorted(request.repeated)))
    return route.answer(app, request)


def _named_payment(request: Request) -> str | None:
    """The payment that the path names, if it is an id at all: anything else stays out of logs."""
    payment_id = request.path.get("payment_id", "")
    return payment_id if is_payment_id(payment_id) else None
