"""Messages that say: look this payment's open call up now."""

import json
from typing import Any

from florin.adapters.clock import SystemClock
from florin.edge import log, wiring
from florin.sweep import Lookups


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """A batch of the queue; what fails is left there, and ends in the dead-letter queue."""
    lookups = Lookups(
        store=wiring.dynamo(),
        sagas=wiring.sagas(),
        wakeups=wiring.wakeups(),
        clock=SystemClock(),
    )
    failed = []
    for record in event["Records"]:
        try:
            asked = json.loads(record["body"])
            found = lookups.look_up(asked["payment_id"], asked["number"])
            log.line("look up", payment_id=asked["payment_id"], found=found)
        except Exception as error:  # noqa: BLE001  # whatever it is, it is kept with its cause
            log.failure("not looked up", error, message_id=record["messageId"])
            failed.append({"itemIdentifier": record["messageId"]})
    return {"batchItemFailures": failed}
