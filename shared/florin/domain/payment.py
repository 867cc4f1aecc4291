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
from datetime import UTC, datetime
from enum import StrEnum
from functools import reduce
from typing import Final, assert_never

from florin.domain.fees import FeeTerms
from florin.domain.funding import Funding, returned_last_first
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

WALLET_PROVIDER: Final = "wallet"
"""Who is asked for money that is in wallets already: ourselves."""

WALLET_METHOD: Final = "wallet:"
WITH_BALANCES: Final = ":*"
"""A payment method that names a wallet, and one that names its balances too."""


def payer_of(payment_method: str) -> str | None:
    """The account whose wallet a payment method names, if it names one."""
    if not payment_method.startswith(WALLET_METHOD):
        return None
    return payment_method.removeprefix(WALLET_METHOD).removesuffix(WITH_BALANCES)


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubt:
    """A call for this amount that was taken for not done without the provider saying so."""

    call: Call
    amount: Money


# Commands: what somebody asks for.


@dataclass(frozen=True, slots=True, kw_only=True)
class Initiate:
    """Take `amount` from the holder of `payment_method` for the account `recipient`.

    `funding` is how much of it which wallets give, where wallets give it.
    """

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
    funding: Funding = ()


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


class Verdict(StrEnum):
    """What an operator found out about an operation. Values go on the wire: add, never rename.

    `succeeded`: the provider did it. `declined`: the provider will not do it. `not_done`: it did
    not do it and may be asked again.
    """

    SUCCEEDED = "succeeded"
    DECLINED = "declined"
    NOT_DONE = "not_done"


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolve:
    """Say in the provider's place what became of an operation, with what proves it."""

    operation_id: str
    verdict: Verdict
    evidence: str
    reason: str
    now: datetime
    provider_reference: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordLateSuccess:
    """A call that was taken for not done turns out to have been done."""

    doubt: Doubt
    provider_reference: str


Command = (
    Initiate
    | RequestCapture
    | RequestCancel
    | RequestRefund
    | RecordRisk
    | StartCall
    | RecordAnswer
    | Finish
    | Resolve
    | RecordLateSuccess
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
    funding: Funding = ()

    @property
    def payer(self) -> str | None:
        """The account whose wallet pays, if one does."""
        return payer_of(self.payment_method)


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
    """Not done, so it may be asked anew; not `certain` if the provider only never heard of it."""

    operation: Operation
    operation_id: str
    attempt: int
    reason: str
    certain: bool = True


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
class PaymentRestReleased:
    """What was not captured of a wallet's money is back in it, and nothing more can be captured."""

    amount: Money


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
    """`returned` is what each wallet got back, where wallets had given it."""

    refund_id: str
    amount: Money
    returned: Funding = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentRefundFailed:
    """The provider did not give it back, so the recipient and the platform have it again."""

    refund_id: str
    amount: Money
    fee_returned: Money
    code: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentOperationResolved:
    """An operator said what became of an operation; what follows from it is the next fact."""

    operation: Operation
    operation_id: str
    attempt: int
    verdict: Verdict
    evidence: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentFoundLate:
    """Money of a payment that had ended without it. It belongs to the payer and goes back."""

    operation: Operation
    operation_id: str
    attempt: int
    amount: Money
    provider_reference: str

    @property
    def return_id(self) -> str:
        return f"return_{self.operation_id}_{self.attempt}"


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentReturned:
    """What was found late is with the payer again."""

    return_id: str
    operation: Operation
    amount: Money


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
    | PaymentRestReleased
    | PaymentVoided
    | PaymentFailed
    | PaymentCanceled
    | PaymentRefundRequested
    | PaymentRefunded
    | PaymentRefundFailed
    | PaymentOperationResolved
    | PaymentFoundLate
    | PaymentReturned
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
    granted: int = 0
    call: Call | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Return:
    """What was found late and is not back with the payer yet: held still, or taken."""

    found: PaymentFoundLate
    attempts: int = 0
    granted: int = 0
    call: Call | None = None

    @property
    def operation(self) -> Operation:
        held = self.found.operation is Operation.AUTHORIZATION
        return Operation.VOID if held else Operation.REFUND


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
    """Accepted; the provider holds nothing yet, as far as we know.

    Here and below, `doubts` are calls that were taken for not done without the provider saying so.
    """

    terms: PaymentInitiated
    risk: RiskDecision | None = None
    attempts: int = 0
    call: Call | None = None
    doubts: tuple[Doubt, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """Authorized, and nothing of it captured."""

    terms: PaymentInitiated
    authorization: PaymentAuthorized
    capture: Capture | None = None
    doubts: tuple[Doubt, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Captured:
    """Something was captured; `closed` when nothing more can be.

    `refunded` and `fee_returned` are what went back, `refunds` what is on its way; `returned` is
    what each wallet got back of what it had given, in minor units by account.
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
    returned: Mapping[str, int] = field(default_factory=dict)

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
    """It will end; `authorization` is what still has to be given back before it has, and
    `was_authorized` what was held once.
    """

    terms: PaymentInitiated
    ending: Ending
    authorization: PaymentAuthorized | None
    was_authorized: PaymentAuthorized | None = None
    attempts: int = 0
    granted: int = 0
    call: Call | None = None
    doubts: tuple[Doubt, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """Ended, and stays so: `returns` is money that was found later and goes back."""

    terms: PaymentInitiated
    reason: Reason
    code: str
    was_authorized: PaymentAuthorized | None = None
    doubts: tuple[Doubt, ...] = ()
    returns: Mapping[str, Return] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Canceled:
    """Ended, and stays so: `returns` is money that was found later and goes back."""

    terms: PaymentInitiated
    reason: str | None
    was_authorized: PaymentAuthorized | None = None
    doubts: tuple[Doubt, ...] = ()
    returns: Mapping[str, Return] = field(default_factory=dict)


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
    """Something that the saga has to do; `call` while it is under way at a provider. Operators have
    `granted` it so many attempts more than it may have.
    """

    step: Step
    operation: Operation | None = None
    operation_id: str = ""
    attempts: int = 0
    granted: int = 0
    call: Call | None = None

    @property
    def is_exhausted(self) -> bool:
        """Whether it was tried as often as it may be, and is not being tried."""
        return self.call is None and self.attempts >= ATTEMPTS_MAX + self.granted


def owed(payment: Payment) -> tuple[Owed, ...]:
    """What comes next, or is under way."""
    match payment:
        case Unseen():
            return ()
        case Failed(returns=returns) | Canceled(returns=returns):
            return tuple(
                Owed(
                    step=Step.VOID if one.operation is Operation.VOID else Step.REFUND,
                    operation=one.operation,
                    operation_id=return_id,
                    attempts=one.attempts,
                    granted=one.granted,
                    call=one.call,
                )
                for return_id, one in returns.items()
            )
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
        case Undoing(attempts=attempts, granted=granted, call=call):
            return (
                Owed(
                    step=Step.VOID,
                    operation=Operation.VOID,
                    operation_id=VOID,
                    attempts=attempts,
                    granted=granted,
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
            granted=refund.granted,
            call=refund.call,
        )


def open_calls(payment: Payment) -> tuple[Call, ...]:
    """The provider calls whose answers are not recorded yet."""
    return tuple(item.call for item in owed(payment) if item.call is not None)


def exhausted(payment: Payment) -> tuple[Owed, ...]:
    """What is owed and was tried as often as it may be: it needs an operator."""
    return tuple(item for item in owed(payment) if item.is_exhausted)


def outcome(payment: Payment, steps: AbstractSet[Step] = frozenset(Step)) -> Outcome:
    """How an execution that can do these steps goes on: its state machine routes on this alone."""
    items = [item for item in owed(payment) if item.step in steps]
    ready = [item for item in items if item.call is None]
    if isinstance(payment, Unseen):
        return Outcome.PARK
    if ready and all(item in exhausted(payment) for item in ready):
        return Outcome.PARK
    if isinstance(payment, Undoing) and ready:
        return Outcome.COMPENSATE
    if ready:
        return Outcome.CONTINUE
    if items or isinstance(payment, Held):
        return Outcome.WAIT
    return Outcome.DONE


# The decider.


def decide(command: Command, payment: Payment) -> tuple[PaymentEvent, ...] | Refusal:
    """The facts that follow from a command, nothing if they are facts already, or the refusal."""
    match command:
        case Initiate() if payment != INITIAL:
            return Refusal.PAYMENT_EXISTS
        case Initiate():
            return _initiate(command)
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
        case Resolve():
            return _resolve(command, payment)
        case RecordLateSuccess():
            return _found_late(command, payment)
        case _:
            assert_never(command)


def _initiate(asked: Initiate) -> tuple[PaymentEvent, ...] | Refusal:
    if any(draw.account_id == asked.recipient for draw in asked.funding):
        return Refusal.RECIPIENT_IS_PAYER
    initiated = PaymentInitiated(
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
        funding=asked.funding,
    )
    return (initiated,)


def _request_capture(asked: RequestCapture, payment: Payment) -> tuple[PaymentEvent, ...] | Refusal:
    match payment:
        case Pending(call=None):
            return Refusal.PAYMENT_NOT_AUTHORIZED
        case Pending():
            return Refusal.PROVIDER_ANSWER_PENDING
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
            amount = _amount_or_all(asked.amount_minor, left)
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
        case Captured(closed=False, capture=Capture()):
            return Refusal.PROVIDER_ANSWER_PENDING
        case Captured(closed=False) if payment.terms.funding:
            return (PaymentRestReleased(amount=payment.capturable),)
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
            amount = _amount_or_all(asked.amount_minor, left)
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
        case Pending(call=None):
            return Refusal.PAYMENT_NOT_AUTHORIZED
        case Pending():
            return Refusal.PROVIDER_ANSWER_PENDING
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
        if item.is_exhausted:
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
        case NotAttempted(reason=reason, certain=certain):
            closed = ProviderCallNotAttempted(
                operation=operation,
                operation_id=operation_id,
                attempt=attempt,
                reason=reason,
                certain=certain,
            )
            # Who only never heard of a refund may have made it: then an operator has to say.
            last = certain and attempt >= ATTEMPTS_MAX
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
        case operation, (Failed(returns=returns) | Canceled(returns=returns)):
            found = returns[call.operation_id].found
            return PaymentReturned(
                return_id=call.operation_id, operation=operation, amount=found.amount
            )
        case Operation.REFUND, Captured(refunds=refunds):
            refund = refunds[call.operation_id]
            return PaymentRefunded(
                refund_id=refund.refund_id,
                amount=refund.amount,
                returned=returned_last_first(
                    payment.terms.funding, payment.captured, payment.returned, refund.amount
                )
                if payment.terms.funding
                else (),
            )
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


def _resolve(asked: Resolve, payment: Payment) -> tuple[PaymentEvent, ...] | Refusal:
    """What an operator's word leads to. It counts only where nobody else's can come any more."""
    for item in owed(payment):
        if item.operation is None or item.operation_id != asked.operation_id:
            continue
        call = item.call
        if call is None and item not in exhausted(payment):
            continue
        if call is not None and not call.unanswered and asked.now < call.deadline:
            return Refusal.PROVIDER_ANSWER_PENDING
        needs_name = item.operation is Operation.AUTHORIZATION
        if needs_name and asked.verdict is Verdict.SUCCEEDED and not asked.provider_reference:
            return Refusal.PROVIDER_REFERENCE_MISSING
        resolved = PaymentOperationResolved(
            operation=item.operation,
            operation_id=item.operation_id,
            attempt=item.attempts,
            verdict=asked.verdict,
            evidence=asked.evidence,
            reason=asked.reason,
        )
        if call is None and asked.verdict is not Verdict.SUCCEEDED:
            return (resolved,)  # it may be tried anew
        said = call or _last_call(item)
        return (resolved, *_answered(said, _said(asked), payment))
    return Refusal.NOTHING_TO_RESOLVE


def _said(asked: Resolve) -> ProviderAnswer:
    """The operator's word in the provider's words."""
    match asked.verdict:
        case Verdict.SUCCEEDED:
            return Approved(provider_reference=asked.provider_reference or "operator")
        case Verdict.DECLINED:
            return Declined(code="operator", hardness=Hardness.HARD)
        case Verdict.NOT_DONE:
            return NotAttempted(reason="operator", certain=False)
        case _:
            assert_never(asked.verdict)


def _last_call(item: Owed) -> Call:
    """The call that was the last try of something, as far as what it was about goes."""
    assert item.operation is not None
    return Call(
        operation=item.operation,
        operation_id=item.operation_id,
        attempt=item.attempts,
        reference="",
        owner="",
        deadline=datetime.min.replace(tzinfo=UTC),
    )


def _found_late(asked: RecordLateSuccess, payment: Payment) -> tuple[PaymentEvent, ...] | Refusal:
    if not isinstance(payment, Failed | Canceled) or asked.doubt not in payment.doubts:
        return NOTHING
    call, known = asked.doubt.call, payment.was_authorized
    if (
        call.operation is Operation.AUTHORIZATION
        and known is not None
        and known.provider_reference == asked.provider_reference
    ):
        return NOTHING  # a later attempt's, under the same reference: it was given back already
    return (
        PaymentFoundLate(
            operation=call.operation,
            operation_id=call.operation_id,
            attempt=call.attempt,
            amount=asked.doubt.amount,
            provider_reference=asked.provider_reference,
        ),
    )


# The fold.


def evolve(payment: Payment, event: PaymentEvent) -> Payment:
    """The state after a fact. A history that cannot have happened is corruption and raises."""
    match payment, event:
        case Unseen(), PaymentInitiated():
            return Pending(terms=event)
        case Pending(risk=None, call=None), PaymentRiskAssessed(decision=decision):
            return replace(payment, risk=decision)
        case Pending(terms=terms, call=Call(), doubts=doubts), PaymentAuthorized():
            return Held(terms=terms, authorization=event, doubts=doubts)

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

        case Pending(call=None), PaymentCancelRequested(reason=reason):
            return _undoing(payment, Canceling(reason=reason))
        case Held(capture=None), PaymentCancelRequested(reason=reason):
            return _undoing(payment, Canceling(reason=reason))
        case Undoing(authorization=PaymentAuthorized()), PaymentVoided():
            return replace(payment, authorization=None, call=None, attempts=0)
        case Undoing(authorization=None), (PaymentFailed() | PaymentCanceled()):
            return _ended(payment, event)
        case ((Failed() | Canceled()), (PaymentFoundLate() | PaymentReturned())):
            return _found(payment, event)

        case _, PaymentOperationResolved():
            return _resolved(payment, event)

        case (
            Captured(),
            PaymentRestReleased()
            | PaymentRefundRequested()
            | PaymentRefunded()
            | PaymentRefundFailed(),
        ):
            return _after_capture(payment, event)

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


def _after_capture(
    payment: Captured,
    event: PaymentRestReleased | PaymentRefundRequested | PaymentRefunded | PaymentRefundFailed,
) -> Payment:
    """A captured payment after what is given back of it, or of what was not captured."""
    match event:
        case PaymentRestReleased() if not payment.closed and payment.capture is None:
            return replace(payment, closed=True)
        case PaymentRefundRequested(refund_id=refund_id) if refund_id not in payment.refunds:
            refund = Refund(
                refund_id=refund_id, amount=event.amount, fee_returned=event.fee_returned
            )
            return replace(payment, refunds={**payment.refunds, refund_id: refund})
        case PaymentRefunded(refund_id=refund_id) if refund_id in payment.refunds:
            refund, refunds = _without(payment.refunds, refund_id)
            return replace(
                payment,
                refunds=refunds,
                refunded=payment.refunded + refund.amount,
                fee_returned=payment.fee_returned + refund.fee_returned,
                returned=_added(payment.returned, event.returned),
            )
        case PaymentRefundFailed(refund_id=refund_id) if refund_id in payment.refunds:
            return replace(payment, refunds=_without(payment.refunds, refund_id)[1])
        case _:
            raise AssertionError(f"{event} cannot follow {payment}")


def _wanted(event: PaymentCaptureRequested) -> Capture:
    return Capture(capture_id=event.capture_id, amount=event.amount, final=event.final)


def _without(refunds: Mapping[str, Refund], refund_id: str) -> tuple[Refund, Mapping[str, Refund]]:
    return refunds[refund_id], {key: kept for key, kept in refunds.items() if key != refund_id}


def _added(returned: Mapping[str, int], more: Funding) -> Mapping[str, int]:
    if not more:
        return returned
    given = {draw.account_id: draw.amount.minor for draw in more}
    return {key: returned.get(key, 0) + given.get(key, 0) for key in {**returned, **given}}


def _undoing(payment: Pending | Held, ending: Ending) -> Undoing:
    """The payment on its way to an end, with what has to be given back first."""
    held = payment.authorization if isinstance(payment, Held) else None
    return Undoing(
        terms=payment.terms,
        ending=ending,
        authorization=held,
        was_authorized=held,
        doubts=payment.doubts,
    )


def _ended(payment: Undoing, event: PaymentFailed | PaymentCanceled) -> Payment:
    match payment.ending, event:
        case Failing(), PaymentFailed(reason=reason, code=code):
            return Failed(
                terms=payment.terms,
                reason=reason,
                code=code,
                was_authorized=payment.was_authorized,
                doubts=payment.doubts,
            )
        case Canceling(), PaymentCanceled(reason=why):
            return Canceled(
                terms=payment.terms,
                reason=why,
                was_authorized=payment.was_authorized,
                doubts=payment.doubts,
            )
        case _:
            raise AssertionError(f"{event} cannot follow {payment}")


def _found(payment: Failed | Canceled, event: PaymentFoundLate | PaymentReturned) -> Payment:
    """A payment that has ended, with what was found since and is not back with the payer."""
    if isinstance(event, PaymentReturned):
        left = {key: one for key, one in payment.returns.items() if key != event.return_id}
        return replace(payment, returns=left)
    return replace(
        payment,
        # All attempts at an operation have one reference, by which one thing was found.
        doubts=tuple(
            doubt for doubt in payment.doubts if doubt.call.operation_id != event.operation_id
        ),
        returns={**payment.returns, event.return_id: Return(found=event)},
    )


def _resolved(payment: Payment, event: PaymentOperationResolved) -> Payment:
    """The state after an operator's word, before the fact that follows from it: one who did not
    say that it was done may be wrong, and what was tried too often may be tried anew.
    """
    for item in owed(payment):
        if item.operation_id != event.operation_id:
            continue
        if event.verdict is Verdict.SUCCEEDED:
            return payment
        if item.call is not None:
            return _doubting(payment, item.call)
        return _granted(payment, item)
    raise AssertionError(f"{event} cannot follow {payment}")


def _granted(payment: Payment, item: Owed) -> Payment:
    """The payment with as many more attempts at something as it may have at first. They go on
    counting: each has a key of its own at the provider.
    """
    more = item.granted + ATTEMPTS_MAX
    match payment:
        case Undoing():
            return replace(payment, granted=more)
        case Failed(returns=returns) | Canceled(returns=returns):
            one = replace(returns[item.operation_id], granted=more)
            return replace(payment, returns={**returns, item.operation_id: one})
        case Captured(refunds=refunds):
            refund = replace(refunds[item.operation_id], granted=more)
            return replace(payment, refunds={**refunds, item.operation_id: refund})
        case _:
            raise AssertionError(f"{item} cannot be exhausted on {payment}")


def _doubting(payment: Payment, call: Call) -> Payment:
    """The payment with a call that may have been done after all, where that can matter."""
    match payment:
        case Pending(terms=terms, doubts=doubts):
            doubt = Doubt(call=call, amount=terms.amount)
        case Held(capture=Capture(amount=amount), doubts=doubts):
            doubt = Doubt(call=call, amount=amount)
        case _:
            return payment
    return payment if doubt in doubts else replace(payment, doubts=(*doubts, doubt))


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
            if not event.certain:
                payment = _doubting(payment, item.call)
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
        case Failed(returns=returns) | Canceled(returns=returns):
            one = replace(returns[item.operation_id], call=call, attempts=attempts)
            return replace(payment, returns={**returns, item.operation_id: one})
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
        case Pending():
            return _undoing(payment, ending)
        case Held(terms=terms):
            if terms.capture_method is CaptureMethod.MANUAL:
                return replace(payment, capture=None)
            return _undoing(payment, ending)
        case Captured():
            return replace(payment, capture=None)
        case _:
            raise AssertionError(f"{payment} has nothing to give up")


def fold(events: Iterable[PaymentEvent]) -> Payment:
    return reduce(evolve, events, INITIAL)
