"""From a stream's facts to what they come to, and from decisions to drafts of facts."""

from dataclasses import replace
from datetime import datetime
from typing import cast

from florin.domain import account as accounts
from florin.domain import hold as holds
from florin.domain.account import Account, AccountEvent, AccountState, state_at
from florin.domain.chart import credited_wallets, entry_for_hold, without_closed
from florin.domain.history import Draft, History
from florin.domain.hold import Hold, HoldEvent
from florin.ports import Accounts


def account_of(history: History) -> Account:
    """The account that a history tells of."""
    return accounts.fold(cast("AccountEvent", recorded.event) for recorded in history.events)


def hold_of(history: History) -> Hold:
    """The hold that a history tells of."""
    return holds.fold(cast("HoldEvent", recorded.event) for recorded in history.events)


def hold_drafts(hold: Hold, events: tuple[HoldEvent, ...]) -> tuple[Draft, ...]:
    """The events with the entries that they cause, each in the state that it follows."""
    drafts = []
    for event in events:
        drafts.append(Draft(event=event, entry=entry_for_hold(hold, event)))
        hold = holds.evolve(hold, event)
    return tuple(drafts)


def bookable(
    drafts: tuple[Draft, ...], accounts: Accounts, tenant_id: str, now: datetime
) -> tuple[Draft, ...]:
    """The drafts with what comes too late for an account that has closed booked as such.

    A profile may be half a minute old, and an account takes twice as long to close: who began
    before that did so while the account still took money.
    """
    return tuple(
        draft if draft.entry is None else _bookable(draft, accounts, tenant_id, now)
        for draft in drafts
    )


def _bookable(draft: Draft, accounts: Accounts, tenant_id: str, now: datetime) -> Draft:
    assert draft.entry is not None
    closed = {
        account_id
        for account_id in credited_wallets(draft.entry)
        if (profile := accounts.profile(tenant_id, account_id)) is not None
        and state_at(profile.closes_at, now) is AccountState.CLOSED
    }
    return replace(draft, entry=without_closed(draft.entry, closed)) if closed else draft
