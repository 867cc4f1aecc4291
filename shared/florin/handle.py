"""From a command to stored facts, once per idempotency key.

The key's record is written in the transaction of its effect, so there is no moment at which one
exists without the other. When the record is there already it comes back with the failed write:
the same request gets the first answer again, another request under the same key is refused with
the fields that differ. A refusal that follows from the state, and that time alone will not
change, is bound to its key too, by a write that must succeed before it is given.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from florin.domain import account as accounts
from florin.domain import payment as payments
from florin.domain.account import OpenAccount
from florin.domain.history import NO_EVENTS, Draft, Recorded
from florin.domain.payment import Command, Initiate
from florin.domain.refusals import Refusal
from florin.ports import (
    AlreadyReceived,
    Appended,
    Batch,
    Clock,
    ContentionError,
    EventStore,
    Ids,
    InsufficientFunds,
    Profile,
    Receipt,
    StreamMoved,
)
from florin.saga import drafts_of, load

CONFLICTS_MAX: Final = 50
"""How often a request is decided anew because others changed the same payment."""


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
class Desk:
    """Where requests are accepted.

    `project` brings the books up to date with a payment, so that money which it brought can be
    spent by a request that comes right after; `pause` waits before a decision is taken anew.
    """

    store: EventStore
    clock: Clock
    ids: Ids
    project: Callable[[str], None] = lambda payment_id: None
    pause: Callable[[int], None] = lambda tried: None

    def initiate_payment(self, command: Initiate, once: Once) -> Accepted | Refused:
        """Accept a payment: one transaction, nothing read before it."""
        events = payments.decide(command, payments.INITIAL)
        if isinstance(events, Refusal):
            return Refused(refusal=events)
        return self._create("pay", drafts_of(payments.INITIAL, events), once)

    def open_account(self, command: OpenAccount, once: Once) -> Accepted | Refused:
        """Open an account with an empty wallet."""
        events = accounts.decide(command, accounts.INITIAL)
        if isinstance(events, Refusal):
            return Refused(refusal=events)
        return self._create("acct", tuple(Draft(event=event) for event in events), once, command)

    def change_payment(
        self, payment_id: str, prefix: str, command_for: Callable[[str], Command], once: Once
    ) -> Accepted | Refused:
        """Accept a request that changes a payment; `command_for` gets the id of what it makes."""
        now = self.clock.now()
        object_id = self.ids.new(prefix, now)
        projected = False
        for tried in range(CONFLICTS_MAX):
            loaded = load(self.store, payment_id)
            if loaded.tenant_id != once.tenant_id:
                return Refused(refusal=Refusal.PAYMENT_NOT_FOUND)
            receipt = Receipt(
                tenant_id=once.tenant_id,
                key=once.key,
                route=once.route,
                object_id=object_id,
                recorded_at=now,
                fingerprint=once.fingerprint,
                version=loaded.head.version + 1,
            )
            events = payments.decide(command_for(object_id), loaded.state)
            if isinstance(events, Refusal):
                return self._refuse(events, receipt, payment_id, once)
            batch = Batch(
                stream=payment_id,
                tenant_id=once.tenant_id,
                after=loaded.head,
                drafts=drafts_of(loaded.state, events),
                at=now,
                receipt=receipt,
            )
            match self.store.append(batch):
                case Appended(recorded):
                    return Accepted(receipt=receipt, event=recorded[0], replayed=False)
                case AlreadyReceived(first) if first == receipt:
                    accepted = self._replay(first, payment_id, once)
                    return replace(accepted, replayed=False)
                case AlreadyReceived(first):
                    return self._replay(first, payment_id, once)
                case InsufficientFunds() if projected:
                    return self._refuse(Refusal.INSUFFICIENT_FUNDS, receipt, payment_id, once)
                case InsufficientFunds():
                    # What the payment itself brought may not have reached the wallet yet.
                    self.project(payment_id)
                    projected = True
                case StreamMoved():
                    self.pause(tried)
        raise ContentionError(f"{payment_id} changed under us {CONFLICTS_MAX} times")

    def _create(
        self,
        prefix: str,
        drafts: tuple[Draft, ...],
        once: Once,
        opening: OpenAccount | None = None,
    ) -> Accepted | Refused:
        now = self.clock.now()
        object_id = self.ids.new(prefix, now)
        receipt = Receipt(
            tenant_id=once.tenant_id,
            key=once.key,
            route=once.route,
            object_id=object_id,
            recorded_at=now,
            fingerprint=once.fingerprint,
        )
        opens = None
        if opening is not None:
            opens = Profile(
                tenant_id=once.tenant_id,
                account_id=object_id,
                currency=opening.currency,
                kind=opening.kind,
                opened_at=now,
            )
        batch = Batch(
            stream=object_id,
            tenant_id=once.tenant_id,
            after=NO_EVENTS,
            drafts=drafts,
            at=now,
            receipt=receipt,
            opens=opens,
        )
        match self.store.append(batch):
            case Appended(recorded):
                return Accepted(receipt=receipt, event=recorded[0], replayed=False)
            case AlreadyReceived(first) if first == receipt:
                # This very request, sent again below us after it had its effect.
                return Accepted(receipt=receipt, event=None, replayed=False)
            case AlreadyReceived(first):
                return self._replay(first, None, once)
            case unexpected:
                raise AssertionError(f"{object_id} is not new: {unexpected}")

    def _refuse(
        self, refusal: Refusal, receipt: Receipt, payment_id: str, once: Once
    ) -> Accepted | Refused:
        """Refuse, unless the key had its effect already; what time will not change is bound."""
        if refusal.transient:
            first = self.store.receipt(receipt.tenant_id, receipt.key)
            if first is None:
                return Refused(refusal=refusal)
        else:
            wanted = Receipt(
                tenant_id=receipt.tenant_id,
                key=receipt.key,
                route=receipt.route,
                object_id=payment_id,
                recorded_at=receipt.recorded_at,
                fingerprint=receipt.fingerprint,
                refusal=refusal,
            )
            first = self.store.bind(wanted)
            if first is wanted:
                return Refused(refusal=refusal)
        return self._replay(first, payment_id, once)

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

    def _replay(self, first: Receipt, payment_id: str | None, once: Once) -> Accepted | Refused:
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
        if payment_id is not None:
            event = self.store.read(payment_id).events[first.version - 1]
        return Accepted(receipt=first, event=event, replayed=True)
