"""The payment decider: rows of history, command and outcome, then theorems over any history."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from florin.domain.chart import PLATFORM_FEES, entry_for, receivable, wallet
from florin.domain.ledger import Entry, balances
from florin.domain.money import Money
from florin.domain.payment import (
    ATTEMPTS_MAX,
    NOTHING,
    OPERATIONS,
    Captured,
    Command,
    Fail,
    Failed,
    Outcome,
    Payment,
    PaymentAuthorized,
    PaymentCaptured,
    PaymentEvent,
    PaymentFailed,
    PaymentInitiated,
    PaymentRiskAssessed,
    PaymentVoided,
    ProviderCallDeclined,
    ProviderCallNotAttempted,
    ProviderCallStarted,
    ProviderCallUnanswered,
    Reason,
    RecordAnswer,
    RecordRisk,
    RiskDecision,
    StartCall,
    Step,
    decide,
    evolve,
    fold,
    open_call,
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

AUTHORIZATION, CAPTURE, VOID = Operation.AUTHORIZATION, Operation.CAPTURE, Operation.VOID
SOON = NOON + timedelta(seconds=12)


def started(operation: Operation, attempt: int = 1) -> ProviderCallStarted:
    return ProviderCallStarted(
        operation=operation,
        operation_id=f"pay_1:{operation}",
        attempt=attempt,
        reference=f"pay_1:{operation}",
        owner="me",
        deadline=SOON,
    )


def start(operation: Operation) -> StartCall:
    return StartCall(operation=operation, payment_id="pay_1", owner="me", deadline=SOON)


def answer(operation: Operation, given: ProviderAnswer, attempt: int = 1) -> RecordAnswer:
    return RecordAnswer(idempotency_key=f"pay_1:{operation}:{attempt}", answer=given)


def unanswered(operation: Operation) -> ProviderCallUnanswered:
    return ProviderCallUnanswered(operation=operation, attempt=1, reason="read_timeout")


def not_attempted(operation: Operation, attempt: int = 1) -> ProviderCallNotAttempted:
    return ProviderCallNotAttempted(operation=operation, attempt=attempt, reason="refused")


def declined(operation: Operation) -> ProviderCallDeclined:
    return ProviderCallDeclined(
        operation=operation, attempt=1, code="card_declined", hardness=Hardness.SOFT
    )


(INITIATED,) = facts(decide(initiate(), fold([])))
ASSESSED = PaymentRiskAssessed(decision=RiskDecision.ALLOW, assessor="pass")
AUTHORIZED = PaymentAuthorized(amount=TEN, provider_reference="ch_1", method=VISA)
CAPTURED = PaymentCaptured(amount=TEN, fee=Money(30, "EUR"), operation_id="pay_1:capture")
VOIDED = PaymentVoided(amount=TEN)
FAILED = PaymentFailed(reason=Reason.DECLINED, code="card_declined")
UNDONE = PaymentFailed(reason=Reason.CAPTURE_DECLINED, code="card_declined")

APPROVED = Approved(provider_reference="ch_1", method=VISA)
NO = Declined(code="card_declined", hardness=Hardness.SOFT)
SILENCE = Unknown(reason="read_timeout")
UNREACHED = NotAttempted(reason="refused")

NEW: list[PaymentEvent] = [INITIATED, ASSESSED]
ASKING = [*NEW, started(AUTHORIZATION)]
HELD = [*ASKING, AUTHORIZED]
TAKING = [*HELD, started(CAPTURE)]
PAID = [*TAKING, CAPTURED]
REFUSED = [*ASKING, declined(AUTHORIZATION)]
UNDOING = [*TAKING, declined(CAPTURE)]
LETTING_GO = [*UNDOING, started(VOID)]
UNREACHABLE = [
    *NEW,
    *(
        event
        for attempt in range(1, ATTEMPTS_MAX + 1)
        for event in (started(AUTHORIZATION, attempt), not_attempted(AUTHORIZATION, attempt))
    ),
]


@pytest.mark.parametrize(
    ("given", "when", "then"),
    [
        ([], initiate(), (INITIATED,)),
        ([], RecordRisk(decision=RiskDecision.ALLOW, assessor="pass"), Refusal.PAYMENT_NOT_FOUND),
        ([], Fail(), Refusal.PAYMENT_NOT_FOUND),
        (NEW, initiate(), Refusal.PAYMENT_EXISTS),
        ([INITIATED], RecordRisk(decision=RiskDecision.ALLOW, assessor="pass"), (ASSESSED,)),
        ([INITIATED], start(AUTHORIZATION), Refusal.NO_CALL_OWED),
        (NEW, RecordRisk(decision=RiskDecision.ALLOW, assessor="pass"), NOTHING),
        (NEW, start(AUTHORIZATION), (started(AUTHORIZATION),)),
        (NEW, start(CAPTURE), Refusal.NO_CALL_OWED),
        (NEW, start(VOID), Refusal.NO_CALL_OWED),
        (NEW, answer(AUTHORIZATION, APPROVED), NOTHING),
        (NEW, Fail(), Refusal.PAYMENT_NOT_UNDONE),
        (ASKING, start(AUTHORIZATION), Refusal.PROVIDER_ANSWER_PENDING),
        (ASKING, answer(AUTHORIZATION, APPROVED), (AUTHORIZED,)),
        (ASKING, answer(AUTHORIZATION, APPROVED, attempt=2), NOTHING),
        (ASKING, answer(AUTHORIZATION, NO), (declined(AUTHORIZATION),)),
        (ASKING, answer(AUTHORIZATION, SILENCE), (unanswered(AUTHORIZATION),)),
        (ASKING, answer(AUTHORIZATION, UNREACHED), (not_attempted(AUTHORIZATION),)),
        (ASKING, Fail(), Refusal.PAYMENT_NOT_UNDONE),
        ([*ASKING, unanswered(AUTHORIZATION)], answer(AUTHORIZATION, SILENCE), NOTHING),
        ([*ASKING, unanswered(AUTHORIZATION)], answer(AUTHORIZATION, APPROVED), (AUTHORIZED,)),
        (
            [*ASKING, unanswered(AUTHORIZATION)],
            start(AUTHORIZATION),
            Refusal.PROVIDER_ANSWER_PENDING,
        ),
        (
            [*ASKING, not_attempted(AUTHORIZATION)],
            start(AUTHORIZATION),
            (started(AUTHORIZATION, attempt=2),),
        ),
        ([*ASKING, not_attempted(AUTHORIZATION)], answer(AUTHORIZATION, APPROVED), NOTHING),
        (HELD, start(AUTHORIZATION), Refusal.NO_CALL_OWED),
        (HELD, start(CAPTURE), (started(CAPTURE),)),
        (HELD, answer(AUTHORIZATION, APPROVED), NOTHING),
        (HELD, Fail(), Refusal.PAYMENT_NOT_UNDONE),
        (TAKING, answer(CAPTURE, APPROVED), (CAPTURED,)),
        (TAKING, answer(CAPTURE, NO), (declined(CAPTURE),)),
        (TAKING, answer(CAPTURE, SILENCE), (unanswered(CAPTURE),)),
        (PAID, start(CAPTURE), Refusal.NO_CALL_OWED),
        (PAID, answer(CAPTURE, APPROVED), NOTHING),
        (PAID, Fail(), Refusal.PAYMENT_NOT_UNDONE),
        (REFUSED, start(AUTHORIZATION), Refusal.NO_CALL_OWED),
        (REFUSED, Fail(), (FAILED,)),
        ([*REFUSED, FAILED], Fail(), NOTHING),
        ([*REFUSED, FAILED], start(AUTHORIZATION), Refusal.NO_CALL_OWED),
        ([*REFUSED, FAILED], answer(AUTHORIZATION, APPROVED), NOTHING),
        (UNDOING, start(CAPTURE), Refusal.NO_CALL_OWED),
        (UNDOING, start(VOID), (started(VOID),)),
        (UNDOING, Fail(), Refusal.PAYMENT_NOT_UNDONE),
        (LETTING_GO, answer(VOID, APPROVED), (VOIDED,)),
        (LETTING_GO, Fail(), Refusal.PAYMENT_NOT_UNDONE),
        ([*LETTING_GO, VOIDED], start(VOID), Refusal.NO_CALL_OWED),
        ([*LETTING_GO, VOIDED], Fail(), (UNDONE,)),
        (UNREACHABLE, start(AUTHORIZATION), Refusal.NO_CALL_OWED),
        (
            UNREACHABLE,
            Fail(),
            (PaymentFailed(reason=Reason.PROVIDER_UNAVAILABLE, code="refused"),),
        ),
    ],
)
def test_given_when_then(
    given: list[PaymentEvent], when: Command, then: tuple[PaymentEvent, ...] | Refusal
) -> None:
    assert decide(when, fold(given)) == then


@pytest.mark.parametrize(
    ("given", "step", "goes_on"),
    [
        ([], None, Outcome.PARK),
        ([INITIATED], Step.ASSESS_RISK, Outcome.CONTINUE),
        (NEW, Step.AUTHORIZE, Outcome.CONTINUE),
        (ASKING, Step.AUTHORIZE, Outcome.WAIT),
        ([*ASKING, unanswered(AUTHORIZATION)], Step.AUTHORIZE, Outcome.WAIT),
        ([*ASKING, not_attempted(AUTHORIZATION)], Step.AUTHORIZE, Outcome.CONTINUE),
        (HELD, Step.CAPTURE, Outcome.CONTINUE),
        (TAKING, Step.CAPTURE, Outcome.WAIT),
        (PAID, None, Outcome.DONE),
        (REFUSED, Step.FAILED, Outcome.COMPENSATE),
        (UNREACHABLE, Step.FAILED, Outcome.COMPENSATE),
        ([*REFUSED, FAILED], None, Outcome.DONE),
        (UNDOING, Step.VOID, Outcome.COMPENSATE),
        (LETTING_GO, Step.VOID, Outcome.WAIT),
        ([*LETTING_GO, VOIDED], Step.FAILED, Outcome.COMPENSATE),
        ([*LETTING_GO, VOIDED, UNDONE], None, Outcome.DONE),
    ],
)
def test_what_a_state_owes(given: list[PaymentEvent], step: Step | None, goes_on: Outcome) -> None:
    state = fold(given)
    assert (owed(state), outcome(state)) == (step, goes_on)


def test_an_undo_that_never_succeeds_asks_for_a_person() -> None:
    history = list(UNDOING)
    for attempt in range(1, ATTEMPTS_MAX + 1):
        assert outcome(fold(history)) is Outcome.COMPENSATE
        history += [started(VOID, attempt), not_attempted(VOID, attempt)]
    assert outcome(fold(history)) is Outcome.PARK
    assert decide(start(VOID), fold(history)) is Refusal.ATTEMPTS_EXHAUSTED


@pytest.mark.parametrize(
    "history",
    [
        [ASSESSED],
        [INITIATED, INITIATED],
        [INITIATED, started(AUTHORIZATION), started(AUTHORIZATION)],
        [*NEW, AUTHORIZED],
        [*NEW, unanswered(AUTHORIZATION)],
        [*NEW, declined(AUTHORIZATION)],
        [*HELD, CAPTURED],
        [*PAID, CAPTURED],
        [*PAID, VOIDED],
        [*PAID, FAILED],
        [*UNDOING, UNDONE],
        [*REFUSED, FAILED, FAILED],
    ],
)
def test_a_history_that_cannot_have_happened_is_corruption(history: list[PaymentEvent]) -> None:
    with pytest.raises(AssertionError, match="cannot follow"):
        fold(history)


# Any history: commands that fit the state more often than not, so that the deep states are met.

answers = st.sampled_from([APPROVED, NO, SILENCE, UNREACHED])
amounts = st.sampled_from([Money(1, "EUR"), TEN, Money(333, "JPY")])


def fitting(state: Payment, given: ProviderAnswer) -> Command:
    """The command that the saga would give next, with the answer that chance gives."""
    call = open_call(state)
    if call is not None:
        return RecordAnswer(idempotency_key=call.idempotency_key, answer=given)
    match owed(state):
        case Step.ASSESS_RISK:
            return RecordRisk(decision=RiskDecision.ALLOW, assessor="pass")
        case Step.FAILED | None:
            return Fail()
        case step:
            return start(OPERATIONS[step])


wild = st.one_of(
    st.builds(initiate, amounts),
    st.builds(start, st.sampled_from(Operation)),
    st.builds(answer, st.sampled_from(Operation), answers, st.integers(1, 3)),
    st.just(Fail()),
)


def books_of(history: list[PaymentEvent]) -> list[Entry]:
    entries, state = [], fold([])
    for event in history:
        entry = entry_for(state, event)
        if entry is not None:
            entries.append(entry)
        state = evolve(state, event)
    return entries


@settings(max_examples=300)
@given(amounts, st.lists(st.one_of(answers, wild), max_size=24))
def test_any_history_keeps_the_promises(
    amount: Money, moves: list[ProviderAnswer | Command]
) -> None:
    history = list(facts(decide(initiate(amount), fold([]))))
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
        if isinstance(state, Captured | Failed):
            assert decided == NOTHING, "terminal is terminal"
        history += decided
        again = decide(command, fold(history))
        assert again == NOTHING or isinstance(again, Refusal), "a repeated command changes nothing"

    state = fold(history)
    books = balances(books_of(history))
    by_currency: dict[str, int] = {}
    for (_, currency), minor in books.items():
        by_currency[currency] = by_currency.get(currency, 0) + minor
    assert not any(by_currency.values()), "every entry sums to zero per currency"
    if isinstance(state, Captured):
        assert state.captured <= state.authorization.amount
        assert books[wallet("acct_silk"), amount.currency] == state.net.minor
        assert books.get((PLATFORM_FEES, amount.currency), 0) == state.fee.minor
        assert books[receivable("scripted"), amount.currency] == -state.captured.minor
    else:
        assert not books, "nothing is booked before the money is taken"
    if isinstance(state, Failed):
        held = [event for event in history if isinstance(event, PaymentAuthorized)]
        freed = [event for event in history if isinstance(event, PaymentVoided)]
        assert len(held) == len(freed), "nothing is left behind"


@given(st.lists(answers, min_size=0, max_size=12))
def test_the_saga_always_ends(script: list[ProviderAnswer]) -> None:
    """Whatever a provider answers, if it answers in the end, no payment is left in between."""
    history: list[PaymentEvent] = [INITIATED]
    for given_answer in [*script, *[NO] * 20]:
        state = fold(history)
        if outcome(state) in {Outcome.DONE, Outcome.PARK}:
            break
        decided = decide(fitting(state, given_answer), state)
        assert not isinstance(decided, Refusal), decided
        history += decided
    assert outcome(fold(history)) in {Outcome.DONE, Outcome.PARK}


def test_the_terms_are_those_that_were_agreed() -> None:
    """The fee follows from the terms in the payment, whatever the tenant's schedule says now."""
    cheap = replace(initiate(), fee_terms=replace(initiate().fee_terms, basis_points=0))
    (first,) = facts(decide(cheap, fold([])))
    assert isinstance(first, PaymentInitiated)
    (captured,) = facts(decide(answer(CAPTURE, APPROVED), fold([first, *TAKING[1:]])))
    assert isinstance(captured, PaymentCaptured)
    assert captured.fee == Money(0, "EUR")
