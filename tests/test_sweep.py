"""The sweeper: whatever stopped goes on, at its time, as often as it takes, and nothing else."""

from dataclasses import replace
from datetime import timedelta
from itertools import count

import pytest

from florin.adapters.clock import ManualClock, UlidIds
from florin.adapters.memory import Memory, MemoryParking, MemorySagas, MemoryWakeups
from florin.adapters.risk import PassingRisk
from florin.domain.deadlines import LOOKUPS_AFTER
from florin.domain.hold import Part, PlaceHold
from florin.domain.money import Money
from florin.domain.payment import Call, CaptureMethod, Initiate, RequestRefund, Step
from florin.domain.provider import NotAttempted, ProviderAnswer, Unknown
from florin.domain.status import Status
from florin.handle import Accepted, Desk
from florin.ports import Advance
from florin.projection import Projector
from florin.saga import CALL_BUDGET, Saga
from florin.sweep import RESUMES_MAX, STREAMS_MAX, STUCK, Lookups, Sweeper, Taken
from tests.support.examples import (
    NOON,
    TENANT,
    ScriptedProvider,
    initiate,
    once,
    opened_account,
)

MINUTE = timedelta(minutes=1)
FORWARD = (Step.ASSESS_RISK, Step.AUTHORIZE, Step.CAPTURE)


class World:
    """The engine in memory, with a clock that is moved by hand."""

    def __init__(self, **answers: ProviderAnswer) -> None:
        self.store, self.clock = Memory(), ManualClock(NOON)
        self.sagas, self.parking, self.wakeups = MemorySagas(), MemoryParking(), MemoryWakeups()
        self.provider = ScriptedProvider(**answers)
        owners = count(1)
        self.projector = Projector(store=self.store, books=self.store)
        self.desk = Desk(store=self.store, accounts=self.store, clock=self.clock, ids=UlidIds())
        self.saga = Saga(
            store=self.store,
            accounts=self.store,
            clock=self.clock,
            risk=PassingRisk(),
            provider=lambda name: self.provider,
            new_owner=lambda: f"owner-{next(owners)}",
            unanswered=self.unanswered,
        )
        self.errors: list[str] = []
        self.sweeper = Sweeper(
            store=self.store,
            books=self.store,
            sagas=self.sagas,
            clock=self.clock,
            parking=self.parking,
            expire=self.desk.expire_hold,
            project=lambda stream: self.projector.project([stream]),
            failed=lambda stream, error: self.errors.append(stream),
        )
        self.lookups = Lookups(
            store=self.store, sagas=self.sagas, wakeups=self.wakeups, clock=self.clock
        )

    def unanswered(self, payment_id: str, call: Call) -> None:
        delay = call.deadline + LOOKUPS_AFTER[0] - self.clock.now()
        self.wakeups.wake(payment_id, 0, delay)

    def pay(self, command: Initiate | None = None) -> str:
        seller = opened_account(self.store, f"account-{len(self.store.streams())}")
        accepted = self.desk.initiate_payment(
            command or initiate(recipient=seller), once(f"pay-{len(self.store.streams())}")
        )
        assert isinstance(accepted, Accepted)
        return accepted.receipt.object_id

    def run(self, payment_id: str, *steps: Step) -> None:
        for step in steps:
            self.saga.run(step, payment_id, "arn:execution")

    def project(self) -> None:
        self.projector.project(self.store.streams())

    def status(self, stream: str) -> str:
        view = self.store.view(stream)
        assert view is not None
        return view.status


def test_a_payment_that_nobody_started_is_started() -> None:
    world = World()
    payment_id = world.pay()
    world.project()
    assert world.sweeper.sweep() == {}, "it may be under way"
    world.clock.advance(MINUTE)
    assert world.sweeper.sweep() == {Taken.RESUMED: 1}
    assert world.sagas.resumed == [(payment_id, 1, "r0")]
    assert world.sweeper.sweep() == {}, "and not again in this minute"


@pytest.mark.parametrize("done", [1, 2])
def test_a_payment_goes_on_where_it_stopped(done: int) -> None:
    world = World()
    payment_id = world.pay()
    world.run(payment_id, *FORWARD[:done])
    world.project()
    world.clock.advance(MINUTE)
    world.sweeper.sweep()
    assert [name for name, _, _ in world.sagas.resumed] == [payment_id]
    world.run(payment_id, *FORWARD)
    world.project()
    assert world.status(payment_id) == Status.SUCCEEDED
    world.clock.advance(timedelta(days=30))
    assert world.sweeper.sweep() == {}, "nothing is owed"


def test_a_payment_that_waits_for_its_merchant_is_left_alone() -> None:
    world = World()
    seller = opened_account(world.store, "merchant")
    command = replace(initiate(recipient=seller), capture_method=CaptureMethod.MANUAL)
    payment_id = world.pay(command)
    world.run(payment_id, Step.ASSESS_RISK, Step.AUTHORIZE)
    world.project()
    world.clock.advance(timedelta(days=3))
    assert world.sweeper.sweep() == {}


def test_what_does_not_go_on_is_tried_less_often_and_told_to_an_operator() -> None:
    world = World()
    payment_id = world.pay()
    world.project()
    minutes = 0
    tried: list[int] = []
    while len(tried) < RESUMES_MAX + 2:
        world.clock.advance(MINUTE)
        minutes += 1
        if world.sweeper.sweep():
            tried.append(minutes)
    assert tried[:6] == [1, 2, 4, 8, 16, 32]
    assert [label for _, _, label in world.sagas.resumed] == [f"r{n}" for n in range(10)]
    ((hop, cause, payload),) = world.parking.parked
    assert (hop, cause) == ("payment", STUCK)
    assert payload["payment_id"] == payment_id
    assert payload["owed"] == ["AssessRisk"]


def test_psp_timeout_is_looked_up_until_the_provider_has_said() -> None:
    world = World()
    world.provider = SilentProvider(authorization=Unknown(reason="timeout"))
    payment_id = world.pay()
    world.run(payment_id, Step.ASSESS_RISK, Step.AUTHORIZE)
    world.project()
    assert world.status(payment_id) == Status.AWAITING_PROVIDER
    assert world.wakeups.asked == [(payment_id, 0, timedelta(seconds=17))]
    for number in range(3):
        _, _, delay = world.wakeups.asked[number]
        world.clock.advance(delay)
        assert world.lookups.look_up(payment_id, number)
        world.run(payment_id, Step.AUTHORIZE)
    assert [asked for _, asked, _ in world.wakeups.asked] == [0, 1, 2, 3]
    elapsed = [NOON + timedelta(seconds=12) + after for after in LOOKUPS_AFTER[:3]]
    assert world.clock.now() == elapsed[-1]
    assert [label for _, _, label in world.sagas.resumed] == ["l0", "l1", "l2"]


def test_the_last_look_up_by_message_hands_over_to_the_sweeper() -> None:
    world = World()
    world.provider = SilentProvider(authorization=Unknown(reason="timeout"))
    payment_id = world.pay()
    world.run(payment_id, Step.ASSESS_RISK, Step.AUTHORIZE)
    world.project()
    world.clock.advance(timedelta(minutes=16))
    assert world.lookups.look_up(payment_id, len(LOOKUPS_AFTER) - 1)
    assert len(world.wakeups.asked) == 1, "no more messages"
    times = []
    for _ in range(26 * 60):
        world.clock.advance(MINUTE)
        if world.sweeper.sweep():
            times.append(world.clock.now() - NOON)
    assert len(times) == 6
    assert times[-1] - times[-2] > timedelta(hours=23)
    world.project()
    assert world.status(payment_id) == Status.AWAITING_PROVIDER, "never failed without its word"


class SilentProvider(ScriptedProvider):
    """A provider whose look-ups never find anything, and that may still show it."""

    not_found_final_after = timedelta(days=365)


def test_a_message_for_what_is_answered_does_nothing() -> None:
    world = World()
    payment_id = world.pay()
    world.run(payment_id, *FORWARD)
    assert not world.lookups.look_up(payment_id, 0)
    assert not world.lookups.look_up("pay_unheard_of", 0)
    assert world.sagas.resumed == []


def test_who_died_after_announcing_a_call_is_found() -> None:
    """The invocation announced its call and died: no message was sent, no answer recorded."""
    world = World()
    payment_id = world.pay()
    world.run(payment_id, Step.ASSESS_RISK)
    world.provider = DyingProvider()
    with pytest.raises(KeyboardInterrupt):
        world.run(payment_id, Step.AUTHORIZE)
    world.project()
    world.clock.advance(MINUTE)
    assert world.sweeper.sweep() == {Taken.RESUMED: 1}
    world.provider = ScriptedProvider()
    world.run(payment_id, Step.AUTHORIZE)  # looked up, not found, so it may be asked anew
    world.run(payment_id, *FORWARD)
    world.project()
    assert world.status(payment_id) == Status.SUCCEEDED


class DyingProvider(ScriptedProvider):
    def authorize(self, call: Call, terms: object) -> ProviderAnswer:
        raise KeyboardInterrupt


def test_a_hold_expires_at_its_time() -> None:
    world = World()
    payer, seller = (opened_account(world.store, key) for key in ("payer", "seller"))
    top_up = world.pay(initiate(recipient=payer))
    world.run(top_up, *FORWARD)
    world.project()
    part = Part(recipient=seller, amount=Money(100, "EUR"))
    command = PlaceHold(tenant_id=TENANT, account_id=payer, parts=(part,))
    placed = world.desk.place_hold(command, once("hold"), timedelta(seconds=90))
    assert isinstance(placed, Accepted)
    world.project()
    world.clock.advance(MINUTE)
    assert world.sweeper.sweep() == {}
    world.clock.advance(MINUTE)
    assert world.sweeper.sweep() == {Taken.EXPIRED: 1}
    assert world.status(placed.receipt.object_id) == "expired"
    profile = world.store.profile(TENANT, payer)
    assert profile is not None
    assert world.store.wallet(profile).available_minor == 970
    assert world.sweeper.sweep() == {}


def test_a_view_that_is_late_is_caught_up_first() -> None:
    world = World()
    payment_id = world.pay()
    world.project()
    world.run(payment_id, *FORWARD)
    world.clock.advance(MINUTE)
    assert world.sweeper.sweep() == {Taken.CAUGHT_UP: 1}
    assert world.status(payment_id) == Status.SUCCEEDED
    assert world.sagas.resumed == []


def test_one_that_is_late_and_due_is_taken_up_in_the_same_sweep() -> None:
    world = World()
    payment_id = world.pay()
    world.project()
    world.run(payment_id, Step.ASSESS_RISK)
    world.clock.advance(MINUTE)
    assert world.sweeper.sweep() == {Taken.RESUMED: 1}
    assert [name for name, _, _ in world.sagas.resumed] == [payment_id]


def test_one_that_goes_wrong_does_not_keep_the_others_waiting() -> None:
    class Stubborn(MemorySagas):
        def resume(self, payment_id: str, version: int, label: str, *, authorized: bool) -> None:
            if payment_id == first:
                raise ConnectionError("throttled")
            super().resume(payment_id, version, label, authorized=authorized)

    world = World()
    first, second = world.pay(), world.pay()
    world.project()
    world.clock.advance(MINUTE)
    sagas = Stubborn()
    sweeper = replace(world.sweeper, sagas=sagas)
    assert sweeper.sweep() == {Taken.FAILED: 1, Taken.RESUMED: 1}
    assert [name for name, _, _ in sagas.resumed] == [second]
    assert world.errors == [first]
    assert world.sweeper.sweep() == {Taken.RESUMED: 1}, "the next sweep tries again"


def test_those_that_fail_do_not_hide_those_behind_them() -> None:
    world = World()
    ids = [world.pay() for _ in range(STREAMS_MAX + 2)]
    world.project()
    world.clock.advance(MINUTE)
    first = world.store.due(world.clock.now(), STREAMS_MAX)

    class Stubborn(MemorySagas):
        def resume(self, payment_id: str, version: int, label: str, *, authorized: bool) -> None:
            if payment_id in first:
                raise ConnectionError("throttled")
            super().resume(payment_id, version, label, authorized=authorized)

    sagas = Stubborn()
    assert replace(world.sweeper, sagas=sagas).sweep() == {Taken.FAILED: 100, Taken.RESUMED: 2}
    assert {name for name, _, _ in sagas.resumed} == {*ids} - {*first}


def test_a_sweep_ends_when_its_time_is_up() -> None:
    world = World()
    for _ in range(3):
        world.pay()
    world.project()
    world.clock.advance(MINUTE)
    left = iter([True, True, True, False])
    sweeper = replace(world.sweeper, time_left=lambda: next(left, False))
    assert sweeper.sweep() == {Taken.RESUMED: 2}
    assert world.sweeper.sweep() == {Taken.RESUMED: 1}


def test_a_deadline_that_was_wrong_is_put_right() -> None:
    """An old view says that something is due of a payment that has ended."""
    world = World()
    payment_id = world.pay()
    world.run(payment_id, *FORWARD)
    world.project()
    view = world.store.view(payment_id)
    assert view is not None
    wrong = replace(view, due_at=NOON)
    assert world.store.advance([Advance(view=wrong, from_version=view.version)])
    assert world.sweeper.sweep() == {Taken.SETTLED: 1}
    assert world.sweeper.sweep() == {}


@pytest.mark.parametrize("operation", ["capture", "void"])
def test_what_is_owed_after_the_authorization_is_followed_up(operation: str) -> None:
    world = World(**{operation: NotAttempted(reason="unavailable")})
    payment_id = world.pay()
    if operation == "capture":
        world.run(payment_id, Step.ASSESS_RISK, Step.AUTHORIZE, Step.CAPTURE)
    else:
        world.provider.answers["capture"] = NotAttempted(reason="unavailable")
        world.run(payment_id, *FORWARD, Step.CAPTURE, Step.CAPTURE, Step.VOID)
    world.project()
    world.clock.advance(MINUTE)
    assert world.sweeper.sweep() == {Taken.RESUMED: 1}
    world.provider.answers.clear()
    world.saga.follow_up(payment_id, "arn:execution")
    world.saga.follow_up(payment_id, "arn:execution")
    world.project()
    assert world.status(payment_id) in {Status.SUCCEEDED, Status.FAILED}


def test_how_long_an_answer_is_overdue_is_told_each_time_somebody_looks() -> None:
    world = World()
    told: list[tuple[str, timedelta]] = []
    sweeper = replace(world.sweeper, unanswered=lambda *found: told.append(found))
    paid, silent = world.pay(), world.pay()
    world.run(paid, Step.ASSESS_RISK)  # stalled, but nobody was asked
    world.provider = SilentProvider(authorization=Unknown(reason="timeout"))
    world.run(silent, Step.ASSESS_RISK)
    world.run(silent, Step.AUTHORIZE)
    world.project()
    world.clock.advance(CALL_BUDGET + timedelta(hours=2))
    sweeper.sweep()
    assert told == [(silent, timedelta(hours=2))]


def refund(refund_id: str) -> RequestRefund:
    return RequestRefund(refund_id=refund_id, amount_minor=100)


def test_of_several_answers_the_one_that_is_overdue_longest_is_told() -> None:
    world = World()
    told: list[timedelta] = []
    sweeper = replace(world.sweeper, unanswered=lambda _, overdue: told.append(overdue))
    payment_id = world.pay()
    world.run(payment_id, *FORWARD)
    world.project()
    world.provider = SilentProvider(refund=Unknown(reason="timeout"))
    for number in (1, 2):
        key = once(f"refund-{number}")
        assert isinstance(world.desk.change_payment(payment_id, "ref", refund, key), Accepted)
        world.saga.follow_up(payment_id, "arn:execution")
        world.clock.advance(timedelta(minutes=10))
    world.project()
    world.clock.advance(timedelta(hours=1))
    sweeper.sweep()
    assert told == [timedelta(minutes=80) - CALL_BUDGET]
