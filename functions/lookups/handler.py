"""Messages that say: look this payment's open call up now."""

import json

from florin.adapters.clock import SystemClock
from florin.edge import log, wiring
from florin.edge.queues import QueueHandler
from florin.sweep import Lookups


def work(body: str) -> None:
    """Have the open calls of a payment looked up; which, and for the how-manieth time, is said."""
    lookups = Lookups(
        store=wiring.dynamo(),
        sagas=wiring.sagas(),
        wakeups=wiring.wakeups(),
        clock=SystemClock(),
    )
    asked = json.loads(body)
    found = lookups.look_up(asked["payment_id"], asked["number"])
    log.line("look up", payment_id=asked["payment_id"], found=found)


handler = QueueHandler(hop="lookups", work=work, parking=wiring.parking, retries=wiring.retries)
