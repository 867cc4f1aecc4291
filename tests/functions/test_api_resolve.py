"""Where a provider does not say what happened an operator does, and what comes late goes back."""

from datetime import timedelta
from typing import Any

import pytest

from florin.domain.chart import ACCOUNT_CLOSED, LATE_SUCCESS, REFUNDS_IN_TRANSIT, receivable
from florin.domain.keys import SCOPES, Role, Scope
from florin.domain.payment import ATTEMPTS_MAX, Step
from florin.domain.provider import Approved, Declined, Hardness, NotAttempted, Operation, Unknown
from florin.ports import AccountKey
from tests.functions.world import Reply, World, posted
from tests.support.examples import TENANT, VISA

SILENT = Unknown(reason="timeout")
AWAY = NotAttempted(reason="unavailable")
NO = Declined(code="no", hardness=Hardness.HARD)
PROOF = {"evidence": "Settlement report, line 17", "reason": "The provider lost the answer"}


@pytest.fixture
def world() -> World:
    made = World()
    made.scopes |= {Scope.PAYMENTS_RESOLVE}
    return made


def shown(world: World, payment_id: str) -> dict[str, Any]:
    return world.get("/payments/{payment_id}", payment_id).body


def resolve(
    world: World, payment_id: str, operation: str, verdict: str, key: str = "op", **more: str
) -> Reply:
    body = {"operation_id": operation, "verdict": verdict, **PROOF, **more}
    return world.change(payment_id, "resolve", body, key)


def unknown(world: World) -> str:
    """A payment whose authorization has no answer."""
    payment_id = world.answering(authorization=SILENT).payment()
    world.run(payment_id, Step.ASSESS_RISK, Step.AUTHORIZE)
    world.answering()
    assert shown(world, payment_id)["status"] == "awaiting_provider"
    return payment_id


def booked(world: World, account: Any) -> tuple[int, int]:
    key = AccountKey(tenant_id=TENANT, account=account, currency="EUR")
    return world.store.total(key)


def test_an_operator_says_that_it_succeeded(world: World) -> None:
    payment_id = unknown(world)
    accepted = resolve(world, payment_id, "authorization", "succeeded", provider_reference="ch_9")
    assert (accepted.status, accepted.body["verdict"]) == (201, "succeeded")
    again = resolve(world, payment_id, "authorization", "succeeded", provider_reference="ch_9")
    assert (again.text, again.headers["Idempotent-Replayed"]) == (accepted.text, "true")
    assert shown(world, payment_id)["status"] == "authorized"
    assert world.sagas.resumed == [(payment_id, 5, "op")], "it goes on by itself"
    world.run(payment_id, Step.CAPTURE)
    assert shown(world, payment_id)["status"] == "succeeded"
    facts = world.get("/payments/{payment_id}/events", payment_id).body["data"]
    (said,) = (fact for fact in facts if fact["type"] == "payment.operation_resolved")
    assert said["data"] == {
        "operation": "authorization",
        "operation_id": "authorization",
        "attempt": 1,
        "verdict": "succeeded",
        **PROOF,
    }


def test_an_operator_says_that_it_was_declined(world: World) -> None:
    payment_id = unknown(world)
    assert resolve(world, payment_id, "authorization", "declined").status == 201
    world.run(payment_id, Step.FINISH)
    payment = shown(world, payment_id)
    assert (payment["status"], payment["failure"]["code"]) == ("failed", "operator")


def test_an_operator_says_that_it_was_not_done(world: World) -> None:
    payment_id = unknown(world)
    assert resolve(world, payment_id, "authorization", "not_done").status == 201
    world.run(payment_id, Step.AUTHORIZE, Step.CAPTURE)
    payment = shown(world, payment_id)
    assert payment["status"] == "succeeded"
    assert [attempt["attempt"] for attempt in payment["attempts"]] == [1, 2, 1]


def test_only_an_operator_says_what_happened(world: World) -> None:
    payment_id = unknown(world)
    world.scopes = SCOPES[Role.ADMIN]
    refused = resolve(world, payment_id, "authorization", "declined")
    assert refused.refusal == (403, "scope_missing", None)
    assert shown(world, payment_id)["status"] == "awaiting_provider"


def test_a_refund_that_a_provider_never_heard_of_is_not_taken_for_failed(world: World) -> None:
    """It may have been made after all: nobody has the money again until somebody knows."""
    payment_id = world.payment()
    world.run(payment_id, Step.ASSESS_RISK, Step.AUTHORIZE, Step.CAPTURE)
    world.answering(refund=SILENT)
    refund_id = world.change(payment_id, "refund", {}, "r").body["refund_id"]
    for _ in range(2 * ATTEMPTS_MAX + 2):
        world.follow_up(payment_id)
        world.clock.advance(timedelta(minutes=5))
    payment = shown(world, payment_id)
    assert (payment["saga"]["status"], payment["refunds"][0]["status"]) == (
        "needs_operator",
        "pending",
    )
    seller = payment["recipient"]
    assert world.get("/wallets/{account_id}", seller).body["available"] == 0
    assert resolve(world, payment_id, refund_id, "succeeded").status == 201
    assert shown(world, payment_id)["status"] == "refunded"
    world.run(payment_id)
    assert booked(world, REFUNDS_IN_TRANSIT) == (1_000, 1_000)


def unheard_of_capture(world: World) -> tuple[str, str]:
    """A payment by hand, and a capture of part of it of which the provider never heard."""
    payment_id = world.payment(capture_method="manual")
    world.run(payment_id, Step.ASSESS_RISK, Step.AUTHORIZE)
    world.answering(capture=SILENT)
    asked = {"amount": 300, "final": False}
    capture_id = world.change(payment_id, "capture", asked, "c").body["capture_id"]
    for _ in range(2 * ATTEMPTS_MAX + 1):
        world.follow_up(payment_id)
        world.clock.advance(timedelta(minutes=5))
    world.answering()
    assert shown(world, payment_id)["saga"]["status"] == "needs_operator"
    return payment_id, capture_id


def test_a_capture_that_a_provider_never_heard_of_is_not_asked_for_twice(world: World) -> None:
    """It may have been made after all: who asked for it cannot ask for it again meanwhile."""
    payment_id, capture_id = unheard_of_capture(world)
    captures = [key for operation, key in world.provider.calls if operation is Operation.CAPTURE]
    assert captures == [f"{payment_id}:{capture_id}:1"] * ATTEMPTS_MAX
    for what in ("capture", "cancel"):
        refused = world.change(payment_id, what, {}, f"{what}-2")
        assert refused.refusal == (409, "provider_answer_pending", None)
    named = {"provider_reference": "cap_9"}
    assert resolve(world, payment_id, capture_id, "succeeded", **named).status == 201
    assert shown(world, payment_id)["status"] == "succeeded"
    assert world.change(payment_id, "capture", {}, "c-2").status == 201, "the rest of it"
    world.follow_up(payment_id)
    assert shown(world, payment_id)["captured"] == 1_000


def test_what_an_operator_ruled_out_and_the_provider_took_goes_back(world: World) -> None:
    """Also from a payment that was captured otherwise since."""
    payment_id, capture_id = unheard_of_capture(world)
    assert resolve(world, payment_id, capture_id, "declined").status == 201
    assert world.change(payment_id, "capture", {"amount": 600}, "c-2").status == 201
    world.follow_up(payment_id)
    before = shown(world, payment_id)
    assert (before["status"], before["captured"]) == ("succeeded", 600)
    view = world.store.view(payment_id)
    assert view is not None
    assert view.due_at is not None, "it is asked about once more"
    world.provider.shown[f"{payment_id}:{capture_id}"] = Approved(provider_reference="cap_9")
    world.answering(refund=AWAY)
    world.follow_up(payment_id)
    assert booked(world, LATE_SUCCESS) == (0, 300)
    world.answering()
    world.follow_up(payment_id)
    assert booked(world, LATE_SUCCESS) == (300, 300)
    assert booked(world, receivable("scripted")) == (900, 300)
    after = shown(world, payment_id)
    assert (after["status"], after["captured"], after["refunded"]) == ("succeeded", 600, 0)
    assert after["saga"]["status"] == "completed"
    world.follow_up(payment_id)
    assert shown(world, payment_id) == after, "once is enough"


@pytest.mark.parametrize(("waited", "key"), [(timedelta(0), 1), (timedelta(days=2), 4)])
def test_an_operators_word_lets_it_be_asked_for_once_more(
    world: World, waited: timedelta, key: int
) -> None:
    """While the provider knows the key it is the same thing again, should the operator be wrong."""
    payment_id, capture_id = unheard_of_capture(world)
    world.clock.advance(waited)
    assert resolve(world, payment_id, capture_id, "not_done").status == 201
    world.follow_up(payment_id)
    captures = [sent for operation, sent in world.provider.calls if operation is Operation.CAPTURE]
    assert captures[ATTEMPTS_MAX:] == [f"{payment_id}:{capture_id}:{key}"]
    assert shown(world, payment_id)["status"] == "succeeded"


@pytest.mark.parametrize(("waited", "key"), [(timedelta(0), 1), (timedelta(days=2), 2)])
def test_an_operators_word_on_an_open_call_lets_it_be_made_once_more(
    world: World, waited: timedelta, key: int
) -> None:
    payment_id = unknown(world)
    world.clock.advance(waited)
    assert resolve(world, payment_id, "authorization", "not_done").status == 201
    world.run(payment_id, Step.AUTHORIZE)
    assert shown(world, payment_id)["status"] == "authorized"
    assert world.provider.calls[-1][1] == f"{payment_id}:authorization:{key}"


def test_an_operators_word_is_for_what_was_sent_before_it(world: World) -> None:
    """What is sent afterwards and is forgotten too needs another word."""
    payment_id, capture_id = unheard_of_capture(world)
    assert resolve(world, payment_id, capture_id, "not_done").status == 201
    world.answering(capture=SILENT)
    world.follow_up(payment_id)
    world.clock.advance(timedelta(days=2))
    world.answering()
    for _ in range(3):
        world.follow_up(payment_id)
    assert shown(world, payment_id)["saga"]["status"] == "needs_operator"
    captures = [key for operation, key in world.provider.calls if operation is Operation.CAPTURE]
    assert captures == [f"{payment_id}:{capture_id}:1"] * (ATTEMPTS_MAX + 1)
    assert resolve(world, payment_id, capture_id, "not_done", "op-2").status == 201
    world.follow_up(payment_id)
    assert shown(world, payment_id)["status"] == "succeeded"


def test_what_an_operator_grants_is_not_given_up_at_once(world: World) -> None:
    payment_id = world.payment()
    world.run(payment_id, Step.ASSESS_RISK, Step.AUTHORIZE, Step.CAPTURE)
    world.answering(refund=SILENT)
    refund_id = world.change(payment_id, "refund", {}, "r").body["refund_id"]
    for _ in range(2 * ATTEMPTS_MAX + 1):
        world.follow_up(payment_id)
        world.clock.advance(timedelta(minutes=5))
    world.clock.advance(timedelta(days=2))
    world.answering(refund=AWAY)
    assert resolve(world, payment_id, refund_id, "not_done").status == 201
    for granted in range(ATTEMPTS_MAX):
        assert shown(world, payment_id)["refunds"][0]["status"] == "pending", granted
        world.follow_up(payment_id)
    assert shown(world, payment_id)["refunds"][0]["status"] == "failed"


def test_what_a_provider_may_have_forgotten_waits_for_an_operator(world: World) -> None:
    payment_id = world.payment()
    world.run(payment_id, Step.ASSESS_RISK, Step.AUTHORIZE, Step.CAPTURE)
    world.answering(refund=SILENT)
    refund_id = world.change(payment_id, "refund", {}, "r").body["refund_id"]
    world.follow_up(payment_id)
    world.clock.advance(timedelta(days=2))
    world.answering()
    for _ in range(3):
        world.follow_up(payment_id)
    refunds = [key for operation, key in world.provider.calls if operation is Operation.REFUND]
    assert refunds == [f"{payment_id}:{refund_id}:1"]
    payment = shown(world, payment_id)
    assert payment["saga"]["status"] == "needs_operator"
    facts = world.get("/payments/{payment_id}/events", payment_id).body["data"]
    assert (facts[-1]["type"], facts[-1]["data"]["key"]) == ("payment.key_expired", 1)
    assert resolve(world, payment_id, refund_id, "not_done").status == 201
    world.follow_up(payment_id)
    assert world.provider.calls[-1] == (Operation.REFUND, f"{payment_id}:{refund_id}:2")
    assert shown(world, payment_id)["status"] == "refunded"


def test_attempts_that_an_operator_grants_have_keys_of_their_own(world: World) -> None:
    payment_id = world.answering(capture=NO, void=AWAY).payment()
    world.run(payment_id, Step.ASSESS_RISK, Step.AUTHORIZE, *[Step.CAPTURE] + [Step.VOID] * 4)
    assert resolve(world, payment_id, "void", "not_done").status == 201
    world.run(payment_id, *[Step.VOID] * 4)
    keys = [key for operation, key in world.provider.calls if operation is Operation.VOID]
    assert keys == [f"{payment_id}:void:{attempt}" for attempt in range(1, 2 * ATTEMPTS_MAX + 1)]


def test_an_operators_word_does_not_pay_a_closed_account(world: World) -> None:
    payment_id = world.answering(capture=SILENT).payment()
    world.run(payment_id, Step.ASSESS_RISK, Step.AUTHORIZE, Step.CAPTURE)
    seller = shown(world, payment_id)["recipient"]
    event = posted("/accounts/{account_id}/close", "{}", "close")
    event |= {"path": f"/accounts/{seller}/close", "pathParameters": {"account_id": seller}}
    assert world.send(event).status == 201
    world.clock.advance(timedelta(minutes=5))
    assert resolve(world, payment_id, "capture", "succeeded").status == 201
    assert world.get("/wallets/{account_id}", seller).body["balance"] == 0
    world.run(payment_id)
    assert booked(world, ACCOUNT_CLOSED) == (0, 970)


def test_what_has_an_answer_needs_no_operator(world: World) -> None:
    payment_id = world.payment()
    world.run(payment_id, Step.ASSESS_RISK, Step.AUTHORIZE, Step.CAPTURE)
    nothing = (409, "nothing_to_resolve", None)
    for number, operation in enumerate(("authorization", "capture", "void", "ref_1")):
        refused = resolve(world, payment_id, operation, "declined", f"op-{number}")
        assert refused.refusal == nothing
    assert shown(world, payment_id)["status"] == "succeeded"


def test_who_may_still_be_calling_is_not_overruled(world: World) -> None:
    payment_id = world.payment()
    world.run(payment_id, Step.ASSESS_RISK)
    inside: list[Reply] = []

    def answer(call: object, terms: object) -> Any:
        inside.append(resolve(world, payment_id, "authorization", "not_done"))
        return Approved(provider_reference="ch_1", method=VISA)

    world.provider.authorize = answer  # type: ignore[method-assign]  # the provider is a double
    world.run(payment_id, Step.AUTHORIZE)
    assert inside[0].refusal == (409, "provider_answer_pending", None)
    assert inside[0].error["transient"] is True
    assert shown(world, payment_id)["status"] == "authorized"


def test_an_authorization_that_succeeded_has_a_name(world: World) -> None:
    payment_id = unknown(world)
    refused = resolve(world, payment_id, "authorization", "succeeded")
    assert refused.refusal == (422, "provider_reference_missing", None)
    assert shown(world, payment_id)["status"] == "awaiting_provider"
    named = resolve(world, payment_id, "authorization", "succeeded", provider_reference="ch_9")
    assert named.status == 201, "the key was not bound"
    assert shown(world, payment_id)["status"] == "authorized"


def test_an_undo_that_cannot_finish_waits_for_an_operator_and_goes_on(world: World) -> None:
    payment_id = world.answering(capture=NO, void=AWAY).payment()
    world.run(payment_id, Step.ASSESS_RISK, Step.AUTHORIZE, Step.CAPTURE)
    for _ in range(ATTEMPTS_MAX + 1):
        world.run(payment_id, Step.VOID)
    payment = shown(world, payment_id)
    assert (payment["status"], payment["saga"]["status"]) == ("processing", "needs_operator")
    assert world.provider.calls[-1][0] is Operation.VOID
    world.answering()
    world.run(payment_id, Step.VOID)
    assert shown(world, payment_id)["saga"]["status"] == "needs_operator", "not by itself"
    assert resolve(world, payment_id, "void", "not_done").status == 201, "ask again"
    world.run(payment_id, Step.VOID, Step.FINISH)
    assert shown(world, payment_id)["status"] == "failed"


def test_an_undo_that_was_done_by_hand_is_done(world: World) -> None:
    payment_id = world.answering(capture=NO, void=AWAY).payment()
    world.run(payment_id, Step.ASSESS_RISK, Step.AUTHORIZE, Step.CAPTURE)
    for _ in range(ATTEMPTS_MAX):
        world.run(payment_id, Step.VOID)
    calls = len(world.provider.calls)
    assert resolve(world, payment_id, "void", "succeeded").status == 201
    world.run(payment_id, Step.VOID, Step.FINISH)
    assert shown(world, payment_id)["status"] == "failed"
    assert len(world.provider.calls) == calls, "nobody was asked again"


def never_found(world: World, operation: str) -> str:
    """A payment that failed because a provider never heard of what it was asked."""
    payment_id = world.answering(**{operation: SILENT}).payment()
    world.run(payment_id, Step.ASSESS_RISK, Step.AUTHORIZE)
    step = Step.AUTHORIZE if operation == "authorization" else Step.CAPTURE
    for _ in range(2 * ATTEMPTS_MAX):
        world.run(payment_id, step)
        world.clock.advance(timedelta(minutes=5))
    world.answering()
    world.run(payment_id, Step.VOID, Step.FINISH)
    assert shown(world, payment_id)["status"] == "failed"
    return payment_id


def test_a_capture_that_shows_up_late_goes_to_suspense_and_back(world: World) -> None:
    payment_id = never_found(world, "capture")
    before = shown(world, payment_id)
    found = Approved(provider_reference="cap_9")
    world.provider.shown[f"{payment_id}:capture"] = found
    world.answering(refund=AWAY)
    world.follow_up(payment_id)
    assert booked(world, LATE_SUCCESS) == (0, 1_000), "three attempts, one reference, one capture"
    world.answering()
    world.follow_up(payment_id)
    after = shown(world, payment_id)
    assert after["status"] == before["status"] == "failed", "terminal is terminal"
    assert booked(world, LATE_SUCCESS) == (1_000, 1_000)
    assert booked(world, receivable("scripted")) == (1_000, 1_000)
    types = [event["type"] for event in after["events"]]
    assert types.count("payment.found_late") == types.count("payment.returned") == 1
    assert after["saga"]["status"] == "failed"
    world.follow_up(payment_id)
    assert shown(world, payment_id) == after, "once is enough"


def test_an_authorization_that_shows_up_late_is_let_go(world: World) -> None:
    payment_id = never_found(world, "authorization")
    world.provider.shown[f"{payment_id}:authorization"] = Approved(provider_reference="ch_9")
    world.follow_up(payment_id)
    assert shown(world, payment_id)["status"] == "failed"
    assert shown(world, payment_id)["saga"]["status"] == "failed"
    voids = [key for operation, key in world.provider.calls if operation is Operation.VOID]
    assert voids == [f"{payment_id}:return_authorization_3:1"]
    assert booked(world, LATE_SUCCESS) == (0, 0), "nobody took any money"


def test_what_the_provider_did_say_is_not_asked_again(world: World) -> None:
    payment_id = world.answering(authorization=AWAY).payment()
    world.run(payment_id, Step.ASSESS_RISK, *[Step.AUTHORIZE] * ATTEMPTS_MAX, Step.FINISH)
    assert shown(world, payment_id)["status"] == "failed"
    world.provider.shown[f"{payment_id}:authorization"] = Approved(provider_reference="ch_9")
    world.follow_up(payment_id)
    assert "payment.found_late" not in [e["type"] for e in shown(world, payment_id)["events"]]
    view = world.store.view(payment_id)
    assert view is not None
    assert view.due_at is None


def test_who_was_wrong_about_an_operation_is_found_out(world: World) -> None:
    """An operator says that nothing was done, the payment fails, and the provider shows it."""
    payment_id = unknown(world)
    resolve(world, payment_id, "authorization", "declined")
    world.run(payment_id, Step.FINISH)
    view = world.store.view(payment_id)
    assert view is not None
    assert view.due_at is not None, "it is asked about once more"
    world.provider.shown[f"{payment_id}:authorization"] = Approved(provider_reference="ch_9")
    world.follow_up(payment_id)
    assert world.provider.calls[-1][0] is Operation.VOID
    assert shown(world, payment_id)["status"] == "failed"


def test_a_return_that_cannot_be_made_waits_for_an_operator(world: World) -> None:
    payment_id = unknown(world)
    resolve(world, payment_id, "authorization", "declined")
    world.run(payment_id, Step.FINISH)
    world.provider.shown[f"{payment_id}:authorization"] = Approved(provider_reference="ch_9")
    world.answering(void=NO)
    for _ in range(ATTEMPTS_MAX + 1):
        world.follow_up(payment_id)
    payment = shown(world, payment_id)
    assert (payment["status"], payment["saga"]["status"]) == ("failed", "needs_operator")
    accepted = resolve(world, payment_id, "return_authorization_1", "succeeded", "op-2")
    assert accepted.status == 201
    world.follow_up(payment_id)
    assert shown(world, payment_id)["saga"]["status"] == "failed"
