"""The life of one payment.

    Unseen ─ Initiate ─▶ Pending ── authorized ──▶ Held ── captured ──▶ Captured ◀─ refunds
                            │ declined, canceled     │ declined, canceled
                            ▼                        ▼
                          Undoing ◀──────────────────┘
                            │ voided, then Finish
                            ▼
                          Failed | Canceled

`decide` answers a command with the facts that follow from it, `evolve` folds a fact into the
state, `owed` says what the saga still has to do, and `outcome` what that means for an execution.
All are pure.

A call to a provider is two facts: the intent, appended before the call, and what became of it.
Between the two the state holds the open `Call`, and nobody but the one whose append created it
may make that call. What an amount may not exceed is checked by the fact that takes it: a capture
or refund that was requested counts until it has failed.
"""

from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
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
"""How often one operation may be tried when the provider was not reached."""

AUTHORIZATION: Final = "authorization"
CAPTURE: Final = "capture"
VOID: Final = "void"
"""The ids, within a payment, of the operations of which there is one at most."""


class RiskDecision(StrEnum):
    ALLOW = "allow"


class CaptureMethod(StrEnum):
    """Whether what is authorized is captured at once, or when the merchant says so."""

    AUTOMATIC = "automatic"
    MANUAL = "manual"


class Reason(StrEnum):
    """Why a payment failed. Values go on the wire: add, never rename."""

    DECLINED = "declined"
    CAPTURE_DECLINED = "capture_declined"
    PROVIDER_UNAVAILABLE = "provider_unavailable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One attempt at one operation, from its intent until its answer.

    `reference` is our name for the operation, by which it can be looked up, and with `attempt` it
    makes the provider's idempotency key; `owner` is the invocation that may call; after
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
        return f"{self.reference}:{self.attempt}"


# Commands: what somebody asks for.


@dataclass(frozen=True, slots=True, kw_only=True)
class Initiate:
    """Take `amount` from the holder of `payment_method` for the account `recipient`."""

    tenant_id: str
    amount: Money
    payment_method: str = field(repr=False)
    recipient: str
    provider: str
    fee_terms: FeeTerms
    capture_method: CaptureMethod = CaptureMethod.AUTOMATIC
    description: str | None = None
    customer: str | None = None
    order_id: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestCapture:
    """Take `amount`, or all that is left, of what is held; `final` lets go of the rest."""

    capture_id: str
    amount_minor: int | None = None
    final: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestCancel:
    """Let go of what is held, before any of it is taken."""

    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestRefund:
    """Give back `amount`, or all that is left, of what was captured."""

    refund_id: str
    amount_minor: int | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordRisk:
    decision: RiskDecision
    assessor: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StartCall:
    """Announce a call that is owed, in the name of the invocation that will make it."""

    payment_id: str
    operation_id: str
    owner: str
    deadline: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordAnswer:
    """What became of the attempt with this idempotency key."""

    idempotency_key: str
    answer: ProviderAnswer


@dataclass(frozen=True, slots=True, kw_only=True)
class Finish:
    """End a payment of which nothing is left to undo."""


Command = (
    Initiate
    | RequestCapture
    | RequestCancel
    | RequestRefund
    | RecordRisk
    | StartCall
    | RecordAnswer
    | Finish
)


# Events: what happened, for good.


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentInitiated:
    tenant_id: str
    amount: Money
    payment_method: str = field(repr=False)
    recipient: str
    provider: str
    fee_terms: FeeTerms
    capture_method: CaptureMethod = CaptureMethod.AUTOMATIC
    description: str | None = None
    customer: str | None = None
    order_id: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)


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
    operation_id: str
    attempt: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderCallNotAttempted:
    """Certainly not asked, so it may be asked anew."""

    operation: Operation
    operation_id: str
    attempt: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderCallDeclined:
    operation: Operation
    operation_id: str
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
class PaymentCaptureRequested:
    """The merchant wants it taken. From here on the amount counts as taken."""

    capture_id: str
    amount: Money
    final: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentCaptured:
    """The provider owes us the amount; the recipient gets it less the fee.

    `released` is what a final capture left of the authorization.
    """

    capture_id: str
    amount: Money
    fee: Money
    released: Money
    final: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentCancelRequested:
    reason: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentVoided:
    """The provider let go of what it held."""

    amount: Money


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentFailed:
    reason: Reason
    code: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentCanceled:
    reason: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentRefundRequested:
    """The recipient's part of it is taken from the wallet here, and is on its way back."""

    refund_id: str
    amount: Money
    fee_returned: Money
    reason: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentRefunded:
    refund_id: str
    amount: Money


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentRefundFailed:
    """The provider did not give it back, so the recipient and the platform have it again."""

    refund_id: str
    amount: Money
    fee_returned: Money
    code: str


PaymentEvent = (
    PaymentInitiated
    | PaymentRiskAssessed
    | ProviderCallStarted
    | ProviderCallUnanswered
    | ProviderCallNotAttempted
    | ProviderCallDeclined
    | PaymentAuthorized
    | PaymentCaptureRequested
    | PaymentCaptured
    | PaymentCancelRequested
    | PaymentVoided
    | PaymentFailed
    | PaymentCanceled
    | PaymentRefundRequested
    | PaymentRefunded
    | PaymentRefundFailed
)


# States: each carries only what is true in it.


@dataclass(frozen=True, slots=True, kw_only=True)
class Capture:
    """A capture that is asked for and not answered."""

    capture_id: str
    amount: Money
    final: bool
    attempts: int = 0
    call: Call | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Refund:
    """A refund that is asked for and not answered."""

    refund_id: str
    amount: Money
    fee_returned: Money
    attempts: int = 0
    call: Call | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Failing:
    reason: Reason
    code: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Canceling:
    reason: str | None


Ending = Failing | Canceling


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
    """Authorized, and nothing of it captured."""

    terms: PaymentInitiated
    authorization: PaymentAuthorized
    capture: Capture | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Captured:
    """Something was captured; `closed` when nothing more can be.

    `refunded` and `fee_returned` are what went back, `refunds` what is on its way.
    """

    terms: PaymentInitiated
    authorization: PaymentAuthorized
    captured: Money
    fee: Money
    closed: bool
    refunded: Money
    fee_returned: Money
    capture: Capture | None = None
    refunds: Mapping[str, Refund] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.captured <= self.authorization.amount:
            raise ValueError(f"more captured than authorized: {self}")
        if not self.given_back <= self.captured:
            raise ValueError(f"more given back than captured: {self}")

    @property
    def net(self) -> Money:
        """What the recipient got, before refunds."""
        return self.captured - self.fee

    @property
    def capturable(self) -> Money:
        return self.authorization.amount - self.captured

    @property
    def given_back(self) -> Money:
        """What went back or is on its way."""
        return sum((refund.amount for refund in self.refunds.values()), self.refunded)

    @property
    def refundable(self) -> Money:
        return self.captured - self.given_back

    @property
    def fee_given_back(self) -> Money:
        return sum((refund.fee_returned for refund in self.refunds.values()), self.fee_returned)


@dataclass(frozen=True, slots=True, kw_only=True)
class Undoing:
    """It will end; `authorization` is what still has to be given back before it has."""

    terms: PaymentInitiated
    ending: Ending
    authorization: PaymentAuthorized | None
    attempts: int = 0
    call: Call | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    terms: PaymentInitiated
    reason: Reason
    code: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Canceled:
    terms: PaymentInitiated
    reason: str | None


Payment = Unseen | Pending | Held | Captured | Undoing | Failed | Canceled

INITIAL: Final[Payment] = Unseen()
NOTHING: Final[tuple[PaymentEvent, ...]] = ()


# What the saga owes.


class Step(StrEnum):
    """The saga's steps, by the names of the states of the state machines."""

    ASSESS_RISK = "AssessRisk"
    AUTHORIZE = "Authorize"
    CAPTURE = "Capture"
    REFUND = "Refund"
    VOID = "Void"
    FINISH = "Finish"


class Outcome(StrEnum):
    """What a state means for the execution that reached it."""

    CONTINUE = "continue"
    WAIT = "wait"
    COMPENSATE = "compensate"
    DONE = "done"
    PARK = "park"


@dataclass(frozen=True, slots=True, kw_only=True)
class Owed:
    """Something that the saga has to do; `call` while it is under way at a provider."""

    step: Step
    operation: Operation | None = None
    operation_id: str = ""
    attempts: int = 0
    call: Call | None = None


def owed(payment: Payment) -> tuple[Owed, ...]:
    """What comes next, or is under way."""
    match payment:
        case Unseen() | Failed() | Canceled():
            return ()
        case Pending(risk=None):
            return (Owed(step=Step.ASSESS_RISK),)
        case Pending(attempts=attempts, call=call):
            return (
                Owed(
                    step=Step.AUTHORIZE,
                    operation=Operation.AUTHORIZATION,
                    operation_id=AUTHORIZATION,
                    attempts=attempts,
                    call=call,
                ),
            )
        case Held(terms=terms, capture=None):
            automatic = terms.capture_method is CaptureMethod.AUTOMATIC
            return (_owed_capture(CAPTURE, 0, None),) if automatic else ()
        case Held(capture=capture) if capture is not None:
            return (_owed_capture(capture.capture_id, capture.attempts, capture.call),)
        case Captured() as captured:
            return tuple(_owed_after_capture(captured))
        case Undoing(authorization=None):
            return (Owed(step=Step.FINISH),)
        case Undoing(attempts=attempts, call=call):
            return (
                Owed(
                    step=Step.VOID,
                    operation=Operation.VOID,
                    operation_id=VOID,
                    attempts=attempts,
                    call=call,
                ),
            )
        case _:
            raise AssertionError(f"nobody knows what {payment} owes")


def _owed_capture(capture_id: str, attempts: int, call: Call | None) -> Owed:
    return Owed(
        step=Step.CAPTURE,
        operation=Operation.CAPTURE,
        operation_id=capture_id,
        attempts=attempts,
        call=call,
    )


def _owed_after_capture(payment: Captured) -> Iterator[Owed]:
    if payment.capture is not None:
        capture = payment.capture
        yield _owed_capture(capture.capture_id, capture.attempts, capture.call)
    for refund in payment.refunds.values():
        yield Owed(
            step=Step.REFUND,
            operation=Operation.REFUND,
            operation_id=refund.refund_id,
            attempts=refund.attempts,
            call=refund.call,
        )


def open_calls(payment: Payment) -> tuple[Call, ...]:
    """The provider calls whose answers are not recorded yet."""
    return tuple(item.call for item in owed(payment) if item.call is not None)


def outcome(payment: Payment, steps: AbstractSet[Step] = frozenset(Step)) -> Outcome:
    """How an execution that can do these steps goes on: its state machine routes on this alone."""
    items = [item for item in owed(payment) if item.step in steps]
    ready = [item for item in items if item.call is None]
    if isinstance(payment, Unseen):
        return Outcome.PARK
    if isinstance(payment, Undoing) and ready:
        exhausted = payment.attempts >= ATTEMPTS_MAX and payment.authorization is not None
        return Outcome.PARK if exhausted else Outcome.COMPENSATE
    if ready:
        return Outcome.CONTINUE
    if items or isinstance(payment, Held):
        return Outcome.WAIT
    return Outcome.DONE


# The decider.


def decide(command: Command, payment: Payment) -> tuple[PaymentEvent, ...] | Refusal:
    """The facts that follow from a command, nothing if they are facts already, or the refusal."""
    match command:
        case Initiate():
            return (_initiated(command),) if payment == INITIAL else Refusal.PAYMENT_EXISTS
        case _ if payment == INITIAL:
            return Refusal.PAYMENT_NOT_FOUND
        case RequestCapture():
            return _request_capture(command, payment)
        case RequestCancel():
            return _request_cancel(command, payment)
        case RequestRefund():
            return _request_refund(command, payment)
        case RecordRisk():
            if isinstance(payment, Pending) and payment.risk is None:
                return (PaymentRiskAssessed(decision=command.decision, assessor=command.assessor),)
            return NOTHING
        case StartCall():
            return _start(command, payment)
        case RecordAnswer():
            for call in open_calls(payment):
                if call.idempotency_key == command.idempotency_key:
                    return _answered(call, command.answer, payment)
            return NOTHING
        case Finish():
            return _finish(payment)
        case _:
            assert_never(command)


def _initiated(asked: Initiate) -> PaymentInitiated:
    return PaymentInitiated(
        tenant_id=asked.tenant_id,
        amount=asked.amount,
        payment_method=asked.payment_method,
        recipient=asked.recipient,
        provider=asked.provider,
        fee_terms=asked.fee_terms,
        capture_method=asked.capture_method,
        description=asked.description,
        customer=asked.customer,
        order_id=asked.order_id,
        metadata=asked.metadata,
    )


def _request_capture(asked: RequestCapture, payment: Payment) -> tuple[PaymentEvent, ...] | Refusal:
    match payment:
        case Pending():
            return Refusal.PAYMENT_NOT_AUTHORIZED
        case Undoing(ending=Canceling()) | Canceled():
            return Refusal.PAYMENT_CANCELED
        case Undoing() | Failed():
            return Refusal.PAYMENT_FAILED
        case Captured(closed=True):
            return Refusal.PAYMENT_CAPTURED
        case Held(capture=Capture()) | Captured(capture=Capture()):
            return Refusal.PROVIDER_ANSWER_PENDING
        case Held(terms=terms) if terms.capture_method is CaptureMethod.AUTOMATIC:
            return Refusal.PROVIDER_ANSWER_PENDING
        case Held(authorization=PaymentAuthorized(amount=left)) | Captured(capturable=left):
            amount = (
                left if asked.amount_minor is None else Money(asked.amount_minor, left.currency)
            )
            if not amount <= left:
                return Refusal.AMOUNT_EXCEEDS_AUTHORIZATION
            return (
                PaymentCaptureRequested(
                    capture_id=asked.capture_id, amount=amount, final=asked.final or amount == left
                ),
            )
        case _:
            raise AssertionError(f"no rule for {asked} on {payment}")


def _amount_or_all(asked_minor: int | None, left: Money) -> Money:
    return left if asked_minor is None else Money(asked_minor, left.currency)


def _request_cancel(asked: RequestCancel, payment: Payment) -> tuple[PaymentEvent, ...] | Refusal:
    match payment:
        case Pending(call=None) | Held(capture=None):
            return (PaymentCancelRequested(reason=asked.reason),)
        case Pending() | Held():
            return Refusal.PROVIDER_ANSWER_PENDING
        case Captured():
            return Refusal.PAYMENT_CAPTURED
        case Undoing(ending=Canceling()) | Canceled():
            return Refusal.PAYMENT_CANCELED
        case Undoing() | Failed():
            return Refusal.PAYMENT_FAILED
        case _:
            raise AssertionError(f"no rule for {asked} on {payment}")


def _request_refund(asked: RequestRefund, payment: Payment) -> tuple[PaymentEvent, ...] | Refusal:
    match payment:
        case Captured() as paid:
            left = paid.refundable
            amount = (
                left if asked.amount_minor is None else Money(asked.amount_minor, left.currency)
            )
            if amount.is_zero or not amount <= left:
                return Refusal.AMOUNT_EXCEEDS_REFUNDABLE
            returned = paid.terms.fee_terms.returned_on(
                fee=paid.fee,
                captured=paid.captured,
                refunded=paid.given_back,
                returned=paid.fee_given_back,
                amount=amount,
            )
            return (
                PaymentRefundRequested(
                    refund_id=asked.refund_id,
                    amount=amount,
                    fee_returned=returned,
                    reason=asked.reason,
                ),
            )
        case Pending():
            return Refusal.PAYMENT_NOT_AUTHORIZED
        case Held() if owed(payment):
            return Refusal.PROVIDER_ANSWER_PENDING
        case Held():
            return Refusal.PAYMENT_NOT_CAPTURED
        case Undoing(ending=Canceling()) | Canceled():
            return Refusal.PAYMENT_CANCELED
        case Undoing() | Failed():
            return Refusal.PAYMENT_FAILED
        case _:
            raise AssertionError(f"no rule for {asked} on {payment}")


def _start(asked: StartCall, payment: Payment) -> tuple[PaymentEvent, ...] | Refusal:
    for item in owed(payment):
        if item.operation is None or item.operation_id != asked.operation_id:
            continue
        if item.call is not None:
            return Refusal.PROVIDER_ANSWER_PENDING
        if item.attempts >= ATTEMPTS_MAX:
            return Refusal.ATTEMPTS_EXHAUSTED
        return (
            ProviderCallStarted(
                operation=item.operation,
                operation_id=item.operation_id,
                attempt=item.attempts + 1,
                reference=f"{asked.payment_id}:{item.operation_id}",
                owner=asked.owner,
                deadline=asked.deadline,
            ),
        )
    return Refusal.NO_CALL_OWED


def _answered(call: Call, answer: ProviderAnswer, payment: Payment) -> tuple[PaymentEvent, ...]:
    operation, operation_id, attempt = call.operation, call.operation_id, call.attempt
    match answer:
        case Unknown(reason=reason):
            if call.unanswered:
                return NOTHING
            return (
                ProviderCallUnanswered(
                    operation=operation, operation_id=operation_id, attempt=attempt, reason=reason
                ),
            )
        case NotAttempted(reason=reason):
            closed = ProviderCallNotAttempted(
                operation=operation, operation_id=operation_id, attempt=attempt, reason=reason
            )
            last = attempt >= ATTEMPTS_MAX
            return (closed, *_refund_failed(call, payment, reason)) if last else (closed,)
        case Declined(code=code, hardness=hardness):
            declined = ProviderCallDeclined(
                operation=operation,
                operation_id=operation_id,
                attempt=attempt,
                code=code,
                hardness=hardness,
            )
            return (declined, *_refund_failed(call, payment, code))
        case Approved():
            return (_approved(call, answer, payment),)
        case _:
            assert_never(answer)


def _refund_failed(call: Call, payment: Payment, code: str) -> tuple[PaymentEvent, ...]:
    """What a refund that will not happen gives back to those who had paid for it."""
    if call.operation is not Operation.REFUND or not isinstance(payment, Captured):
        return ()
    refund = payment.refunds[call.operation_id]
    return (
        PaymentRefundFailed(
            refund_id=refund.refund_id,
            amount=refund.amount,
            fee_returned=refund.fee_returned,
            code=code,
        ),
    )


def _approved(call: Call, answer: Approved, payment: Payment) -> PaymentEvent:
    match call.operation, payment:
        case Operation.AUTHORIZATION, Pending(terms=terms):
            return PaymentAuthorized(
                amount=terms.amount,
                provider_reference=answer.provider_reference,
                method=answer.method,
            )
        case Operation.CAPTURE, Held(terms=terms, authorization=held, capture=capture) if capture:
            return _captured(terms, capture, Money(0, held.amount.currency), held.amount)
        case Operation.CAPTURE, Captured(terms=terms, capture=capture) as paid if capture:
            return _captured(terms, capture, paid.captured, paid.capturable)
        case Operation.VOID, Undoing(authorization=PaymentAuthorized(amount=amount)):
            return PaymentVoided(amount=amount)
        case Operation.REFUND, Captured(refunds=refunds):
            refund = refunds[call.operation_id]
            return PaymentRefunded(refund_id=refund.refund_id, amount=refund.amount)
        case _:
            raise AssertionError(f"{answer} cannot answer {call} on {payment}")


def _captured(
    terms: PaymentInitiated, capture: Capture, before: Money, left: Money
) -> PaymentCaptured:
    rest = left - capture.amount
    return PaymentCaptured(
        capture_id=capture.capture_id,
        amount=capture.amount,
        fee=terms.fee_terms.fee_on_next(before, capture.amount),
        released=rest if capture.final else Money(0, rest.currency),
        final=capture.final,
    )


def _finish(payment: Payment) -> tuple[PaymentEvent, ...] | Refusal:
    match payment:
        case Undoing(authorization=None, ending=Failing(reason=reason, code=code)):
            return (PaymentFailed(reason=reason, code=code),)
        case Undoing(authorization=None, ending=Canceling(reason=why)):
            return (PaymentCanceled(reason=why),)
        case Failed() | Canceled():
            return NOTHING
        case _:
            return Refusal.PAYMENT_NOT_UNDONE


# The fold.


def evolve(payment: Payment, event: PaymentEvent) -> Payment:
    """The state after a fact. A history that cannot have happened is corruption and raises."""
    match payment, event:
        case Unseen(), PaymentInitiated():
            return Pending(terms=event)
        case Pending(risk=None, call=None), PaymentRiskAssessed(decision=decision):
            return replace(payment, risk=decision)
        case Pending(terms=terms, call=Call()), PaymentAuthorized():
            return Held(terms=terms, authorization=event)

        case Held(capture=None), PaymentCaptureRequested():
            return replace(payment, capture=_wanted(event))
        case Captured(closed=False, capture=None), PaymentCaptureRequested():
            return replace(payment, capture=_wanted(event))
        case Held(capture=Capture(call=Call())), PaymentCaptured():
            nothing = Money(0, event.amount.currency)
            return Captured(
                terms=payment.terms,
                authorization=payment.authorization,
                captured=event.amount,
                fee=event.fee,
                closed=event.final,
                refunded=nothing,
                fee_returned=nothing,
            )
        case Captured(capture=Capture(call=Call())), PaymentCaptured():
            return replace(
                payment,
                captured=payment.captured + event.amount,
                fee=payment.fee + event.fee,
                closed=event.final,
                capture=None,
            )

        case Pending(terms=terms, call=None), PaymentCancelRequested(reason=reason):
            return Undoing(terms=terms, ending=Canceling(reason=reason), authorization=None)
        case Held(terms=terms, authorization=held, capture=None), PaymentCancelRequested():
            return Undoing(terms=terms, ending=Canceling(reason=event.reason), authorization=held)
        case Undoing(authorization=PaymentAuthorized(), call=Call()), PaymentVoided():
            return replace(payment, authorization=None, call=None, attempts=0)
        case Undoing(terms=terms, authorization=None, ending=Failing()), PaymentFailed():
            return Failed(terms=terms, reason=event.reason, code=event.code)
        case Undoing(terms=terms, authorization=None, ending=Canceling()), PaymentCanceled():
            return Canceled(terms=terms, reason=event.reason)

        case Captured(), PaymentRefundRequested(refund_id=refund_id) if (
            refund_id not in payment.refunds
        ):
            refund = Refund(
                refund_id=refund_id, amount=event.amount, fee_returned=event.fee_returned
            )
            return replace(payment, refunds={**payment.refunds, refund_id: refund})
        case Captured(), PaymentRefunded(refund_id=refund_id) if refund_id in payment.refunds:
            refund, refunds = _without(payment.refunds, refund_id)
            return replace(
                payment,
                refunds=refunds,
                refunded=payment.refunded + refund.amount,
                fee_returned=payment.fee_returned + refund.fee_returned,
            )
        case Captured(), PaymentRefundFailed(refund_id=refund_id) if refund_id in payment.refunds:
            return replace(payment, refunds=_without(payment.refunds, refund_id)[1])

        case _, (
            ProviderCallStarted()
            | ProviderCallUnanswered()
            | ProviderCallNotAttempted()
            | ProviderCallDeclined()
        ):
            return _called(payment, event)
        case _:
            # A stream that cannot have happened is corruption, not a case to be lenient about.
            raise AssertionError(f"{event} cannot follow {payment}")


def _wanted(event: PaymentCaptureRequested) -> Capture:
    return Capture(capture_id=event.capture_id, amount=event.amount, final=event.final)


def _without(refunds: Mapping[str, Refund], refund_id: str) -> tuple[Refund, Mapping[str, Refund]]:
    return refunds[refund_id], {key: kept for key, kept in refunds.items() if key != refund_id}


ProviderCallEvent = (
    ProviderCallStarted | ProviderCallUnanswered | ProviderCallNotAttempted | ProviderCallDeclined
)


def _called(payment: Payment, event: ProviderCallEvent) -> Payment:
    """The state after a fact about a call: the operation that it is about opens or closes it."""
    match [item for item in owed(payment) if item.operation_id == event.operation_id]:
        case [Owed(operation=event.operation) as item]:
            pass
        case _:
            raise AssertionError(f"{event} cannot follow {payment}")
    match event:
        case ProviderCallStarted() if item.call is None and event.attempt == item.attempts + 1:
            call = Call(
                operation=event.operation,
                operation_id=event.operation_id,
                attempt=event.attempt,
                reference=event.reference,
                owner=event.owner,
                deadline=event.deadline,
            )
            return _with_call(payment, item, call, event.attempt)
        case ProviderCallUnanswered() if item.call is not None:
            return _with_call(payment, item, replace(item.call, unanswered=True), item.attempts)
        case ProviderCallNotAttempted(reason=code) if item.call is not None:
            if item.attempts < ATTEMPTS_MAX or item.step in {Step.VOID, Step.REFUND}:
                return _with_call(payment, item, None, item.attempts)
            return _given_up(payment, Failing(reason=Reason.PROVIDER_UNAVAILABLE, code=code))
        case ProviderCallDeclined(code=code) if item.call is not None:
            if item.step in {Step.VOID, Step.REFUND}:
                return _with_call(payment, item, None, item.attempts)
            pending = isinstance(payment, Pending)
            reason = Reason.DECLINED if pending else Reason.CAPTURE_DECLINED
            return _given_up(payment, Failing(reason=reason, code=code))
        case _:
            raise AssertionError(f"{event} cannot follow {payment}")


def _with_call(payment: Payment, item: Owed, call: Call | None, attempts: int) -> Payment:
    """The state with the call of one of the things it owes opened, changed or closed."""
    match payment:
        case Pending() | Undoing():
            return replace(payment, call=call, attempts=attempts)
        case Held(authorization=held, capture=capture):
            # The capture of an automatic payment is not requested: it begins with its call.
            capture = capture or Capture(capture_id=CAPTURE, amount=held.amount, final=True)
            return replace(payment, capture=replace(capture, call=call, attempts=attempts))
        case Captured(capture=capture) if item.step is Step.CAPTURE and capture is not None:
            return replace(payment, capture=replace(capture, call=call, attempts=attempts))
        case Captured(refunds=refunds):
            refund = replace(refunds[item.operation_id], call=call, attempts=attempts)
            return replace(payment, refunds={**refunds, item.operation_id: refund})
        case _:
            raise AssertionError(f"{item} is not owed by {payment}")


def _given_up(payment: Payment, ending: Failing) -> Payment:
    """The state after an authorization or capture that will not happen.

    A merchant who captures by hand still has the authorization and may try again or cancel.
    """
    match payment:
        case Pending(terms=terms):
            return Undoing(terms=terms, ending=ending, authorization=None)
        case Held(terms=terms, authorization=held):
            if terms.capture_method is CaptureMethod.MANUAL:
                return replace(payment, capture=None)
            return Undoing(terms=terms, ending=ending, authorization=held)
        case Captured():
            return replace(payment, capture=None)
        case _:
            raise AssertionError(f"{payment} has nothing to give up")


def fold(events: Iterable[PaymentEvent]) -> Payment:
    return reduce(evolve, events, INITIAL)
