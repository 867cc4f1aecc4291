"""The collector: what arrives in any hop's queue of the dead becomes an open letter in the table.

It has no dead letters of its own: what it cannot keep stays where it is, and that queue's alarm
rings. For what it keeps it tells a metric, which is the alarm of the hop.
"""

import json
from functools import cache
from typing import Any

from dead_letters.arrivals import Arrivals
from florin.adapters import aws
from florin.adapters.clock import SystemClock
from florin.edge import log, metrics, wiring
from florin.edge.metrics import Metric
from florin.ports import Arrival

CLOCK = SystemClock()


@cache
def arrivals() -> Arrivals:
    s3 = aws.client("s3")

    def stored(bucket: str, key: str) -> str:
        text: str = s3.get_object(Bucket=bucket, Key=key)["Body"].read().decode()
        return text

    return Arrivals(
        hops=json.loads(wiring.setting("HOPS")),
        owner=wiring.stored_events().owner,
        stored=stored,
    )


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    failed = []
    for record in event["Records"]:
        try:
            for arrival in arrivals().of(record):
                if wiring.dead_letters().arrive(arrival, CLOCK.now()):
                    _tell(arrival)
        except Exception as error:  # noqa: BLE001  # it stays in its queue
            log.failure("not collected", error, message_id=record["messageId"])
            failed.append({"itemIdentifier": record["messageId"]})
    log.line("dead letters", messages=len(event["Records"]), failed=len(failed))
    return {"batchItemFailures": failed}


def _tell(arrival: Arrival) -> None:
    """One line that CloudWatch also takes as one more dead letter of the hop."""
    metrics.tell(
        Metric.DEAD_LETTERS,
        1,
        "dead letter",
        hop=arrival.hop,
        letter_id=arrival.letter_id,
        stream=arrival.stream,
        version=arrival.version,
    )
