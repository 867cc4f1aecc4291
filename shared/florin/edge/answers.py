"""What clients are told: the shape of each answer, and how the facts become one.

Amounts are integers of minor units beside their `currency`; times are UTC with milliseconds.
The fields of a struct are written in its order, so equal answers are equal to the byte.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any, Final, get_args

import msgspec
from msgspec import UNSET, Meta, UnsetType

from florin.domain.account import (
    AccountClosing,
    AccountKind,
    AccountMinBalanceChanged,
    AccountOpened,
    AccountState,
    state_at,
)
from florin.domain.funding import Draw
from florin.domain.history import Event, History, Recorded
from florin.domain.hold import (
    ClosedHold,
    HoldCaptured,
    HoldPlaced,
    HoldReleased,
    OpenHold,
    Part,
    Parts,
)
from florin.domain.keys import ApiKey, KeyStatus, Role, Scope
from florin.domain.ledger import Side
from florin.domain.money import Money
from florin.domain.payment import (
    AUTHORIZATION,
    VOID,
    Captured,
    CaptureMethod,
    Failed,
    Payment,
    PaymentAuthorized,
    PaymentCanceled,
    PaymentCancelRequested,
    PaymentCaptured,
    PaymentCaptureRequested,
    PaymentFailed,
    PaymentFoundLate,
    PaymentInitiated,
    PaymentOperationResolved,
    PaymentRefunded,
    PaymentRefundFailed,
    PaymentRefundRequested,
    PaymentRestReleased,
    PaymentReturned,
    PaymentRiskAssessed,
    PaymentVoided,
    ProviderCallDeclined,
    ProviderCallNotAttempted,
    ProviderCallStarted,
    ProviderCallUnanswered,
    ProviderKeyExpired,
    Reason,
    Step,
    Verdict,
    owed,
)
from florin.domain.provider import Operation
from florin.domain.status import (
    HoldStatus,
    SagaStatus,
    Status,
    hold_status_of,
    saga_status_of,
    status_of,
)
from florin.domain.verification import Fault
from florin.edge.requests import AccountRequest, HoldRequest, PaymentRequest
from florin.folding import hold_of
from florin.ports import (
    DeadLetter,
    LetterState,
    Page,
    Profile,
    Receipt,
    RedriveRecord,
    StatementLine,
    View,
    Wallet,
)
from florin.saga import fold_history
from florin.verification import Phase, Run

COMPLETES_WITHIN: Final = timedelta(seconds=30)
"""What a client is told to expect of a payment; most take a second or two."""

METHOD_UNKNOWN: Final = "card_****"
"""A payment method before its provider has told what it is. The token itself is never shown."""

Timestamp = Annotated[str, Meta(extra_json_schema={"format": "date-time"})]


def timestamp(moment: datetime) -> str:
    """2026-11-21T12:00:00.000Z"""
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03}Z"


class _Answer(msgspec.Struct, frozen=True, kw_only=True): ...


# Payments.


class PaymentAccepted(_Answer, frozen=True, kw_only=True):
    """It will be taken. Follows from the request and its receipt alone, so a replay is equal."""

    payment_id: str
    status: Status
    amount: int
    currency: str
    created_at: Timestamp
    estimated_completion: Timestamp
    next_action: dict[str, str] | None


def payment_accepted(asked: PaymentRequest, receipt: Receipt) -> PaymentAccepted:
    return PaymentAccepted(
        payment_id=receipt.object_id,
        status=Status.PROCESSING,
        amount=asked.amount,
        currency=asked.currency,
        created_at=timestamp(receipt.recorded_at),
        estimated_completion=timestamp(receipt.recorded_at + COMPLETES_WITHIN),
        next_action=None,
    )


class CaptureAccepted(_Answer, frozen=True, kw_only=True):
    """It will be captured; what counts is the payment's status. Follows from its event alone."""

    capture_id: str
    payment_id: str
    status: Status
    amount: int
    currency: str
    final: bool
    created_at: Timestamp


def capture_accepted(recorded: Recorded) -> CaptureAccepted:
    asked = recorded.event
    assert isinstance(asked, PaymentCaptureRequested), recorded.type
    return CaptureAccepted(
        capture_id=asked.capture_id,
        payment_id=recorded.stream,
        status=Status.PROCESSING,
        amount=asked.amount.minor,
        currency=asked.amount.currency,
        final=asked.final,
        created_at=timestamp(recorded.recorded_at),
    )


class CancelAccepted(_Answer, frozen=True, kw_only=True):
    """It will be canceled. Follows from its event alone."""

    payment_id: str
    status: Status
    created_at: Timestamp


def cancel_accepted(recorded: Recorded) -> CancelAccepted:
    return CancelAccepted(
        payment_id=recorded.stream,
        status=Status.PROCESSING,
        created_at=timestamp(recorded.recorded_at),
    )


class RefundAccepted(_Answer, frozen=True, kw_only=True):
    """The money is taken from the recipient and on its way back. Follows from its event alone."""

    refund_id: str
    payment_id: str
    status: Status
    amount: int
    currency: str
    reason: str | None
    created_at: Timestamp


def refund_accepted(recorded: Recorded) -> RefundAccepted:
    asked = recorded.event
    assert isinstance(asked, PaymentRefundRequested), recorded.type
    return RefundAccepted(
        refund_id=asked.refund_id,
        payment_id=recorded.stream,
        status=Status.PROCESSING,
        amount=asked.amount.minor,
        currency=asked.amount.currency,
        reason=asked.reason,
        created_at=timestamp(recorded.recorded_at),
    )


class RefundStatus(StrEnum):
    """Where a refund is. Values go on the wire: add, never rename."""

    PENDING = "pending"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


class RefundDetails(_Answer, frozen=True, kw_only=True):
    """A refund of a payment; one that failed gave back what it had taken."""

    refund_id: str
    amount: int
    status: RefundStatus
    created_at: Timestamp


class ResolutionAccepted(_Answer, frozen=True, kw_only=True):
    """An operator's word is recorded. Follows from its event alone."""

    payment_id: str
    operation: Operation
    operation_id: str
    verdict: Verdict
    created_at: Timestamp


def resolution_accepted(recorded: Recorded) -> ResolutionAccepted:
    resolved = recorded.event
    assert isinstance(resolved, PaymentOperationResolved), recorded.type
    return ResolutionAccepted(
        payment_id=recorded.stream,
        operation=resolved.operation,
        operation_id=resolved.operation_id,
        verdict=resolved.verdict,
        created_at=timestamp(recorded.recorded_at),
    )


class Failure(_Answer, frozen=True, kw_only=True):
    """Why a payment failed: our word, and the provider's."""

    reason: Reason
    code: str


class Happening(_Answer, frozen=True, kw_only=True):
    """An event, in short."""

    type: str
    timestamp: Timestamp


class SagaStep(StrEnum):
    """What the saga of a payment has done. A wallet's money is reserved when the payment is
    accepted, and released in the write that ends one that fails.
    """

    RESERVE_FUNDS = "ReserveFunds"
    ASSESS_RISK = "AssessRisk"
    AUTHORIZE = "Authorize"
    CAPTURE = "Capture"
    REFUND = "Refund"
    VOID = "Void"
    RELEASE_FUNDS = "ReleaseFunds"
    FINISH = "Finish"


class SagaProgress(_Answer, frozen=True, kw_only=True):
    """How far the work on a payment is; `executions` are ARNs, the first one first."""

    status: SagaStatus
    current_step: Step | None
    completed_steps: tuple[SagaStep, ...]
    executions: tuple[str, ...]


class AttemptResult(StrEnum):
    """What became of a call to a provider. Values go on the wire: add, never rename."""

    PENDING = "pending"
    APPROVED = "approved"
    DECLINED = "declined"
    NOT_ATTEMPTED = "not_attempted"
    UNKNOWN = "unknown"


class Attempt(_Answer, frozen=True, kw_only=True):
    """One call to a provider. A result of `pending` or `unknown` is not the last word."""

    operation: Operation
    operation_id: str
    attempt: int
    provider: str
    result: AttemptResult


class PaymentDetails(_Answer, frozen=True, kw_only=True):
    """Everything about a payment, from its events.

    `captured` and `refunded` are what the provider has confirmed; `fees` and `net_amount` come
    with the first capture and are what they were before any refund.
    """

    payment_id: str
    status: Status
    amount: int
    currency: str
    recipient: str
    payer: str | None
    payment_method: str
    capture_method: CaptureMethod
    description: str | None
    customer: str | None
    order_id: str | None
    metadata: dict[str, str]
    created_at: Timestamp
    completed_at: Timestamp | None
    captured: int
    fees: int | None
    net_amount: int | None
    refunded: int
    refunds: tuple[RefundDetails, ...]
    failure: Failure | None
    events: tuple[Happening, ...]
    saga: SagaProgress
    attempts: tuple[Attempt, ...]


def payment_details(history: History) -> PaymentDetails:
    """The payment that a history tells of, which has at least its first event."""
    first = history.events[0]
    terms = first.event
    assert isinstance(terms, PaymentInitiated), first.type
    payment = fold_history(history)
    captured = payment if isinstance(payment, Captured) else None
    return PaymentDetails(
        payment_id=first.stream,
        status=status_of(payment),
        amount=terms.amount.minor,
        currency=terms.amount.currency,
        recipient=terms.recipient,
        payer=terms.payer,
        payment_method=_masked_method(history),
        capture_method=terms.capture_method,
        description=terms.description,
        customer=terms.customer,
        order_id=terms.order_id,
        metadata=dict(terms.metadata),
        created_at=timestamp(first.recorded_at),
        completed_at=_completed_at(history),
        captured=captured.captured.minor if captured else 0,
        fees=captured.fee.minor if captured else None,
        net_amount=captured.net.minor if captured else None,
        refunded=captured.refunded.minor if captured else 0,
        refunds=_refunds(history),
        failure=_failure(payment),
        events=_happenings(history),
        saga=_progress(history, payment),
        attempts=_attempts(history, terms.provider),
    )


class PaymentListed(_Answer, frozen=True, kw_only=True):
    """A payment in short. The fields have the meaning that they have in `PaymentDetails`; `payer`
    is the account whose wallet pays, where one does.
    """

    payment_id: str
    status: Status
    amount: int
    currency: str
    recipient: str
    payer: str | None
    description: str | None
    order_id: str | None
    created_at: Timestamp
    updated_at: Timestamp
    captured: int
    fees: int | None
    refunded: int


class PaymentList(_Answer, frozen=True, kw_only=True):
    data: tuple[PaymentListed, ...]
    has_more: bool


def payment_list(page: Page) -> PaymentList:
    """A page of payments, newest first."""
    return PaymentList(data=tuple(map(_listed, page.views)), has_more=page.has_more)


def _listed(view: View) -> PaymentListed:
    summary = view.payment
    assert summary is not None, f"{view.stream} is no payment"
    assert view.recipient is not None, f"{view.stream} is for nobody"
    return PaymentListed(
        payment_id=view.stream,
        status=Status(view.status),
        amount=summary.amount.minor,
        currency=summary.amount.currency,
        recipient=view.recipient,
        payer=view.payer,
        description=summary.description,
        order_id=view.order_id,
        created_at=timestamp(view.created_at),
        updated_at=timestamp(view.updated_at),
        captured=summary.captured_minor,
        fees=summary.fee_minor,
        refunded=summary.refunded_minor,
    )


def _masked_method(history: History) -> str:
    terms = history.events[0].event
    if isinstance(terms, PaymentInitiated) and terms.payer is not None:
        return terms.payment_method  # which wallet it is is no secret
    for recorded in history.events:
        match recorded.event:
            case PaymentAuthorized(method=method) if method is not None:
                return method.masked
    return METHOD_UNKNOWN


def _completed_at(history: History) -> str | None:
    for recorded in history.events:
        if isinstance(recorded.event, PaymentCaptured | PaymentFailed | PaymentCanceled):
            return timestamp(recorded.recorded_at)
    return None


def _refunds(history: History) -> tuple[RefundDetails, ...]:
    refunds: dict[str, RefundDetails] = {}
    for recorded in history.events:
        match recorded.event:
            case PaymentRefundRequested(refund_id=refund_id, amount=amount):
                refunds[refund_id] = RefundDetails(
                    refund_id=refund_id,
                    amount=amount.minor,
                    status=RefundStatus.PENDING,
                    created_at=timestamp(recorded.recorded_at),
                )
            case PaymentRefunded(refund_id=refund_id):
                done = RefundStatus.SUCCEEDED
                refunds[refund_id] = msgspec.structs.replace(refunds[refund_id], status=done)
            case PaymentRefundFailed(refund_id=refund_id):
                done = RefundStatus.FAILED
                refunds[refund_id] = msgspec.structs.replace(refunds[refund_id], status=done)
    return tuple(refunds.values())


def _failure(payment: Payment) -> Failure | None:
    match payment:
        case Failed(reason=reason, code=code):
            return Failure(reason=reason, code=code)
        case _:
            return None


COMPLETES: Final[Mapping[type[Event], Step]] = {
    PaymentRiskAssessed: Step.ASSESS_RISK,
    PaymentAuthorized: Step.AUTHORIZE,
    PaymentCaptured: Step.CAPTURE,
    PaymentVoided: Step.VOID,
    PaymentRefunded: Step.REFUND,
    PaymentFailed: Step.FINISH,
    PaymentCanceled: Step.FINISH,
}
"""The fact that completes each step of the saga."""
assert set(COMPLETES.values()) == set(Step), "every step is completed by a fact"


def _progress(history: History, payment: Payment) -> SagaProgress:
    executions = (recorded.execution for recorded in history.events)
    return SagaProgress(
        status=saga_status_of(payment),
        current_step=next((item.step for item in owed(payment)), None),
        completed_steps=tuple(_completed(history)),
        executions=tuple(dict.fromkeys(arn for arn in executions if arn is not None)),
    )


def _completed(history: History) -> Iterator[SagaStep]:
    terms = history.events[0].event
    funded = isinstance(terms, PaymentInitiated) and bool(terms.funding)
    for recorded in history.events:
        match recorded.event:
            case PaymentInitiated() if funded:
                yield SagaStep.RESERVE_FUNDS
            case PaymentFailed() | PaymentCanceled() if funded:
                yield SagaStep.RELEASE_FUNDS
        if type(recorded.event) in COMPLETES:
            yield SagaStep(COMPLETES[type(recorded.event)])


def _attempts(history: History, provider: str) -> tuple[Attempt, ...]:
    """The calls in their order, each with the last that was said of it.

    One call is open at a time for each operation, so an answer is to its operation's last call.
    """
    attempts: list[Attempt] = []
    last: dict[str, int] = {}
    for recorded in history.events:
        event = recorded.event
        if isinstance(event, ProviderCallStarted):
            last[event.operation_id] = len(attempts)
            attempts.append(
                Attempt(
                    operation=event.operation,
                    operation_id=event.operation_id,
                    attempt=event.attempt,
                    provider=provider,
                    result=AttemptResult.PENDING,
                )
            )
            continue
        answered = _answered(event)
        if answered is not None:
            operation_id, result = answered
            number = last[operation_id]
            attempts[number] = msgspec.structs.replace(attempts[number], result=result)
    return tuple(attempts)


def _answered(event: Event) -> tuple[str, AttemptResult] | None:
    """Which operation a fact answers for, and how."""
    match event:
        case ProviderCallDeclined(operation_id=operation_id):
            return operation_id, AttemptResult.DECLINED
        case ProviderCallNotAttempted(operation_id=operation_id):
            return operation_id, AttemptResult.NOT_ATTEMPTED
        case ProviderCallUnanswered(operation_id=operation_id):
            return operation_id, AttemptResult.UNKNOWN
        case PaymentAuthorized():
            return AUTHORIZATION, AttemptResult.APPROVED
        case PaymentCaptured(capture_id=operation_id) | PaymentRefunded(refund_id=operation_id):
            return operation_id, AttemptResult.APPROVED
        case PaymentVoided():
            return VOID, AttemptResult.APPROVED
        case PaymentReturned(return_id=operation_id):
            return operation_id, AttemptResult.APPROVED
        case _:
            return None


# Facts.


class Fact(_Answer, frozen=True, kw_only=True):
    """An event of a payment. `hash` covers the event as it is stored and the hash before it."""

    event_id: str
    type: str
    version: int
    recorded_at: Timestamp
    data: dict[str, Any]
    hash: str


class FactList(_Answer, frozen=True, kw_only=True):
    data: tuple[Fact, ...]
    has_more: bool


def fact_list(history: History) -> FactList:
    """The facts of a stream, oldest first: the order in which their hashes are chained."""
    return FactList(
        data=tuple(
            Fact(
                event_id=recorded.event_id,
                type=recorded.type,
                version=recorded.version,
                recorded_at=timestamp(recorded.recorded_at),
                data=dict(_public(recorded.event)),
                hash=recorded.hash,
            )
            for recorded in history.events
        ),
        has_more=False,
    )


PUBLIC_TYPES: Final = frozenset(
    {
        "payment.initiated",
        "payment.authorized",
        "payment.captured",
        "payment.rest_released",
        "payment.voided",
        "payment.failed",
        "payment.canceled",
        "payment.refund_requested",
        "payment.refunded",
        "payment.refund_failed",
        "payment.found_late",
        "payment.returned",
        "account.opened",
        "account.min_balance_changed",
        "account.closing",
        "hold.placed",
        "hold.captured",
        "hold.released",
    }
)
"""The facts that others are told of: what happened to the money, not how the engine worked."""

PUBLIC_FIELDS: Final[Mapping[type[Event], tuple[str, ...]]] = {
    PaymentInitiated: (
        *("amount", "recipient", "provider", "fee_terms", "capture_method"),
        *("description", "customer", "order_id", "metadata", "funding"),
    ),
    PaymentRiskAssessed: ("decision", "assessor"),
    ProviderCallStarted: ("operation", "operation_id", "attempt", "key", "reference"),
    ProviderCallUnanswered: ("operation", "operation_id", "attempt", "reason"),
    ProviderCallNotAttempted: ("operation", "operation_id", "attempt", "reason", "certain"),
    ProviderCallDeclined: ("operation", "operation_id", "attempt", "code", "hardness"),
    ProviderKeyExpired: ("operation", "operation_id", "attempt", "key"),
    PaymentAuthorized: ("amount", "provider_reference", "method"),
    PaymentCaptureRequested: ("capture_id", "amount", "final"),
    PaymentCaptured: ("capture_id", "amount", "fee", "released", "final"),
    PaymentCancelRequested: ("reason",),
    PaymentRestReleased: ("amount",),
    PaymentVoided: ("amount",),
    PaymentFailed: ("reason", "code"),
    PaymentCanceled: ("reason",),
    PaymentRefundRequested: ("refund_id", "amount", "fee_returned", "reason"),
    PaymentRefunded: ("refund_id", "amount", "returned"),
    PaymentRefundFailed: ("refund_id", "amount", "fee_returned", "code"),
    PaymentOperationResolved: (
        *("operation", "operation_id", "attempt", "verdict", "evidence", "reason"),
    ),
    PaymentFoundLate: ("operation", "operation_id", "attempt", "amount", "provider_reference"),
    PaymentReturned: ("return_id", "operation", "amount"),
    AccountOpened: (
        *("currency", "kind", "min_balance_minor", "parent", "priority", "expires_at"),
    ),
    AccountMinBalanceChanged: ("min_balance_minor",),
    AccountClosing: ("closes_at",),
    HoldPlaced: ("account_id", "parts", "expires_at", "description", "metadata"),
    HoldCaptured: ("capture_id", "parts", "released"),
    HoldReleased: ("parts", "ending", "reason"),
}
"""What anybody may know who may see an event. A field is private until it is named here."""
assert set(PUBLIC_FIELDS) == set(get_args(Event)), "every event says what is public of it"


def public_data(recorded: Recorded) -> Mapping[str, object]:
    """The public fields of an event as plain JSON values, amounts in minor units and flat."""
    return dict(_public(recorded.event))


def _public(event: Event) -> Iterator[tuple[str, object]]:
    for name in PUBLIC_FIELDS[type(event)]:
        value = getattr(event, name)
        if isinstance(value, Money):
            yield name, value.minor
            yield "currency", value.currency
        elif isinstance(value, tuple):
            yield name, [_flat(inner) for inner in value]
        elif isinstance(value, datetime):
            yield name, timestamp(value)
        else:
            yield name, msgspec.to_builtins(value)


def _flat(inner: Draw | Part) -> Mapping[str, object]:
    match inner:
        case Draw(account_id=account_id, amount=amount):
            return {"account_id": account_id, "amount": amount.minor}
        case Part(recipient=recipient, amount=amount):
            return {"recipient": recipient, "amount": amount.minor}


# The ledger.


class LedgerLine(_Answer, frozen=True, kw_only=True):
    """What an entry does to one account on one side. Lines of one entry sum to zero."""

    entry_id: str
    entry_type: Side
    account: str
    amount: int
    currency: str
    created_at: Timestamp


class LedgerList(_Answer, frozen=True, kw_only=True):
    data: tuple[LedgerLine, ...]
    has_more: bool


def ledger_list(history: History) -> LedgerList:
    """The entries that the facts of a stream carry, oldest first, debits before credits."""
    return LedgerList(
        data=tuple(
            LedgerLine(
                entry_id=recorded.entry_id,
                entry_type=leg.side,
                account=leg.account,
                amount=leg.amount.minor,
                currency=leg.amount.currency,
                created_at=timestamp(recorded.recorded_at),
            )
            for recorded in history.events
            if recorded.entry is not None
            for leg in recorded.entry.legs()
        ),
        has_more=False,
    )


class StatementEntry(_Answer, frozen=True, kw_only=True):
    """A line of a wallet's statement, and the balance that it left.

    The lines of a payment are not numbered: they are on several accounts.
    """

    entry_id: str
    number: int | None
    entry_type: Side
    account: str
    amount: int
    currency: str
    balance_after: int | None
    created_at: Timestamp


class StatementList(_Answer, frozen=True, kw_only=True):
    data: tuple[StatementEntry, ...]
    has_more: bool


def statement_list(lines: Sequence[StatementLine], *, has_more: bool) -> StatementList:
    """A page of a statement, newest first."""
    return StatementList(
        data=tuple(
            StatementEntry(
                entry_id=numbered.line.entry_id,
                number=numbered.number,
                entry_type=numbered.line.leg.side,
                account=numbered.line.leg.account,
                amount=numbered.line.leg.amount.minor,
                currency=numbered.line.leg.amount.currency,
                balance_after=numbered.balance_after_minor,
                created_at=timestamp(numbered.line.recorded_at),
            )
            for numbered in lines
        ),
        has_more=has_more,
    )


def payment_statement(history: History, *, limit: int, after: str | None) -> StatementList | None:
    """The lines of a payment, newest entry first, whole entries to a page; `None` if `after` is
    not one of them.
    """
    entries = [
        [line for line in ledger_list(history).data if line.entry_id == recorded.entry_id]
        for recorded in reversed(history.events)
        if recorded.entry is not None
    ]
    if after is not None:
        known = [lines[0].entry_id for lines in entries]
        if after not in known:
            return None
        entries = entries[known.index(after) + 1 :]
    page: list[LedgerLine] = []
    taken = 0
    for lines in entries:
        if page and len(page) + len(lines) > limit:
            break
        page += lines
        taken += 1
    return StatementList(
        data=tuple(
            StatementEntry(
                entry_id=line.entry_id,
                number=None,
                entry_type=line.entry_type,
                account=line.account,
                amount=line.amount,
                currency=line.currency,
                balance_after=None,
                created_at=line.created_at,
            )
            for line in page
        ),
        has_more=taken < len(entries),
    )


# Verification.


class VerificationState(StrEnum):
    """Values go on the wire: add, never rename."""

    RUNNING = "running"


class VerificationAccepted(_Answer, frozen=True, kw_only=True):
    """A run is under way. Follows from the request's receipt alone, so a replay is equal."""

    verification_id: str
    status: VerificationState
    requested_at: Timestamp


def verification_accepted(receipt: Receipt) -> VerificationAccepted:
    return VerificationAccepted(
        verification_id=receipt.object_id,
        status=VerificationState.RUNNING,
        requested_at=timestamp(receipt.recorded_at),
    )


class VerifiedCurrency(_Answer, frozen=True, kw_only=True):
    """The journal's sums in one currency, up to the cut; in books that balance they are equal."""

    currency: str
    total_debits: int
    total_credits: int
    difference: int


class VerificationCounts(_Answer, frozen=True, kw_only=True):
    """What was looked at: streams of facts, entries up to the cut, wallets, and their lines."""

    streams: int
    entries: int
    accounts: int
    lines: int


class VerificationFinding(_Answer, frozen=True, kw_only=True):
    """Something that is not as it must be; `at` names the stream, entry, line or account."""

    kind: Fault
    at: str
    expected: str
    found: str


class Verification(_Answer, frozen=True, kw_only=True):
    """A finished run and its figures.

    `in_flight` counts entries that were younger than the cut, or not in the books yet when the
    run came by; `unsettled` totals and guards that never stood still for long enough to be judged.
    At most 100 findings are told of the `findings_count`.
    """

    verification_id: str
    balanced: bool
    cut_at: Timestamp
    finished_at: Timestamp
    currencies: tuple[VerifiedCurrency, ...]
    in_flight: int
    unsettled: int
    checked: VerificationCounts
    findings_count: int
    findings: tuple[VerificationFinding, ...]


class VerificationProgress(_Answer, frozen=True, kw_only=True):
    """A run that is under way, as it was when it was last kept."""

    verification_id: str
    phase: Phase
    cut_at: Timestamp
    worked_at: Timestamp
    checked: VerificationCounts
    findings_count: int


class VerificationDetails(_Answer, frozen=True, kw_only=True):
    """The run that finished last, and the one that is under way, where there is one."""

    last: Verification | None
    running: VerificationProgress | None


def verification_details(last: Run | None, running: Run | None) -> VerificationDetails:
    return VerificationDetails(
        last=None if last is None else _verification(last),
        running=None if running is None else _progress_of(running),
    )


def _progress_of(run: Run) -> VerificationProgress:
    return VerificationProgress(
        verification_id=run.run_id,
        phase=run.phase,
        cut_at=timestamp(run.cut_at),
        worked_at=timestamp(run.worked_at),
        checked=_checked(run),
        findings_count=run.tally.found,
    )


def _checked(run: Run) -> VerificationCounts:
    tally = run.tally
    return VerificationCounts(
        streams=tally.streams, entries=tally.entries, accounts=tally.accounts, lines=tally.lines
    )


def _verification(run: Run) -> Verification:
    tally = run.tally
    return Verification(
        verification_id=run.run_id,
        balanced=tally.is_balanced,
        cut_at=timestamp(run.cut_at),
        finished_at=timestamp(run.finished_at or run.worked_at),
        currencies=tuple(
            VerifiedCurrency(
                currency=currency,
                total_debits=total.debits_minor,
                total_credits=total.credits_minor,
                difference=total.debits_minor - total.credits_minor,
            )
            for currency, total in sorted(tally.currencies.items())
        ),
        in_flight=tally.in_flight,
        unsettled=tally.unsettled,
        checked=_checked(run),
        findings_count=tally.found,
        findings=tuple(
            VerificationFinding(
                kind=finding.fault, at=finding.at, expected=finding.expected, found=finding.found
            )
            for finding in tally.findings
        ),
    )


# Accounts and wallets.


class AccountCreated(_Answer, frozen=True, kw_only=True):
    """Follows from the request and its receipt alone, so a replay is equal."""

    account_id: str
    currency: str
    kind: AccountKind
    min_balance: int
    parent: str | None
    priority: int
    expires_at: Timestamp | None
    created_at: Timestamp


def account_created(asked: AccountRequest, receipt: Receipt) -> AccountCreated:
    return AccountCreated(
        account_id=receipt.object_id,
        currency=asked.currency,
        kind=asked.kind,
        min_balance=asked.min_balance or 0,
        parent=asked.parent or None,
        priority=asked.priority or 0,
        expires_at=_in_seconds(receipt.recorded_at, asked.expires_in_s),
        created_at=timestamp(receipt.recorded_at),
    )


def _in_seconds(moment: datetime, later_s: int | UnsetType) -> str | None:
    return None if later_s is UNSET else timestamp(moment + timedelta(seconds=later_s))


def _optional(moment: datetime | None) -> str | None:
    return None if moment is None else timestamp(moment)


class AccountDetails(_Answer, frozen=True, kw_only=True):
    """What an account is. `closes_at` is when one that is closing is closed."""

    account_id: str
    currency: str
    kind: AccountKind
    min_balance: int
    parent: str | None
    priority: int
    expires_at: Timestamp | None
    created_at: Timestamp
    state: AccountState
    closes_at: Timestamp | None


def account_details(profile: Profile, now: datetime) -> AccountDetails:
    return AccountDetails(
        account_id=profile.account_id,
        currency=profile.currency,
        kind=profile.kind,
        min_balance=profile.min_balance_minor,
        parent=profile.parent,
        priority=profile.priority,
        expires_at=_optional(profile.expires_at),
        created_at=timestamp(profile.opened_at),
        state=state_at(profile.closes_at, now),
        closes_at=_optional(profile.closes_at),
    )


class MinBalanceChanged(_Answer, frozen=True, kw_only=True):
    """Follows from its event alone, so a replay is equal."""

    account_id: str
    min_balance: int
    created_at: Timestamp


def min_balance_changed(recorded: Recorded) -> MinBalanceChanged:
    changed = recorded.event
    assert isinstance(changed, AccountMinBalanceChanged), recorded.type
    return MinBalanceChanged(
        account_id=recorded.stream,
        min_balance=changed.min_balance_minor,
        created_at=timestamp(recorded.recorded_at),
    )


class AccountCloses(_Answer, frozen=True, kw_only=True):
    """It is closing. Follows from its event alone, so a replay is equal."""

    account_id: str
    state: AccountState
    closes_at: Timestamp
    created_at: Timestamp


def account_closes(recorded: Recorded) -> AccountCloses:
    closing = recorded.event
    assert isinstance(closing, AccountClosing), recorded.type
    return AccountCloses(
        account_id=recorded.stream,
        state=AccountState.CLOSING,
        closes_at=timestamp(closing.closes_at),
        created_at=timestamp(recorded.recorded_at),
    )


class BalanceDetails(_Answer, frozen=True, kw_only=True):
    """Money of an account that is spent in its own turn and time."""

    account_id: str
    priority: int
    expires_at: Timestamp | None
    expired: bool
    available: int


class WalletBalances(_Answer, frozen=True, kw_only=True):
    """What the holder of an account has: `balance` is `available` and `held` together.

    `balances` are the accounts that were opened as balances of this one; what they have is not
    in the figures beside them.
    """

    account_id: str
    currency: str
    available: int
    held: int
    balance: int
    min_balance: int
    balances: tuple[BalanceDetails, ...]


def wallet_balances(
    profile: Profile,
    wallet: Wallet,
    balances: Sequence[tuple[Profile, Wallet]],
    now: datetime,
) -> WalletBalances:
    return WalletBalances(
        account_id=wallet.account_id,
        currency=wallet.currency,
        available=wallet.available_minor,
        held=wallet.held_minor,
        balance=wallet.balance_minor,
        min_balance=wallet.min_balance_minor,
        balances=tuple(
            BalanceDetails(
                account_id=balance.account_id,
                priority=balance.priority,
                expires_at=_optional(balance.expires_at),
                expired=balance.expires_at is not None and balance.expires_at <= now,
                available=its.available_minor,
            )
            for balance, its in balances
        ),
    )


# Holds.


class HoldPartPlaced(_Answer, frozen=True, kw_only=True):
    recipient: str
    amount: int


class HoldAccepted(_Answer, frozen=True, kw_only=True):
    """The money is put aside. Follows from the request and its receipt alone."""

    hold_id: str
    status: HoldStatus
    account: str
    amount: int
    currency: str
    parts: tuple[HoldPartPlaced, ...]
    expires_at: Timestamp | None
    created_at: Timestamp


def hold_accepted(asked: HoldRequest, receipt: Receipt) -> HoldAccepted:
    return HoldAccepted(
        hold_id=receipt.object_id,
        status=HoldStatus.OPEN,
        account=asked.account,
        amount=sum(part.amount for part in asked.parts),
        currency=asked.currency,
        parts=tuple(
            HoldPartPlaced(recipient=part.recipient, amount=part.amount) for part in asked.parts
        ),
        expires_at=_in_seconds(receipt.recorded_at, asked.expires_in_s),
        created_at=timestamp(receipt.recorded_at),
    )


class HoldCaptureAccepted(_Answer, frozen=True, kw_only=True):
    """The recipients have it. Follows from its event alone."""

    capture_id: str
    hold_id: str
    amount: int
    released: int
    parts: tuple[HoldPartPlaced, ...]
    created_at: Timestamp


def hold_capture_accepted(recorded: Recorded) -> HoldCaptureAccepted:
    captured = recorded.event
    assert isinstance(captured, HoldCaptured), recorded.type
    return HoldCaptureAccepted(
        capture_id=captured.capture_id,
        hold_id=recorded.stream,
        amount=sum(part.amount.minor for part in captured.parts),
        released=sum(part.amount.minor for part in captured.released),
        parts=_placed(captured.parts),
        created_at=timestamp(recorded.recorded_at),
    )


class HoldVoidAccepted(_Answer, frozen=True, kw_only=True):
    """It is back in the wallet that it came from. Follows from its event alone."""

    hold_id: str
    released: int
    parts: tuple[HoldPartPlaced, ...]
    created_at: Timestamp


def hold_void_accepted(recorded: Recorded) -> HoldVoidAccepted:
    released = recorded.event
    assert isinstance(released, HoldReleased), recorded.type
    return HoldVoidAccepted(
        hold_id=recorded.stream,
        released=sum(part.amount.minor for part in released.parts),
        parts=_placed(released.parts),
        created_at=timestamp(recorded.recorded_at),
    )


def _placed(parts: Parts) -> tuple[HoldPartPlaced, ...]:
    return tuple(
        HoldPartPlaced(recipient=part.recipient, amount=part.amount.minor) for part in parts
    )


class HoldPartDetails(_Answer, frozen=True, kw_only=True):
    """What became of what was for one recipient; what is neither is `held`."""

    recipient: str
    amount: int
    captured: int
    held: int


class HoldDetails(_Answer, frozen=True, kw_only=True):
    """A hold, from its events. `status` is what let go of the last of it, or `open`."""

    hold_id: str
    status: HoldStatus
    account: str
    amount: int
    currency: str
    captured: int
    held: int
    parts: tuple[HoldPartDetails, ...]
    description: str | None
    metadata: dict[str, str]
    created_at: Timestamp
    expires_at: Timestamp | None
    events: tuple[Happening, ...]


def hold_details(history: History) -> HoldDetails:
    """The hold that a history tells of, which has at least its first event."""
    first, hold = history.events[0], hold_of(history)
    assert isinstance(hold, OpenHold | ClosedHold), first.type
    terms = hold.terms
    left = hold.left if isinstance(hold, OpenHold) else {}
    return HoldDetails(
        hold_id=first.stream,
        status=hold_status_of(hold),
        account=terms.account_id,
        amount=terms.total.minor,
        currency=terms.total.currency,
        captured=sum(hold.captured.values()),
        held=sum(left.values()),
        parts=tuple(
            HoldPartDetails(
                recipient=part.recipient,
                amount=part.amount.minor,
                captured=hold.captured[part.recipient],
                held=left.get(part.recipient, 0),
            )
            for part in terms.parts
        ),
        description=terms.description,
        metadata=dict(terms.metadata),
        created_at=timestamp(first.recorded_at),
        expires_at=_optional(terms.expires_at),
        events=_happenings(history),
    )


def _happenings(history: History) -> tuple[Happening, ...]:
    return tuple(
        Happening(type=recorded.type, timestamp=timestamp(recorded.recorded_at))
        for recorded in history.events
    )


# Dead letters.


class DeadLetterSummary(_Answer, frozen=True, kw_only=True):
    """Work that a hop gave up. `seen` is how often, `redrives` how often it was sent again."""

    dead_letter_id: str
    hop: str
    state: LetterState
    cause: str
    payment_id: str | None
    stream: str | None
    version: int | None
    first_seen_at: Timestamp
    last_seen_at: Timestamp
    seen: int
    redrives: int


class DeadLetterList(_Answer, frozen=True, kw_only=True):
    data: tuple[DeadLetterSummary, ...]
    has_more: bool


class DeadLetterDetails(DeadLetterSummary, frozen=True, kw_only=True):
    """A dead letter with the work itself, as the text that it was."""

    payload: str


def _summary(letter: DeadLetter) -> dict[str, Any]:
    stream = letter.stream
    return {
        "dead_letter_id": letter.letter_id,
        "hop": letter.hop,
        "state": letter.state,
        "cause": letter.cause,
        "payment_id": stream if stream and stream.startswith("pay_") else None,
        "stream": stream,
        "version": letter.version,
        "first_seen_at": timestamp(letter.first_seen),
        "last_seen_at": timestamp(letter.last_seen),
        "seen": letter.seen,
        "redrives": letter.redrives,
    }


def dead_letter_list(letters: Sequence[DeadLetter], *, has_more: bool) -> DeadLetterList:
    """A page of dead letters, newest first."""
    return DeadLetterList(
        data=tuple(DeadLetterSummary(**_summary(letter)) for letter in letters),
        has_more=has_more,
    )


def dead_letter_details(letter: DeadLetter) -> DeadLetterDetails:
    return DeadLetterDetails(**_summary(letter), payload=letter.payload)


class RedrivenLetter(_Answer, frozen=True, kw_only=True):
    """A letter as its redrive left it: still open if its hop could not take it, or gave it back."""

    dead_letter_id: str
    state: LetterState


class Redrive(_Answer, frozen=True, kw_only=True):
    """What a request to redrive did. `has_more` says that it left letters for the next one."""

    redrive_id: str
    data: tuple[RedrivenLetter, ...]
    has_more: bool
    created_at: Timestamp


def redrive_done(record: RedriveRecord) -> Redrive:
    return Redrive(
        redrive_id=record.redrive_id,
        data=tuple(
            RedrivenLetter(dead_letter_id=letter_id, state=state)
            for letter_id, state in record.letters
        ),
        has_more=record.has_more,
        created_at=timestamp(record.created_at),
    )


# API keys.


class ApiKeySummary(_Answer, frozen=True, kw_only=True):
    """An API key without the key. `scopes` is all that it may do, by its role or one by one."""

    api_key_id: str
    name: str
    mode: str
    role: Role | None
    scopes: tuple[Scope, ...]
    allowed_addresses: tuple[str, ...]
    status: KeyStatus
    created_at: Timestamp
    created_by: str | None
    expires_at: Timestamp | None
    rolled_from: str | None
    rolled_to: str | None
    revoked_at: Timestamp | None
    last_used_at: Timestamp | None


class ApiKeyList(_Answer, frozen=True, kw_only=True):
    """A page of API keys, newest first."""

    data: tuple[ApiKeySummary, ...]
    has_more: bool


class ApiKeyCreated(_Answer, frozen=True, kw_only=True):
    """A new API key. `secret` is the key itself in the first answer, and null ever after.

    A key that was rolled to make it is good until `rolled_from_until`.
    """

    api_key_id: str
    secret: str | None
    name: str
    mode: str
    role: Role | None
    scopes: tuple[Scope, ...]
    allowed_addresses: tuple[str, ...]
    created_at: Timestamp
    expires_at: Timestamp | None
    rolled_from: str | None
    rolled_from_until: Timestamp | None


class ApiKeyRevoked(_Answer, frozen=True, kw_only=True):
    """A key that opens nothing any more, once no gateway remembers it."""

    api_key_id: str
    status: KeyStatus
    revoked_at: Timestamp


def api_key_summary(key: ApiKey, now: datetime) -> ApiKeySummary:
    return ApiKeySummary(
        api_key_id=key.key_id,
        name=key.name,
        mode=key.mode,
        role=key.role,
        scopes=tuple(sorted(key.opens)),
        allowed_addresses=key.allowed_addresses,
        status=key.status(now),
        created_at=timestamp(key.created_at),
        created_by=key.created_by,
        expires_at=_timestamp_or_none(key.ends_at),
        rolled_from=key.rolled_from,
        rolled_to=key.rolled_to,
        revoked_at=_timestamp_or_none(key.revoked_at),
        last_used_at=_timestamp_or_none(key.last_used_at),
    )


def api_key_list(keys: Sequence[ApiKey], now: datetime, *, has_more: bool) -> ApiKeyList:
    return ApiKeyList(data=tuple(api_key_summary(key, now) for key in keys), has_more=has_more)


def api_key_created(key: ApiKey, predecessor: ApiKey | None, secret: str | None) -> ApiKeyCreated:
    """What is told of a new key: nothing that changes later, so that it can be told again."""
    return ApiKeyCreated(
        api_key_id=key.key_id,
        secret=secret,
        name=key.name,
        mode=key.mode,
        role=key.role,
        scopes=tuple(sorted(key.opens)),
        allowed_addresses=key.allowed_addresses,
        created_at=timestamp(key.created_at),
        expires_at=_timestamp_or_none(key.expires_at),
        rolled_from=key.rolled_from,
        rolled_from_until=_timestamp_or_none(predecessor.ends_at if predecessor else None),
    )


def api_key_revoked(key: ApiKey) -> ApiKeyRevoked:
    assert key.revoked_at is not None, "what is told of is revoked"
    return ApiKeyRevoked(
        api_key_id=key.key_id, status=KeyStatus.REVOKED, revoked_at=timestamp(key.revoked_at)
    )


def _timestamp_or_none(moment: datetime | None) -> Timestamp | None:
    return None if moment is None else timestamp(moment)
