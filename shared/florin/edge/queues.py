"""What the listeners with a queue share: tries with growing pauses, then a dead letter.

A message that cannot be worked on comes again after a pause that doubles, with full jitter. After
the last try it is parked together with its cause, which the queue's own redrive policy could not
tell. That policy stays: it catches what ends the function before it can park anything.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from florin.edge import log
from florin.ports import Parking, Retries

RECEIVES_MAX: Final = 5
PAUSE_S: Final = 2
PAUSE_MAX_S: Final = 900

JsonObject = dict[str, Any]


@dataclass(frozen=True, slots=True)
class QueueHandler:
    """The Lambda handler of one listener. `work` gets a message's body; it may come twice."""

    hop: str
    work: Callable[[str], None]
    parking: Callable[[], Parking]
    retries: Callable[[], Retries]

    def __call__(self, event: JsonObject, context: object) -> JsonObject:
        failed = [
            {"itemIdentifier": record["messageId"]}
            for record in event["Records"]
            if not self._done(record)
        ]
        log.line(self.hop, messages=len(event["Records"]), failed=len(failed))
        return {"batchItemFailures": failed}

    def _done(self, record: JsonObject) -> bool:
        """Whether the message needs no other try: it is worked on, or parked."""
        try:
            self.work(record["body"])
        except Exception as error:  # noqa: BLE001  # whatever it is, it is kept with its cause
            received = int(record["attributes"]["ApproximateReceiveCount"])
            log.error(
                "not worked on",
                hop=self.hop,
                message_id=record["messageId"],
                received=received,
                cause=repr(error),
            )
            if received >= RECEIVES_MAX:
                return self._parked(record["body"], repr(error))
            self._later(record["receiptHandle"], received)
            return False
        return True

    def _parked(self, body: str, cause: str) -> bool:
        try:
            self.parking().park(self.hop, cause, {"message": body})
        except Exception as error:  # noqa: BLE001  # then the queue moves it, without the cause
            log.failure("not parked", error, hop=self.hop)
            return False
        return True

    def _later(self, receipt: str, received: int) -> None:
        longest_s = min(PAUSE_MAX_S, PAUSE_S * 2 ** (received - 1))
        try:
            self.retries().later(receipt, random.randint(0, longest_s))  # noqa: S311  # no secret
        except Exception as error:  # noqa: BLE001  # then it comes again when the queue says so
            log.failure("not paced", error, hop=self.hop)
