"""A hold: money of one wallet put aside for others, who get it or do not.

    NoHold ─ PlaceHold ─▶ OpenHold ─┬─ nothing left of it after a capture ──▶ ClosedHold (captured)
                            ▲  │    ├─ all that was left was voided ────────▶ ClosedHold (voided)
                            └──┘    └─ its time was up ─────────────────────▶ ClosedHold (expired)
                     captured or voided in part

A hold may have parts for several recipients, which are captured and voided one by one or all
together in proportion. It has no provider, no fee and no saga: each command is one write. What
was held counts as taken from the moment it is placed.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from functools import reduce
from typing import Final

from florin.domain.money import Money, allocate
from florin.domain.refusals import Refusal

PARTS_MAX: Final = 30
"""So many recipients fit into one write with everything that goes with them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What is for one recipient."""

    recipient: str
    amount: Money


Parts = tuple[Part, ...]


class HoldEnding(StrEnum):
    """How a hold ended. Values go on the wire: add, never rename."""

    CAPTURED = "captured"
    VOIDED = "voided"
    EXPIRED = "expired"


# Commands.


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceHold:
    """Put aside what the parts come to, out of the wallet of `account_id`."""

    tenant_id: str
    account_id: str
    parts: Parts
    expires_at: datetime | None = None
    description: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """How much of a hold a command is about: named parts, or a total that is spread over what is
    left of all parts, or, with neither, all that is left.
    """

    total_minor: int | None = None
    by_recipient: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptureHold:
    """Give recipients their share; `final` lets go of the rest."""

    capture_id: str
    share: Share
    now: datetime
    final: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class VoidHold:
    """Let go of a share."""

    share: Share
    now: datetime
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpireHold:
    """Let go of all that is left, if the hold's time is up."""

    now: datetime


HoldCommand = PlaceHold | CaptureHold | VoidHold | ExpireHold


# Events.


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldPlaced:
    """The money is put aside."""

    tenant_id: str
    account_id: str
    parts: Parts
    expires_at: datetime | None = None
    description: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)

    @property
    def total(self) -> Money:
        return total_of(self.parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldCaptured:
    """The recipients have their parts; `released` is what a final capture left."""

    capture_id: str
    parts: Parts
    released: Parts = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldReleased:
    """The parts are back in the wallet that they came from."""

    parts: Parts
    ending: HoldEnding
    reason: str | None = None


HoldEvent = HoldPlaced | HoldCaptured | HoldReleased


# States.


@dataclass(frozen=True, slots=True)
class NoHold:
    """Nobody has placed it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenHold:
    """`left` and `captured` are minor units by recipient; every recipient is in both."""

    terms: HoldPlaced
    left: Mapping[str, int]
    captured: Mapping[str, int]

    @property
    def currency(self) -> str:
        return self.terms.total.currency


@dataclass(frozen=True, slots=True, kw_only=True)
class ClosedHold:
    """Nothing is left of it."""

    terms: HoldPlaced
    captured: Mapping[str, int]
    ending: HoldEnding


Hold = NoHold | OpenHold | ClosedHold

INITIAL: Final[Hold] = NoHold()
NOTHING: Final[tuple[HoldEvent, ...]] = ()

ENDED: Final[Mapping[HoldEnding, Refusal]] = {
    HoldEnding.CAPTURED: Refusal.HOLD_CAPTURED,
    HoldEnding.VOIDED: Refusal.HOLD_VOIDED,
    HoldEnding.EXPIRED: Refusal.HOLD_EXPIRED,
}
"""What is said of a hold that has ended."""


def total_of(parts: Sequence[Part]) -> Money:
    """What the parts come to, of which there is at least one."""
    (first, *others) = (part.amount for part in parts)
    return sum(others, first)


def decide(command: HoldCommand, hold: Hold) -> tuple[HoldEvent, ...] | Refusal:
    """The facts that follow from a command, nothing if they are facts already, or the refusal."""
    match command, hold:
        case PlaceHold(), NoHold():
            return _place(command)
        case PlaceHold(), _:
            return Refusal.HOLD_EXISTS
        case _, NoHold():
            return Refusal.HOLD_NOT_FOUND
        case ExpireHold(), ClosedHold():
            return NOTHING
        case ExpireHold(now=now), OpenHold():
            return (_expired(hold),) if is_due(hold, now) else NOTHING
        case _, ClosedHold(ending=ending):
            return ENDED[ending]
        case ((CaptureHold() | VoidHold()), OpenHold()) if is_due(hold, command.now):
            return Refusal.HOLD_EXPIRED
        case CaptureHold(), OpenHold():
            return _capture(command, hold)
        case VoidHold(), OpenHold():
            return _void(command, hold)
        case _:
            raise AssertionError(f"no rule for {command} on {hold}")


def is_due(hold: OpenHold, now: datetime) -> bool:
    """Whether the time of an open hold is up."""
    return hold.terms.expires_at is not None and hold.terms.expires_at <= now


def _place(asked: PlaceHold) -> tuple[HoldEvent, ...] | Refusal:
    recipients = [part.recipient for part in asked.parts]
    if asked.account_id in recipients:
        return Refusal.RECIPIENT_IS_PAYER
    if len(set(recipients)) != len(recipients):
        return Refusal.RECIPIENT_TWICE
    placed = HoldPlaced(
        tenant_id=asked.tenant_id,
        account_id=asked.account_id,
        parts=asked.parts,
        expires_at=asked.expires_at,
        description=asked.description,
        metadata=asked.metadata,
    )
    return (placed,)


def _capture(asked: CaptureHold, hold: OpenHold) -> tuple[HoldEvent, ...] | Refusal:
    wanted = _minor_of(asked.share, hold)
    if isinstance(wanted, Refusal):
        return wanted
    rest = {who: left - wanted.get(who, 0) for who, left in hold.left.items()}
    return (
        HoldCaptured(
            capture_id=asked.capture_id,
            parts=_parts(wanted, hold.currency),
            released=_parts(rest, hold.currency) if asked.final else (),
        ),
    )


def _void(asked: VoidHold, hold: OpenHold) -> tuple[HoldEvent, ...] | Refusal:
    wanted = _minor_of(asked.share, hold)
    if isinstance(wanted, Refusal):
        return wanted
    parts = _parts(wanted, hold.currency)
    return (HoldReleased(parts=parts, ending=HoldEnding.VOIDED, reason=asked.reason),)


def _expired(hold: OpenHold) -> HoldReleased:
    return HoldReleased(parts=_parts(hold.left, hold.currency), ending=HoldEnding.EXPIRED)


def _minor_of(share: Share, hold: OpenHold) -> Mapping[str, int] | Refusal:
    """What the share is of each part, in minor units by recipient."""
    if share.by_recipient:
        if not share.by_recipient.keys() <= hold.left.keys():
            return Refusal.RECIPIENT_NOT_HELD_FOR
        over = any(minor > hold.left[who] for who, minor in share.by_recipient.items())
        return Refusal.AMOUNT_EXCEEDS_HOLD if over else share.by_recipient
    if share.total_minor is None:
        return hold.left
    if share.total_minor > sum(hold.left.values()):
        return Refusal.AMOUNT_EXCEEDS_HOLD
    total = Money(share.total_minor, hold.currency)
    shares = allocate(total, tuple(hold.left.values()))
    return {who: one.minor for who, one in zip(hold.left, shares, strict=True)}


def _parts(minor: Mapping[str, int], currency: str) -> Parts:
    return tuple(
        Part(recipient=who, amount=Money(amount, currency))
        for who, amount in minor.items()
        if amount
    )


def evolve(hold: Hold, event: HoldEvent) -> Hold:
    """The state after a fact. A history that cannot have happened is corruption and raises."""
    match hold, event:
        case NoHold(), HoldPlaced(parts=parts):
            return OpenHold(
                terms=event,
                left={part.recipient: part.amount.minor for part in parts},
                captured=dict.fromkeys((part.recipient for part in parts), 0),
            )
        case OpenHold(), HoldCaptured(parts=parts, released=rest):
            left = _less(_less(hold.left, parts), rest)
            captured = _more(hold.captured, parts)
            return _after(replace(hold, left=left, captured=captured), HoldEnding.CAPTURED)
        case OpenHold(), HoldReleased(parts=parts, ending=ending):
            return _after(replace(hold, left=_less(hold.left, parts)), ending)
        case _:
            raise AssertionError(f"{event} cannot follow {hold}")


def _after(hold: OpenHold, ending: HoldEnding) -> Hold:
    """The hold, which has ended if nothing is left of it."""
    if any(hold.left.values()):
        return hold
    return ClosedHold(terms=hold.terms, captured=hold.captured, ending=ending)


def _less(minor: Mapping[str, int], parts: Parts) -> Mapping[str, int]:
    less = {part.recipient: part.amount.minor for part in parts}
    left = {who: amount - less.get(who, 0) for who, amount in minor.items()}
    if min(left.values()) < 0:
        raise AssertionError(f"{parts} is more than {minor}")
    return left


def _more(minor: Mapping[str, int], parts: Parts) -> Mapping[str, int]:
    more = {part.recipient: part.amount.minor for part in parts}
    return {who: amount + more.get(who, 0) for who, amount in minor.items()}


def fold(events: Iterable[HoldEvent]) -> Hold:
    return reduce(evolve, events, INITIAL)
