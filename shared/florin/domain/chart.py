"""Which accounts a fact touches: the one place where facts become bookkeeping."""

from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import replace
from typing import Final, assert_never

from florin.domain.funding import Draw, Funding, stretch
from florin.domain.hold import Hold, HoldCaptured, HoldEvent, HoldPlaced, HoldReleased, OpenHold
from florin.domain.ledger import Account, Entry, Posting
from florin.domain.money import Money
from florin.domain.payment import (
    Captured,
    Payment,
    PaymentAuthorized,
    PaymentCanceled,
    PaymentCancelRequested,
    PaymentCaptured,
    PaymentCaptureRequested,
    PaymentEvent,
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
    Pending,
    ProviderCallDeclined,
    ProviderCallNotAttempted,
    ProviderCallStarted,
    ProviderCallUnanswered,
    ProviderKeyExpired,
    Unseen,
)
from florin.domain.provider import Operation

Move = tuple[Account, Account, Money]
"""Debit, credit, amount."""

CHART_VERSION: Final = 1
"""Stored in every entry; raise it when the same fact is to be booked differently."""

PLATFORM_FEES: Final = Account("platform:fees")

REFUNDS_IN_TRANSIT: Final = Account("refunds:in_transit")
"""What was taken for refunds that the provider has not confirmed. A liability."""

LATE_SUCCESS: Final = Account("suspense:late_success")
"""What a provider took for payments that had ended without it, until it is back. A liability."""

ACCOUNT_CLOSED: Final = Account("suspense:account_closed")
"""What came for accounts when they were closed already. A liability, until somebody decides."""

WALLET_PREFIX: Final = "wallet:"
HELD_SUFFIX: Final = ":held"


def receivable(provider: str) -> Account:
    """What a provider took for us and has not paid out yet. An asset."""
    return Account(f"provider:{provider}:receivable")


def wallet(account_id: str) -> Account:
    """What we owe to the holder of an account. A liability."""
    return Account(f"{WALLET_PREFIX}{account_id}")


def held(account_id: str) -> Account:
    """What of a wallet is reserved for payments and holds. A liability."""
    return Account(f"{WALLET_PREFIX}{account_id}{HELD_SUFFIX}")


def is_wallet(account: Account) -> bool:
    return account.startswith(WALLET_PREFIX) and not account.endswith(HELD_SUFFIX)


def is_held(account: Account) -> bool:
    return account.startswith(WALLET_PREFIX) and account.endswith(HELD_SUFFIX)


def holder_of(account: Account) -> str:
    """The id of the account whose wallet this is, or of what is held of it."""
    return account.removeprefix(WALLET_PREFIX).removesuffix(HELD_SUFFIX)


def wallet_of_held(account: Account) -> Account:
    """The wallet of which this account holds what is reserved."""
    return Account(account.removesuffix(HELD_SUFFIX))


def entry_for(payment: Payment, event: PaymentEvent) -> Entry | None:
    """The entry that `event` causes on a payment in the state before it; most facts cause none."""
    match event:
        case PaymentInitiated(funding=funding):
            return reserved(funding)
        case PaymentCaptured(amount=amount, fee=fee, released=rest):
            terms = _terms(payment)
            taken = payment.captured if isinstance(payment, Captured) else _nothing(amount)
            payers = _from_held(stretch(terms.funding, taken, taken + amount))
            return _entry(
                *_matched(
                    payers or [(receivable(terms.provider), amount)],
                    [(wallet(terms.recipient), amount - fee), (PLATFORM_FEES, fee)],
                ),
                *_released(stretch(terms.funding, taken + amount, taken + amount + rest)),
            )
        case PaymentRestReleased(amount=rest):
            assert isinstance(payment, Captured), "something was captured before the rest was not"
            taken = payment.captured
            return released(stretch(payment.terms.funding, taken, taken + rest))
        case PaymentFailed() | PaymentCanceled():
            return released(_terms(payment).funding)
        case PaymentRefundRequested(amount=amount, fee_returned=returned):
            payer = wallet(_terms(payment).recipient)
            return _entry(
                (payer, REFUNDS_IN_TRANSIT, amount - returned),
                (PLATFORM_FEES, REFUNDS_IN_TRANSIT, returned),
                guarded={payer: (amount - returned).minor},
            )
        case PaymentRefunded(amount=amount, returned=draws):
            if draws:
                return _entry(
                    *((REFUNDS_IN_TRANSIT, wallet(one.account_id), one.amount) for one in draws)
                )
            return _entry((REFUNDS_IN_TRANSIT, receivable(_terms(payment).provider), amount))
        case PaymentFoundLate(operation=Operation.CAPTURE, amount=amount):
            return _entry((receivable(_terms(payment).provider), LATE_SUCCESS, amount))
        case PaymentReturned(operation=Operation.REFUND, amount=amount):
            return _entry((LATE_SUCCESS, receivable(_terms(payment).provider), amount))
        case PaymentRefundFailed(amount=amount, fee_returned=returned):
            return _entry(
                (REFUNDS_IN_TRANSIT, wallet(_terms(payment).recipient), amount - returned),
                (REFUNDS_IN_TRANSIT, PLATFORM_FEES, returned),
            )
        case (
            PaymentRiskAssessed()
            | ProviderCallStarted()
            | ProviderCallUnanswered()
            | ProviderCallNotAttempted()
            | ProviderCallDeclined()
            | ProviderKeyExpired()
            | PaymentAuthorized()
            | PaymentCaptureRequested()
            | PaymentCancelRequested()
            | PaymentVoided()
            | PaymentOperationResolved()
            | PaymentFoundLate()
            | PaymentReturned()
        ):
            return None
        case _:
            assert_never(event)


def entry_for_hold(hold: Hold, event: HoldEvent) -> Entry | None:
    """The entry that `event` causes on a hold in the state before it."""
    match event:
        case HoldPlaced(account_id=account_id, total=total):
            return reserved((Draw(account_id=account_id, amount=total),))
        case HoldCaptured(parts=parts, released=rest):
            payer = _payer(hold)
            return _entry(
                *((held(payer), wallet(part.recipient), part.amount) for part in parts),
                *((held(payer), wallet(payer), part.amount) for part in rest),
            )
        case HoldReleased(parts=parts):
            payer = _payer(hold)
            return _entry(*((held(payer), wallet(payer), part.amount) for part in parts))
        case _:
            assert_never(event)


def credited_wallets(entry: Entry) -> frozenset[str]:
    """The accounts whose wallets get something."""
    return frozenset(
        holder_of(posting.credit) for posting in entry.postings if is_wallet(posting.credit)
    )


def without_closed(entry: Entry, closed: AbstractSet[str]) -> Entry:
    """The entry with what is for closed accounts put where somebody will look for it."""
    return replace(
        entry,
        postings=tuple(
            replace(posting, credit=ACCOUNT_CLOSED)
            if is_wallet(posting.credit) and holder_of(posting.credit) in closed
            else posting
            for posting in entry.postings
        ),
    )


def reserved(funding: Funding) -> Entry | None:
    """What is put aside in wallets, checked by their guards in the same write."""
    return _entry(
        *((wallet(draw.account_id), held(draw.account_id), draw.amount) for draw in funding),
        guarded={wallet(draw.account_id): draw.amount.minor for draw in funding},
    )


def released(funding: Funding) -> Entry | None:
    """What was put aside goes back to where it was."""
    return _entry(*_released(funding))


def _released(funding: Funding) -> Iterator[Move]:
    for draw in funding:
        yield held(draw.account_id), wallet(draw.account_id), draw.amount


def _from_held(funding: Funding) -> list[tuple[Account, Money]]:
    return [(held(draw.account_id), draw.amount) for draw in funding]


def _matched(
    debits: Iterable[tuple[Account, Money]], credited: Iterable[tuple[Account, Money]]
) -> Iterator[Move]:
    """Movements that take all of the debits to all of the credits, both in their order."""
    waiting = list(debits)
    for credit, amount in credited:
        left = amount
        while not left.is_zero:
            debit, there = waiting[0]
            moved = left.at_most(there)
            yield debit, credit, moved
            left -= moved
            waiting[0] = (debit, there - moved)
            if waiting[0][1].is_zero:
                del waiting[0]


def _nothing(like: Money) -> Money:
    return Money(0, like.currency)


def _terms(payment: Payment) -> PaymentInitiated:
    assert not isinstance(payment, Unseen | Pending), f"nothing is booked on {payment}"
    return payment.terms


def _payer(hold: Hold) -> str:
    assert isinstance(hold, OpenHold), f"nothing is booked on {hold}"
    return hold.terms.account_id


def _entry(*moves: Move, guarded: Mapping[Account, int] | None = None) -> Entry | None:
    """The entry of these movements, if anything moves."""
    postings = tuple(
        Posting(debit=debit, credit=credit, amount=amount)
        for debit, credit, amount in moves
        if not amount.is_zero
    )
    if not postings:
        return None
    return Entry(
        chart_version=CHART_VERSION,
        postings=postings,
        guarded={account: minor for account, minor in (guarded or {}).items() if minor},
    )
