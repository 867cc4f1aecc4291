"""From a command to stored facts, once per idempotency key.

The key's record is written in the transaction of its effect, so there is no moment at which one
exists without the other. When the record is there already it comes back with the failed write:
the same request gets the first answer again, which follows from the request, the id and the time
in the record; another request under the same key is refused with the fields that differ.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from florin.domain import account as accounts
from florin.domain import payment as payments
from florin.domain.account import OpenAccount
from florin.domain.history import NO_EVENTS, Draft
from florin.domain.payment import Initiate
from florin.domain.refusals import Refusal
from florin.ports import (
    AlreadyReceived,
    Appended,
    Batch,
    Clock,
    EventStore,
    Ids,
    Profile,
    Receipt,
)
from florin.saga import drafts_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Once:
    """What makes a request the same request: its tenant's key, its route and its fields."""

    tenant_id: str
    key: str
    route: str
    fingerprint: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """The request has its effect. `receipt` is that of the first request with the key."""

    receipt: Receipt
    replayed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """The request changed nothing. `params` are the fields that it is about."""

    refusal: Refusal
    params: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """Where requests that create something are accepted."""

    store: EventStore
    clock: Clock
    ids: Ids

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
            case Appended():
                return Accepted(receipt=receipt, replayed=False)
            case AlreadyReceived(first) if first == receipt:
                # This very request, sent again below us after it had its effect.
                return Accepted(receipt=receipt, replayed=False)
            case AlreadyReceived(first):
                return _replay(first, once)
            case unexpected:
                raise AssertionError(f"{object_id} is not new: {unexpected}")


def _replay(first: Receipt, once: Once) -> Accepted | Refused:
    if first.route != once.route:
        return Refused(refusal=Refusal.IDEMPOTENCY_KEY_REUSED, params=("route",))
    differing = {
        name
        for name in first.fingerprint.keys() | once.fingerprint.keys()
        if first.fingerprint.get(name) != once.fingerprint.get(name)
    }
    if differing:
        return Refused(refusal=Refusal.IDEMPOTENCY_KEY_REUSED, params=tuple(sorted(differing)))
    return Accepted(receipt=first, replayed=True)
