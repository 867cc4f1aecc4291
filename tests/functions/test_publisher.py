"""The publisher: which facts others are told of, and what happens when the bus refuses them."""

from collections.abc import Sequence

import pytest

from florin.adapters.clock import ManualClock
from florin.adapters.codec import Row
from florin.adapters.memory import Memory, MemoryBus
from florin.adapters.risk import PassingRisk
from florin.domain.payment import Step
from florin.ports import Message
from florin.saga import Saga
from publisher.handler import TRIES_MAX, BusRefusedError, Publisher
from tests.support.examples import NOON, TENANT, ScriptedProvider, accepted_payment


@pytest.fixture
def rows() -> tuple[Row, ...]:
    """All the facts of a payment that succeeded."""
    store, provider = Memory(), ScriptedProvider()
    payment_id = accepted_payment(store)
    saga = Saga(
        store=store,
        accounts=store,
        clock=ManualClock(NOON),
        risk=PassingRisk(),
        provider=lambda _: provider,
        new_owner=lambda: "owner",
    )
    for step in (Step.ASSESS_RISK, Step.AUTHORIZE, Step.CAPTURE):
        saga.run(step, payment_id, "arn:execution")
    return store.rows(payment_id)


def test_others_are_told_of_the_money_and_not_of_the_work(rows: tuple[Row, ...]) -> None:
    bus = MemoryBus()
    Publisher(bus).publish(rows)
    assert [(message.type, message.version) for message in bus.published] == [
        ("payment.initiated", 1),
        ("payment.authorized", 4),
        ("payment.captured", 6),
    ]
    captured = bus.published[-1]
    assert captured.event_id == f"evt_{rows[0].stream.removeprefix('pay_')}_6"
    assert (captured.tenant_id, captured.stream) == (TENANT, rows[0].stream)
    assert captured.data["amount"] == 1_000
    assert "tok_visa" not in str([message.data for message in bus.published])


class Reluctant(MemoryBus):
    """Refuses the last message of each call, `times` times."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self.times = times
        self.calls = 0

    def publish(self, messages: Sequence[Message]) -> Sequence[Message]:
        self.calls += 1
        if self.times:
            self.times -= 1
            super().publish(messages[:-1])
            return messages[-1:]
        return super().publish(messages)


def test_what_was_refused_is_sent_again_and_only_that(rows: tuple[Row, ...]) -> None:
    bus, pauses = Reluctant(times=2), list[float]()
    Publisher(bus, pauses.append).publish(rows)
    assert [message.version for message in bus.published] == [1, 4, 6]
    assert pauses == [0.2, 0.4]


def test_what_is_always_refused_is_named(rows: tuple[Row, ...]) -> None:
    bus = Reluctant(times=TRIES_MAX)
    with pytest.raises(BusRefusedError) as refused:
        Publisher(bus, lambda _: None).publish(rows)
    assert [row.version for row in refused.value.rows] == [6]
    assert bus.calls == TRIES_MAX
    assert [message.version for message in bus.published] == [1, 4]
