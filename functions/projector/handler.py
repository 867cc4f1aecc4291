"""From the stream of events to views, statement lines and balances."""

from collections.abc import Sequence

from florin.adapters.clock import SystemClock
from florin.adapters.codec import Row
from florin.edge import wiring
from florin.edge.streams import StreamHandler
from florin.projection import Projector


def project(rows: Sequence[Row]) -> None:
    """Bring the books up to date with the streams that these rows belong to."""
    dynamo = wiring.dynamo()
    projector = Projector(store=dynamo, books=dynamo, now=SystemClock().now)
    projector.project(row.stream for row in rows)


handler = StreamHandler(hop="projector", work=project, parking=wiring.parking)
