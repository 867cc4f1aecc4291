"""Which wallets pay for what is asked, and whether they and who is paid take part at all."""

from datetime import datetime

from api.app import App
from florin.domain.funding import Draw, Funding, Source, drawn
from florin.domain.money import Money
from florin.domain.payment import WITH_BALANCES
from florin.domain.refusals import Refusal
from florin.ports import Profile


def closed(profile: Profile) -> bool:
    """Whether an account takes no new business."""
    return profile.closes_at is not None


def spendable(payer: Profile, now: datetime) -> Refusal | None:
    """Why a wallet cannot be drawn on, whatever is in it, if so."""
    if closed(payer):
        return Refusal.ACCOUNT_CLOSED
    if payer.expires_at is not None and payer.expires_at <= now:
        return Refusal.BALANCE_EXPIRED
    return None


def funding(
    app: App, payer: Profile, payment_method: str, amount: Money, now: datetime
) -> Funding | Refusal:
    """What each wallet gives. One that is named alone is not looked at: its guard will say."""
    if not payment_method.endswith(WITH_BALANCES):
        refusal = spendable(payer, now)
        return refusal or (Draw(account_id=payer.account_id, amount=amount),)
    profiles = [payer, *app.accounts.balances(payer)]
    sources = [_source(app, profile) for profile in profiles if not closed(profile)]
    return drawn(amount, sources, now) or Refusal.INSUFFICIENT_FUNDS


def _source(app: App, profile: Profile) -> Source:
    wallet = app.accounts.wallet(profile)
    return Source(
        account_id=profile.account_id,
        spendable_minor=wallet.available_minor - wallet.min_balance_minor,
        priority=profile.priority,
        expires_at=profile.expires_at,
    )
