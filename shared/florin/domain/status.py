"""The words in which a payment's state is told to the outside."""

from enum import StrEnum
from typing import assert_never

from florin.domain.account import Account, AccountState, OpenedAccount
from florin.domain.hold import ClosedHold, Hold, OpenHold
from florin.domain.payment import (
    Canceled,
    Captured,
    Failed,
    Held,
    Payment,
    Pending,
    Undoing,
    Unseen,
    exhausted,
    open_calls,
    owed,
)


class Status(StrEnum):
    """Where a payment is. Values go on the wire: add, never rename."""

    PROCESSING = "processing"
    AWAITING_PROVIDER = "awaiting_provider"
    AUTHORIZED = "authorized"
    SUCCEEDED = "succeeded"
    PARTIALLY_REFUNDED = "partially_refunded"
    REFUNDED = "refunded"
    FAILED = "failed"
    CANCELED = "canceled"


class SagaStatus(StrEnum):
    """Where the saga of a payment is."""

    RUNNING = "running"
    WAITING = "waiting"
    NEEDS_OPERATOR = "needs_operator"
    COMPENSATING = "compensating"
    COMPLETED = "completed"
    FAILED = "failed"


class HoldStatus(StrEnum):
    """Where a hold is. Values go on the wire: add, never rename."""

    OPEN = "open"
    CAPTURED = "captured"
    VOIDED = "voided"
    EXPIRED = "expired"


def hold_status_of(hold: Hold) -> HoldStatus:
    """How a hold ended, by what let go of the last of it, if it has."""
    match hold:
        case OpenHold():
            return HoldStatus.OPEN
        case ClosedHold(ending=ending):
            return HoldStatus(ending.value)
        case _:
            raise AssertionError("what nobody asked for has no status")


def account_status_of(account: Account) -> AccountState:
    """What the facts say of an account: that it has closed follows from them and the clock."""
    assert isinstance(account, OpenedAccount), "what nobody asked for has no status"
    return AccountState.OPEN if account.closes_at is None else AccountState.CLOSING


def status_of(payment: Payment) -> Status:
    """A call that the provider has not answered comes before everything else: it is unknown."""
    if not isinstance(payment, Captured | Failed | Canceled) and _is_unknown(payment):
        return Status.AWAITING_PROVIDER
    match payment:
        case Pending() | Undoing():
            return Status.PROCESSING
        case Held():
            return Status.AUTHORIZED
        case Captured(refunded=refunded, captured=captured):
            if refunded.is_zero:
                return Status.SUCCEEDED
            return Status.REFUNDED if refunded == captured else Status.PARTIALLY_REFUNDED
        case Canceled():
            return Status.CANCELED
        case Failed():
            return Status.FAILED
        case Unseen():
            raise AssertionError("what nobody asked for has no status")
        case _:
            assert_never(payment)


def saga_status_of(payment: Payment) -> SagaStatus:
    if _is_unknown(payment):
        return SagaStatus.WAITING
    if exhausted(payment):
        return SagaStatus.NEEDS_OPERATOR
    match payment:
        case Held() | Captured() if not owed(payment):
            return SagaStatus.WAITING if isinstance(payment, Held) else SagaStatus.COMPLETED
        case Pending() | Held() | Captured():
            return SagaStatus.RUNNING
        case Undoing():
            return SagaStatus.COMPENSATING
        case Failed() | Canceled():
            return SagaStatus.COMPENSATING if payment.returns else SagaStatus.FAILED
        case Unseen():
            raise AssertionError("what nobody asked for has no saga")
        case _:
            assert_never(payment)


def _is_unknown(payment: Payment) -> bool:
    """Whether a provider was asked and did not answer."""
    return any(call.unanswered for call in open_calls(payment))
