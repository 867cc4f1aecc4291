"""The life of one payment.

    Unseen ─ Initiate ─▶ Pending ── authorized ──▶ Held ── captured ──▶ Captured
                            │ declined               │ declined
                            ▼                        ▼
                          Undoing ◀──────────────────┘
                            │ voided, then Fail
                            ▼
                          Failed

`decide` answers a command with the facts that follow from it, `evolve` folds a fact into the
state, `owed` says what the saga still has to do, and `outcome` what that means for an execution.
All are pure. A call to a provider is two facts: the intent, appended before the call, and what
became of it. Between the two the state holds the open `Call`, and nobody but the one whose
append created it may make that call.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from functools import reduce
from typing import Final, assert_never

from florin.domain.fees import FeeTerms
from florin.domain.money import Money
from florin.domain.provider import (
    Approved,
    Declined,
    Hardness,
    Method,
    NotAttempted,
    Operation,
    ProviderAnswer,
    Unknown,
)
from florin.domain.refusals import Refusal

ATTEMPTS_MAX: Final = 3
"""How often one operation may be tried when the provider was not reached or answered softly no."""


class RiskDecision(StrEnum):
    ALLOW = "allow"


class Reason(StrEnum):
    """Why a payment failed. Values go on the wire: add, never rename."""

    DECLINED = "declined"
    CAPTURE_DECLINED = "capture_declined"
    PROVIDER_UNAVAILABLE = "provider_unavailable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One attempt at one operation, from its intent until its answer.

    `operation_id` and `attempt` make the provider's idempotency key; `reference` is our name for
    the operation, by which it can be looked up; `owner` is the invocation that may call; after
    `deadline` that invocation is gone and anybody may look the operation up.
    """

    operation: Operation
    operation_id: str
    attempt: int
    reference: str
    owner: str
    deadline: datetime
    unanswered: bool = False

    @property
    def idempotency_key(self) -> str:
        return f"{self.operation_id}:{self.attempt}"


# Commands: what somebody asks for.


@dataclass(frozen=True, slots=True, kw_only=True)
class Initiate:
    """Take `amount` from the holder of `payment_method` for the account `recipient`."""

    tenant_id: str
    amount: Money
    payment_method: str
    recipient: str
    provider: str
    fee_terms: FeeTerms
    description: str | None = None
    customer: str | None = None
    order_id: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordRisk:
    decision: RiskDecision
    assessor: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StartCall:
    """Announce a call that is owed, in the name of the invocation that will make it."""

    operation: Operation
    payment_id: str
    owner: str
    deadline: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordAnswer:
    """What became of the attempt with this idempotency key."""

    idempotency_key: str
    answer: ProviderAnswer


@dataclass(frozen=True, slots=True, kw_only=True)
class Fail:
    """End a payment of which nothing is left to undo."""


Command = Initiate | RecordRisk | StartCall | RecordAnswer | Fail


# Events: what happened, for good.


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentInitiated:
    tenant_id: str
    amount: Money
    payment_method: str
    recipient: str
    provider: str
    fee_terms: FeeTerms
    description: str | None
    customer: str | None
    order_id: str | None
    metadata: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentRiskAssessed:
    decision: RiskDecision
    assessor: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderCallStarted:
    """The intent: from here on the provider may have been asked."""

    operation: Operation
    operation_id: str
    attempt: int
    reference: str
    owner: str
    deadline: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderCallUnanswered:
    """Asked, and no answer came: the operation is unknown until the provider has spoken."""

    operation: Operation
    attempt: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderCallNotAttempted:
    """Certainly not asked, so it may be asked anew."""

    operation: Operation
    attempt: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderCallDeclined:
    operation: Operation
    attempt: int
    code: str
    hardness: Hardness


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentAuthorized:
    """The provider holds the amount for us."""

    amount: Money
    provider_reference: str
    method: Method | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentCaptured:
    """The provider owes us the amount; the recipient gets it less the fee."""

    amount: Money
    fee: Money
    operation_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentVoided:
    """The provider let go of what it held."""

    amount: Money


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentFailed:
    reason: Reason
    code: str


PaymentEvent = (
    PaymentInitiated
    | PaymentRiskAssessed
    | ProviderCallStarted
    | ProviderCallUnanswered
    | ProviderCallNotAttempted
    | ProviderCallDeclined
    | PaymentAuthorized
    | PaymentCaptured
    | PaymentVoided
    | PaymentFailed
)


# States: each carries only what is true in it.


@dataclass(frozen=True, slots=True)
class Unseen: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """Accepted; the provider holds nothing yet, as far as we know."""

    terms: PaymentInitiated
    risk: RiskDecision | None = None
    attempts: int = 0
    call: Call | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """Authorized; the provider holds `authorization.amount`."""

    terms: PaymentInitiated
    authorization: PaymentAuthorized
    attempts: int = 0
    call: Call | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Captured:
    terms: PaymentInitiated
    authorization: PaymentAuthorized
    captured: Money
    fee: Money

    @property
    def net(self) -> Money:
        return self.captured - self.fee


@dataclass(frozen=True, slots=True, kw_only=True)
class Undoing:
    """It will fail; `authorization` is what still has to be given back before it has."""

    terms: PaymentInitiated
    reason: Reason
    code: str
    authorization: PaymentAuthorized | None
    attempts: int = 0
    call: Call | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    terms: PaymentInitiated
    reason: Reason
    code: str


Payment = Unseen | Pending | Held | Captured | Undoing | Failed

INITIAL: Final[Payment] = Unseen()
NOTHING: Final[tuple[PaymentEvent, ...]] = ()


# What the saga owes.


class Step(StrEnum):
    """The saga's steps, by the names of the states of the state machine."""

    ASSESS_RISK = "AssessRisk"
    AUTHORIZE = "Authorize"
    CAPTURE = "Capture"
    VOID = "Void"
    FAILED = "Failed"


class Outcome(StrEnum):
    """What a state means for the execution that reached it."""

    CONTINUE = "continue"
    WAIT = "wait"
    COMPENSATE = "compensate"
    DONE = "done"
    PARK = "park"


OPERATIONS: Final[Mapping[Step, Operation]] = {
    Step.AUTHORIZE: Operation.AUTHORIZATION,
    Step.CAPTURE: Operation.CAPTURE,
    Step.VOID: Operation.VOID,
}


def owed(payment: Payment) -> Step | None:
    """The step that comes next, or is under way."""
    match payment:
        case Unseen() | Captured() | Failed():
            return None
        case Pending(risk=None):
            return Step.ASSESS_RISK
        case Pending():
            return Step.AUTHORIZE
        case Held():
            return Step.CAPTURE
        case Undoing(authorization=None):
            return Step.FAILED
        case Undoing():
            return Step.VOID
        case _:
            assert_never(payment)


def open_call(payment: Payment) -> Call | None:
    """The provider call whose answer is not recorded yet."""
    match payment:
        case Pending(call=call) | Held(call=call) | Undoing(call=call):
            return call
        case _:
            return None


def outcome(payment: Payment) -> Outcome:
    """How an execution goes on from here: the state machine routes on this value alone."""
    if open_call(payment) is not None:
        return Outcome.WAIT
    match payment:
        case Pending() | Held():
            return Outcome.CONTINUE
        case Undoing(authorization=held, attempts=attempts) if held is not None:
            return Outcome.COMPENSATE if attempts < ATTEMPTS_MAX else Outcome.PARK
        case Undoing():
            return Outcome.COMPENSATE
        case Captured() | Failed():
            return Outcome.DONE
        case Unseen():
            return Outcome.PARK
        case _:
            assert_never(payment)


# The decider.


def decide(command: Command, payment: Payment) -> tuple[PaymentEvent, ...] | Refusal:
    """The facts that follow from a command, nothing if they are facts already, or the refusal."""
    match command, payment:
        case Initiate() as asked, Unseen():
            return (_initiated(asked),)
        case Initiate(), _:
            return Refusal.PAYMENT_EXISTS
        case _, Unseen():
            return Refusal.PAYMENT_NOT_FOUND

        case RecordRisk(decision=decision, assessor=assessor), Pending(risk=None):
            return (PaymentRiskAssessed(decision=decision, assessor=assessor),)
        case RecordRisk(), _:
            return NOTHING

        case StartCall() as asked, _:
            return _start(asked, payment)

        case RecordAnswer(idempotency_key=key, answer=answer), Pending() | Held() | Undoing():
            call = payment.call
            if call is None or call.idempotency_key != key:
                return NOTHING
            return _answered(call, answer, payment)
        case RecordAnswer(), _:
            return NOTHING

        case Fail(), Undoing(authorization=None, reason=reason, code=code):
            return (PaymentFailed(reason=reason, code=code),)
        case Fail(), Failed():
            return NOTHING
        case Fail(), _:
            return Refusal.PAYMENT_NOT_UNDONE
        case _:
            raise AssertionError(f"no rule for {command} on {payment}")


def _initiated(asked: Initiate) -> PaymentInitiated:
    return PaymentInitiated(
        tenant_id=asked.tenant_id,
        amount=asked.amount,
        payment_method=asked.payment_method,
        recipient=asked.recipient,
        provider=asked.provider,
        fee_terms=asked.fee_terms,
        description=asked.description,
        customer=asked.customer,
        order_id=asked.order_id,
        metadata=asked.metadata,
    )


def _start(asked: StartCall, payment: Payment) -> tuple[PaymentEvent, ...] | Refusal:
    step = owed(payment)
    operation = OPERATIONS.get(step) if step else None
    match payment:
        case Pending() | Held() | Undoing() if operation is asked.operation:
            if payment.call is not None:
                return Refusal.PROVIDER_ANSWER_PENDING
            if payment.attempts >= ATTEMPTS_MAX:
                return Refusal.ATTEMPTS_EXHAUSTED
            operation_id = f"{asked.payment_id}:{operation}"
            return (
                ProviderCallStarted(
                    operation=operation,
                    operation_id=operation_id,
                    attempt=payment.attempts + 1,
                    reference=operation_id,
                    owner=asked.owner,
                    deadline=asked.deadline,
                ),
            )
        case _:
            return Refusal.NO_CALL_OWED


def _answered(
    call: Call, answer: ProviderAnswer, payment: Pending | Held | Undoing
) -> tuple[PaymentEvent, ...]:
    operation, attempt = call.operation, call.attempt
    match answer, payment:
        case Unknown(), _ if call.unanswered:
            return NOTHING
        case Unknown(reason=reason), _:
            return (ProviderCallUnanswered(operation=operation, attempt=attempt, reason=reason),)
        case NotAttempted(reason=reason), _:
            return (ProviderCallNotAttempted(operation=operation, attempt=attempt, reason=reason),)
        case Declined(code=code, hardness=hardness), _:
            return (
                ProviderCallDeclined(
                    operation=operation, attempt=attempt, code=code, hardness=hardness
                ),
            )
        case Approved() as approved, Pending(terms=terms):
            return (
                PaymentAuthorized(
                    amount=terms.amount,
                    provider_reference=approved.provider_reference,
                    method=approved.method,
                ),
            )
        case Approved(), Held(terms=terms, authorization=held):
            return (
                PaymentCaptured(
                    amount=held.amount,
                    fee=terms.fee_terms.fee_on(held.amount),
                    operation_id=call.operation_id,
                ),
            )
        case Approved(), Undoing(authorization=PaymentAuthorized(amount=amount)):
            return (PaymentVoided(amount=amount),)
        case _:
            raise AssertionError(f"{answer} cannot answer {call} on {payment}")


# The fold.


def evolve(payment: Payment, event: PaymentEvent) -> Payment:
    """The state after a fact. A history that cannot have happened is corruption and raises."""
    match payment, event:
        case Unseen(), PaymentInitiated():
            return Pending(terms=event)
        case Pending(risk=None), PaymentRiskAssessed(decision=decision):
            return replace(payment, risk=decision)

        case (Pending() | Held() | Undoing(), ProviderCallStarted()) if payment.call is None:
            call = Call(
                operation=event.operation,
                operation_id=event.operation_id,
                attempt=event.attempt,
                reference=event.reference,
                owner=event.owner,
                deadline=event.deadline,
            )
            return replace(payment, call=call, attempts=event.attempt)
        case (
            Pending(call=Call() as call) | Held(call=Call() as call) | Undoing(call=Call() as call),
            ProviderCallUnanswered(),
        ):
            return replace(payment, call=replace(call, unanswered=True))
        case (
            Pending(call=Call()) | Held(call=Call()) | Undoing(call=Call()),
            ProviderCallNotAttempted(),
        ):
            return _closed(payment, Reason.PROVIDER_UNAVAILABLE, event.reason, again=True)
        case (
            Pending(call=Call()) | Held(call=Call()) | Undoing(call=Call()),
            ProviderCallDeclined(code=code),
        ):
            declined = Reason.DECLINED if isinstance(payment, Pending) else Reason.CAPTURE_DECLINED
            return _closed(payment, declined, code, again=False)

        case Pending(terms=terms, call=Call()), PaymentAuthorized():
            return Held(terms=terms, authorization=event)
        case Held(terms=terms, authorization=held, call=Call()), PaymentCaptured():
            return Captured(terms=terms, authorization=held, captured=event.amount, fee=event.fee)
        case Undoing(authorization=PaymentAuthorized(), call=Call()), PaymentVoided():
            return replace(payment, authorization=None, call=None, attempts=0)
        case Undoing(terms=terms, authorization=None), PaymentFailed(reason=reason, code=code):
            return Failed(terms=terms, reason=reason, code=code)
        case _:
            # A stream that cannot have happened is corruption, not a case to be lenient about.
            raise AssertionError(f"{event} cannot follow {payment}")


def _closed(
    payment: Pending | Held | Undoing, reason: Reason, code: str, *, again: bool
) -> Payment:
    """The state after a call that moved nothing: try again, or begin to undo."""
    again = again and payment.attempts < ATTEMPTS_MAX
    match payment:
        case Undoing():
            # An undo is tried until its attempts are used up; then `outcome` asks for a person.
            return replace(payment, call=None)
        case Pending() | Held() if again:
            return replace(payment, call=None)
        case Pending(terms=terms):
            return Undoing(terms=terms, reason=reason, code=code, authorization=None)
        case Held(terms=terms, authorization=held):
            return Undoing(terms=terms, reason=reason, code=code, authorization=held)
        case _:
            assert_never(payment)


def fold(events: Iterable[PaymentEvent]) -> Payment:
    return reduce(evolve, events, INITIAL)
