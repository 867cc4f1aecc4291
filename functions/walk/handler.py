"""Every hour: walk over a part of the events, and make good what should have followed them.

In a day every part has had its turn. A call says which part and of how many, if not that of the
hour: `{"segment": 0, "segments": 1}` walks over everything.
"""

from dataclasses import asdict
from typing import Any, Final

from analytics.witness import TOLD, CountedEvents
from florin.adapters import aws
from florin.adapters.clock import SystemClock
from florin.catch_up import CatchUp
from florin.dead_letters import Redriver
from florin.edge import metrics, wiring
from florin.edge.metrics import Metric

SEGMENTS: Final = 24


def handler(event: dict[str, Any], context: object) -> dict[str, int]:
    """What was found."""
    clock, dynamo = SystemClock(), wiring.dynamo()
    segments = event.get("segments", SEGMENTS)
    segment = event.get("segment", clock.now().hour % segments)
    letters = wiring.dead_letters()
    witness = CountedEvents(aws.client("dynamodb"), wiring.setting("ANALYTICS_TABLE"))
    walk = CatchUp(
        events=wiring.stored_events(),
        store=dynamo,
        books=dynamo,
        witness=witness,
        told=TOLD,
        letters=letters,
        redriver=Redriver(letters=letters, hops=wiring.readers(), clock=clock),
        clock=clock,
    )
    found = asdict(walk.run(segment, segments))
    overlooked = found["made_good"] + found["left_open"] + found["undated"]
    metrics.tell(
        Metric.OVERLOOKED,
        overlooked,
        "walk",
        level="ERROR" if overlooked else "INFO",
        segment=segment,
        segments=segments,
        **found,
    )
    return found
