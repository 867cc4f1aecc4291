"""Everything derived: from facts to statement lines, balances, totals and views.

`project` may be run by anybody, at any time, with any streams, as often as they like. A wallet's
lines are known by the entries that they come from; everything else is added in the write that
moves the stream's view past the facts it comes from.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from florin.domain.account import AccountOpened
from florin.domain.chart import is_held, is_wallet, wallet_of_held
from florin.domain.deadlines import hold_due_at, payment_due_at
from florin.domain.history import History, Recorded
from florin.domain.hold import HoldPlaced
from florin.domain.ledger import Leg, Side
from florin.domain.payment import Captured, Payment, PaymentInitiated, owed
from florin.domain.status import Status, account_status_of, hold_status_of, status_of
from florin.folding import account_of, hold_of
from florin.ports import (
    AccountKey,
    Advance,
    Books,
    ContentionError,
    EventStore,
    Line,
    PaymentSummary,
    Reserved,
    View,
)
from florin.saga import fold_history

PASSING_FOR: Final = timedelta(seconds=30)
"""So long after a payment's last fact the next one is awaited before its view moves."""

ROUNDS_MAX: Final = 5
"""How often a projection is begun anew because another one moved the same views."""


@dataclass(frozen=True, slots=True)
class _Fresh:
    """A stream with the facts that its view does not contain yet."""

    history: History
    view: View | None

    @property
    def from_version(self) -> int:
        return self.view.version if self.view else 0

    @property
    def facts(self) -> tuple[Recorded, ...]:
        return self.history.events[self.from_version :]


@dataclass(frozen=True, slots=True, kw_only=True)
class Projector:
    """`now` tells the time to who reads facts as they come: it lets a payment pass that is on its
    way, because its next fact will come by in a moment. Without it every view moves at once.
    """

    store: EventStore
    books: Books
    now: Callable[[], datetime] | None = None

    def project(self, streams: Iterable[str]) -> None:
        """Bring the books up to date with these streams.

        Raises:
            ContentionError: other projections kept moving the same views.
            CorruptEventError: a stream holds what cannot have been written.
        """
        wanted = tuple(dict.fromkeys(streams))
        for _ in range(ROUNDS_MAX):
            fresh = [self._fresh(stream) for stream in wanted]
            fresh = [stream for stream in fresh if stream.facts and not self._passes(stream)]
            lines, reserved = _lines(fresh), _reserved(fresh)
            for wallet in dict.fromkeys([*lines, *reserved]):
                self.books.post(wallet, lines.get(wallet, ()), reserved.get(wallet, ()))
            if not fresh or self.books.advance([_advance(stream) for stream in fresh]):
                return
        raise ContentionError(f"views moved under us {ROUNDS_MAX} times")

    def _fresh(self, stream: str) -> _Fresh:
        view = self.books.view(stream)
        return _Fresh(self.store.read(stream), view)

    def _passes(self, stream: _Fresh) -> bool:
        """Whether all that is new is that a payment is under way, as its view says already.

        The view says when somebody looks after the payment should nothing follow, and whoever
        does has it moved first.
        """
        view, last = stream.view, stream.history.events[-1]
        if (
            self.now is None
            or view is None
            or (view.status, view.resumes) != (Status.PROCESSING, 0)
            or self.now() - last.recorded_at > PASSING_FOR
        ):
            return False
        payment = fold_history(stream.history)
        return bool(owed(payment)) and status_of(payment) in {Status.PROCESSING, Status.AUTHORIZED}


def _legs(recorded: Recorded) -> Sequence[tuple[AccountKey, Leg]]:
    if recorded.entry is None:
        return ()
    return [
        (
            AccountKey(
                tenant_id=recorded.tenant_id, account=leg.account, currency=leg.amount.currency
            ),
            leg,
        )
        for leg in recorded.entry.legs()
    ]


def _guarded(recorded: Recorded, leg: Leg) -> int:
    """What of a leg was taken from its guard when the fact was recorded."""
    if recorded.entry is None or leg.side is not Side.DEBIT:
        return 0
    return recorded.entry.guarded.get(leg.account, 0)


def _lines(streams: Iterable[_Fresh]) -> dict[AccountKey, list[Line]]:
    lines: dict[AccountKey, list[Line]] = {}
    for stream in streams:
        for recorded in stream.facts:
            for account, leg in _legs(recorded):
                if is_wallet(account.account):
                    line = Line(
                        entry_id=recorded.entry_id,
                        leg=leg,
                        recorded_at=recorded.recorded_at,
                        guarded_minor=_guarded(recorded, leg),
                    )
                    lines.setdefault(account, []).append(line)
    return lines


def _reserved(streams: Iterable[_Fresh]) -> dict[AccountKey, list[Reserved]]:
    """What the streams have put aside of wallets, where their fresh facts changed it."""
    reserved: dict[AccountKey, list[Reserved]] = {}
    for stream in streams:
        fresh = {
            account
            for recorded in stream.facts
            for account, _ in _legs(recorded)
            if is_held(account.account)
        }
        if not fresh:
            continue
        amounts = dict.fromkeys(fresh, 0)
        for recorded in stream.history.events:
            for account, leg in _legs(recorded):
                if account in amounts:
                    amounts[account] += leg.credit_minor
        first = stream.history.events[0]
        for account, minor in amounts.items():
            key = replace(account, account=wallet_of_held(account.account))
            reserved.setdefault(key, []).append(
                Reserved(
                    stream=first.stream,
                    version=stream.history.head.version,
                    amount_minor=minor,
                    expires_at=(
                        first.event.expires_at if isinstance(first.event, HoldPlaced) else None
                    ),
                )
            )
    return reserved


def _advance(stream: _Fresh) -> Advance:
    return Advance(
        view=view_of(stream.history),
        from_version=stream.from_version,
        totals=tuple(
            (account, leg)
            for recorded in stream.facts
            for account, leg in _legs(recorded)
            if not (is_wallet(account.account) or is_held(account.account))
        ),
    )


def view_of(history: History) -> View:
    """The summary of a stream, from its facts alone."""
    first, last = history.events[0], history.events[-1]
    recipient: str | None = None
    payer: str | None = None
    order_id: str | None = None
    summary: PaymentSummary | None = None
    due_at: datetime | None = None
    match first.event:
        case PaymentInitiated() as terms:
            payment = fold_history(history)
            kind, status = "payment", str(status_of(payment))
            recipient, payer, order_id = terms.recipient, terms.payer, terms.order_id
            summary = _summary(terms, payment)
            due_at = payment_due_at(payment, last.recorded_at)
        case AccountOpened():
            kind, status = "account", str(account_status_of(account_of(history)))
        case HoldPlaced():
            hold = hold_of(history)
            kind, status, due_at = "hold", str(hold_status_of(hold)), hold_due_at(hold)
        case _:
            raise AssertionError(f"no stream begins with {first.type}")
    return View(
        stream=first.stream,
        tenant_id=first.tenant_id,
        kind=kind,
        status=status,
        version=last.version,
        created_at=first.recorded_at,
        updated_at=last.recorded_at,
        recipient=recipient,
        payer=payer,
        order_id=order_id,
        payment=summary,
        due_at=None if due_at is None else full_minute(due_at),
    )


def full_minute(moment: datetime) -> datetime:
    """The moment, or the first full minute after it: who looks, looks every minute."""
    whole = moment.replace(second=0, microsecond=0)
    return whole if whole == moment else whole + timedelta(minutes=1)


def _summary(terms: PaymentInitiated, payment: Payment) -> PaymentSummary:
    captured = payment if isinstance(payment, Captured) else None
    return PaymentSummary(
        amount=terms.amount,
        captured_minor=captured.captured.minor if captured else 0,
        refunded_minor=captured.refunded.minor if captured else 0,
        fee_minor=captured.fee.minor if captured else None,
        description=terms.description,
    )
