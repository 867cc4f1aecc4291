"""The HTTP face of the engine: requests as API Gateway hands them over, answers as it wants them.

A refusal becomes an answer in one place, by one table that is complete by assertion.
"""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from http import HTTPStatus
from typing import Any, Final

import msgspec

from florin.domain.keys import Caller
from florin.domain.refusals import Refusal
from florin.edge.callers import caller_in
from florin.edge.headers import headers_of
from florin.handle import Refused

STATUS: Final[Mapping[Refusal, HTTPStatus]] = {
    Refusal.BODY_MALFORMED: HTTPStatus.BAD_REQUEST,
    Refusal.BODY_TOO_LARGE: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    Refusal.PARAMETER_INVALID: HTTPStatus.BAD_REQUEST,
    Refusal.PARAMETER_MISSING: HTTPStatus.BAD_REQUEST,
    Refusal.PARAMETER_UNKNOWN: HTTPStatus.BAD_REQUEST,
    Refusal.CARD_DATA: HTTPStatus.BAD_REQUEST,
    Refusal.REQUEST_INVALID: HTTPStatus.BAD_REQUEST,
    Refusal.ROUTE_NOT_FOUND: HTTPStatus.NOT_FOUND,
    Refusal.UNAUTHENTICATED: HTTPStatus.UNAUTHORIZED,
    Refusal.FORBIDDEN: HTTPStatus.FORBIDDEN,
    Refusal.SCOPE_MISSING: HTTPStatus.FORBIDDEN,
    Refusal.ADDRESS_NOT_ALLOWED: HTTPStatus.FORBIDDEN,
    Refusal.SCOPE_ESCALATION: HTTPStatus.FORBIDDEN,
    Refusal.RATE_LIMITED: HTTPStatus.TOO_MANY_REQUESTS,
    Refusal.IDEMPOTENCY_KEY_MISSING: HTTPStatus.BAD_REQUEST,
    Refusal.IDEMPOTENCY_KEY_INVALID: HTTPStatus.BAD_REQUEST,
    Refusal.IDEMPOTENCY_KEY_REUSED: HTTPStatus.UNPROCESSABLE_ENTITY,
    Refusal.CURRENCY_UNKNOWN: HTTPStatus.UNPROCESSABLE_ENTITY,
    Refusal.CURRENCY_DIFFERS: HTTPStatus.UNPROCESSABLE_ENTITY,
    Refusal.RECIPIENT_IS_PAYER: HTTPStatus.UNPROCESSABLE_ENTITY,
    Refusal.RECIPIENT_TWICE: HTTPStatus.UNPROCESSABLE_ENTITY,
    Refusal.RECIPIENT_NOT_HELD_FOR: HTTPStatus.UNPROCESSABLE_ENTITY,
    Refusal.BALANCES_TOO_MANY: HTTPStatus.UNPROCESSABLE_ENTITY,
    Refusal.BALANCE_NESTED: HTTPStatus.UNPROCESSABLE_ENTITY,
    Refusal.SEARCH_TOO_BROAD: HTTPStatus.UNPROCESSABLE_ENTITY,
    Refusal.ACCOUNT_NOT_FOUND: HTTPStatus.NOT_FOUND,
    Refusal.PAYMENT_NOT_FOUND: HTTPStatus.NOT_FOUND,
    Refusal.HOLD_NOT_FOUND: HTTPStatus.NOT_FOUND,
    Refusal.NOT_REDRIVABLE: HTTPStatus.UNPROCESSABLE_ENTITY,
    Refusal.DEAD_LETTER_NOT_FOUND: HTTPStatus.NOT_FOUND,
    Refusal.API_KEY_NOT_FOUND: HTTPStatus.NOT_FOUND,
    Refusal.ACCOUNT_EXISTS: HTTPStatus.CONFLICT,
    Refusal.ACCOUNT_CLOSED: HTTPStatus.CONFLICT,
    Refusal.RECIPIENT_CLOSED: HTTPStatus.CONFLICT,
    Refusal.ACCOUNT_NOT_EMPTY: HTTPStatus.CONFLICT,
    Refusal.BALANCE_EXPIRED: HTTPStatus.CONFLICT,
    Refusal.HOLD_EXISTS: HTTPStatus.CONFLICT,
    Refusal.HOLD_CAPTURED: HTTPStatus.CONFLICT,
    Refusal.HOLD_VOIDED: HTTPStatus.CONFLICT,
    Refusal.HOLD_EXPIRED: HTTPStatus.CONFLICT,
    Refusal.AMOUNT_EXCEEDS_HOLD: HTTPStatus.CONFLICT,
    Refusal.PAYMENT_EXISTS: HTTPStatus.CONFLICT,
    Refusal.PAYMENT_NOT_AUTHORIZED: HTTPStatus.CONFLICT,
    Refusal.PAYMENT_NOT_CAPTURED: HTTPStatus.CONFLICT,
    Refusal.PAYMENT_CAPTURED: HTTPStatus.CONFLICT,
    Refusal.PAYMENT_CANCELED: HTTPStatus.CONFLICT,
    Refusal.PAYMENT_FAILED: HTTPStatus.CONFLICT,
    Refusal.AMOUNT_EXCEEDS_AUTHORIZATION: HTTPStatus.CONFLICT,
    Refusal.AMOUNT_EXCEEDS_REFUNDABLE: HTTPStatus.CONFLICT,
    Refusal.INSUFFICIENT_FUNDS: HTTPStatus.PAYMENT_REQUIRED,
    Refusal.PAYMENT_NOT_UNDONE: HTTPStatus.CONFLICT,
    Refusal.PROVIDER_ANSWER_PENDING: HTTPStatus.CONFLICT,
    Refusal.NOTHING_TO_RESOLVE: HTTPStatus.CONFLICT,
    Refusal.PROVIDER_REFERENCE_MISSING: HTTPStatus.UNPROCESSABLE_ENTITY,
    Refusal.ATTEMPTS_EXHAUSTED: HTTPStatus.CONFLICT,
    Refusal.NO_CALL_OWED: HTTPStatus.CONFLICT,
    Refusal.API_KEY_NOT_ACTIVE: HTTPStatus.CONFLICT,
    Refusal.HOP_UNAVAILABLE: HTTPStatus.SERVICE_UNAVAILABLE,
    Refusal.CONTENTION: HTTPStatus.SERVICE_UNAVAILABLE,
    Refusal.UNAVAILABLE: HTTPStatus.SERVICE_UNAVAILABLE,
    Refusal.INTERNAL: HTTPStatus.INTERNAL_SERVER_ERROR,
}
assert STATUS.keys() == set(Refusal), "every refusal has a status"


class ErrorType(StrEnum):
    """What kind of thing went wrong: all that a client needs that does not know the codes."""

    INVALID_REQUEST = "invalid_request"
    AUTHENTICATION = "authentication"
    NOT_FOUND = "not_found"
    FUNDS = "funds"
    CONFLICT = "conflict"
    RULE = "rule"
    RATE_LIMITED = "rate_limited"
    INTERNAL = "internal"


ERROR_TYPES: Final[Mapping[HTTPStatus, ErrorType]] = {
    HTTPStatus.BAD_REQUEST: ErrorType.INVALID_REQUEST,
    HTTPStatus.UNAUTHORIZED: ErrorType.AUTHENTICATION,
    HTTPStatus.PAYMENT_REQUIRED: ErrorType.FUNDS,
    HTTPStatus.FORBIDDEN: ErrorType.AUTHENTICATION,
    HTTPStatus.NOT_FOUND: ErrorType.NOT_FOUND,
    HTTPStatus.CONFLICT: ErrorType.CONFLICT,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: ErrorType.INVALID_REQUEST,
    HTTPStatus.UNPROCESSABLE_ENTITY: ErrorType.RULE,
    HTTPStatus.TOO_MANY_REQUESTS: ErrorType.RATE_LIMITED,
    HTTPStatus.INTERNAL_SERVER_ERROR: ErrorType.INTERNAL,
    HTTPStatus.SERVICE_UNAVAILABLE: ErrorType.INTERNAL,
}
assert ERROR_TYPES.keys() == set(STATUS.values()), "every status has a type of error"

RETRY_AFTER_S: Final[Mapping[HTTPStatus, int]] = {
    HTTPStatus.TOO_MANY_REQUESTS: 1,
    HTTPStatus.SERVICE_UNAVAILABLE: 1,
}
"""When to come again, for the statuses that say so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request as API Gateway's proxy event tells of it.

    `route` is the method and the path as the API's document spells it, `POST /payments`; values
    of path parameters are in `path`, those of the query in `query`, where one that came more than
    once is also in `repeated`. Header names are in lower case, each with all its values.
    `caller` is None where the authorizer was not asked, and `address` is where the request is from.
    """

    route: str
    request_id: str
    caller: Caller | None = None
    address: str = ""
    path: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    repeated: frozenset[str] = frozenset()
    headers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    text: str | None = None
    is_base64: bool = False

    @classmethod
    def of(cls, event: Mapping[str, Any]) -> "Request":
        context = event.get("requestContext") or {}
        return cls(
            route=f"{event.get('httpMethod')} {event.get('resource')}",
            request_id=context.get("requestId") or "",
            caller=caller_in(context.get("authorizer") or {}),
            address=(context.get("identity") or {}).get("sourceIp") or "",
            path=event.get("pathParameters") or {},
            query=event.get("queryStringParameters") or {},
            repeated=_repeated(event.get("multiValueQueryStringParameters") or {}),
            headers=headers_of(event),
            text=event.get("body"),
            is_base64=bool(event.get("isBase64Encoded")),
        )

    @property
    def tenant_id(self) -> str:
        """Whose request it is; empty where nobody had to say so."""
        return self.caller.tenant_id if self.caller else ""

    def body(self) -> bytes | None:
        """The bytes that the client sent, or `None` when they cannot have been text."""
        text = self.text or ""
        try:
            return base64.b64decode(text, validate=True) if self.is_base64 else text.encode()
        except ValueError:
            return None


def _repeated(values: Mapping[str, Sequence[str]]) -> frozenset[str]:
    return frozenset(name for name, given in values.items() if len(given) > 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a route answers. `body` is a struct, or text that is JSON already.

    `headers` come on top of those that every answer has, or in their place; `replayed` says that
    an earlier request had the effect; `payment_id` is the payment that the answer is about, for
    the log.
    """

    body: msgspec.Struct | str
    status: HTTPStatus = HTTPStatus.OK
    headers: Mapping[str, str] = field(default_factory=dict)
    replayed: bool = False
    payment_id: str | None = None


class ErrorDetails(msgspec.Struct, frozen=True, kw_only=True):
    """Why a request was refused."""

    type: ErrorType
    code: Refusal
    message: str
    param: str | None
    transient: bool
    request_id: str


class Error(msgspec.Struct, frozen=True, kw_only=True):
    """The body of every answer that is not a success."""

    error: ErrorDetails


def refusal_answer(refused: Refused, request_id: str) -> Answer:
    """A refusal as HTTP tells it."""
    refusal = refused.refusal
    status = STATUS[refusal]
    details = ErrorDetails(
        type=ERROR_TYPES[status],
        code=refusal,
        message=refusal.sentence,
        param=",".join(refused.params) or None,
        transient=refusal.transient,
        request_id=request_id,
    )
    return Answer(body=Error(error=details), status=status, replayed=refused.replayed)


def response(answer: Answer, request_id: str) -> dict[str, Any]:
    """An answer in the form that API Gateway's proxy integration wants."""
    headers = {"Content-Type": "application/json", "X-Request-Id": request_id, **answer.headers}
    if answer.replayed:
        headers["Idempotent-Replayed"] = "true"
    if answer.status in RETRY_AFTER_S:
        headers["Retry-After"] = str(RETRY_AFTER_S[answer.status])
    body = answer.body
    return {
        "statusCode": int(answer.status),
        "headers": headers,
        "body": body if isinstance(body, str) else msgspec.json.encode(body).decode(),
        "isBase64Encoded": False,
    }
