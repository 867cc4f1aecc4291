"""The walk that compares the events with what should have followed them, and makes it good."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import boto3
import pytest
from moto import mock_aws

from analytics.handler import count
from analytics.witness import CountedEvents
from florin.adapters.memory import Memory
from florin.catch_up import (
    BUS_LATE_AFTER,
    BUS_REMEMBERED,
    DATED_FOR,
    VIEW_LATE_AFTER,
    CaughtUp,
)
from florin.ports import Advance, LetterFilter, LetterState
from tests.support.engine import Engine
from tests.support.examples import TENANT, accepted_payment, opened_account
from tests.support.tables import make_table

SECOND = timedelta(seconds=1)
NOTHING = CaughtUp()


@pytest.fixture
def engine() -> Engine:
    return Engine(store=Memory())


@pytest.fixture
def payment_id(engine: Engine) -> str:
    """A payment that nobody has followed."""
    return accepted_payment(engine.store)


def letters(engine: Engine) -> list[tuple[str, LetterState, str]]:
    found = engine.letters.letters((TENANT,), LetterFilter(), limit=100, oldest_first=True)
    return sorted((letter.hop, letter.state, letter.cause) for letter in found)


def test_what_has_just_happened_is_not_late(engine: Engine, payment_id: str) -> None:
    engine.clock.advance(VIEW_LATE_AFTER)
    assert engine.catch_up.run() == CaughtUp(events=1)
    assert engine.store.view(payment_id) is None
    assert letters(engine) == []


def test_a_late_view_is_brought_up_to_its_stream(engine: Engine, payment_id: str) -> None:
    engine.clock.advance(VIEW_LATE_AFTER + SECOND)
    assert engine.catch_up.run() == CaughtUp(events=1, made_good=1)
    view = engine.store.view(payment_id)
    assert view is not None
    assert view.version == 1
    assert engine.bus.published == [], "the bus is not late yet"
    cause = "catch-up: the view stands at 0"
    assert letters(engine) == [("projector", LetterState.REDRIVEN, cause)]
    assert engine.catch_up.run() == CaughtUp(events=1)


def test_what_nobody_heard_of_is_published(engine: Engine, payment_id: str) -> None:
    engine.clock.advance(BUS_LATE_AFTER + SECOND)
    assert engine.catch_up.run() == CaughtUp(events=1, made_good=2)
    engine.deliver()
    assert [message.stream for message in engine.bus.published] == [payment_id]
    assert engine.counted == {engine.bus.published[0].event_id: 1}
    assert ("publisher", LetterState.REDRIVEN, "catch-up: nobody has heard of it") in letters(
        engine
    )
    assert engine.catch_up.run() == CaughtUp(events=1)
    assert len(engine.bus.published) == 1


def test_what_was_heard_of_is_not_published_again(engine: Engine, payment_id: str) -> None:
    engine.flow()
    engine.clock.advance(BUS_LATE_AFTER + SECOND)
    assert engine.catch_up.run() == CaughtUp(events=1)
    assert [message.stream for message in engine.bus.published] == [payment_id]


def test_what_is_older_than_any_memory_is_not_told_again(engine: Engine, payment_id: str) -> None:
    engine.clock.advance(BUS_REMEMBERED + SECOND)
    assert engine.catch_up.run() == CaughtUp(events=1, made_good=1), "its view is made good"
    assert engine.bus.published == []
    assert engine.store.view(payment_id) is not None


def test_what_lies_with_the_listener_is_left_there(engine: Engine, payment_id: str) -> None:
    engine.poison.add(f"evt_{payment_id.removeprefix('pay_')}_1")
    engine.flow()
    engine.clock.advance(BUS_LATE_AFTER + SECOND)
    assert engine.catch_up.run() == CaughtUp(events=1)
    assert len(engine.bus.published) == 1


def test_what_cannot_be_made_good_is_open_and_left_to_people(
    engine: Engine, payment_id: str
) -> None:
    engine.bus.down = True
    engine.clock.advance(BUS_LATE_AFTER + SECOND)
    engine.catch_up.run()
    engine.collect()
    refused = ("publisher", LetterState.OPEN, "BusRefusedError('refused 4 times')")
    assert refused in letters(engine)
    assert engine.catch_up.run() == CaughtUp(events=1, left_open=1)
    engine.collect()
    (letter,) = engine.letters.letters((TENANT,), LetterFilter(hop="publisher"), limit=9)
    assert (letter.stream, letter.redrives) == (payment_id, 1), "it is not tried again and again"


def test_what_goes_missing_again_is_made_good_again(engine: Engine, payment_id: str) -> None:
    engine.clock.advance(BUS_LATE_AFTER + SECOND)
    assert engine.catch_up.run().made_good == 2
    engine.clock.advance(timedelta(hours=1))
    assert engine.catch_up.run().made_good == 1, "analytics still has not heard of it"
    (letter,) = engine.letters.letters((TENANT,), LetterFilter(hop="publisher"), limit=9)
    assert (letter.seen, letter.redrives, letter.stream) == (2, 2, payment_id)


def test_segments_share_the_work(engine: Engine) -> None:
    for number in range(20):
        accepted_payment(engine.store, f"key-{number}")
    engine.clock.advance(VIEW_LATE_AFTER + SECOND)
    found = [engine.catch_up.run(segment, 4) for segment in range(4)]
    assert sum(found, NOTHING) == CaughtUp(events=20, made_good=20)
    assert max(one.events for one in found) < 20


def test_what_analytics_counted_it_has_heard_of(monkeypatch: pytest.MonkeyPatch) -> None:
    from analytics import handler  # noqa: PLC0415

    with mock_aws():
        handler._client.cache_clear()
        client = boto3.client("dynamodb", region_name="us-east-1")
        table = make_table(client, "AnalyticsTable", "test")
        detail: dict[str, Any] = {
            "event_id": "evt_1_1",
            "type": "payment.failed",
            "tenant_id": TENANT,
            "recorded_at": "2026-11-21T12:00:00.000+00:00",
            "data": {},
        }
        count({"detail": detail}, table)
        handler._client.cache_clear()
        witness = CountedEvents(client, table)
        assert witness.heard_of(["evt_1_1", "evt_2_1"]) == {"evt_1_1"}


def test_a_stream_that_nobody_would_look_after_is_dated_again(
    engine: Engine, payment_id: str
) -> None:
    engine.flow()
    view = engine.store.view(payment_id)
    assert view is not None
    undated = replace(view, due_at=None)
    assert engine.store.advance([Advance(view=undated, from_version=view.version)])
    engine.clock.advance(BUS_LATE_AFTER + SECOND)
    assert engine.store.due(engine.clock.now(), 10) == ()
    assert engine.catch_up.run() == CaughtUp(events=1, undated=1)
    assert engine.store.due(engine.clock.now(), 10) == (payment_id,)
    assert engine.catch_up.run() == CaughtUp(events=1)


def test_only_what_owes_something_is_dated(engine: Engine) -> None:
    seller = opened_account(engine.store)
    engine.flow()
    engine.clock.advance(BUS_LATE_AFTER + SECOND)
    assert engine.catch_up.run().undated == 0
    view = engine.store.view(seller)
    assert view is not None
    assert view.due_at is None


def test_what_has_rested_for_a_month_is_not_read(engine: Engine, payment_id: str) -> None:
    engine.flow()
    view = engine.store.view(payment_id)
    assert view is not None
    engine.store.advance([Advance(view=replace(view, due_at=None), from_version=view.version)])
    engine.clock.advance(DATED_FOR + SECOND)
    assert engine.catch_up.run().undated == 0
