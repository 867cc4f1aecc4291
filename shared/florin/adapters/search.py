"""Finding payments by the indexes of the views table.

Every index has the stream, a payment's id, as its sort key and projects nothing else. Ids begin
with the time of their making, so an index tells the payments of one key newest first, a span of
time is a span of ids, and where a page ended is an id like any other. Payments that have to meet
several conditions are those whose ids are found under each of them: the walk goes from id to id,
and whoever has none near jumps ahead instead of being read through.

Indexes follow the table in a moment, and one condition has no index. So whatever is found is
judged by its view, read strongly consistent, before it is told of.
"""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Protocol

from florin.adapters import ulid
from florin.domain.status import Status
from florin.ports import Page, PaymentQuery, SearchTooBroad, View

PREFIX: Final = "pay_"
READS_MAX: Final = 100
"""How often one search may ask the table: a second, and about eight thousand views."""
VIEWS_AT_ONCE: Final = 100
IDS_AT_ONCE: Final = 500

AT_REST: Final = frozenset({Status.SUCCEEDED})
"""Where payments come to rest when all goes well: most are here, so no index tells them apart, and
a payment that goes well is taken out of the index by status instead of being kept in it.
"""


class Index(StrEnum):
    """An index of the views table, by its name in the template."""

    TENANT = "by_tenant"
    STATUS = "by_status"
    RECIPIENT = "by_recipient"
    PAYER = "by_payer"
    ORDER = "by_order"


KEY_OF: Final[Mapping[Index, str]] = {
    Index.TENANT: "tenant_id",
    Index.STATUS: "status_key",
    Index.RECIPIENT: "recipient_key",
    Index.PAYER: "payer_key",
    Index.ORDER: "order_key",
}
"""The attribute that an index is partitioned by. Each holds the tenant: tenants never meet."""


def keys_of(view: View) -> Mapping[Index, str]:
    """Under which keys a view is found; where it has none, it costs nothing."""
    found_by = {
        Index.RECIPIENT: view.recipient,
        Index.PAYER: view.payer,
        Index.ORDER: view.order_id,
        Index.STATUS: None if view.payment is None or view.status in AT_REST else view.status,
    }
    keys = {
        index: _key(view.tenant_id, value) for index, value in found_by.items() if value is not None
    }
    return {Index.TENANT: view.tenant_id, **keys}


def _key(tenant_id: str, value: str) -> str:
    return f"{tenant_id}#{value}"


ReadIds = Callable[[Index, str, tuple[str, str], int], Sequence[str]]
"""At most so many streams of an index under a key, between two that count, newest first."""

ReadViews = Callable[[Sequence[str]], Sequence[View]]
"""The views of at most 100 streams, in any order."""


def search(
    query: PaymentQuery, read_ids: ReadIds, read_views: ReadViews, reads_max: int = READS_MAX
) -> Page | SearchTooBroad:
    """The payments that a query wants, as far as `reads_max` reads go."""
    budget = _Budget(reads_max)
    ids = _ids_of(query, read_ids, budget)
    below = _end(query)
    found: list[View] = []
    looked_at = 0
    try:
        while len(found) <= query.limit:
            # As many as are missing, or as many as go at once where not every one was wanted.
            missing = query.limit + 1 - len(found)
            at_once = min(missing, VIEWS_AT_ONCE) if looked_at == len(found) else VIEWS_AT_ONCE
            streams: list[str] = []
            while len(streams) < at_once and (next_one := ids.newest(below)) is not None:
                streams.append(_stream(next_one))
                below = next_one
            if not streams:
                return Page(tuple(found), has_more=False)
            budget.spend()
            views = sorted(read_views(streams), key=lambda view: view.stream, reverse=True)
            found += [view for view in views if query.wants(view)]
            looked_at += len(streams)
    except _SpentError:
        # Whoever goes on after the last one found misses nothing. Without one, nobody can go on.
        if not found:
            return SearchTooBroad()
    return Page(tuple(found[: query.limit]), has_more=True)


def _ids_of(query: PaymentQuery, read_ids: ReadIds, budget: "_Budget") -> "_Ids":
    def under(index: Index, value: str) -> _Ids:
        key = value if index is Index.TENANT else _key(query.tenant_id, value)
        return _Under(
            read=lambda between, count: read_ids(index, key, between, count),
            budget=budget,
            first=0 if query.since is None else ulid.first_since(query.since),
            count=query.limit + 1,
        )

    conditions: list[_Ids] = []
    if query.order_id is not None:
        conditions.append(under(Index.ORDER, query.order_id))
    if query.account is not None:
        either = (under(Index.RECIPIENT, query.account), under(Index.PAYER, query.account))
        conditions.append(_Any(either))
    if query.status is not None and query.status not in AT_REST:
        conditions.append(under(Index.STATUS, query.status))
    return _All(tuple(conditions or [under(Index.TENANT, query.tenant_id)]))


def _end(query: PaymentQuery) -> int:
    """What every id has to be below."""
    return min(
        ulid.VALUES_END,
        ulid.VALUES_END if query.until is None else ulid.first_since(query.until),
        ulid.VALUES_END if query.starting_after is None else _value(query.starting_after),
    )


def _value(stream: str) -> int:
    return ulid.value_of(stream.removeprefix(PREFIX))


def _stream(value: int) -> str:
    return PREFIX + ulid.text_of(value)


# Ids, as the numbers that they are.


class _SpentError(Exception):
    """A search has read as often as it may."""


@dataclass(slots=True)
class _Budget:
    left: int

    def spend(self) -> None:
        if not self.left:
            raise _SpentError
        self.left -= 1


class _Ids(Protocol):
    def newest(self, below: int) -> int | None:
        """The highest id below this one, which never is higher than the one asked for before."""
        ...


@dataclass(slots=True, kw_only=True)
class _Under:
    """The ids under one key of an index from `first` on, read page by page as they are wanted."""

    read: Callable[[tuple[str, str], int], Sequence[str]]
    budget: _Budget
    first: int
    count: int
    _page: deque[int] = field(default_factory=deque)
    _ended: bool = False

    def newest(self, below: int) -> int | None:
        while self._page and self._page[0] >= below:
            self._page.popleft()
        if not self._page and not self._ended and self.first < below:
            self.budget.spend()
            between = (_stream(self.first), _stream(below - 1))
            self._page.extend(map(_value, self.read(between, self.count)))
            self._ended = len(self._page) < self.count
            self.count = IDS_AT_ONCE
        return self._page[0] if self._page else None


@dataclass(frozen=True, slots=True)
class _Any:
    """The ids that are among any of several."""

    several: tuple[_Ids, ...]

    def newest(self, below: int) -> int | None:
        heads = (ids.newest(below) for ids in self.several)
        return max((head for head in heads if head is not None), default=None)


@dataclass(frozen=True, slots=True)
class _All:
    """The ids that are among each of several."""

    several: tuple[_Ids, ...]

    def newest(self, below: int) -> int | None:
        agreed = 0
        candidate = below
        # Everybody names the newest that is no newer than the others' word, until all say the same.
        while agreed < len(self.several):
            agreed = 0
            for ids in self.several:
                head = ids.newest(below)
                if head is None:
                    return None
                agreed = agreed + 1 if head == candidate else 1
                candidate, below = head, head + 1
        return candidate
