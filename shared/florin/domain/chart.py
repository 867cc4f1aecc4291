"""Which accounts a fact touches: the one place where payments become bookkeeping."""

from typing import Final, assert_never

from florin.domain.ledger import Account, Entry, Posting
from florin.domain.money import Money
from florin.domain.payment import (
    Held,
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
)

CHART_VERSION: Final = 1
"""Stored in every entry; raise it when the same fact is to be booked differently."""

PLATFORM_FEES: Final = Account("platform:fees")

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
            assert isinstance(payment, Held), f"{event} cannot follow {payment}"
            terms = payment.terms
            debit = receivable(terms.provider)
            return _entry(
                (debit, wallet(terms.recipient), amount - fee),
                (debit, PLATFORM_FEES, fee),
            )
        case (
            PaymentInitiated()
            | PaymentRiskAssessed()
            | ProviderCallStarted()
            | ProviderCallUnanswered()
            | ProviderCallNotAttempted()
            | ProviderCallDeclined()
            | PaymentAuthorized()
            | PaymentVoided()
            | PaymentFailed()
        ):
            return None
        case _:
            assert_never(event)


def _entry(*moves: tuple[Account, Account, Money]) -> Entry:
    return Entry(
        chart_version=CHART_VERSION,
        postings=tuple(
            Posting(debit=debit, credit=credit, amount=amount)
            for debit, credit, amount in moves
            if not amount.is_zero
        ),
    )
