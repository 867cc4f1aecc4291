"""The HTTP face of the simulated provider.

    POST /v1/authorizations                {amount, currency, payment_method, reference}
    POST /v1/authorizations/{id}/capture   {amount, reference, final}, final unless it says false
    POST /v1/authorizations/{id}/refund    {amount, reference}
    POST /v1/authorizations/{id}/void      {reference}
    GET  /v1/operations?reference=…        what became of an operation, by the caller's own name
    GET  /v1/charges?order=…               all charges of an order, the reference's first part

Every POST needs an Idempotency-Key; the same key answers the same again. An answer of 402 is a
decline and bound to its key; any other error in its own words says that nothing was done. A 504
with nothing in it says nothing: so it looks when a gateway gives up waiting, and a caller waits for
that no longer than for a word. Look-ups may lag behind; the charges of an order never do.
"""

import base64
import hashlib
import hmac
import json
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from http import HTTPStatus
from typing import Any, Final

from florin.adapters import aws
from florin.adapters.clock import SystemClock
from florin.edge import log
from simulator.books import Books, Charge, Done, Operation, Refusal
from simulator.service import Asked, Reaction, Service
from simulator.tokens import AnswerLost, RequestLost, TurnedAway

JsonObject = dict[str, Any]

AMOUNT_MAX: Final = 999_999_999_999
_CURRENCY: Final = re.compile(r"[A-Z]{3}")
_NAME: Final = re.compile(r"[!-~]{1,255}")

STATUS: Final[Mapping[Refusal, HTTPStatus]] = {
    Refusal.CHARGE_NOT_FOUND: HTTPStatus.NOT_FOUND,
    Refusal.CHARGE_CAPTURED: HTTPStatus.CONFLICT,
    Refusal.CHARGE_VOIDED: HTTPStatus.CONFLICT,
    Refusal.AMOUNT_EXCEEDS_AUTHORIZATION: HTTPStatus.UNPROCESSABLE_ENTITY,
    Refusal.AMOUNT_EXCEEDS_CAPTURED: HTTPStatus.UNPROCESSABLE_ENTITY,
    Refusal.IDEMPOTENCY_KEY_REUSED: HTTPStatus.UNPROCESSABLE_ENTITY,
    Refusal.IN_FLIGHT: HTTPStatus.CONFLICT,
}
assert STATUS.keys() == set(Refusal), "every refusal needs a status"


class ProblemError(Exception):
    """A request that is wrong in itself; nothing was done."""

    def __init__(self, status: HTTPStatus, code: str, param: str | None = None) -> None:
        super().__init__(code)
        self.status, self.code, self.param = status, code, param


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer; without a body it is one in which nobody speaks for the provider."""

    status: HTTPStatus
    body: JsonObject | None
    replayed: bool = False
    retry_after_s: int | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """What a route gets: API Gateway's event, with the header names in lower case."""

    route: tuple[str, str]
    headers: Mapping[str, str]
    path: Mapping[str, str]
    query: Mapping[str, str]
    body: str

    @classmethod
    def of(cls, event: JsonObject) -> "Request":
        body = event.get("body") or ""
        if event.get("isBase64Encoded"):
            body = base64.b64decode(body).decode(errors="replace")
        return cls(
            route=(event["httpMethod"], event["resource"]),
            headers={name.lower(): text for name, text in (event.get("headers") or {}).items()},
            path=event.get("pathParameters") or {},
            query=event.get("queryStringParameters") or {},
            body=body,
        )

    def fields(self, *names: str) -> JsonObject:
        """The body: exactly these fields, each as it should be."""
        try:
            body = json.loads(self.body)
        except (ValueError, RecursionError):
            raise ProblemError(HTTPStatus.BAD_REQUEST, "invalid_json") from None
        if not isinstance(body, dict):
            raise ProblemError(HTTPStatus.BAD_REQUEST, "invalid_json")
        for name in sorted(body.keys() - set(names)):
            raise ProblemError(HTTPStatus.BAD_REQUEST, "invalid_request", name[:50])
        for name in names:
            if not FIELDS[name](body.get(name)):
                raise ProblemError(HTTPStatus.BAD_REQUEST, "invalid_request", name)
        return body

    def asked(self, body: JsonObject) -> Asked:
        key = self.headers.get("idempotency-key", "")
        if not _NAME.fullmatch(key):
            raise ProblemError(HTTPStatus.BAD_REQUEST, "invalid_request", "Idempotency-Key")
        whole = json.dumps([self.route, dict(self.path), body], sort_keys=True)
        return Asked(
            reference=body["reference"],
            idempotency_key=key,
            fingerprint=hashlib.sha256(whole.encode()).hexdigest(),
        )

    def parameter(self, name: str) -> str:
        given = self.query.get(name, "")
        if not _NAME.fullmatch(given):
            raise ProblemError(HTTPStatus.BAD_REQUEST, "invalid_request", name)
        return given


def _is_amount(value: object) -> bool:
    return type(value) is int and 0 < value <= AMOUNT_MAX


def _is_currency(value: object) -> bool:
    return isinstance(value, str) and _CURRENCY.fullmatch(value) is not None


def _is_name(value: object) -> bool:
    return isinstance(value, str) and _NAME.fullmatch(value) is not None


FIELDS: Final[Mapping[str, Callable[[object], bool]]] = {
    "amount": _is_amount,
    "currency": _is_currency,
    "final": lambda value: value is None or isinstance(value, bool),
    "payment_method": _is_name,
    "reference": _is_name,
}


# The routes.


def _authorize(service: Service, request: Request) -> Reply:
    body = request.fields("amount", "currency", "payment_method", "reference")
    asked = request.asked(body)
    method = body["payment_method"]
    return _done(service.authorize(asked, body["amount"], body["currency"], method))


def _capture(service: Service, request: Request) -> Reply:
    body = request.fields("amount", "final", "reference")
    asked, final = request.asked(body), body.get("final") is not False
    return _done(service.capture(asked, request.path["id"], body["amount"], final=final))


def _refund(service: Service, request: Request) -> Reply:
    body = request.fields("amount", "reference")
    return _done(service.refund(request.asked(body), request.path["id"], body["amount"]))


def _void(service: Service, request: Request) -> Reply:
    body = request.fields("reference")
    return _done(service.void(request.asked(body), request.path["id"]))


def _operations(service: Service, request: Request) -> Reply:
    found = service.operations(request.parameter("reference"))
    if not found:
        return _error(HTTPStatus.NOT_FOUND, "operation_not_found")
    return Reply(HTTPStatus.OK, {"operations": [_shown(operation) for operation in found]})


def _charges(service: Service, request: Request) -> Reply:
    found = service.charges(request.parameter("order"))
    return Reply(HTTPStatus.OK, {"charges": [_shown_charge(charge) for charge in found]})


ROUTES: Final[Mapping[tuple[str, str], Callable[[Service, Request], Reply]]] = {
    ("POST", "/v1/authorizations"): _authorize,
    ("POST", "/v1/authorizations/{id}/capture"): _capture,
    ("POST", "/v1/authorizations/{id}/refund"): _refund,
    ("POST", "/v1/authorizations/{id}/void"): _void,
    ("GET", "/v1/operations"): _operations,
    ("GET", "/v1/charges"): _charges,
}


# The answers.


def _done(reaction: Reaction) -> Reply:
    match reaction:
        case Refusal():
            return _error(STATUS[reaction], reaction)
        case TurnedAway(status=status, retry_after_s=retry_after_s):
            return replace(_error(status, "not_attempted"), retry_after_s=retry_after_s)
        case RequestLost() | AnswerLost():
            return Reply(HTTPStatus.GATEWAY_TIMEOUT, None)
        case Done(operation=operation, replayed=replayed):
            declined = operation.decline is not None
            status = HTTPStatus.PAYMENT_REQUIRED if declined else HTTPStatus.CREATED
            return Reply(status, _shown(operation), replayed)


def _shown(operation: Operation) -> JsonObject:
    shown: JsonObject = {
        "operation": operation.kind,
        "reference": operation.reference,
        "idempotency_key": operation.idempotency_key,
        "status": "approved" if operation.decline is None else "declined",
        "charge": operation.charge,
        "amount": operation.amount,
        "currency": operation.currency,
        "payment_method": {"kind": "card", "brand": operation.brand, "last4": operation.last4},
        "created_at": operation.created_at,
    }
    if operation.decline is not None:
        shown["error"] = {
            "code": operation.decline.code,
            "message": operation.decline.message,
            "hardness": operation.decline.hardness,
        }
    return shown


def _shown_charge(charge: Charge) -> JsonObject:
    return {
        "charge": charge.charge_id,
        "reference": charge.reference,
        "state": charge.state,
        "authorized": charge.authorized,
        "captured": charge.captured,
        "refunded": charge.refunded,
        "currency": charge.currency,
    }


def _error(status: HTTPStatus, code: str, param: str | None = None) -> Reply:
    message = f"{code.replace('_', ' ')}{f': {param}' if param else ''}"
    return Reply(status, {"error": {"code": code, "message": message, "param": param}})


@dataclass(frozen=True, slots=True)
class Simulator:
    """Answers API Gateway's events, if they come with the secret."""

    service: Service
    secret: str

    def __call__(self, event: JsonObject) -> JsonObject:
        try:
            reply = self._reply(Request.of(event))
        except ProblemError as problem:
            reply = _error(problem.status, problem.code, problem.param)
        body = reply.body or {}
        log.line(
            "simulator",
            route=f"{event['httpMethod']} {event['resource']}",
            status=reply.status,
            reference=body.get("reference"),
            code=body.get("error", {}).get("code"),
            replayed=reply.replayed,
        )
        headers = {"Content-Type": "application/json"}
        if reply.replayed:
            headers["Idempotent-Replayed"] = "true"
        if reply.retry_after_s is not None:
            headers["Retry-After"] = str(reply.retry_after_s)
        return {
            "statusCode": int(reply.status),
            "headers": headers,
            "body": json.dumps(body) if body else "",
        }

    def _reply(self, request: Request) -> Reply:
        given = request.headers.get("authorization", "")
        if not hmac.compare_digest(given.encode(), f"Bearer {self.secret}".encode()):
            raise ProblemError(HTTPStatus.UNAUTHORIZED, "unauthorized")
        route = ROUTES.get(request.route)
        if route is None:
            raise ProblemError(HTTPStatus.NOT_FOUND, "route_not_found")
        return route(self.service, request)


@cache
def _simulator() -> Simulator:
    books = Books(aws.client("dynamodb"), os.environ["SIMULATOR_TABLE"])
    secret = aws.secret(aws.client("secretsmanager"), os.environ["SIMULATOR_SECRET_ID"])
    return Simulator(Service(books, SystemClock()), secret)


def handler(event: JsonObject, context: object) -> JsonObject:
    return _simulator()(event)
