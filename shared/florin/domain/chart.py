"""Which accounts a fact touches: the one place where payments become bookkeeping."""

from collections.abc import Mapping
from typing import Final, assert_never

from florin.domain.ledger import Account, Entry, Posting
from florin.domain.money import Money
from florin.domain.payment import (
    Captured,
    Held,
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
)

CHART_VERSION: Final = 1
"""Stored in every entry; raise it when the same fact is to be booked differently."""

PLATFORM_FEES: Final = Account("platform:fees")

REFUNDS_IN_TRANSIT: Final = Account("refunds:in_transit")
"""What was taken for refunds that the provider has not confirmed. A liability."""

WALLET_PREFIX: Final = "wallet:"


def receivable(provider: str) -> Account:
    """What a provider took for us and has not paid out yet. An asset."""
    return Account(f"provider:{provider}:receivable")


def wallet(account_id: str) -> Account:
    """What we owe to the holder of an account. A liability."""
    return Account(f"{WALLET_PREFIX}{account_id}")


def is_wallet(account: Account) -> bool:
    return account.startswith(WALLET_PREFIX)


def entry_for(payment: Payment, event: PaymentEvent) -> Entry | None:
    """The entry that `event` causes on a payment in the state before it; most facts cause none."""
    match event:
        case PaymentCaptured(amount=amount, fee=fee):
            terms = _terms(payment)
            debit = receivable(terms.provider)
            return _entry(
                (debit, wallet(terms.recipient), amount - fee),
                (debit, PLATFORM_FEES, fee),
            )
        case PaymentRefundRequested(amount=amount, fee_returned=returned):
            payer = wallet(_terms(payment).recipient)
            return _entry(
                (payer, REFUNDS_IN_TRANSIT, amount - returned),
                (PLATFORM_FEES, REFUNDS_IN_TRANSIT, returned),
                guarded={payer: (amount - returned).minor},
            )
        case PaymentRefunded(amount=amount):
            return _entry((REFUNDS_IN_TRANSIT, receivable(_terms(payment).provider), amount))
        case PaymentRefundFailed(amount=amount, fee_returned=returned):
            return _entry(
                (REFUNDS_IN_TRANSIT, wallet(_terms(payment).recipient), amount - returned),
                (REFUNDS_IN_TRANSIT, PLATFORM_FEES, returned),
            )
        case (
            PaymentInitiated()
            | PaymentRiskAssessed()
            | ProviderCallStarted()
            | ProviderCallUnanswered()
            | ProviderCallNotAttempted()
            | ProviderCallDeclined()
            | PaymentAuthorized()
            | PaymentCaptureRequested()
            | PaymentCancelRequested()
            | PaymentVoided()
            | PaymentFailed()
            | PaymentCanceled()
        ):
            return None
        case _:
            assert_never(event)


def _terms(payment: Payment) -> PaymentInitiated:
    assert isinstance(payment, Held | Captured), f"nothing is booked on {payment}"
    return payment.terms


def _entry(
    *moves: tuple[Account, Account, Money], guarded: Mapping[Account, int] | None = None
) -> Entry:
    return Entry(
        chart_version=CHART_VERSION,
        postings=tuple(
            Posting(debit=debit, credit=credit, amount=amount)
            for debit, credit, amount in moves
            if not amount.is_zero
        ),
        guarded={account: minor for account, minor in (guarded or {}).items() if minor},
    )
