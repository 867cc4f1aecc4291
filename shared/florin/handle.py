"""From a command to stored facts, once per idempotency key.

The key's record is written in the transaction of its effect, so there is no moment at which one
exists without the other. When the record is there already it comes back with the failed write:
the same request gets the first answer again, another request under the same key is refused with
the fields that differ. A refusal that follows from the state, and that time alone will not
change, is bound to its key too, by a write that must succeed before it is given.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import reduce
from typing import Final

from florin.domain import account as accounts
from florin.domain import hold as holds
from florin.domain import payment as payments
from florin.domain.account import AccountCommand, AccountOpened, OpenAccount, OpenedAccount
from florin.domain.chart import holder_of, wallet
from florin.domain.funding import Funding
from florin.domain.history import NO_EVENTS, Draft, History, Recorded
from florin.domain.hold import ExpireHold, HoldCommand, PlaceHold
from florin.domain.ledger import Account
from florin.domain.payment import Command, Initiate
from florin.domain.refusals import Refusal
from florin.folding import account_of, bookable, hold_drafts, hold_of
from florin.ports import (
    Accounts,
    AlreadyReceived,
    Amendment,
    Appended,
    Batch,
    Clock,
    ContentionError,
    EventStore,
    Ids,
    InsufficientFunds,
    NotEmpty,
    Profile,
    Receipt,
    StreamMoved,
)
from florin.saga import drafts_of, fold_history

CONFLICTS_MAX: Final = 50
"""How often a request is decided anew because others changed the same thing."""

FUNDINGS_MAX: Final = 5
"""How often wallets are asked anew because others spent what they had."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Once:
    """What makes a request the same request: its tenant's key, its route and its fields."""

    tenant_id: str
    key: str
    route: str
    fingerprint: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """The request has its effect: `event`, and `receipt` is that of the first request."""

    receipt: Receipt
    event: Recorded | None
    replayed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """The request changed nothing. `params` are the fields that it is about."""

    refusal: Refusal
    params: tuple[str, ...] = ()
    replayed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What a command does to a stream: its facts, and what of an account changes with them."""

    drafts: tuple[Draft, ...]
    amends: Amendment | None = None


FundingAt = Callable[[datetime], Funding | Refusal]
"""Which wallets pay, none for a provider's means, or why nobody can be paid, at that time."""

ReadyAt = Callable[[datetime], Refusal | None]
"""Why something cannot be done at that time, if so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """Where requests are accepted.

    `project` brings the books up to date with a stream, so that money which it brought can be
    spent by a request that comes right after; `catch_up` does so for what else may be on its way
    to an account's wallet; `pause` waits before a decision is taken anew.
    """

    store: EventStore
    accounts: Accounts
    clock: Clock
    ids: Ids
    project: Callable[[str], None] = lambda stream: None
    catch_up: Callable[[str, str], None] = lambda tenant_id, account_id: None
    pause: Callable[[int], None] = lambda tried: None

    def initiate_payment(
        self, command: Initiate, once: Once, funding: FundingAt = lambda now: ()
    ) -> Accepted | Refused:
        """Accept a payment: one transaction, nothing read before it.

        Where wallets pay, `funding` says which, and their money is reserved in the transaction.
        """

        def drafts(now: datetime) -> tuple[Draft, ...] | Refusal:
            draws = funding(now)
            if isinstance(draws, Refusal):
                return draws
            funded = replace(command, funding=draws) if draws else command
            events = payments.decide(funded, payments.INITIAL)
            return events if isinstance(events, Refusal) else drafts_of(payments.INITIAL, events)

        return self._create("pay", drafts, once)

    def place_hold(
        self,
        command: PlaceHold,
        once: Once,
        expires_in: timedelta | None = None,
        ready: ReadyAt = lambda now: None,
    ) -> Accepted | Refused:
        """Put money of a wallet aside."""

        def drafts(now: datetime) -> tuple[Draft, ...] | Refusal:
            refusal = ready(now)
            if refusal is not None:
                return refusal
            expires_at = None if expires_in is None else now + expires_in
            events = holds.decide(replace(command, expires_at=expires_at), holds.INITIAL)
            return events if isinstance(events, Refusal) else hold_drafts(holds.INITIAL, events)

        return self._create("hold", drafts, once)

    def open_account(
        self,
        command: OpenAccount,
        once: Once,
        expires_in: timedelta | None = None,
        ready: ReadyAt = lambda now: None,
    ) -> Accepted | Refused:
        """Open an account with an empty wallet."""

        def drafts(now: datetime) -> tuple[Draft, ...] | Refusal:
            refusal = ready(now)
            if refusal is not None:
                return refusal
            expires_at = command.expires_at if expires_in is None else now + expires_in
            events = accounts.decide(replace(command, expires_at=expires_at), accounts.INITIAL)
            if isinstance(events, Refusal):
                return events
            return tuple(Draft(event=event) for event in events)

        return self._create("acct", drafts, once)

    def change_payment(
        self, payment_id: str, prefix: str, command_for: Callable[[str], Command], once: Once
    ) -> Accepted | Refused:
        """Accept a request that changes a payment; `command_for` gets the id of what it makes."""

        def change(history: History, object_id: str, now: datetime) -> Change | Refusal:
            payment = fold_history(history)
            events = payments.decide(command_for(object_id), payment)
            if isinstance(events, Refusal):
                return events
            drafts = drafts_of(payment, events)
            return Change(drafts=bookable(drafts, self.accounts, once.tenant_id, now))

        return self._change(payment_id, prefix, Refusal.PAYMENT_NOT_FOUND, change, once)

    def change_hold(
        self,
        hold_id: str,
        prefix: str,
        command_for: Callable[[str, datetime], HoldCommand],
        once: Once,
    ) -> Accepted | Refused:
        """Accept a request that changes a hold. One that comes too late lets it expire."""

        def change(history: History, object_id: str, now: datetime) -> Change | Refusal:
            hold = hold_of(history)
            events = holds.decide(command_for(object_id, now), hold)
            if isinstance(events, Refusal):
                return events
            drafts = hold_drafts(hold, events)
            return Change(drafts=bookable(drafts, self.accounts, once.tenant_id, now))

        answer = self._change(hold_id, prefix, Refusal.HOLD_NOT_FOUND, change, once)
        if isinstance(answer, Refused) and answer.refusal is Refusal.HOLD_EXPIRED:
            self.expire_hold(hold_id)
        return answer

    def expire_hold(self, hold_id: str) -> None:
        """Let go of what is left of a hold, if its time is up."""
        for tried in range(CONFLICTS_MAX):
            history = self.store.read(hold_id)
            hold, now = hold_of(history), self.clock.now()
            events = holds.decide(ExpireHold(now=now), hold)
            if isinstance(events, Refusal) or not events:
                return
            batch = Batch(
                stream=hold_id,
                tenant_id=history.events[0].tenant_id,
                after=history.head,
                drafts=hold_drafts(hold, events),
                at=now,
            )
            if isinstance(self.store.append(batch), Appended):
                return
            self.pause(tried)
        raise ContentionError(f"{hold_id} changed under us {CONFLICTS_MAX} times")

    def change_account(
        self, profile: Profile, command_for: Callable[[datetime], AccountCommand], once: Once
    ) -> Accepted | Refused:
        """Accept a request that changes an account, whose profile changes with it."""

        def change(history: History, object_id: str, now: datetime) -> Change | Refusal:
            account = account_of(history)
            events = accounts.decide(command_for(now), account)
            if isinstance(events, Refusal):
                return events
            after = reduce(accounts.evolve, events, account)
            assert isinstance(account, OpenedAccount), "what is decided on is open"
            assert isinstance(after, OpenedAccount), "and stays it"
            return Change(
                drafts=tuple(Draft(event=event) for event in events),
                amends=Amendment(
                    profile=replace(
                        profile,
                        min_balance_minor=after.min_balance_minor,
                        closes_at=after.closes_at,
                    ),
                    spendable_minor=account.min_balance_minor - after.min_balance_minor,
                    empty=after.closes_at is not None,
                ),
            )

        return self._change(
            profile.account_id, profile.account_id, Refusal.ACCOUNT_NOT_FOUND, change, once
        )

    def _change(
        self,
        stream: str,
        prefix: str,
        not_found: Refusal,
        change: Callable[[History, str, datetime], Change | Refusal],
        once: Once,
    ) -> Accepted | Refused:
        """Append what `change` makes of a stream as it is, once."""
        now = self.clock.now()
        object_id = self.ids.new(prefix, now)
        projected = False
        for tried in range(CONFLICTS_MAX):
            history = self.store.read(stream)
            if not history.belongs_to(once.tenant_id):
                return Refused(refusal=not_found)
            receipt = self._receipt(object_id, now, once, history.head.version + 1)
            changed = change(history, object_id, now)
            if isinstance(changed, Refusal):
                return self._refuse(changed, receipt, stream, once)
            batch = Batch(
                stream=stream,
                tenant_id=once.tenant_id,
                after=history.head,
                drafts=changed.drafts,
                at=now,
                receipt=receipt,
                amends=changed.amends,
            )
            match self.store.append(batch):
                case Appended(recorded):
                    return Accepted(receipt=receipt, event=recorded[0], replayed=False)
                case AlreadyReceived(first) if first == receipt:
                    accepted = self._replay(first, stream, once)
                    return replace(accepted, replayed=False)
                case AlreadyReceived(first):
                    return self._replay(first, stream, once)
                case NotEmpty() if projected:
                    return self._refuse(Refusal.ACCOUNT_NOT_EMPTY, receipt, stream, once)
                case NotEmpty():
                    projected = self._caught_up(once.tenant_id, wallet(stream))
                    if not projected:
                        self.pause(tried)
                case InsufficientFunds() if projected:
                    return self._refuse(Refusal.INSUFFICIENT_FUNDS, receipt, stream, once)
                case InsufficientFunds(account):
                    # What the stream itself brought may not have reached the wallet yet.
                    projected = self._caught_up(once.tenant_id, account, stream)
                    if not projected:
                        self.pause(tried)
                case StreamMoved():
                    self.pause(tried)
        raise ContentionError(f"{stream} changed under us {CONFLICTS_MAX} times")

    def _caught_up(self, tenant_id: str, account: Account, stream: str | None = None) -> bool:
        """Bring to a wallet what a stream brought and what else may be on its way; false if so many
        others were at it that it is not sure.
        """
        try:
            if stream is not None:
                self.project(stream)
            self.catch_up(tenant_id, holder_of(account))
        except ContentionError:
            return False
        return True

    def _create(
        self,
        prefix: str,
        drafts: Callable[[datetime], tuple[Draft, ...] | Refusal],
        once: Once,
    ) -> Accepted | Refused:
        """Begin a stream, once. Money that is short is looked for before it is refused."""
        now = self.clock.now()
        object_id = self.ids.new(prefix, now)
        receipt = self._receipt(object_id, now, once)
        before: tuple[Draft, ...] = ()
        for tried in range(FUNDINGS_MAX):
            made = drafts(now)
            if isinstance(made, Refusal):
                return self._refuse(made, receipt, None, once)
            batch = Batch(
                stream=object_id,
                tenant_id=once.tenant_id,
                after=NO_EVENTS,
                drafts=made,
                at=now,
                receipt=receipt,
                opens=_profile(object_id, made, now),
            )
            match self.store.append(batch):
                case Appended(recorded):
                    return Accepted(receipt=receipt, event=recorded[0], replayed=False)
                case AlreadyReceived(first) if first == receipt:
                    # This very request, sent again below us after it had its effect.
                    return Accepted(receipt=receipt, event=None, replayed=False)
                case AlreadyReceived(first):
                    return self._replay(first, None, once)
                case InsufficientFunds() if made == before:
                    break
                case InsufficientFunds(account):
                    if self._caught_up(once.tenant_id, account):
                        before = made
                    else:
                        self.pause(tried)
                case unexpected:
                    raise AssertionError(f"{object_id} is not new: {unexpected}")
        return self._refuse(Refusal.INSUFFICIENT_FUNDS, receipt, None, once)

    def _receipt(self, object_id: str, now: datetime, once: Once, version: int = 1) -> Receipt:
        return Receipt(
            tenant_id=once.tenant_id,
            key=once.key,
            route=once.route,
            object_id=object_id,
            recorded_at=now,
            fingerprint=once.fingerprint,
            version=version,
        )

    def _refuse(
        self, refusal: Refusal, receipt: Receipt, stream: str | None, once: Once
    ) -> Accepted | Refused:
        """Refuse, unless the key had its effect already; what time will not change is bound."""
        if refusal.binds:
            wanted = replace(
                receipt, object_id=stream or receipt.object_id, version=1, refusal=refusal
            )
            first = self.store.bind(wanted)
            if first is wanted:
                return Refused(refusal=refusal)
        else:
            found = self.store.receipt(receipt.tenant_id, receipt.key)
            if found is None:
                return Refused(refusal=refusal)
            first = found
        return self._replay(first, stream, once)

    def used(self, once: Once) -> Accepted | Refused | None:
        """What the key was used for; None if it is new."""
        first = self.store.receipt(once.tenant_id, once.key)
        return None if first is None else self._replay(first, None, once)

    def settle(self, object_id: str, once: Once) -> Accepted | Refused:
        """Bind the key to what was made under it, unless another request was there before."""
        receipt = Receipt(
            tenant_id=once.tenant_id,
            key=once.key,
            route=once.route,
            object_id=object_id,
            recorded_at=self.clock.now(),
            fingerprint=once.fingerprint,
        )
        first = self.store.bind(receipt)
        if first == receipt:
            return Accepted(receipt=receipt, event=None, replayed=False)
        return self._replay(first, None, once)

    def _replay(self, first: Receipt, stream: str | None, once: Once) -> Accepted | Refused:
        """The first answer again, or the fields in which this request is another one.

        The answer to a creation follows from the request and the receipt; that to a change is
        told by its event, which is read.
        """
        if first.route != once.route:
            return Refused(refusal=Refusal.IDEMPOTENCY_KEY_REUSED, params=("route",))
        differing = {
            name
            for name in first.fingerprint.keys() | once.fingerprint.keys()
            if first.fingerprint.get(name) != once.fingerprint.get(name)
        }
        if differing:
            return Refused(refusal=Refusal.IDEMPOTENCY_KEY_REUSED, params=tuple(sorted(differing)))
        if first.refusal is not None:
            return Refused(refusal=first.refusal, replayed=True)
        event = None
        if stream is not None:
            event = self.store.read(stream).events[first.version - 1]
        return Accepted(receipt=first, event=event, replayed=True)


def _profile(account_id: str, drafts: Sequence[Draft], now: datetime) -> Profile | None:
    """The profile of an account that these facts open."""
    opened = drafts[0].event
    if not isinstance(opened, AccountOpened):
        return None
    return Profile(
        tenant_id=opened.tenant_id,
        account_id=account_id,
        currency=opened.currency,
        kind=opened.kind,
        opened_at=now,
        min_balance_minor=opened.min_balance_minor,
        parent=opened.parent,
        priority=opened.priority,
        expires_at=opened.expires_at,
    )
