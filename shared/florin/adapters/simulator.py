"""The provider simulator, as the engine calls it.

What the simulator says is taken at its word only if it is the simulator that says it, in its own
error object: a gateway or proxy in between answers with the same statuses and knows nothing of
the money. Whatever is not listed here as certain is `Unknown`, and gets looked up.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from typing import Any, Final
from urllib.parse import quote, urlencode

from florin.adapters.http import Answer, Endpoint, Timeouts
from florin.domain.money import Money
from florin.domain.payment import Call, PaymentAuthorized, PaymentInitiated
from florin.domain.provider import (
    Approved,
    Declined,
    Hardness,
    Method,
    NotAttempted,
    Operation,
    ProviderAnswer,
    Unknown,
)
from florin.ports import ProviderRoute

NOT_FOUND_FINAL_AFTER: Final = timedelta(seconds=10)
"""No request leaves after its call's deadline, none is under way longer than the simulator's
function may run, and nothing is hidden from look-ups longer than its table of tokens says: a test
adds them up."""

KEY_RETENTION: Final = timedelta(hours=23)
"""The simulator knows its keys for a day, as providers do, and in fact for as long as its books."""

NOTHING_DONE: Final = frozenset(
    {
        (400, "invalid_json"),
        (400, "invalid_request"),
        (401, "unauthorized"),
        (404, "route_not_found"),
        (429, "not_attempted"),
        (503, "not_attempted"),
    }
)
"""Errors by which the simulator says that it did not even begin."""

REFUSED: Final = frozenset(
    {
        (Operation.CAPTURE, 404, "charge_not_found"),
        (Operation.CAPTURE, 409, "charge_voided"),
        (Operation.CAPTURE, 422, "amount_exceeds_authorization"),
        (Operation.REFUND, 404, "charge_not_found"),
        (Operation.REFUND, 422, "amount_exceeds_captured"),
        (Operation.VOID, 404, "charge_not_found"),
        (Operation.VOID, 409, "charge_captured"),
    }
)
"""What can never happen to the charge any more. A capture of what is captured, and a void of what
is voided, are not among them: an earlier attempt may have done it, which a look-up will tell."""


NOT_UNDERSTOOD: Final = "answer_not_understood"
NOT_WHAT_WAS_ASKED: Final = "not_what_was_asked"
"""The provider tells of another operation, charge or amount under our reference. No retry mends
that: money may have moved that the books do not have, so somebody has to look."""


class SimulatorProvider:
    """`florin.ports.PaymentProvider` over the simulator's HTTP API."""

    not_found_final_after = NOT_FOUND_FINAL_AFTER
    key_retention = KEY_RETENTION

    def __init__(
        self,
        route: ProviderRoute,
        secret: str,
        timeouts: Timeouts | None = None,
        endpoint: Callable[[str, Mapping[str, str], Timeouts | None], Endpoint] = Endpoint,
    ) -> None:
        headers = {"Authorization": f"Bearer {secret}"}
        self._endpoint = endpoint(route.url, headers, timeouts)

    def authorize(self, call: Call, terms: PaymentInitiated) -> ProviderAnswer:
        body = {
            "amount": terms.amount.minor,
            "currency": terms.amount.currency,
            "payment_method": terms.payment_method,
            "reference": call.reference,
        }
        return self._post(call, "/v1/authorizations", body, _wanted(call, terms.amount, None))

    def capture(
        self,
        call: Call,
        authorization: PaymentAuthorized,
        amount: Money,
        *,
        final: bool = True,
    ) -> ProviderAnswer:
        body = {"amount": amount.minor, "final": final, "reference": call.reference}
        return self._move(call, authorization, amount, body)

    def refund(self, call: Call, authorization: PaymentAuthorized, amount: Money) -> ProviderAnswer:
        body = {"amount": amount.minor, "reference": call.reference}
        return self._move(call, authorization, amount, body)

    def void(self, call: Call, authorization: PaymentAuthorized) -> ProviderAnswer:
        return self._move(call, authorization, authorization.amount, {"reference": call.reference})

    def _move(
        self,
        call: Call,
        authorization: PaymentAuthorized,
        amount: Money,
        body: Mapping[str, object],
    ) -> ProviderAnswer:
        charge = quote(authorization.provider_reference, "")
        path = f"/v1/authorizations/{charge}/{call.operation}"
        return self._post(call, path, body, _wanted(call, amount, authorization))

    def look_up(
        self, call: Call, amount: Money, authorization: PaymentAuthorized | None
    ) -> ProviderAnswer | None:
        query = urlencode({"reference": call.reference})
        answer = self._endpoint.send("GET", f"/v1/operations?{query}")
        match answer:
            case NotAttempted(reason=reason):
                return Unknown(reason=f"look_up: {reason}")  # of the operation this says nothing
            case Unknown():
                return answer
        match answer.status, answer.fields:
            case 200, {"operations": [*operations]}:
                return _answer_among(operations, call, _wanted(call, amount, authorization))
            case 404, {"error": {"code": "operation_not_found"}}:
                return None
            case _:
                return Unknown(reason=f"look_up: {_described(answer)}")

    def _post(
        self, call: Call, path: str, body: Mapping[str, object], wanted: Mapping[str, object]
    ) -> ProviderAnswer:
        headers = {"Idempotency-Key": call.idempotency_key}
        answer = self._endpoint.send("POST", path, body, headers)
        if not isinstance(answer, Answer):
            return answer
        match answer.status, answer.fields:
            case ((200 | 201), operation):
                read = _answer_of(operation, wanted)
                return Unknown(reason=NOT_UNDERSTOOD) if isinstance(read, Declined) else read
            case 402, {"error": dict(error)}:
                return _declined(error)
            case status, {"error": {"code": str(code)}}:
                if (status, code) in NOTHING_DONE:
                    return NotAttempted(reason=code)
                if (call.operation, status, code) in REFUSED:
                    return Declined(code=code, hardness=Hardness.HARD)
        return Unknown(reason=_described(answer))


def _wanted(
    call: Call, amount: Money, authorization: PaymentAuthorized | None
) -> Mapping[str, object]:
    """What the simulator has to repeat, or its answer is not to what was asked.

    An authorization, which nothing was authorized before, may open any charge.
    """
    wanted: dict[str, object] = {
        "operation": call.operation.value,
        "reference": call.reference,
        "amount": amount.minor,
        "currency": amount.currency,
    }
    if authorization is not None:
        wanted["charge"] = authorization.provider_reference
    return wanted


def _answer_among(
    operations: Iterable[Any], call: Call, wanted: Mapping[str, object]
) -> ProviderAnswer | None:
    """What became of a call, of all that the simulator knows under its reference.

    Money that moved counts, whichever attempt moved it: an attempt can succeed after it was given
    up. Otherwise the attempt's own answer does, and never another's: this one may still arrive.
    Something else under the same reference makes the whole answer one for people to look at.
    """
    own: ProviderAnswer | None = None
    others: ProviderAnswer | None = None
    for operation in operations:
        answer = _answer_of(operation, wanted)
        if isinstance(answer, Unknown):
            return answer
        if operation["idempotency_key"] == call.idempotency_key:
            own = answer
        elif isinstance(answer, Approved):
            others = others or answer
    return own if isinstance(own, Approved) else others or own


def _answer_of(operation: Any, wanted: Mapping[str, object]) -> Approved | Declined | Unknown:
    """An operation as the simulator shows it, if it is the one that was called for."""
    if not isinstance(operation, dict) or not wanted.keys() <= operation.keys():
        return Unknown(reason=NOT_UNDERSTOOD)
    different = [name for name, value in wanted.items() if operation[name] != value]
    if different:
        return Unknown(reason=f"{NOT_WHAT_WAS_ASKED}: {', '.join(different)}")
    match operation:
        case {"idempotency_key": str(), "status": "approved", "charge": str(charge)}:
            return Approved(
                provider_reference=charge, method=_method(operation.get("payment_method"))
            )
        case {"idempotency_key": str(), "status": "declined", "error": dict(error)}:
            return _declined(error)
        case _:
            return Unknown(reason=NOT_UNDERSTOOD)


def _declined(error: Mapping[str, Any]) -> Declined | Unknown:
    match error:
        case {"code": str(code), "hardness": "hard" | "soft" as hardness}:
            return Declined(code=code, hardness=Hardness(hardness))
        case _:
            return Unknown(reason=NOT_UNDERSTOOD)


def _method(shown: Any) -> Method | None:
    match shown:
        case {"kind": str(kind), "brand": str(brand), "last4": str(last4)}:
            return Method(kind=kind, brand=brand, last4=last4[-4:])
        case _:
            return None


def _described(answer: Answer) -> str:
    match answer.fields:
        case {"error": {"code": str(code)}}:
            return f"http_{answer.status}: {code}"
        case _:
            return f"http_{answer.status}"
