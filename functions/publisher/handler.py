"""From the stream of events to the bus: at least once, each message with the id of its event."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from florin.adapters.codec import Codec, Row
from florin.edge import wiring
from florin.edge.answers import PUBLIC_TYPES, public_data
from florin.edge.streams import RowsFailedError, StreamHandler
from florin.ports import Bus, Message

TRIES_MAX: Final = 4
PAUSE_S: Final = 0.2


class BusRefusedError(RowsFailedError):
    """The bus did not take these, again and again; the others it has."""


@dataclass(frozen=True, slots=True)
class Publisher:
    bus: Bus
    pause: Callable[[float], None] = time.sleep
    codec: Codec = field(default_factory=Codec)

    def publish(self, rows: Sequence[Row]) -> None:
        """Publish the public facts among these rows, in their order.

        Raises:
            BusRefusedError: some were refused in every try.
        """
        messages: Sequence[Message] = [
            self._message(row) for row in rows if row.type in PUBLIC_TYPES
        ]
        for tried in range(TRIES_MAX):
            if not messages:
                return
            messages = self.bus.publish(messages)
            if messages and tried + 1 < TRIES_MAX:
                self.pause(PAUSE_S * 2**tried)
        if messages:
            refused = {(message.stream, message.version) for message in messages}
            raise BusRefusedError(
                [row for row in rows if (row.stream, row.version) in refused],
                f"refused {TRIES_MAX} times",
            )

    def _message(self, row: Row) -> Message:
        recorded = self.codec.decode(row)
        return Message(
            event_id=recorded.event_id,
            type=recorded.type,
            tenant_id=recorded.tenant_id,
            stream=recorded.stream,
            version=recorded.version,
            recorded_at=recorded.recorded_at,
            data=public_data(recorded),
        )


def publish(rows: Sequence[Row]) -> None:
    Publisher(wiring.bus()).publish(rows)


handler = StreamHandler(hop="publisher", work=publish, parking=wiring.parking)
