"""From a stream's facts to what they come to, and from decisions to drafts of facts."""

from typing import cast

from florin.domain import account as accounts
from florin.domain import hold as holds
from florin.domain.account import Account, AccountEvent
from florin.domain.chart import entry_for_hold
from florin.domain.history import Draft, History
from florin.domain.hold import Hold, HoldEvent


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
