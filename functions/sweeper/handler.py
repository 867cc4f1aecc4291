"""Every minute: take up what is due."""

import time
from datetime import timedelta
from typing import Any, Final

from florin.adapters.clock import SystemClock, UlidIds
from florin.edge import log, metrics, wiring
from florin.edge.cache import CachedAccounts
from florin.edge.metrics import Metric
from florin.handle import Desk
from florin.projection import Projector
from florin.sweep import Sweeper

WORKS_FOR_S: Final = 45.0
"""Less than the minute until the next one begins, and than the function's timeout."""


def handler(event: dict[str, Any], context: object) -> dict[str, int]:
    """How often what was done. `{"ahead_s": 120}` also takes up what is due in two minutes."""
    dynamo, began = wiring.dynamo(), time.monotonic()
    projector = Projector(store=dynamo, books=dynamo)
    desk = Desk(store=dynamo, accounts=CachedAccounts(dynamo), clock=SystemClock(), ids=UlidIds())
    ahead = timedelta(seconds=event.get("ahead_s", 0))
    sweeper = Sweeper(
        store=dynamo,
        books=dynamo,
        sagas=wiring.sagas(),
        clock=SystemClock(),
        parking=wiring.parking(),
        expire=desk.expire_hold,
        project=lambda stream: projector.project([stream]),
        time_left=lambda: time.monotonic() - began < WORKS_FOR_S,
        unanswered=_unanswered,
        failed=lambda stream, error: log.failure("not taken up", error, stream=stream),
    )
    done = {taken.value: count for taken, count in sweeper.sweep(ahead).items()}
    log.line("sweep", **done)
    return done


def _unanswered(payment_id: str, overdue: timedelta) -> None:
    metrics.tell(
        Metric.UNANSWERED_SECONDS, overdue.total_seconds(), "unanswered", payment_id=payment_id
    )
