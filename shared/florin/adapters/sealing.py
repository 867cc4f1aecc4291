"""A stream as verification sees it: what can be read of it, and where its chain breaks."""

from collections.abc import Sequence

from florin.adapters.codec import Codec, CorruptEventError, Row, intact
from florin.domain.history import Recorded
from florin.verification import Sealed


def sealed(rows: Sequence[Row], codec: Codec) -> Sealed:
    """All facts that can be read, also those after a break: what they book is compared too."""
    whole = intact(rows)
    broken_at = whole + 1 if whole < len(rows) else None
    events: list[Recorded] = []
    for row in rows:
        try:
            events.append(codec.decode(row))
        except CorruptEventError:
            broken_at = min(broken_at or row.version, row.version)
    return Sealed(events=tuple(events), broken_at=broken_at)
