"""The words in which a payment's state is told to the outside."""

from enum import StrEnum
from typing import assert_never

from florin.domain.payment import (
    Captured,
    Failed,
    Held,
    Payment,
    Pending,
    Undoing,
    Unseen,
    open_call,
)


class Status(StrEnum):
    """Where a payment is. Values go on the wire: add, never rename."""

    PROCESSING = "processing"
    AWAITING_PROVIDER = "awaiting_provider"
    AUTHORIZED = "authorized"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


class SagaStatus(StrEnum):
    """Where the saga of a payment is."""

    RUNNING = "running"
    WAITING = "waiting"
    COMPENSATING = "compensating"
    COMPLETED = "completed"
    FAILED = "failed"


def status_of(payment: Payment) -> Status:
    """A call that the provider has not answered comes before everything else: it is unknown."""
    call = open_call(payment)
    if call is not None and call.unanswered:
        return Status.AWAITING_PROVIDER
    match payment:
        case Pending() | Undoing():
            return Status.PROCESSING
        case Held():
            return Status.AUTHORIZED
        case Captured():
            return Status.SUCCEEDED
        case Failed():
            return Status.FAILED
        case Unseen():
            raise AssertionError("what nobody asked for has no status")
        case _:
            assert_never(payment)


def saga_status_of(payment: Payment) -> SagaStatus:
    call = open_call(payment)
    if call is not None and call.unanswered:
        return SagaStatus.WAITING
    match payment:
        case Pending() | Held():
            return SagaStatus.RUNNING
        case Undoing():
            return SagaStatus.COMPENSATING
        case Captured():
            return SagaStatus.COMPLETED
        case Failed():
            return SagaStatus.FAILED
        case Unseen():
            raise AssertionError("what nobody asked for has no saga")
        case _:
            assert_never(payment)
