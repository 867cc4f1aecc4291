"""The hops behind the events in one process: the real handlers, over ports in memory.

events ─▶ projector, publisher ─▶ bus ─▶ analytics's queue ─▶ analytics
              └──────────── parked ──────────────┴──▶ collected as dead letters
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from dead_letters.arrivals import Arrivals
from florin.adapters.clock import ManualClock
from florin.adapters.codec import Row
from florin.adapters.memory import (
    Memory,
    MemoryBus,
    MemoryParking,
    MemoryRetries,
    MemorySagas,
    MemoryWalk,
)
from florin.adapters.memory_dead_letters import MemoryDeadLetters
from florin.catch_up import CatchUp
from florin.dead_letters import Redriver
from florin.edge.answers import PUBLIC_TYPES
from florin.edge.queues import RECEIVES_MAX, QueueHandler
from florin.edge.streams import StreamHandler
from florin.ports import DeadLetter, Hop, HopUnavailableError, NotRedrivableError
from florin.projection import Projector
from publisher.handler import Publisher
from tests.support.examples import NOON

Record = dict[str, Any]

ARNS = {"arn:queue:analytics": "analytics", "arn:function:projector": "projector"}


def stream_record(row: Row, change: str = "INSERT") -> Record:
    """A record as DynamoDB Streams hands it to Lambda."""
    image: dict[str, dict[str, str]] = {
        "stream": {"S": row.stream},
        "version": {"N": str(row.version)},
        "tenant_id": {"S": row.tenant_id},
        "type": {"S": row.type},
        "schema_version": {"N": str(row.schema_version)},
        "recorded_at": {"S": row.recorded_at},
        "data": {"S": row.data},
        "hash": {"S": row.hash},
    }
    if row.entry is not None:
        image["entry"] = {"S": row.entry}
    keys = {"stream": image["stream"], "version": image["version"]}
    return {"eventName": change, "dynamodb": {"Keys": keys, "NewImage": image}}


def queue_record(body: str, message_id: str, arn: str, received: int = 1) -> Record:
    """A message as SQS hands it to Lambda."""
    return {
        "messageId": message_id,
        "receiptHandle": f"receipt of {message_id}",
        "eventSourceARN": arn,
        "attributes": {"ApproximateReceiveCount": str(received)},
        "messageAttributes": {},
        "body": body,
    }


@dataclass
class Engine:
    """Everything that follows the events. `poison` names events that analytics cannot count."""

    store: Memory = field(default_factory=Memory)
    clock: ManualClock = field(default_factory=lambda: ManualClock(NOON))
    bus: MemoryBus = field(default_factory=MemoryBus)
    parking: MemoryParking = field(default_factory=MemoryParking)
    letters: MemoryDeadLetters = field(default_factory=MemoryDeadLetters)
    sagas: MemorySagas = field(default_factory=MemorySagas)
    counted: dict[str, int] = field(default_factory=dict)
    poison: set[str] = field(default_factory=set)
    pauses: MemoryRetries = field(default_factory=MemoryRetries)

    def __post_init__(self) -> None:
        self._read: dict[str, int] = {}
        self._messages = 0
        self._delivered = 0
        projector = Projector(store=self.store, books=self.store)
        publisher = Publisher(self.bus, pause=lambda _: None)
        self.readers = {
            "projector": StreamHandler(
                "projector",
                lambda rows: projector.project(row.stream for row in rows),
                lambda: self.parking,
            ),
            "publisher": StreamHandler("publisher", publisher.publish, lambda: self.parking),
        }
        self.analytics = QueueHandler(
            "analytics", self._count, lambda: self.parking, lambda: self.pauses
        )
        self.hops: Mapping[str, Hop] = {
            "projector": _ReaderHop(self, "projector"),
            "publisher": _ReaderHop(self, "publisher"),
            "analytics": _QueueHop(self),
        }

    @property
    def redriver(self) -> Redriver:
        return Redriver(letters=self.letters, hops=self.hops, clock=self.clock)

    @property
    def catch_up(self) -> CatchUp:
        return CatchUp(
            events=MemoryWalk(self.store),
            store=self.store,
            books=self.store,
            witness=self,
            told=PUBLIC_TYPES,
            letters=self.letters,
            redriver=self.redriver,
            clock=self.clock,
        )

    def heard_of(self, event_ids: Any) -> set[str]:
        return {event_id for event_id in event_ids if event_id in self.counted}

    # What happens by itself.

    def flow(self) -> None:
        """Let everything happen that new events set off."""
        for stream in self.store.streams():
            rows = self.store.rows(stream)[self._read.get(stream, 0) :]
            self._read[stream] = self._read.get(stream, 0) + len(rows)
            if rows:
                self.read(*rows)
        self.deliver()
        self.collect()

    def read(self, *rows: Row) -> None:
        for reader in self.readers.values():
            reader({"Records": [stream_record(row) for row in rows]}, None)

    def deliver(self) -> None:
        """Hand what is new on the bus to analytics."""
        new = self.bus.published[self._delivered :]
        self._delivered = len(self.bus.published)
        for message in new:
            told = {"event_id": message.event_id, "stream": message.stream}
            self.enqueue(json.dumps({"detail": told | {"version": message.version}}))

    def enqueue(self, body: str) -> None:
        """Hand a message to analytics as often as its queue would."""
        self._messages += 1
        for received in range(1, RECEIVES_MAX + 1):
            record = queue_record(
                body, f"message-{self._messages}", "arn:queue:analytics", received
            )
            if not self.analytics({"Records": [record]}, None)["batchItemFailures"]:
                return

    def collect(self) -> None:
        """Make dead letters of what is parked."""
        while self.parking.parked:
            hop, cause, payload = self.parking.parked.pop(0)
            self._messages += 1
            body = json.dumps({"hop": hop, "cause": cause, "payload": payload})
            record = queue_record(body, f"message-{self._messages}", "arn:queue:parked")
            for arrival in self.arrivals.of(record):
                self.letters.arrive(arrival, self.clock.now())

    @property
    def arrivals(self) -> Arrivals:
        return Arrivals(hops=ARNS, owner=self.owner, stored=lambda bucket, key: "")

    def owner(self, stream: str) -> str | None:
        rows = self.store.rows(stream)
        return rows[0].tenant_id if rows else None

    def _count(self, body: str) -> None:
        event_id = json.loads(body)["detail"]["event_id"]
        if event_id in self.poison:
            raise LookupError(f"{event_id} cannot be counted")
        self.counted.setdefault(event_id, 1)


@dataclass(frozen=True)
class _ReaderHop:
    engine: Engine
    hop: str

    def take(self, letter: DeadLetter) -> None:
        rows = [
            row
            for row in self.engine.store.rows(letter.stream or "")
            if row.version == letter.version
        ]
        if not rows:
            raise NotRedrivableError("no such event")
        try:
            self.engine.readers[self.hop]({"Records": [stream_record(rows[0])]}, None)
        except Exception as error:
            raise HopUnavailableError(self.hop) from error


@dataclass(frozen=True)
class _QueueHop:
    engine: Engine

    def take(self, letter: DeadLetter) -> None:
        self.engine.enqueue(letter.payload)
