"""The saga's steps: what they do once, twice, late, and in two executions at the same time."""

from collections.abc import Callable
from datetime import timedelta
from itertools import count, permutations

import pytest

from florin.adapters.clock import ManualClock
from florin.adapters.memory import Memory
from florin.adapters.risk import PassingRisk
from florin.domain.history import Draft
from florin.domain.money import Money
from florin.domain.payment import (
    ATTEMPTS_MAX,
    Call,
    Captured,
    Command,
    Failed,
    Outcome,
    Payment,
    PaymentAuthorized,
    PaymentInitiated,
    Reason,
    RequestRefund,
    Step,
    decide,
)
from florin.domain.provider import (
    Approved,
    Declined,
    Hardness,
    NotAttempted,
    Operation,
    ProviderAnswer,
    Unknown,
)
from florin.ports import AppendResult, Batch
from florin.saga import CALL_BUDGET, CALLS_MAX, Saga, fold_history
from tests.support.examples import NOON, TENANT, ScriptedProvider, accepted_payment, facts

FORWARD = (Step.ASSESS_RISK, Step.AUTHORIZE, Step.CAPTURE)
UNDO = (Step.VOID, Step.FINISH)
NO = Declined(code="card_declined", hardness=Hardness.HARD)


class World:
    """A store, a clock, a provider, and the saga over them."""

    def __init__(self, store: Memory | None = None, **answers: ProviderAnswer) -> None:
        self.store = store or Memory()
        self.clock = ManualClock(NOON)
        self.provider = ScriptedProvider(**answers)
        owners = count(1)
        self.saga = Saga(
            store=self.store,
            accounts=self.store,
            clock=self.clock,
            risk=PassingRisk(),
            provider=lambda name: self.provider,
            new_owner=lambda: f"owner-{next(owners)}",
        )
        self.payment_id = accepted_payment(self.store)

    def run(self, *steps: Step) -> list[Outcome]:
        return [self.saga.run(step, self.payment_id, "arn:execution") for step in steps]

    def record(self, command: Command) -> None:
        """Append what a command leads to, without what it would book."""
        history = self.store.read(self.payment_id)
        drafts = tuple(Draft(event=event) for event in facts(decide(command, self.state)))
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

    def asked(self, operation: Operation) -> int:
        return sum(asked is operation for asked, _ in self.provider.calls)


def test_a_happy_payment_in_three_steps() -> None:
    world = World()
    assert world.run(*FORWARD) == [Outcome.CONTINUE, Outcome.CONTINUE, Outcome.DONE]
    assert isinstance(world.state, Captured)
    assert world.types == [
        "payment.initiated",
        "payment.risk_assessed",
        "payment.call_started",
        "payment.authorized",
        "payment.call_started",
        "payment.captured",
    ]
    assert world.provider.calls == [
        (Operation.AUTHORIZATION, f"{world.payment_id}:authorization:1"),
        (Operation.CAPTURE, f"{world.payment_id}:capture:1"),
    ]


def test_a_step_that_is_not_owed_does_nothing() -> None:
    world = World()
    assert world.run(Step.CAPTURE, Step.VOID, Step.FINISH) == [Outcome.CONTINUE] * 3
    assert world.types == ["payment.initiated"]
    world.run(*FORWARD)
    assert world.run(*FORWARD, *UNDO) == [Outcome.DONE] * 5
    assert len(world.types) == 6
    assert len(world.provider.calls) == 2


def test_a_decline_ends_failed_with_nothing_to_undo() -> None:
    world = World(authorization=NO)
    assert world.run(*FORWARD)[-1] is Outcome.COMPENSATE
    assert world.run(*UNDO) == [Outcome.COMPENSATE, Outcome.DONE]
    assert isinstance(world.state, Failed)
    assert (world.state.reason, world.state.code) == (Reason.DECLINED, "card_declined")
    assert world.asked(Operation.CAPTURE) == world.asked(Operation.VOID) == 0


def test_a_declined_capture_is_voided_before_it_fails() -> None:
    world = World(capture=NO)
    world.run(*FORWARD)
    assert world.run(*UNDO) == [Outcome.COMPENSATE, Outcome.DONE]
    assert world.types[-4:] == [
        "payment.call_declined",
        "payment.call_started",
        "payment.voided",
        "payment.failed",
    ]
    assert world.asked(Operation.VOID) == 1


def test_a_provider_that_is_not_reached_is_tried_anew_under_a_new_key() -> None:
    world = World(authorization=NotAttempted(reason="refused"))
    world.run(Step.ASSESS_RISK)
    assert world.run(*[Step.AUTHORIZE] * 4) == [
        Outcome.CONTINUE,
        Outcome.CONTINUE,
        Outcome.COMPENSATE,
        Outcome.COMPENSATE,
    ]
    keys = [key for _, key in world.provider.calls]
    assert keys == [f"{world.payment_id}:authorization:{attempt}" for attempt in (1, 2, 3)]


def found_nothing(world: World, step: Step = Step.AUTHORIZE) -> Outcome:
    """Have a look-up say for good that the provider never heard of a call."""
    world.clock.advance(CALL_BUDGET + world.provider.not_found_final_after)
    return world.run(step)[0]


def test_what_a_provider_never_heard_of_is_sent_again_under_its_key() -> None:
    world = World(authorization=Unknown(reason="read_timeout"))
    world.run(*FORWARD)
    for _ in range(ATTEMPTS_MAX - 1):
        assert found_nothing(world) is Outcome.CONTINUE
        assert world.run(Step.AUTHORIZE) == [Outcome.WAIT]
    assert found_nothing(world) is Outcome.COMPENSATE
    keys = [key for _, key in world.provider.calls]
    assert keys == [f"{world.payment_id}:authorization:1"] * ATTEMPTS_MAX


def test_what_a_provider_may_have_forgotten_is_not_sent_again() -> None:
    world = World(authorization=Unknown(reason="read_timeout"))
    world.run(*FORWARD)
    world.clock.advance(world.provider.key_retention - CALL_BUDGET + timedelta(milliseconds=1))
    assert world.run(Step.AUTHORIZE) == [Outcome.CONTINUE]  # not found, at last
    assert world.run(Step.AUTHORIZE) == [Outcome.COMPENSATE]
    assert world.types[-1] == "payment.key_expired"
    assert world.run(*UNDO)[-1] is Outcome.DONE
    assert isinstance(world.state, Failed)
    assert (world.state.reason, world.state.code) == (Reason.PROVIDER_UNAVAILABLE, "key_expired")
    assert world.asked(Operation.AUTHORIZATION) == 1

    world.provider.shown[f"{world.payment_id}:authorization"] = Approved(provider_reference="ch_9")
    world.saga.follow_up(world.payment_id, "arn:execution")
    assert world.types[-1] == "payment.returned", "what it shows after all is let go"


class SlowToAnswer(ScriptedProvider):
    """Its first look-up finds the charge, and its answer is overtaken by somebody else's."""

    def __init__(self, **answers: ProviderAnswer) -> None:
        super().__init__(**answers)
        self.meanwhile: Callable[[], object] | None = None

    def look_up(
        self, call: Call, amount: Money, authorization: PaymentAuthorized | None
    ) -> ProviderAnswer | None:
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile is None:
            return None
        meanwhile()
        return Approved(provider_reference="ch_9")


@pytest.mark.parametrize("steps", [1, 2])
def test_an_approval_is_heard_also_after_somebody_else_heard_of_nothing(steps: int) -> None:
    """The call is closed by then, or sent again: its key is the same, so it is the same charge."""
    world = World()
    world.provider = provider = SlowToAnswer(authorization=Unknown(reason="read_timeout"))
    world.run(*FORWARD)
    world.clock.advance(CALL_BUDGET + provider.not_found_final_after)
    provider.meanwhile = lambda: world.run(*[Step.AUTHORIZE] * steps)
    assert world.run(Step.AUTHORIZE) == [Outcome.CONTINUE]
    assert world.types[-1] == "payment.authorized"
    assert world.asked(Operation.AUTHORIZATION) == steps
    assert world.run(*FORWARD)[-1] is Outcome.DONE


def test_silence_waits_and_is_never_asked_again() -> None:
    world = World(authorization=Unknown(reason="read_timeout"))
    assert world.run(*FORWARD) == [Outcome.CONTINUE, Outcome.WAIT, Outcome.WAIT]
    assert world.run(*FORWARD, *UNDO) == [Outcome.WAIT] * 5
    world.clock.advance(CALL_BUDGET)
    assert world.run(*FORWARD) == [Outcome.WAIT] * 3  # it may still show up
    assert world.asked(Operation.AUTHORIZATION) == 1


@pytest.mark.parametrize(
    ("found", "ends"),
    [
        (Approved(provider_reference="ch_9"), Outcome.DONE),
        (NO, Outcome.COMPENSATE),
    ],
)
def test_a_lookup_answers_for_who_died(found: ProviderAnswer, ends: Outcome) -> None:
    world = World(authorization=Unknown(reason="read_timeout"))
    world.run(*FORWARD)
    world.provider.shown[f"{world.payment_id}:authorization"] = found
    assert world.run(Step.AUTHORIZE) == [Outcome.WAIT]  # its owner may still be at it
    world.clock.advance(CALL_BUDGET)
    assert world.run(*FORWARD)[-1] is ends
    assert world.asked(Operation.AUTHORIZATION) == 1


def test_a_void_whose_owner_died_is_finished_by_the_next_execution() -> None:
    world = World(capture=NO, void=Unknown(reason="read_timeout"))
    world.run(*FORWARD)
    assert world.run(*UNDO) == [Outcome.WAIT, Outcome.WAIT]
    world.provider.shown[f"{world.payment_id}:void"] = Approved(provider_reference="ch_1")
    world.clock.advance(CALL_BUDGET)
    # The machine goes to Void only if the forward steps do not tell it to wait.
    assert world.run(*FORWARD) == [Outcome.COMPENSATE] * 3
    assert world.run(*UNDO) == [Outcome.COMPENSATE, Outcome.DONE]
    assert world.asked(Operation.VOID) == 1


def test_not_found_is_final_only_after_a_while() -> None:
    world = World(authorization=Unknown(reason="read_timeout"))
    world.run(*FORWARD)
    world.clock.advance(CALL_BUDGET + world.provider.not_found_final_after - timedelta(seconds=1))
    assert world.run(Step.AUTHORIZE) == [Outcome.WAIT]
    world.clock.advance(timedelta(seconds=1))
    assert world.run(Step.AUTHORIZE) == [Outcome.CONTINUE]
    del world.provider.answers["authorization"]
    assert world.run(*FORWARD)[-1] is Outcome.DONE
    assert world.asked(Operation.AUTHORIZATION) == 2


class SlowToShow(ScriptedProvider):
    """Finds nothing, and is so slow to say so that its word would be final by then."""

    def __init__(self, clock: ManualClock, **answers: ProviderAnswer) -> None:
        super().__init__(**answers)
        self.clock = clock

    def look_up(
        self, call: Call, amount: Money, authorization: PaymentAuthorized | None
    ) -> ProviderAnswer | None:
        found = super().look_up(call, amount, authorization)
        self.clock.advance(self.not_found_final_after)
        return found


def test_not_found_is_final_only_as_of_when_it_was_asked() -> None:
    """What a slow answer says was so before: the charge may have shown up since."""
    world = World()
    world.provider = SlowToShow(world.clock, authorization=Unknown(reason="read_timeout"))
    world.run(*FORWARD)
    world.clock.advance(CALL_BUDGET)
    assert world.run(Step.AUTHORIZE) == [Outcome.WAIT]
    assert world.run(Step.AUTHORIZE) == [Outcome.CONTINUE]


class Interrupting(Memory):
    """A store that lets another execution run in between: before or after the n-th append."""

    def __init__(self) -> None:
        super().__init__()
        self.appends = 0
        self.at = -1
        self.after = False
        self.interrupted = False
        self.meanwhile: Callable[[], object] = lambda: None

    def append(self, batch: Batch) -> AppendResult:
        self.appends += 1
        mine = self.appends == self.at
        if mine and not self.after:
            self._interrupt()
        answer = super().append(batch)
        if mine and self.after:
            self._interrupt()
        return answer

    def _interrupt(self) -> None:
        self.interrupted = True
        self.meanwhile()


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("at", range(1, 6))
@pytest.mark.parametrize("capture", [None, NO])
def test_another_execution_at_any_append_charges_once(
    at: int, after: bool, capture: ProviderAnswer | None
) -> None:
    store = Interrupting()
    world = World(store, **({} if capture is None else {"capture": capture}))
    store.appends, store.at, store.after = 0, at, after
    store.meanwhile = lambda: world.run(*FORWARD, *UNDO)
    world.run(*FORWARD, *UNDO)
    assert store.interrupted
    world.run(*FORWARD, *UNDO)  # whoever resumes
    assert world.asked(Operation.AUTHORIZATION) == world.asked(Operation.CAPTURE) == 1
    assert world.asked(Operation.VOID) == (0 if capture is None else 1)
    assert isinstance(world.state, Captured if capture is None else Failed)


class DyingProvider(ScriptedProvider):
    """Takes the first authorization and then takes its caller down."""

    def authorize(self, call: Call, terms: PaymentInitiated) -> ProviderAnswer:
        self.shown[call.reference] = self._answer(call)
        if len(self.calls) == 1:
            raise KeyboardInterrupt
        return self.shown[call.reference]


def test_an_owner_that_dies_at_the_provider_is_not_repeated() -> None:
    world = World()
    world.provider = DyingProvider()
    with pytest.raises(KeyboardInterrupt):
        world.run(*FORWARD)
    assert world.run(*FORWARD) == [Outcome.WAIT] * 3
    world.clock.advance(CALL_BUDGET)
    assert world.run(*FORWARD)[-1] is Outcome.DONE
    assert world.asked(Operation.AUTHORIZATION) == 1


def test_steps_in_any_order_end_in_the_same_state() -> None:
    for order in permutations(FORWARD + UNDO):
        world = World()
        for _ in FORWARD:
            world.run(*order)
        assert isinstance(world.state, Captured), order
        assert len(world.provider.calls) == 2


def test_who_is_too_late_for_an_answer_does_not_ask() -> None:
    """An append that was acknowledged late: by now others may look the operation up."""
    store = Interrupting()
    world = World(store)
    world.run(Step.ASSESS_RISK)
    store.at, store.after = store.appends + 1, True
    store.meanwhile = lambda: world.clock.advance(CALL_BUDGET - timedelta(seconds=1))
    assert world.run(Step.AUTHORIZE) == [Outcome.CONTINUE]
    assert world.types[-1] == "payment.call_not_attempted"
    assert world.provider.calls == []
    assert world.run(*FORWARD)[-1] is Outcome.DONE
    assert world.asked(Operation.AUTHORIZATION) == 1


def test_many_refunds_are_asked_for_a_few_at_a_time() -> None:
    world = World()
    world.run(*FORWARD)
    for number in range(6):
        world.record(RequestRefund(refund_id=f"ref_{number}", amount_minor=100))
    assert world.saga.follow_up(world.payment_id, "arn:execution") is Outcome.CONTINUE
    assert world.asked(Operation.REFUND) == CALLS_MAX
    assert world.run(*FORWARD)[-1] is Outcome.DONE, "no business of the payment's own machine"
    assert world.saga.follow_up(world.payment_id, "arn:execution") is Outcome.DONE
    assert world.asked(Operation.REFUND) == 6
    assert isinstance(world.state, Captured)
    assert world.state.refunded.minor == 600
