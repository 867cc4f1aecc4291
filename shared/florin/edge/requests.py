"""What clients send: the shape of each body, and how a request becomes one or is refused.

A body is read in the order in which its errors are told: the text, unknown fields, missing
fields, values. JSON is taken strictly: what two parsers could read in two ways is malformed.
"""

import json
import re
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Final, NoReturn, TypeVar

import msgspec
from msgspec import UNSET, Meta, UnsetType

from florin.domain.account import AccountKind
from florin.domain.hold import PARTS_MAX
from florin.domain.keys import Role, Scope
from florin.domain.money import AMOUNT_MINOR_MAX
from florin.domain.payment import CaptureMethod, Verdict
from florin.domain.refusals import Refusal
from florin.edge.card_data import in_the_body
from florin.edge.http import Request
from florin.handle import Refused

BODY_BYTES_MAX: Final = 256 * 1024
"""More than the largest valid body, were every character of it escaped."""
NESTING_MAX: Final = 16
DIGITS_MAX: Final = 1_000
NAME_SHOWN_MAX: Final = 64
"""Of a field that does not exist, no more than this is repeated."""

Body = TypeVar("Body", bound="RequestBody")

# `\Z` is Python's end of a text; its `$` also matches before a last newline.
PaymentMethod = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=255,
        pattern=r"^([A-Za-z0-9_.+/=-]+|wallet:acct_[0-9A-HJKMNP-TV-Z]{26}(:\*)?)\Z",
    ),
]
"""A provider's token, or the wallet of an account, or that and all its balances (`:*`)."""
Reference = Annotated[str, Meta(min_length=1, max_length=255)]
MetadataKey = Annotated[str, Meta(min_length=1, max_length=40)]
MetadataValue = Annotated[str, Meta(max_length=500)]


class RequestBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of a request. A field that may be absent is `UNSET` when it is; none is null."""


class PaymentRequest(RequestBody, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """POST /payments. `amount` is in minor units of `currency`."""

    amount: Annotated[int, Meta(ge=1, le=AMOUNT_MINOR_MAX)]
    currency: str
    payment_method: PaymentMethod
    recipient: str
    capture_method: CaptureMethod | UnsetType = UNSET
    description: Annotated[str, Meta(max_length=500)] | UnsetType = UNSET
    customer: Reference | UnsetType = UNSET
    order_id: Reference | UnsetType = UNSET
    metadata: Annotated[dict[MetadataKey, MetadataValue], Meta(max_length=20)] | UnsetType = UNSET


Amount = Annotated[int, Meta(ge=1, le=AMOUNT_MINOR_MAX)]
Remark = Annotated[str, Meta(max_length=500)]
Seconds = Annotated[int, Meta(ge=1, le=10 * 366 * 86_400)]
"""From now; ten years at most."""


class CaptureRequest(RequestBody, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """POST /payments/{payment_id}/capture. No amount means all that is left."""

    amount: Amount | UnsetType = UNSET
    final: bool | UnsetType = UNSET


class CancelRequest(RequestBody, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """POST /payments/{payment_id}/cancel."""

    reason: Remark | UnsetType = UNSET


class RefundRequest(RequestBody, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """POST /payments/{payment_id}/refund. No amount means all that is left."""

    amount: Amount | UnsetType = UNSET
    reason: Remark | UnsetType = UNSET


class ResolveRequest(RequestBody, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """POST /payments/{payment_id}/resolve. What an operator found out, and what proves it."""

    operation_id: Reference
    verdict: Verdict
    evidence: Annotated[str, Meta(min_length=1, max_length=2_000)]
    reason: Annotated[str, Meta(min_length=1, max_length=500)]
    provider_reference: Reference | UnsetType = UNSET


class AccountRequest(RequestBody, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """POST /accounts. `min_balance` is in minor units of `currency`."""

    currency: str
    kind: AccountKind
    min_balance: Annotated[int, Meta(ge=-AMOUNT_MINOR_MAX, le=0)] | UnsetType = UNSET
    parent: str | UnsetType = UNSET
    priority: Annotated[int, Meta(ge=-1_000, le=1_000)] | UnsetType = UNSET
    expires_in_s: Seconds | UnsetType = UNSET


class AccountChangeRequest(RequestBody, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """POST /accounts/{account_id}."""

    min_balance: Annotated[int, Meta(ge=-AMOUNT_MINOR_MAX, le=AMOUNT_MINOR_MAX)]


class AccountCloseRequest(RequestBody, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """POST /accounts/{account_id}/close."""

    reason: Remark | UnsetType = UNSET


class HoldPart(RequestBody, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is for one recipient, in minor units."""

    recipient: str
    amount: Amount


class HoldRequest(RequestBody, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """POST /holds. What the parts come to is put aside out of the wallet of `account`."""

    account: str
    currency: str
    parts: Annotated[list[HoldPart], Meta(min_length=1, max_length=PARTS_MAX)]
    expires_in_s: Seconds | UnsetType = UNSET
    description: Remark | UnsetType = UNSET
    metadata: Annotated[dict[MetadataKey, MetadataValue], Meta(max_length=20)] | UnsetType = UNSET


class HoldCaptureRequest(RequestBody, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """POST /holds/{hold_id}/capture. An amount is spread over all parts in proportion; without
    amount and parts it is all that is left.
    """

    amount: Amount | UnsetType = UNSET
    parts: Annotated[list[HoldPart], Meta(min_length=1, max_length=PARTS_MAX)] | UnsetType = UNSET
    final: bool | UnsetType = UNSET


class HoldVoidRequest(RequestBody, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """POST /holds/{hold_id}/void. Amount and parts are those of a capture."""

    amount: Amount | UnsetType = UNSET
    parts: Annotated[list[HoldPart], Meta(min_length=1, max_length=PARTS_MAX)] | UnsetType = UNSET
    reason: Remark | UnsetType = UNSET


class RedriveRequest(RequestBody, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """POST /dead-letters/{dead_letter_id}/redrive: there is nothing to say."""


class RedriveAllRequest(RequestBody, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """POST /dead-letters/redrive. What is named must all be so; `cause` is how a cause begins."""

    hop: Reference | UnsetType = UNSET
    cause: Reference | UnsetType = UNSET
    payment_id: Reference | UnsetType = UNSET
    starting_after: Reference | UnsetType = UNSET


class ApiKeyRequest(RequestBody, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """POST /api-keys. Either a role or scopes say what the key may do."""

    name: Reference
    role: Role | UnsetType = UNSET
    scopes: Annotated[list[Scope], Meta(min_length=1, max_length=50)] | UnsetType = UNSET
    allowed_addresses: Annotated[list[str], Meta(max_length=20)] | UnsetType = UNSET
    expires_in_s: Seconds | UnsetType = UNSET


class ApiKeyRollRequest(RequestBody, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """POST /api-keys/{api_key_id}/roll. So long both keys are good, 30 days at most."""

    overlap_s: Annotated[int, Meta(ge=0, le=30 * 86_400)]


class ApiKeyRevokeRequest(RequestBody, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """POST /api-keys/{api_key_id}/revoke: there is nothing to say."""


class VerificationRequest(RequestBody, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """POST /ledger/verification. There is nothing to say."""


_KEY: Final = re.compile(r"[\x20-\x7e]{1,255}")


def idempotency_key(request: Request) -> str | Refused:
    """The request's one Idempotency-Key."""
    match request.headers.get("idempotency-key", ()):
        case ():
            return Refused(refusal=Refusal.IDEMPOTENCY_KEY_MISSING)
        case (key,) if _KEY.fullmatch(key):
            return key
        case _:
            return Refused(refusal=Refusal.IDEMPOTENCY_KEY_INVALID)


PAGE_LIMIT: Final = 10
PAGE_LIMIT_MAX: Final = 100


def page_limit(request: Request) -> int | Refused:
    """How many of a list are asked for: 1 to 100, or 10."""
    given = request.query.get("limit", str(PAGE_LIMIT))
    if re.fullmatch(r"[1-9][0-9]{0,2}", given) and int(given) <= PAGE_LIMIT_MAX:
        return int(given)
    return Refused(refusal=Refusal.PARAMETER_INVALID, params=("limit",))


def read(request: Request, shape: type[Body]) -> Body | Refused:
    """The request's body in its shape, or the first kind of error with all fields that have it.

    No body at all is an empty one, where no field is required.
    """
    body = request.body()
    if body is None:
        return Refused(refusal=Refusal.BODY_MALFORMED)
    if len(body) > BODY_BYTES_MAX:
        return Refused(refusal=Refusal.BODY_TOO_LARGE)
    names = {field.name: field for field in msgspec.structs.fields(shape)}
    if not body and not any(field.required for field in names.values()):
        body = b"{}"
    try:
        given = parse(body)
    except MalformedError:
        return Refused(refusal=Refusal.BODY_MALFORMED)

    card_data = in_the_body(given)
    if card_data:
        return Refused(refusal=Refusal.CARD_DATA, params=tuple(map(_shown, card_data)))
    unknown = [_shown(name) for name in given if name not in names]
    if unknown:
        return Refused(refusal=Refusal.PARAMETER_UNKNOWN, params=tuple(unknown))
    missing = [name for name, field in names.items() if field.required and name not in given]
    if missing:
        return Refused(refusal=Refusal.PARAMETER_MISSING, params=tuple(missing))
    try:
        return msgspec.convert(given, shape)
    except msgspec.ValidationError:
        invalid = [path for name in given for path in _invalid(name, given[name], names[name].type)]
        return Refused(refusal=Refusal.PARAMETER_INVALID, params=tuple(invalid))


def _invalid(path: str, value: object, wanted: Any) -> Iterator[str]:
    """The paths at and below `path` whose values are not as wanted."""
    if _fits(value, wanted):
        return
    entries = value if isinstance(value, dict) and _fits({}, wanted) else {}
    wrong = [key for key, entry in entries.items() if not _fits({key: entry}, wanted)]
    yield from [f"{path}.{_shown(key)}" for key in wrong] or [path]


def _fits(value: object, wanted: Any) -> bool:
    try:
        msgspec.convert(value, wanted)
    except msgspec.ValidationError:
        return False
    return True


def _shown(name: str) -> str:
    return name if len(name) <= NAME_SHOWN_MAX else f"{name[:NAME_SHOWN_MAX]}…"


# JSON, strictly.


class MalformedError(ValueError):
    """The text is no JSON object, or one that could be understood in more than one way."""


def parse(body: bytes) -> dict[str, Any]:
    """The JSON object in a body.

    Raises:
        MalformedError: no UTF-8, no JSON, no object; a name twice, a number that JSON does not
            have, half of a surrogate pair; deeper than 16 levels, or a number of 1000 digits.
    """
    try:
        value = _DECODER.decode(body.decode())
    except (ValueError, RecursionError) as error:
        raise MalformedError("no JSON") from error
    if not isinstance(value, dict):
        raise MalformedError("no object")
    _check(value)
    return value


def _check(value: object) -> None:
    """Refuse what JSON's grammar allows and we do not, without recursion."""
    level: list[object] = [value]
    for _ in range(NESTING_MAX):
        level = [inner for outer in level for inner in _checked(outer)]
        if not level:
            return
    raise MalformedError("nested too deeply")


def _checked(value: object) -> Sequence[object]:
    """What is directly inside a value that is itself in order."""
    match value:
        case str():
            if not _is_unicode(value):
                raise MalformedError("half of a surrogate pair")
            return ()
        case dict():
            return [*value.keys(), *value.values()]
        case list():
            return value
        case _:
            return ()


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise MalformedError("a name twice")
    return value


def _integer(digits: str) -> int:
    if len(digits) > DIGITS_MAX:
        raise MalformedError("too many digits")
    return int(digits)


def _constant(name: str) -> NoReturn:
    raise MalformedError(f"{name} is not JSON")


_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=_object, parse_int=_integer, parse_constant=_constant
)
