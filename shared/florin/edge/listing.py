"""What is asked of a list: the parameters of its query, all judged before anything is read."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Annotated, Final, TypeVar

import msgspec
from msgspec import Meta

from florin.domain.refusals import Refusal
from florin.domain.status import Status
from florin.edge.http import Request
from florin.edge.ids import is_account_id, is_payment_id
from florin.edge.requests import Reference, page_limit
from florin.handle import Refused
from florin.ports import PaymentQuery

PAYMENT_FILTERS: Final = frozenset(
    {"status", "from", "to", "account", "order_id", "limit", "starting_after"}
)

Moment = Annotated[datetime, Meta(tz=True)]
"""A time with its offset. Which moment one without would be, nobody knows."""

Value = TypeVar("Value")


def payment_query(request: Request) -> PaymentQuery | Refused:
    """Which payments are asked for, or the names of all parameters whose values are not allowed."""
    asked = _Asked(request.query)
    limit = page_limit(request)
    query = PaymentQuery(
        tenant_id=request.tenant_id,
        limit=0 if isinstance(limit, Refused) else limit,
        status=asked.get("status", Status),
        since=asked.get("from", _moment),
        until=asked.get("to", _moment),
        account=asked.get("account", _when(is_account_id)),
        order_id=asked.get("order_id", _reference),
        starting_after=asked.get("starting_after", _when(is_payment_id)),
    )
    invalid = [*asked.invalid, *(limit.params if isinstance(limit, Refused) else ())]
    if query.since and query.until and query.since > query.until:
        invalid += ["from", "to"]
    if invalid:
        return Refused(refusal=Refusal.PARAMETER_INVALID, params=tuple(invalid))
    return query


class _Asked:
    """The parameters of a query, and which of them were not as they have to be."""

    def __init__(self, given: Mapping[str, str]) -> None:
        self._given = given
        self.invalid: list[str] = []

    def get(self, name: str, read: Callable[[str], Value]) -> Value | None:
        if name not in self._given:
            return None
        try:
            return read(self._given[name])
        except ValueError:
            self.invalid.append(name)
            return None


def _moment(given: str) -> datetime:
    return msgspec.convert(given, Moment)


def _reference(given: str) -> str:
    given.encode()  # half of a surrogate pair is in no reference that we took
    return msgspec.convert(given, Reference)


def _when(allowed: Callable[[str], bool]) -> Callable[[str], str]:
    def read(given: str) -> str:
        if not allowed(given):
            raise ValueError(given)
        return given

    return read
