"""Events to stored text and back, and old events brought up to date on the way in.

A `Row` is an event as every store keeps it. Its hash is taken over the very text that is stored,
so what an event looked like when it was written, and by which version of the code, never matters
to the chain.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from florin.domain.account import AccountClosing, AccountMinBalanceChanged, AccountOpened
from florin.domain.history import GENESIS, Draft, Event, Head, Recorded, link, not_before
from florin.domain.hold import HoldCaptured, HoldPlaced, HoldReleased
from florin.domain.ledger import Entry
from florin.domain.payment import (
    PaymentAuthorized,
    PaymentCanceled,
    PaymentCancelRequested,
    PaymentCaptured,
    PaymentCaptureRequested,
    PaymentFailed,
    PaymentFoundLate,
    PaymentInitiated,
    PaymentOperationResolved,
    PaymentRefunded,
    PaymentRefundFailed,
    PaymentRefundRequested,
    PaymentRestReleased,
    PaymentReturned,
    PaymentRiskAssessed,
    PaymentVoided,
    ProviderCallDeclined,
    ProviderCallNotAttempted,
    ProviderCallStarted,
    ProviderCallUnanswered,
    ProviderKeyExpired,
)
from florin.ports import Batch

Upcast = Callable[[dict[str, Any]], dict[str, Any]]
"""From an event's data in one schema version to its data in the next."""


class CorruptEventError(Exception):
    """A stored event that this code cannot have written, or a chain that does not hold."""


EventClass = type[Event]


@dataclass(frozen=True, slots=True)
class Schema:
    """How an event class is stored: its name on the wire, and what its older data must become.

    `upcasts[n]` turns schema version n + 1 into n + 2, so the current version is their number
    plus one.
    """

    name: str
    event: EventClass
    upcasts: tuple[Upcast, ...] = ()

    @property
    def version(self) -> int:
        return len(self.upcasts) + 1


def _its_own_key(data: dict[str, Any]) -> dict[str, Any]:
    """Every attempt had a key of its own, and nobody wrote down how long a provider knows it."""
    return {**data, "key": data["attempt"], "key_until": None}


SCHEMAS: Final = (
    Schema("payment.initiated", PaymentInitiated),
    Schema("payment.risk_assessed", PaymentRiskAssessed),
    Schema("payment.call_started", ProviderCallStarted, (_its_own_key,)),
    Schema("payment.call_unanswered", ProviderCallUnanswered),
    Schema("payment.call_not_attempted", ProviderCallNotAttempted),
    Schema("payment.call_declined", ProviderCallDeclined),
    Schema("payment.key_expired", ProviderKeyExpired),
    Schema("payment.authorized", PaymentAuthorized),
    Schema("payment.capture_requested", PaymentCaptureRequested),
    Schema("payment.captured", PaymentCaptured),
    Schema("payment.cancel_requested", PaymentCancelRequested),
    Schema("payment.rest_released", PaymentRestReleased),
    Schema("payment.voided", PaymentVoided),
    Schema("payment.failed", PaymentFailed),
    Schema("payment.canceled", PaymentCanceled),
    Schema("payment.refund_requested", PaymentRefundRequested),
    Schema("payment.refunded", PaymentRefunded),
    Schema("payment.refund_failed", PaymentRefundFailed),
    Schema("payment.operation_resolved", PaymentOperationResolved),
    Schema("payment.found_late", PaymentFoundLate),
    Schema("payment.returned", PaymentReturned),
    Schema("account.opened", AccountOpened),
    Schema("account.min_balance_changed", AccountMinBalanceChanged),
    Schema("account.closing", AccountClosing),
    Schema("hold.placed", HoldPlaced),
    Schema("hold.captured", HoldCaptured),
    Schema("hold.released", HoldReleased),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """An event as it is stored: plain strings and numbers."""

    stream: str
    version: int
    tenant_id: str
    type: str
    schema_version: int
    recorded_at: str
    execution: str | None
    data: str
    entry: str | None
    hash: str = field(default=GENESIS)

    def hash_after(self, previous_hash: str) -> str:
        """The hash that chains the row to the one before."""
        fields = (
            self.stream,
            self.version,
            self.tenant_id,
            self.type,
            self.schema_version,
            self.recorded_at,
            self.execution,
            self.data,
            self.entry,
        )
        return link(previous_hash, fields)

    def sealed(self, previous_hash: str) -> "Row":
        """The row with its hash."""
        return replace(self, hash=self.hash_after(previous_hash))


class Codec:
    """Encodes and decodes events by a list of schemas."""

    def __init__(self, schemas: Sequence[Schema] = SCHEMAS) -> None:
        self._by_event: Mapping[type, Schema] = {schema.event: schema for schema in schemas}
        self._by_type: Mapping[str, Schema] = {schema.name: schema for schema in schemas}
        self._decoders: Mapping[str, msgspec.json.Decoder[Event]] = {
            schema.name: msgspec.json.Decoder(schema.event) for schema in schemas
        }
        self._entry = msgspec.json.Decoder(Entry)

    def encode(self, batch: Batch) -> tuple[tuple[Row, ...], tuple[Recorded, ...]]:
        """The rows of a batch, numbered and chained after the head that it names, and the facts
        as they will be read from them.
        """
        rows: list[Row] = []
        hash_before = batch.after.hash
        recorded_at = _format(not_before(batch.at, batch.after))
        for offset, draft in enumerate(batch.drafts, start=1):
            row = self._row(batch, draft, batch.after.version + offset, recorded_at)
            sealed = row.sealed(hash_before)
            hash_before = sealed.hash
            rows.append(sealed)
        facts = tuple(
            _recorded(row, draft.event, draft.entry)
            for row, draft in zip(rows, batch.drafts, strict=True)
        )
        return tuple(rows), facts

    def _row(self, batch: Batch, draft: Draft, version: int, recorded_at: str) -> Row:
        schema = self._by_event[type(draft.event)]
        return Row(
            stream=batch.stream,
            version=version,
            tenant_id=batch.tenant_id,
            type=schema.name,
            schema_version=schema.version,
            recorded_at=recorded_at,
            execution=batch.execution,
            data=msgspec.json.encode(draft.event).decode(),
            entry=None if draft.entry is None else msgspec.json.encode(draft.entry).decode(),
        )

    def decode(self, row: Row) -> Recorded:
        """The fact that a row tells of.

        Raises:
            CorruptEventError: the type or schema version is unknown, or the data does not fit.
        """
        schema = self._by_type.get(row.type)
        if schema is None or not 1 <= row.schema_version <= schema.version:
            raise CorruptEventError(f"{row.stream} v{row.version}: {row.type} {row.schema_version}")
        try:
            event = self._event(schema, row)
            entry = None if row.entry is None else self._entry.decode(row.entry)
            return _recorded(row, event, entry)
        except (msgspec.MsgspecError, ValueError, TypeError, KeyError) as error:
            raise CorruptEventError(f"{row.stream} v{row.version}: {error}") from error

    def _event(self, schema: Schema, row: Row) -> Event:
        if row.schema_version == schema.version:
            return self._decoders[row.type].decode(row.data)
        data = msgspec.json.decode(row.data)
        for upcast in schema.upcasts[row.schema_version - 1 :]:
            data = upcast(data)
        event: Event = msgspec.convert(data, schema.event)
        return event


def _recorded(row: Row, event: Event, entry: Entry | None) -> Recorded:
    return Recorded(
        stream=row.stream,
        version=row.version,
        tenant_id=row.tenant_id,
        type=row.type,
        event=event,
        entry=entry,
        recorded_at=datetime.fromisoformat(row.recorded_at),
        execution=row.execution,
        hash=row.hash,
    )


def verify(rows: Sequence[Row], after: Head | None = None) -> None:
    """Walk the chain of one stream's rows, oldest first.

    Raises:
        CorruptEventError: at the first row that was changed, is missing or was put in between.
    """
    version, hash_before = (after.version, after.hash) if after else (0, GENESIS)
    for row in rows:
        version += 1
        if row.version != version or row.hash_after(hash_before) != row.hash:
            raise CorruptEventError(f"the chain of {row.stream} breaks at version {version}")
        hash_before = row.hash


def intact(rows: Sequence[Row]) -> int:
    """How many of one stream's rows, oldest first, stand in an unbroken chain."""
    hash_before = GENESIS
    for number, row in enumerate(rows):
        if row.version != number + 1 or row.hash_after(hash_before) != row.hash:
            return number
        hash_before = row.hash
    return len(rows)


def _format(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds")
