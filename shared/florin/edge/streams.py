"""What the readers of the events stream share: which records count, and what is parked.

A reader never fails on the content of a record: what it cannot work on it parks in its hop's
queue, and the rest goes on. It fails on what may be over in a moment, such as a throttled table,
and is called again with the same records; so whatever it does must be safe to repeat.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from florin.adapters.codec import Row
from florin.adapters.dynamodb import row_from_item
from florin.dead_letters import TAMPER
from florin.edge import log, metrics
from florin.edge.metrics import Metric
from florin.ports import ContentionError, Parking

TRANSIENT: Final = (ContentionError, BotoCoreError, ClientError)
"""What a later try may not meet again."""

JsonObject = dict[str, Any]


class RowsFailedError(Exception):
    """Of a batch these rows could not be worked on, and the others were: they need no other try."""

    def __init__(self, rows: Sequence[Row], cause: str) -> None:
        super().__init__(cause)
        self.rows = rows


@dataclass(frozen=True, slots=True)
class StreamHandler:
    """The Lambda handler of one reader.

    `work` gets the rows of a batch, in the order of the stream, and is called again row by row
    when the batch holds one that it cannot work on.
    """

    hop: str
    work: Callable[[Sequence[Row]], None]
    parking: Callable[[], Parking]

    def __call__(self, event: JsonObject, context: object) -> None:
        records = event["Records"]
        rows = list(self._rows(records))
        parked = len(records) - len(rows)
        try:
            self.work(rows)
        except TRANSIENT:
            raise
        except RowsFailedError as error:
            parked += len(error.rows)
            for row in error.rows:
                self._park(repr(error), {"stream": row.stream, "version": row.version})
        except Exception:  # noqa: BLE001  # one of the rows; found by working on each alone
            parked += sum(not self._worked(row) for row in rows)
        log.line(self.hop, records=len(records), parked=parked)

    def _rows(self, records: Iterable[JsonObject]) -> Iterable[Row]:
        for record in records:
            keys = record.get("dynamodb", {}).get("Keys")
            if record.get("eventName") != "INSERT":
                # Events are never changed or deleted; somebody did, or is trying to.
                metrics.tell(
                    Metric.TAMPERED_EVENTS,
                    1,
                    "tamper",
                    reader=self.hop,
                    keys=keys,
                    change=record.get("eventName"),
                )
                self.parking().park(self.hop, TAMPER, {"keys": keys, "record": record})
                continue
            try:
                yield row_from_item(record["dynamodb"]["NewImage"])
            except (KeyError, TypeError, ValueError) as error:
                self._park(f"unreadable record: {error!r}", {"keys": keys})

    def _worked(self, row: Row) -> bool:
        try:
            self.work([row])
        except TRANSIENT:
            raise
        except Exception as error:  # noqa: BLE001  # whatever it is, it is kept with its cause
            self._park(repr(error), {"stream": row.stream, "version": row.version})
            return False
        return True

    def _park(self, cause: str, payload: JsonObject) -> None:
        log.error("parked", hop=self.hop, cause=cause, **payload)
        self.parking().park(self.hop, cause, payload)
