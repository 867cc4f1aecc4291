"""The same history gives the same state, entries and hashes through every event store."""

from datetime import timedelta
from itertools import count
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from florin.adapters.clock import ManualClock
from florin.adapters.codec import Row, verify
from florin.adapters.memory import Memory
from florin.adapters.risk import PassingRisk
from florin.domain.money import Money
from florin.domain.payment import Payment, Step
from florin.domain.provider import (
    Approved,
    Declined,
    Hardness,
    NotAttempted,
    ProviderAnswer,
    Unknown,
)
from florin.handle import Accepted, Desk
from florin.saga import CALL_BUDGET, Saga, fold_history
from tests.contracts.conftest import MakeStore, Store, on_dynamodb
from tests.support.examples import NOON, ScriptedProvider, initiate, once

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


class CountedIds:
    """The same ids in every run: only what the stores do may differ."""

    def __init__(self) -> None:
        self._next = count(1)

    def new(self, prefix: str, at: object) -> str:
        return f"{prefix}_{next(self._next):026}"


answers = st.sampled_from(
    [
        Approved(provider_reference="ch_1"),
        Declined(code="card_declined", hardness=Hardness.SOFT),
        NotAttempted(reason="refused"),
        Unknown(reason="read_timeout"),
    ]
)
moves = st.lists(
    st.tuples(st.sampled_from(Step), answers, st.sampled_from([timedelta(0), 2 * CALL_BUDGET])),
    max_size=14,
)
amounts = st.builds(
    Money, st.sampled_from([1, 99, 1_000, 123_456_789]), st.sampled_from(["EUR", "JPY"])
)


def told(
    store: Store, amount: Money, script: list[tuple[Step, ProviderAnswer, timedelta]]
) -> tuple[Payment, tuple[Row, ...]]:
    """Play a script on a store; the state and the rows that it leaves."""
    clock, provider = ManualClock(NOON), ScriptedProvider()
    owners = count(1)
    desk = Desk(store=store, accounts=store, clock=clock, ids=CountedIds())
    saga = Saga(
        store=store,
        accounts=store,
        clock=clock,
        risk=PassingRisk(),
        provider=lambda name: provider,
        new_owner=lambda: f"owner-{next(owners)}",
    )
    accepted = desk.initiate_payment(initiate(amount), once("key-1"))
    assert isinstance(accepted, Accepted)
    payment_id = accepted.receipt.object_id
    for step, answer, wait in script:
        clock.advance(wait)
        for operation in ("authorization", "capture", "void"):
            provider.answers[operation] = answer
            provider.shown[f"{payment_id}:{operation}"] = answer
        saga.run(step, payment_id, "arn:execution")
    return fold_history(store.read(payment_id)), store.rows(payment_id)


def agree(
    one: Store, other: Store, amount: Money, script: list[tuple[Step, ProviderAnswer, timedelta]]
) -> None:
    state, rows = told(one, amount, script)
    other_state, other_rows = told(other, amount, script)
    assert other_state == state
    assert other_rows == rows  # text of data and entries, times and hashes
    verify(rows)


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(amounts, moves)
def test_memory_and_dynamodb_tell_the_same_history(
    local_dynamodb: "DynamoDBClient",
    amount: Money,
    script: list[tuple[Step, ProviderAnswer, timedelta]],
) -> None:
    agree(Memory(), on_dynamodb(local_dynamodb), amount, script)


@pytest.mark.parametrize("last", [Approved(provider_reference="ch_1"), Unknown(reason="silence")])
def test_every_store_tells_it(make_store: MakeStore, last: ProviderAnswer) -> None:
    yes = Approved(provider_reference="ch_1")
    now = timedelta(0)
    script = [(Step.ASSESS_RISK, yes, now), (Step.AUTHORIZE, yes, now), (Step.CAPTURE, last, now)]
    agree(Memory(), make_store(), Money(1_000, "EUR"), script)
