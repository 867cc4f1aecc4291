"""Which wallets pay for what is asked, and whether they and who is paid take part at all."""

from datetime import datetime

from api.app import App
from florin.domain.funding import Draw, Funding, Source, drawn
from florin.domain.money import Money
from florin.domain.payment import WITH_BALANCES
from florin.domain.refusals import Refusal
from florin.ports import Profile


def closed(profile: Profile) -> bool:
    """Whether an account takes no new money. What it has it may still pay out."""
    return profile.closes_at is not None


def spendable(payer: Profile, now: datetime, recipient: str | None = None) -> Refusal | None:
    """Why a wallet cannot be drawn on, whatever is in it, if so. What is in a balance that has
    expired can only go back to the account that it is a balance of.
    """
    expired = payer.expires_at is not None and payer.expires_at <= now
    if expired and (payer.parent is None or payer.parent != recipient):
        return Refusal.BALANCE_EXPIRED
    return None


def funding(
    app: App, payer: Profile, payment_method: str, recipient: str, amount: Money, now: datetime
) -> Funding | Refusal:
    """What each wallet gives. One that is named alone is not looked at: its guard will say."""
    if not payment_method.endswith(WITH_BALANCES):
        refusal = spendable(payer, now, recipient)
        return refusal or (Draw(account_id=payer.account_id, amount=amount),)
    profiles = [payer, *app.accounts.balances(payer)]
    draws = drawn(amount, [_source(app, profile) for profile in profiles], now)
    if draws is None:
        # What is on its way to them may not have arrived yet.
        for profile in profiles:
            app.catch_up(profile.tenant_id, profile.account_id)
        draws = drawn(amount, [_source(app, profile) for profile in profiles], now)
    return draws or Refusal.INSUFFICIENT_FUNDS


def _source(app: App, profile: Profile) -> Source:
    wallet = app.accounts.wallet(profile)
    return Source(
        account_id=profile.account_id,
        spendable_minor=wallet.available_minor - wallet.min_balance_minor,
        priority=profile.priority,
        expires_at=profile.expires_at,
    )
