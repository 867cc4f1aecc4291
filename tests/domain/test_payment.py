"""The payment decider: rows of history, command and outcome, then theorems over any history."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from florin.domain.chart import (
    PLATFORM_FEES,
    REFUNDS_IN_TRANSIT,
    entry_for,
    receivable,
    wallet,
)
from florin.domain.fees import FeeOnRefund, FeeTerms
from florin.domain.ledger import Account, Entry, balances
from florin.domain.money import Money
from florin.domain.payment import (
    ATTEMPTS_MAX,
    NOTHING,
    Canceled,
    Captured,
    CaptureMethod,
    Command,
    Failed,
    Finish,
    Held,
    Outcome,
    Payment,
    PaymentAuthorized,
    PaymentCanceled,
    PaymentCancelRequested,
    PaymentCaptured,
    PaymentCaptureRequested,
    PaymentEvent,
    PaymentFailed,
    PaymentInitiated,
    PaymentRefunded,
    PaymentRefundFailed,
    PaymentRefundRequested,
    PaymentRiskAssessed,
    PaymentVoided,
    ProviderCallDeclined,
    ProviderCallNotAttempted,
    ProviderCallStarted,
    ProviderCallUnanswered,
    Reason,
    RecordAnswer,
    RecordRisk,
    RequestCancel,
    RequestCapture,
    RequestRefund,
    RiskDecision,
    StartCall,
    Step,
    decide,
    evolve,
    fold,
    outcome,
    owed,
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
from florin.domain.refusals import Refusal
from tests.support.examples import NOON, TEN, VISA, facts, initiate

SOON = NOON + timedelta(seconds=12)
OPERATIONS = {
    "authorization": Operation.AUTHORIZATION,
    "capture": Operation.CAPTURE,
    "void": Operation.VOID,
}


def euros(minor: int) -> Money:
    return Money(minor, "EUR")


def operation(name: str) -> Operation:
    if name in OPERATIONS:
        return OPERATIONS[name]
    return Operation.CAPTURE if name.startswith("cap") else Operation.REFUND


def started(name: str, attempt: int = 1) -> ProviderCallStarted:
    return ProviderCallStarted(
        operation=operation(name),
        operation_id=name,
        attempt=attempt,
        reference=f"pay_1:{name}",
        owner="me",
        deadline=SOON,
    )


def start(name: str) -> StartCall:
    return StartCall(payment_id="pay_1", operation_id=name, owner="me", deadline=SOON)


def answer(name: str, given: ProviderAnswer, attempt: int = 1) -> RecordAnswer:
    return RecordAnswer(idempotency_key=f"pay_1:{name}:{attempt}", answer=given)


def unanswered(name: str) -> ProviderCallUnanswered:
    return ProviderCallUnanswered(
        operation=operation(name), operation_id=name, attempt=1, reason="read_timeout"
    )


def not_attempted(name: str, attempt: int = 1) -> ProviderCallNotAttempted:
    return ProviderCallNotAttempted(
        operation=operation(name), operation_id=name, attempt=attempt, reason="refused"
    )


def declined(name: str) -> ProviderCallDeclined:
    return ProviderCallDeclined(
        operation=operation(name),
        operation_id=name,
        attempt=1,
        code="card_declined",
        hardness=Hardness.SOFT,
    )


def captured(minor: int, fee: int, name: str = "capture", final: bool = True) -> PaymentCaptured:
    return PaymentCaptured(
        capture_id=name,
        amount=euros(minor),
        fee=euros(fee),
        released=euros(1_000 - minor if final else 0),
        final=final,
    )


def wanted(name: str, minor: int, final: bool = True) -> PaymentCaptureRequested:
    return PaymentCaptureRequested(capture_id=name, amount=euros(minor), final=final)


def refund(name: str, minor: int, fee: int, reason: str | None = None) -> PaymentRefundRequested:
    return PaymentRefundRequested(
        refund_id=name, amount=euros(minor), fee_returned=euros(fee), reason=reason
    )


RISK = RecordRisk(decision=RiskDecision.ALLOW, assessor="pass")
MANUAL_TERMS = replace(initiate(), capture_method=CaptureMethod.MANUAL)
(INITIATED,) = facts(decide(initiate(), fold([])))
(BY_HAND,) = facts(decide(MANUAL_TERMS, fold([])))
ASSESSED = PaymentRiskAssessed(decision=RiskDecision.ALLOW, assessor="pass")
AUTHORIZED = PaymentAuthorized(amount=TEN, provider_reference="ch_1", method=VISA)
VOIDED = PaymentVoided(amount=TEN)
FAILED = PaymentFailed(reason=Reason.DECLINED, code="card_declined")
UNDONE = PaymentFailed(reason=Reason.CAPTURE_DECLINED, code="card_declined")
CANCEL = PaymentCancelRequested(reason="changed my mind")
CANCELED = PaymentCanceled(reason="changed my mind")

APPROVED = Approved(provider_reference="ch_1", method=VISA)
NO = Declined(code="card_declined", hardness=Hardness.SOFT)
SILENCE = Unknown(reason="read_timeout")
UNREACHED = NotAttempted(reason="refused")

NEW: list[PaymentEvent] = [INITIATED, ASSESSED]
ASKING = [*NEW, started("authorization")]
HELD = [*ASKING, AUTHORIZED]
TAKING = [*HELD, started("capture")]
PAID = [*TAKING, captured(1_000, 30)]
REFUSED = [*ASKING, declined("authorization")]
UNDOING = [*TAKING, declined("capture")]
LETTING_GO = [*UNDOING, started("void")]
UNREACHABLE = [
    *NEW,
    *(
        event
        for attempt in range(1, ATTEMPTS_MAX + 1)
        for event in (started("authorization", attempt), not_attempted("authorization", attempt))
    ),
]

ON_HOLD: list[PaymentEvent] = [BY_HAND, *HELD[1:]]
WANTED = [*ON_HOLD, wanted("cap_1", 600, final=False)]
PARTLY = [*WANTED, started("cap_1"), captured(600, 18, "cap_1", final=False)]
CLOSED = [*ON_HOLD, wanted("cap_1", 600), started("cap_1"), captured(600, 18, "cap_1")]
CANCELING = [*ON_HOLD, CANCEL]
GONE = [*CANCELING, started("void"), VOIDED, CANCELED]

REFUNDING = [*PAID, refund("ref_1", 600, 18)]
ASKED_BACK = [*REFUNDING, started("ref_1")]
BACK = [*ASKED_BACK, PaymentRefunded(refund_id="ref_1", amount=euros(600))]
GIVEN_UP = PaymentRefundFailed(
    refund_id="ref_1", amount=euros(600), fee_returned=euros(18), code="card_declined"
)


@pytest.mark.parametrize(
    ("given", "when", "then"),
    [
        ([], initiate(), (INITIATED,)),
        ([], RISK, Refusal.PAYMENT_NOT_FOUND),
        ([], Finish(), Refusal.PAYMENT_NOT_FOUND),
        ([], RequestRefund(refund_id="ref_1"), Refusal.PAYMENT_NOT_FOUND),
        (NEW, initiate(), Refusal.PAYMENT_EXISTS),
        ([INITIATED], RISK, (ASSESSED,)),
        ([INITIATED], start("authorization"), Refusal.NO_CALL_OWED),
        (NEW, RISK, NOTHING),
        (NEW, start("authorization"), (started("authorization"),)),
        (NEW, start("capture"), Refusal.NO_CALL_OWED),
        (NEW, start("void"), Refusal.NO_CALL_OWED),
        (NEW, answer("authorization", APPROVED), NOTHING),
        (NEW, Finish(), Refusal.PAYMENT_NOT_UNDONE),
        (ASKING, start("authorization"), Refusal.PROVIDER_ANSWER_PENDING),
        (ASKING, answer("authorization", APPROVED), (AUTHORIZED,)),
        (ASKING, answer("authorization", APPROVED, attempt=2), NOTHING),
        (ASKING, answer("authorization", NO), (declined("authorization"),)),
        (ASKING, answer("authorization", SILENCE), (unanswered("authorization"),)),
        (ASKING, answer("authorization", UNREACHED), (not_attempted("authorization"),)),
        ([*ASKING, unanswered("authorization")], answer("authorization", SILENCE), NOTHING),
        (
            [*ASKING, unanswered("authorization")],
            answer("authorization", APPROVED),
            (AUTHORIZED,),
        ),
        (
            [*ASKING, unanswered("authorization")],
            start("authorization"),
            Refusal.PROVIDER_ANSWER_PENDING,
        ),
        (
            [*ASKING, not_attempted("authorization")],
            start("authorization"),
            (started("authorization", attempt=2),),
        ),
        ([*ASKING, not_attempted("authorization")], answer("authorization", APPROVED), NOTHING),
        (HELD, start("authorization"), Refusal.NO_CALL_OWED),
        (HELD, start("capture"), (started("capture"),)),
        (HELD, answer("authorization", APPROVED), NOTHING),
        (HELD, Finish(), Refusal.PAYMENT_NOT_UNDONE),
        (TAKING, answer("capture", APPROVED), (captured(1_000, 30),)),
        (TAKING, answer("capture", NO), (declined("capture"),)),
        (TAKING, answer("capture", SILENCE), (unanswered("capture"),)),
        (PAID, start("capture"), Refusal.NO_CALL_OWED),
        (PAID, answer("capture", APPROVED), NOTHING),
        (PAID, Finish(), Refusal.PAYMENT_NOT_UNDONE),
        (REFUSED, start("authorization"), Refusal.NO_CALL_OWED),
        (REFUSED, Finish(), (FAILED,)),
        ([*REFUSED, FAILED], Finish(), NOTHING),
        ([*REFUSED, FAILED], start("authorization"), Refusal.NO_CALL_OWED),
        ([*REFUSED, FAILED], answer("authorization", APPROVED), NOTHING),
        (UNDOING, start("capture"), Refusal.NO_CALL_OWED),
        (UNDOING, start("void"), (started("void"),)),
        (UNDOING, Finish(), Refusal.PAYMENT_NOT_UNDONE),
        (LETTING_GO, answer("void", APPROVED), (VOIDED,)),
        ([*LETTING_GO, VOIDED], start("void"), Refusal.NO_CALL_OWED),
        ([*LETTING_GO, VOIDED], Finish(), (UNDONE,)),
        (UNREACHABLE, start("authorization"), Refusal.NO_CALL_OWED),
        (
            UNREACHABLE,
            Finish(),
            (PaymentFailed(reason=Reason.PROVIDER_UNAVAILABLE, code="refused"),),
        ),
        # Capture.
        (NEW, RequestCapture(capture_id="cap_1"), Refusal.PAYMENT_NOT_AUTHORIZED),
        (ASKING, RequestCapture(capture_id="cap_1"), Refusal.PROVIDER_ANSWER_PENDING),
        (HELD, RequestCapture(capture_id="cap_1"), Refusal.PROVIDER_ANSWER_PENDING),
        (PAID, RequestCapture(capture_id="cap_1"), Refusal.PAYMENT_CAPTURED),
        (ON_HOLD, start("capture"), Refusal.NO_CALL_OWED),
        (ON_HOLD, RequestCapture(capture_id="cap_1"), (wanted("cap_1", 1_000),)),
        (
            ON_HOLD,
            RequestCapture(capture_id="cap_1", amount_minor=600, final=False),
            (wanted("cap_1", 600, final=False),),
        ),
        (
            ON_HOLD,
            RequestCapture(capture_id="cap_1", amount_minor=1_000, final=False),
            (wanted("cap_1", 1_000),),
        ),
        (
            ON_HOLD,
            RequestCapture(capture_id="cap_1", amount_minor=1_001),
            Refusal.AMOUNT_EXCEEDS_AUTHORIZATION,
        ),
        (WANTED, RequestCapture(capture_id="cap_2"), Refusal.PROVIDER_ANSWER_PENDING),
        (WANTED, start("cap_1"), (started("cap_1"),)),
        (
            [*WANTED, started("cap_1")],
            answer("cap_1", APPROVED),
            (captured(600, 18, "cap_1", final=False),),
        ),
        ([*WANTED, started("cap_1")], answer("cap_1", NO), (declined("cap_1"),)),
        (
            [*WANTED, started("cap_1"), declined("cap_1")],
            RequestCapture(capture_id="cap_2"),
            (wanted("cap_2", 1_000),),
        ),
        (PARTLY, RequestCapture(capture_id="cap_2"), (wanted("cap_2", 400),)),
        (
            PARTLY,
            RequestCapture(capture_id="cap_2", amount_minor=401),
            Refusal.AMOUNT_EXCEEDS_AUTHORIZATION,
        ),
        (
            [*PARTLY, wanted("cap_2", 400), started("cap_2")],
            answer("cap_2", APPROVED),
            (replace(captured(400, 12, "cap_2"), released=euros(0)),),
        ),
        (CLOSED, RequestCapture(capture_id="cap_2"), Refusal.PAYMENT_CAPTURED),
        (UNDOING, RequestCapture(capture_id="cap_1"), Refusal.PAYMENT_FAILED),
        (GONE, RequestCapture(capture_id="cap_1"), Refusal.PAYMENT_CANCELED),
        # Cancel.
        (NEW, RequestCancel(reason="changed my mind"), (CANCEL,)),
        (ASKING, RequestCancel(), Refusal.PROVIDER_ANSWER_PENDING),
        (HELD, RequestCancel(reason="changed my mind"), (CANCEL,)),
        (TAKING, RequestCancel(), Refusal.PROVIDER_ANSWER_PENDING),
        (ON_HOLD, RequestCancel(reason="changed my mind"), (CANCEL,)),
        (WANTED, RequestCancel(), Refusal.PROVIDER_ANSWER_PENDING),
        (PAID, RequestCancel(), Refusal.PAYMENT_CAPTURED),
        (PARTLY, RequestCancel(), Refusal.PAYMENT_CAPTURED),
        (CANCELING, RequestCancel(), Refusal.PAYMENT_CANCELED),
        (CANCELING, start("void"), (started("void"),)),
        (CANCELING, Finish(), Refusal.PAYMENT_NOT_UNDONE),
        ([*NEW, CANCEL], Finish(), (CANCELED,)),
        ([*CANCELING, started("void"), VOIDED], Finish(), (CANCELED,)),
        (GONE, Finish(), NOTHING),
        (GONE, RequestCancel(), Refusal.PAYMENT_CANCELED),
        ([*REFUSED, FAILED], RequestCancel(), Refusal.PAYMENT_FAILED),
        # Refund.
        (NEW, RequestRefund(refund_id="ref_1"), Refusal.PAYMENT_NOT_AUTHORIZED),
        (ASKING, RequestRefund(refund_id="ref_1"), Refusal.PROVIDER_ANSWER_PENDING),
        (HELD, RequestRefund(refund_id="ref_1"), Refusal.PROVIDER_ANSWER_PENDING),
        (ON_HOLD, RequestRefund(refund_id="ref_1"), Refusal.PAYMENT_NOT_CAPTURED),
        (WANTED, RequestRefund(refund_id="ref_1"), Refusal.PROVIDER_ANSWER_PENDING),
        (TAKING, RequestRefund(refund_id="ref_1"), Refusal.PROVIDER_ANSWER_PENDING),
        (PAID, RequestRefund(refund_id="ref_1"), (refund("ref_1", 1_000, 30),)),
        (
            PAID,
            RequestRefund(refund_id="ref_1", amount_minor=600, reason="moths"),
            (refund("ref_1", 600, 18, "moths"),),
        ),
        (
            PAID,
            RequestRefund(refund_id="ref_1", amount_minor=1_001),
            Refusal.AMOUNT_EXCEEDS_REFUNDABLE,
        ),
        (
            REFUNDING,
            RequestRefund(refund_id="ref_2", amount_minor=600),
            Refusal.AMOUNT_EXCEEDS_REFUNDABLE,
        ),
        (REFUNDING, RequestRefund(refund_id="ref_2"), (refund("ref_2", 400, 12),)),
        (REFUNDING, start("ref_1"), (started("ref_1"),)),
        (REFUNDING, start("ref_2"), Refusal.NO_CALL_OWED),
        (ASKED_BACK, start("ref_1"), Refusal.PROVIDER_ANSWER_PENDING),
        (
            ASKED_BACK,
            answer("ref_1", APPROVED),
            (PaymentRefunded(refund_id="ref_1", amount=euros(600)),),
        ),
        (ASKED_BACK, answer("ref_1", SILENCE), (unanswered("ref_1"),)),
        (ASKED_BACK, answer("ref_1", UNREACHED), (not_attempted("ref_1"),)),
        (ASKED_BACK, answer("ref_1", NO), (declined("ref_1"), GIVEN_UP)),
        (
            [*ASKED_BACK, declined("ref_1"), GIVEN_UP],
            RequestRefund(refund_id="ref_2"),
            (refund("ref_2", 1_000, 30),),
        ),
        (BACK, answer("ref_1", APPROVED), NOTHING),
        (BACK, RequestRefund(refund_id="ref_2"), (refund("ref_2", 400, 12),)),
        (
            [*PAID, refund("ref_1", 1_000, 30)],
            RequestRefund(refund_id="ref_2"),
            Refusal.AMOUNT_EXCEEDS_REFUNDABLE,
        ),
        (GONE, RequestRefund(refund_id="ref_1"), Refusal.PAYMENT_CANCELED),
        ([*REFUSED, FAILED], RequestRefund(refund_id="ref_1"), Refusal.PAYMENT_FAILED),
    ],
)
def test_given_when_then(
    given: list[PaymentEvent], when: Command, then: tuple[PaymentEvent, ...] | Refusal
) -> None:
    assert decide(when, fold(given)) == then


@pytest.mark.parametrize(
    ("given", "steps", "goes_on"),
    [
        ([], [], Outcome.PARK),
        ([INITIATED], [Step.ASSESS_RISK], Outcome.CONTINUE),
        (NEW, [Step.AUTHORIZE], Outcome.CONTINUE),
        (ASKING, [Step.AUTHORIZE], Outcome.WAIT),
        ([*ASKING, unanswered("authorization")], [Step.AUTHORIZE], Outcome.WAIT),
        ([*ASKING, not_attempted("authorization")], [Step.AUTHORIZE], Outcome.CONTINUE),
        (HELD, [Step.CAPTURE], Outcome.CONTINUE),
        (TAKING, [Step.CAPTURE], Outcome.WAIT),
        (PAID, [], Outcome.DONE),
        (REFUSED, [Step.FINISH], Outcome.COMPENSATE),
        (UNREACHABLE, [Step.FINISH], Outcome.COMPENSATE),
        ([*REFUSED, FAILED], [], Outcome.DONE),
        (UNDOING, [Step.VOID], Outcome.COMPENSATE),
        (LETTING_GO, [Step.VOID], Outcome.WAIT),
        ([*LETTING_GO, VOIDED], [Step.FINISH], Outcome.COMPENSATE),
        ([*LETTING_GO, VOIDED, UNDONE], [], Outcome.DONE),
        (ON_HOLD, [], Outcome.WAIT),
        (WANTED, [Step.CAPTURE], Outcome.CONTINUE),
        (PARTLY, [], Outcome.DONE),
        ([*WANTED, started("cap_1"), declined("cap_1")], [], Outcome.WAIT),
        (CANCELING, [Step.VOID], Outcome.COMPENSATE),
        (GONE, [], Outcome.DONE),
        (REFUNDING, [Step.REFUND], Outcome.CONTINUE),
        (ASKED_BACK, [Step.REFUND], Outcome.WAIT),
        ([*ASKED_BACK, refund("ref_2", 100, 3)], [Step.REFUND] * 2, Outcome.CONTINUE),
        (BACK, [], Outcome.DONE),
    ],
)
def test_what_a_state_owes(given: list[PaymentEvent], steps: list[Step], goes_on: Outcome) -> None:
    state = fold(given)
    assert ([item.step for item in owed(state)], outcome(state)) == (steps, goes_on)


def test_an_undo_that_never_succeeds_asks_for_a_person() -> None:
    history = list(UNDOING)
    for attempt in range(1, ATTEMPTS_MAX + 1):
        assert outcome(fold(history)) is Outcome.COMPENSATE
        history += [started("void", attempt), not_attempted("void", attempt)]
    assert outcome(fold(history)) is Outcome.PARK
    assert decide(start("void"), fold(history)) is Refusal.ATTEMPTS_EXHAUSTED


def test_a_refund_that_cannot_be_asked_for_is_given_up() -> None:
    history = list(REFUNDING)
    for attempt in range(1, ATTEMPTS_MAX):
        history += [started("ref_1", attempt), not_attempted("ref_1", attempt)]
    history.append(started("ref_1", ATTEMPTS_MAX))
    decided = facts(decide(answer("ref_1", UNREACHED, ATTEMPTS_MAX), fold(history)))
    assert decided[-1] == replace(GIVEN_UP, code="refused")
    assert outcome(fold([*history, *decided])) is Outcome.DONE


@pytest.mark.parametrize(
    "history",
    [
        [ASSESSED],
        [INITIATED, INITIATED],
        [INITIATED, started("authorization")],
        [*NEW, AUTHORIZED],
        [*NEW, unanswered("authorization")],
        [*NEW, declined("authorization")],
        [*NEW, started("authorization", 2)],
        [*ASKING, started("authorization", 2)],
        [*HELD, captured(1_000, 30)],
        [*PAID, captured(1_000, 30)],
        [*PAID, VOIDED],
        [*PAID, FAILED],
        [*UNDOING, UNDONE],
        [*REFUSED, FAILED, FAILED],
        [*REFUSED, CANCELED],
        [*CANCELING, FAILED],
        [*WANTED, wanted("cap_2", 100)],
        [*CLOSED, wanted("cap_2", 100)],
        [*WANTED, CANCEL],
        [*PAID, CANCEL],
        [*REFUNDING, refund("ref_1", 100, 3)],
        [*PAID, PaymentRefunded(refund_id="ref_1", amount=euros(600))],
        [*BACK, GIVEN_UP],
    ],
)
def test_a_history_that_cannot_have_happened_is_corruption(history: list[PaymentEvent]) -> None:
    with pytest.raises(AssertionError, match="cannot follow"):
        fold(history)


@pytest.mark.parametrize(
    "history",
    [
        [*REFUNDING, refund("ref_2", 401, 12)],
        [*PARTLY, wanted("cap_2", 401), started("cap_2"), captured(401, 12, "cap_2")],
    ],
)
def test_a_cap_that_was_broken_has_no_state(history: list[PaymentEvent]) -> None:
    with pytest.raises(ValueError, match="more"):
        fold(history)


# Any history: commands that fit the state more often than not, so that the deep states are met.

answers = st.sampled_from([APPROVED, APPROVED, NO, SILENCE, UNREACHED])
amounts = st.sampled_from([Money(1, "EUR"), TEN, Money(333, "JPY"), Money(10_007, "KWD")])
terms = st.builds(
    FeeTerms,
    basis_points=st.sampled_from([0, 290, 10_000]),
    fixed_minor=st.sampled_from([0, 30]),
    on_refund=st.sampled_from(FeeOnRefund),
)
shares = st.sampled_from([None, 1, 7, 333, 500, 1_000, 20_000])


def fitting(state: Payment, given: ProviderAnswer) -> Command:
    """The command that the saga would give next, with the answer that chance gives."""
    for item in owed(state):
        if item.call is not None:
            return RecordAnswer(idempotency_key=item.call.idempotency_key, answer=given)
    match owed(state):
        case [item, *_] if item.step is Step.ASSESS_RISK:
            return RISK
        case [item, *_] if item.operation is not None:
            return start(item.operation_id)
        case _:
            return Finish()


names = count(1)
asked_for = st.one_of(
    st.builds(
        lambda minor: RequestRefund(refund_id=f"ref_{next(names)}", amount_minor=minor), shares
    ),
    st.builds(
        lambda minor, final: RequestCapture(
            capture_id=f"cap_{next(names)}", amount_minor=minor, final=final
        ),
        shares,
        st.booleans(),
    ),
    st.just(RequestCancel()),
    st.builds(start, st.sampled_from(["authorization", "capture", "void", "ref_1"])),
    st.builds(answer, st.sampled_from(["authorization", "capture"]), answers, st.integers(1, 3)),
    st.just(Finish()),
)


def books_of(history: list[PaymentEvent]) -> list[Entry]:
    entries, state = [], fold([])
    for event in history:
        entry = entry_for(state, event)
        if entry is not None:
            entries.append(entry)
        state = evolve(state, event)
    return entries


@settings(max_examples=400)
@given(
    amounts,
    terms,
    st.sampled_from(CaptureMethod),
    st.lists(st.one_of(answers, answers, asked_for), max_size=40),
)
def test_any_history_keeps_the_promises(
    amount: Money,
    fee_terms: FeeTerms,
    method: CaptureMethod,
    moves: list[ProviderAnswer | Command],
) -> None:
    first = replace(initiate(amount, fee_terms=fee_terms), capture_method=method)
    history = list(facts(decide(first, fold([]))))
    for move in moves:
        state = fold(history)
        command: Command = (
            fitting(state, move)
            if isinstance(move, Approved | Declined | NotAttempted | Unknown)
            else move
        )
        decided = decide(command, state)
        if isinstance(decided, Refusal):
            continue
        if isinstance(state, Canceled | Failed):
            assert decided == NOTHING, "terminal is terminal"
        history += decided
        if not isinstance(command, RequestCapture | RequestRefund):
            again = decide(command, fold(history))
            assert again == NOTHING or isinstance(again, Refusal), "repeated, it changes nothing"
    check(history, amount)


def check(history: list[PaymentEvent], amount: Money) -> None:
    """What holds for a payment and its books at any time."""
    state, currency = fold(history), amount.currency
    books = balances(books_of(history))
    by_currency: dict[str, int] = {}
    for (_, key), minor in books.items():
        by_currency[key] = by_currency.get(key, 0) + minor
    assert not any(by_currency.values()), "every entry sums to zero per currency"
    if isinstance(state, Captured):
        assert state.captured <= state.authorization.amount
        assert state.given_back <= state.captured
        assert state.fee_given_back <= state.fee
        assert state.fee == state.terms.fee_terms.fee_on(state.captured), "many cost as much as one"
        if state.refunded == state.captured and (
            state.terms.fee_terms.on_refund is FeeOnRefund.PROPORTIONAL
        ):
            assert state.fee_returned == state.fee, "the whole fee goes back with the whole amount"
        assert booked(books, currency) == {
            wallet("acct_silk"): (
                state.net.minor - state.given_back.minor + state.fee_given_back.minor
            ),
            PLATFORM_FEES: state.fee.minor - state.fee_given_back.minor,
            REFUNDS_IN_TRANSIT: state.given_back.minor - state.refunded.minor,
            receivable("scripted"): state.refunded.minor - state.captured.minor,
        }
    else:
        assert not books, "nothing is booked before the money is taken"
    if isinstance(state, Failed | Canceled):
        held = [event for event in history if isinstance(event, PaymentAuthorized)]
        freed = [event for event in history if isinstance(event, PaymentVoided)]
        assert len(held) == len(freed), "nothing is left behind"


def booked(books: Mapping[tuple[Account, str], int], currency: str) -> dict[Account, int]:
    accounts = (wallet("acct_silk"), PLATFORM_FEES, REFUNDS_IN_TRANSIT, receivable("scripted"))
    return {account: books.get((account, currency), 0) for account in accounts}


@given(st.sampled_from(CaptureMethod), st.lists(answers, max_size=12))
def test_the_saga_always_ends(method: CaptureMethod, script: list[ProviderAnswer]) -> None:
    """Whatever a provider answers, if it answers in the end, no payment is left in between."""
    history = list(facts(decide(replace(initiate(), capture_method=method), fold([]))))
    ends = {Outcome.DONE, Outcome.PARK}
    for given_answer in [*script, *[NO] * 20]:
        state = fold(history)
        if outcome(state) in ends or (isinstance(state, Held) and not owed(state)):
            break
        history += facts(decide(fitting(state, given_answer), state))
    state = fold(history)
    assert outcome(state) in ends or (method is CaptureMethod.MANUAL and isinstance(state, Held))


def test_the_terms_are_those_that_were_agreed() -> None:
    """The fee follows from the terms in the payment, whatever the tenant's schedule says now."""
    cheap = replace(initiate(), fee_terms=replace(initiate().fee_terms, basis_points=0))
    (first,) = facts(decide(cheap, fold([])))
    assert isinstance(first, PaymentInitiated)
    (taken,) = facts(decide(answer("capture", APPROVED), fold([first, *TAKING[1:]])))
    assert isinstance(taken, PaymentCaptured)
    assert taken.fee == Money(0, "EUR")


def test_many_captures_cost_what_one_would_have_cost() -> None:
    """The fixed part is taken once, and no cent is gained or lost to rounding on the way."""
    dear = replace(MANUAL_TERMS, fee_terms=FeeTerms(basis_points=290, fixed_minor=30))
    history = [*facts(decide(dear, fold([]))), *ON_HOLD[1:]]
    for number, minor in enumerate((333, 333, 334)):
        asked = RequestCapture(capture_id=f"cap_{number}", amount_minor=minor, final=False)
        for command in (asked, start(f"cap_{number}"), answer(f"cap_{number}", APPROVED)):
            history += facts(decide(command, fold(history)))
    fees = [event.fee.minor for event in history if isinstance(event, PaymentCaptured)]
    assert fees == [40, 9, 10]
    assert sum(fees) == dear.fee_terms.fee_on(TEN).minor == 59
