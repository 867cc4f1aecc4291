"""A stream of recorded facts, each chained to the one before it by a hash."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from florin.domain.account import AccountEvent
from florin.domain.hold import HoldEvent
from florin.domain.ledger import Entry
from florin.domain.payment import PaymentEvent

Event = PaymentEvent | AccountEvent | HoldEvent

GENESIS: Final = ""
"""The hash before the first event of a stream."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A fact about to be recorded, with the ledger entry that it causes."""

    event: Event
    entry: Entry | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """A fact as it stands in its stream.

    `execution` is the ARN of the execution that wrote it, where one did. `hash` covers every
    other field as it is stored, and the hash of the event before it.
    """

    stream: str
    version: int
    tenant_id: str
    type: str
    event: Event
    entry: Entry | None
    recorded_at: datetime
    execution: str | None
    hash: str

    @property
    def event_id(self) -> str:
        return event_id_of(self.stream, self.version)

    @property
    def entry_id(self) -> str:
        """An entry is found by the event that carries it."""
        return f"{self.stream}:{self.version}"


def event_id_of(stream: str, version: int) -> str:
    """`evt_`, the ULID of the stream and the version: the same wherever the event is told."""
    return f"evt_{stream.partition('_')[2]}_{version}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """Where a stream ends: what the next event has to know of the last one."""

    version: int = 0
    hash: str = GENESIS
    recorded_at: datetime | None = None


NO_EVENTS: Final = Head()


@dataclass(frozen=True, slots=True)
class History:
    """All the facts of one stream, oldest first."""

    events: tuple[Recorded, ...] = ()

    @property
    def head(self) -> Head:
        if not self.events:
            return NO_EVENTS
        last = self.events[-1]
        return Head(version=last.version, hash=last.hash, recorded_at=last.recorded_at)

    def belongs_to(self, tenant_id: str) -> bool:
        """Whether there is such a stream and the tenant owns it."""
        return bool(self.events) and self.events[0].tenant_id == tenant_id


_JSON: Final = json.JSONEncoder(ensure_ascii=True, separators=(",", ":"))
"""The text that is hashed: a JSON array without white space, everything but ASCII escaped."""


def link(previous_hash: str, stored: Sequence[str | int | None]) -> str:
    """The hash of an event: SHA-256 in hex over the hash before it and its stored fields."""
    return hashlib.sha256(_JSON.encode([previous_hash, *stored]).encode()).hexdigest()


def not_before(now: datetime, head: Head) -> datetime:
    """The time to record: never before the event it follows, whatever the clocks say."""
    return now if head.recorded_at is None else max(now, head.recorded_at)
