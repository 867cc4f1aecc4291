"""The saga over the real simulator and real HTTP, when the provider or the way to it makes trouble.

Whatever happens, the payment ends by itself, and what it says is what the simulator's books say.
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from itertools import count
from typing import Final

import boto3
import pytest
from moto import mock_aws

from florin.adapters.clock import ManualClock
from florin.adapters.memory import Memory
from florin.adapters.risk import PassingRisk
from florin.adapters.simulator import NOT_FOUND_FINAL_AFTER, SimulatorProvider
from florin.domain.history import Draft
from florin.domain.money import Money
from florin.domain.payment import (
    ATTEMPTS_MAX,
    Call,
    Canceled,
    Captured,
    CaptureMethod,
    Command,
    Failed,
    Outcome,
    Payment,
    PaymentAuthorized,
    PaymentInitiated,
    Pending,
    ProviderCallStarted,
    Reason,
    RequestCancel,
    RequestRefund,
    Step,
    Undoing,
    decide,
    exhausted,
    open_calls,
)
from florin.domain.provider import Approved, Operation, ProviderAnswer
from florin.handle import Accepted
from florin.ports import Batch, ProviderRoute
from florin.saga import CALL_BUDGET, Saga, fold_history
from simulator.handler import Simulator
from tests.support.examples import NOON, TENANT, desk, facts, initiate, once
from tests.support.simulator import SECRET, charges, make_simulator, serving

FORWARD = (Step.ASSESS_RISK, Step.AUTHORIZE, Step.CAPTURE)
UNDO = (Step.VOID, Step.FINISH)
SECOND: Final = timedelta(seconds=1)
PATIENCE: Final = timedelta(minutes=3)


class World:
    """A payment, the saga that moves it on, and the provider that it is paid at."""

    def __init__(self, simulator: Simulator, provider: SimulatorProvider, clock: ManualClock):
        self.simulator, self.provider, self.clock = simulator, provider, clock
        self.store = Memory()
        self.doubts: list[str] = []
        self.payment_id = ""
        owners = count(1)
        self.saga = Saga(
            store=self.store,
            accounts=self.store,
            clock=clock,
            risk=PassingRisk(),
            provider=lambda name: self.provider,
            new_owner=lambda: f"owner-{next(owners)}",
            inconclusive=lambda call, answer: self.doubts.append(answer.reason),
        )

    def accept(self, token: str, method: CaptureMethod = CaptureMethod.AUTOMATIC) -> None:
        asked = replace(initiate(), payment_method=token, capture_method=method)
        answer = desk(self.store).initiate_payment(asked, once("key-1"))
        assert isinstance(answer, Accepted), answer
        self.payment_id = answer.receipt.object_id

    def run(self, *steps: Step) -> Outcome:
        """Do these steps; the outcome of the last."""
        return [self.saga.run(step, self.payment_id, "arn:execution") for step in steps][-1]

    def follow_up(self) -> Outcome:
        return self.saga.follow_up(self.payment_id, "arn:execution")

    def go_on(self, *, following_up: bool = False) -> Outcome:
        """Do what the state machines do, and have somebody look again now and then."""
        until = self.clock.now() + PATIENCE
        while True:
            outcome = self.follow_up() if following_up else self.run(*FORWARD)
            if outcome is Outcome.COMPENSATE and not following_up:
                outcome = self.run(*UNDO)
            if outcome in {Outcome.DONE, Outcome.PARK}:
                return outcome
            self.clock.advance(4 * SECOND)
            assert self.clock.now() < until, f"it never ends: {self.state}"

    def record(self, command: Command) -> None:
        """Append what a command leads to, without what it would book."""
        drafts = tuple(Draft(event=event) for event in facts(decide(command, self.state)))
        history = self.store.read(self.payment_id)
        self.store.append(
            Batch(
                stream=self.payment_id,
                tenant_id=TENANT,
                after=history.head,
                drafts=drafts,
                at=self.clock.now(),
            )
        )

    @property
    def state(self) -> Payment:
        return fold_history(self.store.read(self.payment_id))

    @property
    def types(self) -> list[str]:
        return [recorded.type for recorded in self.store.read(self.payment_id).events]

    @property
    def charges(self) -> list[tuple[str, int, int]]:
        """State, captured and refunded amount of every charge, by the simulator's own books."""
        return [
            (charge["state"], charge["captured"], charge["refunded"])
            for charge in charges(self.simulator, self.payment_id)
        ]

    def attempts(self, operation: Operation) -> int:
        return sum(
            isinstance(recorded.event, ProviderCallStarted)
            and recorded.event.operation is operation
            for recorded in self.store.read(self.payment_id).events
        )


@pytest.fixture
def world() -> Iterator[World]:
    clock = ManualClock(NOON)
    with mock_aws():
        simulator = make_simulator(boto3.client("dynamodb"), clock)
        with serving(simulator) as url:
            route = ProviderRoute(name="simulator", url=url)
            yield World(simulator, SimulatorProvider(route, SECRET), clock)


PAID = [("captured", 1_000, 0)]
LET_GO = [("voided", 0, 0)]


# Hop by hop.


def test_an_answer_that_was_lost_is_looked_up_after_the_deadline(world: World) -> None:
    world.accept("tok_timeout_then_success")
    assert world.run(*FORWARD) is Outcome.WAIT
    assert world.types[-2:] == ["payment.call_started", "payment.call_unanswered"]
    assert world.charges == [("authorized", 0, 0)], "we do not know it, and it is so"

    world.clock.advance(CALL_BUDGET - SECOND)
    assert world.run(*FORWARD) is Outcome.WAIT
    assert len(world.types) == 4, "before its deadline nobody asks"

    world.clock.advance(SECOND)
    assert world.run(*FORWARD) is Outcome.DONE
    assert isinstance(world.state, Captured)
    assert world.charges == PAID
    assert world.attempts(Operation.AUTHORIZATION) == 1
    assert world.doubts == []


def test_nothing_was_done_and_only_time_can_tell(world: World) -> None:
    world.accept("tok_timeout_once")
    assert world.run(*FORWARD) is Outcome.WAIT
    world.clock.advance(CALL_BUDGET + NOT_FOUND_FINAL_AFTER - SECOND)
    assert world.run(*FORWARD) is Outcome.WAIT, "it may still show"
    assert world.attempts(Operation.AUTHORIZATION) == 1

    world.clock.advance(SECOND)
    assert world.run(Step.AUTHORIZE) is Outcome.CONTINUE
    assert world.types[-1] == "payment.call_not_attempted"
    assert world.run(*FORWARD) is Outcome.DONE
    assert world.attempts(Operation.AUTHORIZATION) == 2
    assert world.charges == PAID


def test_what_was_sent_again_under_its_key_leaves_no_doubt(world: World) -> None:
    """Both attempts are one thing to the provider, so nothing is left to be found late."""
    world.accept("tok_timeout_once", CaptureMethod.MANUAL)
    world.run(*FORWARD)
    world.clock.advance(CALL_BUDGET + NOT_FOUND_FINAL_AFTER)
    assert world.run(*FORWARD) is Outcome.CONTINUE
    assert world.run(*FORWARD) is Outcome.WAIT
    assert world.charges == [("authorized", 0, 0)]
    world.record(RequestCancel())
    assert world.follow_up() is Outcome.DONE
    assert isinstance(world.state, Canceled)
    assert world.state.doubts == ()

    ended = world.types
    world.clock.advance(timedelta(hours=1))
    assert world.follow_up() is Outcome.DONE
    assert world.types == ended
    assert world.charges == LET_GO


class BlindProvider(SimulatorProvider):
    """It never finds what it did."""

    def look_up(self, call: Call, amount: Money, authorization: PaymentAuthorized | None) -> None:
        return None


@pytest.mark.parametrize("operation", Operation)
def test_what_was_done_and_is_never_shown_is_not_done_twice(
    world: World, operation: Operation
) -> None:
    with serving(world.simulator) as url:
        world.provider = BlindProvider(ProviderRoute(name="simulator", url=url), SECRET)
        token = of(operation, "tok_timeout_then_success")
        match operation:
            case Operation.REFUND:
                refund(world, token)
            case Operation.VOID:
                assert cancel(world, token) is Outcome.DONE
            case _:
                world.accept(token)
                assert world.go_on() is Outcome.DONE
    done = {Operation.REFUND: [("captured", 1_000, 600)], Operation.VOID: LET_GO}
    assert world.charges == done.get(operation, PAID)
    assert world.attempts(operation) == 2


class LateProvider(SimulatorProvider):
    """Its requests to authorize need so long on their way that nobody waits for them any more."""

    def __init__(self, world: World, by: timedelta, route: ProviderRoute) -> None:
        super().__init__(route, SECRET)
        self.world, self.by = world, by

    def authorize(self, call: Call, terms: PaymentInitiated) -> ProviderAnswer:
        self.world.clock.advance(self.by)
        return super().authorize(call, terms)


def test_a_charge_that_was_made_late_and_shows_later_still_is_not_made_twice(world: World) -> None:
    """The worst that the simulator can do: at its last moment, and hidden for as long as it may."""
    world.accept("tok_timeout_then_success")
    with serving(world.simulator) as url:
        late = CALL_BUDGET + timedelta(seconds=5)
        world.provider = LateProvider(world, late, ProviderRoute(name="simulator", url=url))
        assert world.run(*FORWARD) is Outcome.WAIT
        assert world.charges == [("authorized", 0, 0)]
        world.clock.advance(timedelta(seconds=2.999))
        assert world.run(Step.AUTHORIZE) is Outcome.WAIT, "it does not show"
        world.clock.advance(timedelta(seconds=0.001))
        assert world.run(*FORWARD) is Outcome.DONE
    assert world.attempts(Operation.AUTHORIZATION) == 1
    assert world.charges == PAID


def test_who_finds_another_amount_under_our_reference_believes_nothing(world: World) -> None:
    world.accept("tok_timeout_then_nothing")
    world.run(*FORWARD)
    pending = world.state
    assert isinstance(pending, Pending)
    (call,) = open_calls(pending)
    stranger = replace(pending.terms, payment_method="tok_visa", amount=Money(999, "EUR"))
    assert isinstance(world.provider.authorize(call, stranger), Approved)

    before = world.types
    for _ in range(3):
        world.clock.advance(timedelta(days=1))
        assert world.run(*FORWARD) is Outcome.WAIT
    assert world.types == before
    assert world.doubts == ["not_what_was_asked: amount"] * 3


@pytest.fixture
def given_up(world: World) -> tuple[World, Call, PaymentInitiated]:
    """A payment that failed because nobody answered, and the last request, still on its way."""
    world.accept("tok_timeout_then_nothing")
    assert world.go_on() is Outcome.DONE
    assert isinstance(world.state, Failed)
    return world, world.state.doubts[-1].call, world.state.terms


def test_a_charge_that_shows_after_the_end_is_let_go_and_its_void_looked_up(
    given_up: tuple[World, Call, PaymentInitiated],
) -> None:
    world, call, terms = given_up
    late = replace(terms, payment_method="tok_void_timeout_then_success")
    assert isinstance(world.provider.authorize(call, late), Approved)
    assert world.go_on(following_up=True) is Outcome.DONE
    assert isinstance(world.state, Failed)
    assert world.types[-4:] == [
        "payment.found_late",
        "payment.call_started",
        "payment.call_unanswered",
        "payment.returned",
    ]
    assert world.charges == LET_GO
    assert world.doubts == []


def test_another_amount_that_shows_after_the_end_is_only_told(
    given_up: tuple[World, Call, PaymentInitiated],
) -> None:
    world, call, terms = given_up
    late = replace(terms, payment_method="tok_visa", amount=Money(999, "EUR"))
    assert isinstance(world.provider.authorize(call, late), Approved)
    before = world.types
    assert world.follow_up() is Outcome.DONE
    assert world.types == before
    assert set(world.doubts) == {"not_what_was_asked: amount"}


# Every token, to its end.


@pytest.mark.parametrize(
    ("token", "attempts"),
    [
        ("tok_timeout_then_success", 1),
        ("tok_timeout_once", 2),
        ("tok_unavailable_twice", 3),
        ("tok_rate_limited", 2),
        ("tok_slow", 1),
    ],
)
@pytest.mark.parametrize("operation", [Operation.AUTHORIZATION, Operation.CAPTURE])
def test_a_payment_gets_over_it(
    world: World, operation: Operation, token: str, attempts: int
) -> None:
    world.accept(of(operation, token))
    assert world.go_on() is Outcome.DONE
    assert isinstance(world.state, Captured)
    assert world.charges == PAID
    assert world.attempts(operation) == attempts


@pytest.mark.parametrize("token", ["tok_timeout_then_nothing", "tok_unavailable"])
@pytest.mark.parametrize("operation", [Operation.AUTHORIZATION, Operation.CAPTURE])
def test_a_payment_that_gets_nowhere_fails_and_holds_nothing(
    world: World, operation: Operation, token: str
) -> None:
    world.accept(of(operation, token))
    assert world.go_on() is Outcome.DONE
    assert isinstance(world.state, Failed)
    assert world.state.reason is Reason.PROVIDER_UNAVAILABLE
    assert world.charges == ([] if operation is Operation.AUTHORIZATION else LET_GO)
    assert world.attempts(operation) == ATTEMPTS_MAX


@pytest.mark.parametrize(
    ("token", "attempts"),
    [
        ("tok_timeout_then_success", 1),
        ("tok_timeout_once", 2),
        ("tok_unavailable_twice", 3),
        ("tok_rate_limited", 2),
        ("tok_slow", 1),
    ],
)
def test_a_refund_gets_over_it(world: World, token: str, attempts: int) -> None:
    refund(world, of(Operation.REFUND, token))
    assert isinstance(world.state, Captured)
    assert (world.state.refunded.minor, world.state.refundable.minor) == (600, 400)
    assert world.charges == [("captured", 1_000, 600)]
    assert world.attempts(Operation.REFUND) == attempts


def test_a_refund_that_nobody_heard_of_waits_for_an_operator(world: World) -> None:
    """It may have been made after all, so nobody has the money again."""
    refund(world, of(Operation.REFUND, "tok_timeout_then_nothing"), ends=Outcome.PARK)
    assert isinstance(world.state, Captured)
    assert world.types[-1] == "payment.call_not_attempted"
    assert (world.state.refunded.minor, world.state.refundable.minor) == (0, 400)
    assert [item.operation for item in exhausted(world.state)] == [Operation.REFUND]
    assert world.charges == PAID
    assert world.attempts(Operation.REFUND) == ATTEMPTS_MAX


def test_a_refund_that_is_turned_away_fails_and_can_be_asked_for_again(world: World) -> None:
    refund(world, of(Operation.REFUND, "tok_unavailable"))
    assert isinstance(world.state, Captured)
    assert world.types[-1] == "payment.refund_failed"
    assert (world.state.refunded.minor, world.state.refundable.minor) == (0, 1_000)
    assert world.charges == PAID
    assert world.attempts(Operation.REFUND) == ATTEMPTS_MAX


@pytest.mark.parametrize(
    ("token", "attempts"),
    [
        ("tok_timeout_then_success", 1),
        ("tok_timeout_once", 2),
        ("tok_unavailable_twice", 3),
        ("tok_rate_limited", 2),
        ("tok_slow", 1),
    ],
)
def test_a_cancellation_gets_over_it(world: World, token: str, attempts: int) -> None:
    assert cancel(world, of(Operation.VOID, token)) is Outcome.DONE
    assert isinstance(world.state, Canceled)
    assert world.charges == LET_GO
    assert world.attempts(Operation.VOID) == attempts


@pytest.mark.parametrize("token", ["tok_timeout_then_nothing", "tok_unavailable"])
def test_a_cancellation_that_gets_nowhere_is_parked_with_what_is_held(
    world: World, token: str
) -> None:
    """The payer's money is still held: that is not to be forgotten, so somebody has to look."""
    assert cancel(world, of(Operation.VOID, token)) is Outcome.PARK
    assert isinstance(world.state, Undoing)
    assert world.charges == [("authorized", 0, 0)]
    assert world.attempts(Operation.VOID) == ATTEMPTS_MAX


def of(operation: Operation, token: str) -> str:
    """The token that makes this trouble with this operation."""
    if operation is Operation.AUTHORIZATION:
        return token
    return token.replace("tok_", f"tok_{operation}_")


def refund(world: World, token: str, ends: Outcome = Outcome.DONE) -> None:
    world.accept(token)
    assert world.run(*FORWARD) is Outcome.DONE
    world.record(RequestRefund(refund_id="ref_1", amount_minor=600))
    assert world.go_on(following_up=True) is ends


def cancel(world: World, token: str) -> Outcome:
    world.accept(token, CaptureMethod.MANUAL)
    assert world.run(*FORWARD) is Outcome.WAIT
    world.record(RequestCancel())
    return world.go_on(following_up=True)
