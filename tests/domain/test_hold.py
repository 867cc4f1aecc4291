"""Holds: whatever is asked in whatever order, what was put aside is captured, back, or left."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from florin.domain.chart import entry_for_hold, held, wallet
from florin.domain.hold import (
    INITIAL,
    CaptureHold,
    ClosedHold,
    ExpireHold,
    Hold,
    HoldCommand,
    OpenHold,
    Part,
    PlaceHold,
    Share,
    VoidHold,
    decide,
    evolve,
)
from florin.domain.ledger import Entry, balances
from florin.domain.money import Money, allocate
from florin.domain.refusals import Refusal
from tests.support.examples import NOON, TENANT

SELLERS = ("acct_wool", "acct_dye", "acct_thread")
LATER = timedelta(seconds=10)

amounts = st.integers(1, 200)
shares = st.one_of(
    st.just(Share()),
    st.builds(Share, total_minor=amounts),
    st.builds(Share, by_recipient=st.dictionaries(st.sampled_from(SELLERS), amounts, min_size=1)),
)
times = st.sampled_from([NOON, NOON + LATER])
commands = st.one_of(
    st.builds(
        CaptureHold, capture_id=st.just("cap_1"), share=shares, now=times, final=st.booleans()
    ),
    st.builds(VoidHold, share=shares, now=times),
    st.builds(ExpireHold, now=times),
)


@st.composite
def placed(draw: st.DrawFn) -> PlaceHold:
    sellers = draw(st.lists(st.sampled_from(SELLERS), min_size=1, unique=True))
    return PlaceHold(
        tenant_id=TENANT,
        account_id="acct_payer",
        parts=tuple(Part(recipient=one, amount=Money(draw(amounts), "EUR")) for one in sellers),
        expires_at=draw(st.sampled_from([None, NOON + LATER])),
    )


def told(hold: Hold, command: HoldCommand) -> tuple[Hold, list[Entry]]:
    """The hold after a command, and the entries that it caused."""
    events, entries = decide(command, hold), []
    if isinstance(events, Refusal):
        return hold, []
    for event in events:
        entry = entry_for_hold(hold, event)
        entries += [entry] if entry else []
        hold = evolve(hold, event)
    return hold, entries


@given(placed(), st.lists(commands, max_size=8))
def test_nothing_of_a_hold_is_lost(asked: PlaceHold, then: list[HoldCommand]) -> None:
    hold, entries = told(INITIAL, asked)
    whole = sum(part.amount.minor for part in asked.parts)
    for command in then:
        before = hold
        hold, more = told(hold, command)
        entries += more
        if isinstance(before, ClosedHold):
            assert (hold, more) == (before, []), "terminal is terminal"
        booked = balances(entries)
        left = sum(hold.left.values()) if isinstance(hold, OpenHold) else 0
        assert isinstance(hold, OpenHold | ClosedHold)
        assert booked.get((held("acct_payer"), "EUR"), 0) == left
        for part in asked.parts:
            got = booked.get((wallet(part.recipient), "EUR"), 0)
            assert got == hold.captured[part.recipient] <= part.amount.minor
        back = whole - left - sum(hold.captured.values())
        assert booked[wallet("acct_payer"), "EUR"] == back - whole
        assert sum(booked.values()) == 0


@given(placed())
def test_only_the_placing_takes_from_the_guard(asked: PlaceHold) -> None:
    hold, (entry,) = told(INITIAL, asked)
    assert entry.guarded == {wallet("acct_payer"): sum(p.amount.minor for p in asked.parts)}
    whole = Share()
    capture = CaptureHold(capture_id="cap_1", share=whole, now=NOON)
    for command in (capture, VoidHold(share=whole, now=NOON)):
        _, entries = told(hold, command)
        assert all(not one.guarded for one in entries)


def test_time_is_up_at_the_very_moment() -> None:
    asked = PlaceHold(
        tenant_id=TENANT,
        account_id="acct_payer",
        parts=(Part(recipient="acct_wool", amount=Money(5, "EUR")),),
        expires_at=NOON + LATER,
    )
    hold, _ = told(INITIAL, asked)
    just_before = NOON + LATER - timedelta(milliseconds=1)
    assert decide(ExpireHold(now=just_before), hold) == ()
    assert isinstance(decide(VoidHold(share=Share(), now=just_before), hold), tuple)
    assert decide(VoidHold(share=Share(), now=NOON + LATER), hold) is Refusal.HOLD_EXPIRED
    expired, _ = told(hold, ExpireHold(now=NOON + LATER))
    assert decide(ExpireHold(now=NOON + LATER), expired) == (), "once is enough"
    assert decide(VoidHold(share=Share(), now=NOON), expired) is Refusal.HOLD_EXPIRED


@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=30), st.data())
def test_split_remainder_never_lost(weights: list[int], data: st.DataObject) -> None:
    whole = sum(weights)
    if not whole:
        with pytest.raises(ValueError, match="weights"):
            allocate(Money(1, "EUR"), weights)
        return
    amount = Money(data.draw(st.integers(0, whole)), "EUR")
    parts = allocate(amount, weights)
    assert sum(part.minor for part in parts) == amount.minor
    for part, weight in zip(parts, weights, strict=True):
        assert part.minor <= weight
        assert abs(part.minor * whole - amount.minor * weight) < 2 * whole
