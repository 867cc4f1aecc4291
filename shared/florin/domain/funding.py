"""Where the money of a payment comes from when it comes from wallets.

A payment may draw on several wallets, one after the other. Think of its amount as a stretch from
nothing to all of it, of which each wallet gives a piece: captures use the stretch from its
beginning, what is let go is its end, and refunds return the piece that was drawn last first.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from florin.domain.money import Money

NEVER: Final = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Draw:
    """What the wallet of one account gives, or gets back."""

    account_id: str
    amount: Money


Funding = tuple[Draw, ...]
"""Each account once, the one that is drawn on first in front."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A wallet that could be drawn on, with what can be spent of it in minor units.

    Those of lower `priority` are drawn on first; among equals the one that expires first.
    """

    account_id: str
    spendable_minor: int
    priority: int = 0
    expires_at: datetime | None = None

    def expired(self, now: datetime) -> bool:
        return self.expires_at is not None and self.expires_at <= now


def drawn(amount: Money, sources: Iterable[Source], now: datetime) -> Funding | None:
    """The amount, taken from the sources in their order; `None` if they do not have it."""
    left, draws = amount.minor, []
    for source in sorted((one for one in sources if not one.expired(now)), key=_order):
        taken = min(left, source.spendable_minor)
        if taken > 0:
            draws.append(Draw(account_id=source.account_id, amount=Money(taken, amount.currency)))
            left -= taken
    return None if left else tuple(draws)


def _order(source: Source) -> tuple[int, datetime, str]:
    return source.priority, source.expires_at or NEVER, source.account_id


def stretch(funding: Sequence[Draw], start: Money, stop: Money) -> Funding:
    """The pieces of a funding between two amounts of it."""
    pieces, before = [], 0
    for draw in funding:
        after = before + draw.amount.minor
        minor = min(after, stop.minor) - max(before, start.minor)
        if minor > 0:
            pieces.append(
                Draw(account_id=draw.account_id, amount=Money(minor, draw.amount.currency))
            )
        before = after
    return tuple(pieces)


def returned_last_first(
    funding: Sequence[Draw], used: Money, returned: Mapping[str, int], amount: Money
) -> Funding:
    """How `amount` goes back to those who gave `used`, of which `returned` went back before.

    Nobody gets more than was used of theirs.
    """
    left, pieces = amount.minor, []
    for draw in reversed(stretch(funding, Money(0, used.currency), used)):
        minor = min(left, draw.amount.minor - returned.get(draw.account_id, 0))
        if minor > 0:
            pieces.append(Draw(account_id=draw.account_id, amount=Money(minor, used.currency)))
            left -= minor
    if left:
        raise ValueError(f"{amount} is more than what is left of {used}: {returned}")
    return tuple(pieces)
