"""Who watches: is told of everything that is written, and says at once when a promise is broken.

What it knows it works out itself from the facts, as they come and in no other way.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Final, cast

from florin.adapters.codec import Row, verify
from florin.adapters.memory import Memory
from florin.domain.account import (
    AccountClosing,
    AccountEvent,
    AccountMinBalanceChanged,
    AccountOpened,
)
from florin.domain.chart import (
    PLATFORM_FEES,
    REFUNDS_IN_TRANSIT,
    held,
    holder_of,
    is_held,
    is_wallet,
    receivable,
    wallet,
)
from florin.domain.funding import stretch
from florin.domain.history import Draft, Recorded
from florin.domain.hold import INITIAL as NO_HOLD
from florin.domain.hold import (
    ClosedHold,
    Hold,
    HoldCaptured,
    HoldEnding,
    HoldEvent,
    HoldPlaced,
    HoldReleased,
    OpenHold,
)
from florin.domain.hold import evolve as evolve_hold
from florin.domain.ledger import Account, Entry, Side, balances
from florin.domain.money import Money
from florin.domain.payment import (
    ATTEMPTS_MAX,
    AUTHORIZATION,
    INITIAL,
    VOID,
    Canceled,
    Captured,
    Failed,
    Payment,
    PaymentAuthorized,
    PaymentCanceled,
    PaymentCaptured,
    PaymentCaptureRequested,
    PaymentEvent,
    PaymentFailed,
    PaymentFoundLate,
    PaymentRefunded,
    PaymentRefundFailed,
    PaymentRefundRequested,
    PaymentVoided,
    ProviderCallDeclined,
    ProviderCallNotAttempted,
    ProviderCallStarted,
    Unseen,
    evolve,
    exhausted,
)
from florin.domain.provider import Approved, Declined, Operation
from florin.domain.status import status_of
from florin.ports import (
    AccountKey,
    Amendment,
    Appended,
    AppendResult,
    Batch,
    PaymentQuery,
    Profile,
    wallet_key,
)
from florin.projection import Projector
from tests.support.bank import Bank
from tests.support.relay import Relay

Told = Callable[[Sequence[Recorded]], None]

ALL = 10_000
"""More lines and payments than there ever are."""


class Tally:
    """What was taken and given back of one payment, by its facts."""

    def __init__(self) -> None:
        self.authorized = self.captured = self.refunded = 0
        self.capturing: dict[str, int] = {}
        self.refunding: dict[str, int] = {}


class Auditor:
    """Promises 1, 2, 4, 5 and 6, checked with each write to `store`."""

    def __init__(self, store: Any, bank: Bank) -> None:
        self.store = store
        self.bank = bank
        self.journal: list[Recorded] = []
        self.keys: list[tuple[str, str]] = []
        self.rows: dict[str, tuple[Row, ...]] = {}
        self.payments: dict[str, Payment] = {}
        self.holds: dict[str, Hold] = {}
        self.profiles: dict[tuple[str, str], Profile] = {}
        self.sums: Counter[AccountKey] = Counter()
        self.moves: dict[str, Counter[str]] = defaultdict(Counter)
        self.debits: Counter[AccountKey] = Counter()
        self.tallies: dict[str, Tally] = defaultdict(Tally)

    # What happens.

    def appended(self, batch: Batch, facts: Sequence[Recorded]) -> None:
        """Some facts were written."""
        if self._again(batch, facts):
            return
        self._chain(batch, facts)
        if batch.receipt is not None:
            self.keys.append((batch.receipt.tenant_id, batch.receipt.key))
            assert len(set(self.keys)) == len(self.keys), "a key had two effects"
        for fact in facts:
            self.journal.append(fact)
            self._fact(fact)
            if fact.entry is not None:
                self._entry(fact, fact.entry)
        self._money(batch.stream)
        for fact in facts:
            self._wallets(fact)

    def _again(self, batch: Batch, facts: Sequence[Recorded]) -> bool:
        """Whether who wrote was told so of what another one has written to the letter: a store may,
        where it cannot be told from its own first try, and nothing hangs on whose it is.
        """
        stand = self.rows.get(batch.stream, ())[batch.after.version :][: len(facts)]
        if not stand or [row.hash for row in stand] != [fact.hash for fact in facts]:
            return False
        assert batch.receipt is None, "two requests had one effect"
        assert not any(isinstance(fact.event, ProviderCallStarted) for fact in facts)
        return True

    def _chain(self, batch: Batch, facts: Sequence[Recorded]) -> None:
        """Nothing that stood changes, and what is new is chained to it."""
        known, now = self.rows.get(batch.stream, ()), self.store.rows(batch.stream)
        assert now[: len(known)] == known, "what was written has changed"
        verify(now[len(known) :], batch.after)
        assert [row.hash for row in now[len(known) :]] == [fact.hash for fact in facts]
        self.rows[batch.stream] = now

    def _entry(self, fact: Recorded, entry: Entry) -> None:
        for sides in (entry.legs(), *[self._both(posting) for posting in entry.postings]):
            by_currency: Counter[str] = Counter()
            for leg in sides:
                by_currency[leg.amount.currency] += leg.credit_minor
            assert not any(by_currency.values()), f"an entry does not balance: {entry}"
        for leg in entry.legs():
            key = AccountKey(
                tenant_id=fact.tenant_id, account=leg.account, currency=leg.amount.currency
            )
            self.sums[key] += leg.credit_minor
            self.moves[fact.stream][leg.account] += leg.credit_minor
            if leg.side is Side.DEBIT:
                self.debits[key] += leg.amount.minor
            if is_held(leg.account) or leg.account == "refunds:in_transit":
                assert self.sums[key] >= 0, f"less than nothing on {leg.account}"

    @staticmethod
    def _both(posting: Any) -> Sequence[Any]:
        return Entry(chart_version=1, postings=(posting,)).legs()

    def _wallets(self, fact: Recorded) -> None:
        """No wallet that the fact is about is below what it may go to."""
        touched = {
            holder_of(leg.account)
            for leg in (fact.entry.legs() if fact.entry else ())
            if leg.account.startswith("wallet:")
        }
        if fact.stream.startswith("acct_"):
            touched.add(fact.stream)
        for account_id in touched:
            self.moved(wallet_key(self.profiles[fact.tenant_id, account_id]))

    def moved(self, key: AccountKey) -> None:
        """A wallet's guard or statement was written to."""
        profile = self.profiles[key.tenant_id, holder_of(key.account)]
        assert self.sums[key] >= profile.min_balance_minor, "a command overdrew a wallet"
        told = self.store.wallet(profile)
        assert told.available_minor >= profile.min_balance_minor, "spendable is negative"
        assert told.held_minor >= 0, "less than nothing is held"
        arrived = sum(
            line.line.leg.amount.minor
            for line in self.store.statement(key, limit=ALL)
            if line.line.leg.side is Side.CREDIT
        )
        assert told.available_minor == arrived - self.debits[key], "the guard is wrong"

    # What a fact may be.

    def _fact(self, fact: Recorded) -> None:
        match fact.stream.partition("_")[0]:
            case "pay":
                before = self.payments.get(fact.stream, INITIAL)
                event = cast("PaymentEvent", fact.event)
                after = self.payments[fact.stream] = evolve(before, event)
                if isinstance(before, Failed | Canceled):
                    assert status_of(after) is status_of(before), "what had ended went on"
                    assert before.returns or isinstance(event, PaymentFoundLate)
                self._caps(self.tallies[fact.stream], event, after)
                self._word(fact.stream, event)
            case "hold":
                hold = self.holds.get(fact.stream, NO_HOLD)
                assert not isinstance(hold, ClosedHold), "what had ended went on"
                self.holds[fact.stream] = evolve_hold(hold, cast("HoldEvent", fact.event))
                self._hold_caps(self.tallies[fact.stream], cast("HoldEvent", fact.event))
                self._time(self.holds[fact.stream], fact)
            case _:
                self._account(fact.stream, cast("AccountEvent", fact.event), fact)

    def _caps(self, tally: Tally, event: PaymentEvent, payment: Payment) -> None:
        """Captured is at most what was authorized, and refunded at most what was captured."""
        match event:
            case PaymentAuthorized(amount=amount):
                tally.authorized += amount.minor
            case PaymentFoundLate(operation=Operation.AUTHORIZATION, amount=amount):
                tally.authorized += amount.minor
            case PaymentCaptureRequested(capture_id=capture_id, amount=amount):
                tally.capturing = {capture_id: amount.minor}
            case ProviderCallDeclined(operation_id=operation_id):
                tally.capturing.pop(operation_id, None)
            case ProviderCallNotAttempted(attempt=attempt, operation_id=operation_id):
                if attempt == ATTEMPTS_MAX and not exhausted(payment):
                    tally.capturing.pop(operation_id, None)
            case PaymentCaptured(capture_id=capture_id, amount=amount):
                tally.capturing.pop(capture_id, None)
                tally.captured += amount.minor
            case PaymentRefundRequested(refund_id=refund_id, amount=amount):
                assert refund_id not in tally.refunding
                tally.refunding[refund_id] = amount.minor
            case PaymentRefunded(refund_id=refund_id, amount=amount):
                assert tally.refunding.pop(refund_id) == amount.minor
                tally.refunded += amount.minor
            case PaymentRefundFailed(refund_id=refund_id, amount=amount):
                assert tally.refunding.pop(refund_id) == amount.minor
            case _:
                pass
        assert tally.captured + sum(tally.capturing.values()) <= tally.authorized, "captured more"
        assert tally.refunded + sum(tally.refunding.values()) <= tally.captured, "refunded more"

    def _hold_caps(self, tally: Tally, event: HoldEvent) -> None:
        match event:
            case HoldPlaced():
                tally.authorized += event.total.minor
            case HoldCaptured(parts=parts, released=released):
                tally.captured += sum(part.amount.minor for part in (*parts, *released))
            case HoldReleased(parts=parts):
                tally.captured += sum(part.amount.minor for part in parts)
        assert tally.captured <= tally.authorized, "more than was held"

    def _time(self, hold: Hold, fact: Recorded) -> None:
        """Until its time a hold is there for its recipients, and from then on for its payer."""
        assert isinstance(hold, OpenHold | ClosedHold)
        until = hold.terms.expires_at
        match fact.event:
            case HoldReleased(ending=HoldEnding.EXPIRED):
                assert until is not None
                assert until <= fact.recorded_at, "expired before its time"
            case HoldCaptured() | HoldReleased():
                assert until is None or fact.recorded_at < until, "used after its time"
            case _:
                pass

    # Where the money of a stream is.

    def _money(self, stream: str) -> None:
        """What the entries of a stream come to is what its facts say became of the money."""
        wanted: Counter[str] = Counter()
        if stream in self.holds:
            self._money_of_hold(self.holds[stream], self.tallies[stream], wanted)
        elif stream in self.payments and not isinstance(self.payments[stream], Unseen):
            self._money_of_payment(self.payments[stream], self.tallies[stream], wanted)
        moved = {account: minor for account, minor in self.moves[stream].items() if minor}
        due = {account: minor for account, minor in wanted.items() if minor}
        assert moved == due, f"the money of {stream} is not where its facts say"

    def _money_of_hold(self, hold: Hold, tally: Tally, wanted: Counter[str]) -> None:
        assert isinstance(hold, OpenHold | ClosedHold)
        payer = wallet(hold.terms.account_id)
        given = sum(hold.captured.values())
        for recipient, minor in hold.captured.items():
            wanted[wallet(recipient)] += minor
        left = 0 if isinstance(hold, ClosedHold) else tally.authorized - tally.captured
        wanted[held(hold.terms.account_id)] += left
        wanted[payer] -= given + left

    def _money_of_payment(self, payment: Payment, tally: Tally, wanted: Counter[str]) -> None:
        assert not isinstance(payment, Unseen)
        terms = payment.terms
        if isinstance(payment, Captured):
            fee = terms.fee_terms.fee_on(payment.captured)
            assert payment.fee == fee, "not the fee that one capture would have cost"
            kept = (fee - payment.fee_given_back).minor
            asked_back = sum(tally.refunding.values())
            wanted[PLATFORM_FEES] += kept
            wanted[wallet(terms.recipient)] += tally.captured - tally.refunded - asked_back - kept
            wanted[REFUNDS_IN_TRANSIT] += asked_back
        if not terms.funding:
            wanted[receivable(terms.provider)] -= tally.captured - tally.refunded
            return
        over = isinstance(payment, Failed | Canceled) or (
            isinstance(payment, Captured) and payment.closed
        )
        used = tally.captured if over else terms.amount.minor
        for draw in stretch(terms.funding, Money(0, terms.amount.currency), terms.amount):
            mine = min(draw.amount.minor, used)
            used -= mine
            back = payment.returned.get(draw.account_id, 0) if isinstance(payment, Captured) else 0
            assert 0 <= back <= mine, "more came back than was given"
            wanted[wallet(draw.account_id)] += back - mine
        left = 0 if over else terms.amount.minor - tally.captured
        for draw in reversed(terms.funding):
            mine = min(draw.amount.minor, left)
            left -= mine
            wanted[held(draw.account_id)] += mine

    def _word(self, payment_id: str, event: PaymentEvent) -> None:
        """What is recorded of a call is what the provider says of it."""
        deeds = self.bank.deeds
        match event:
            case PaymentAuthorized():
                assert self.bank.said(f"{payment_id}:{AUTHORIZATION}", Approved)
            case PaymentCaptured(capture_id=operation_id):
                assert self.bank.said(f"{payment_id}:{operation_id}", Approved)
            case PaymentRefunded(refund_id=operation_id):
                assert self.bank.said(f"{payment_id}:{operation_id}", Approved)
            case PaymentVoided():
                assert self.bank.said(f"{payment_id}:{VOID}", Approved)
            case ProviderCallDeclined(operation_id=operation_id):
                assert self.bank.said(f"{payment_id}:{operation_id}", Declined), "nobody declined"
            case ProviderCallNotAttempted(operation_id=operation_id, attempt=attempt):
                deed = deeds.get(f"{payment_id}:{operation_id}")
                told = event.certain or payment_id not in self.bank.wronged
                assert (
                    not told or deed is None or deed.key != f"{payment_id}:{operation_id}:{attempt}"
                ), "the provider did it"
            case PaymentFailed() | PaymentCanceled() if payment_id not in self.bank.wronged:
                charge = self.bank.charges.get(payment_id)
                assert charge is None or charge.closed, "ended with money held at the provider"
                assert charge is None or not charge.captured, "ended with money taken"
            case _:
                pass

    def _account(self, account_id: str, event: AccountEvent, fact: Recorded) -> None:
        key = (fact.tenant_id, account_id)
        match event:
            case AccountOpened():
                self.profiles[key] = profile_of(account_id, event, fact)
            case AccountMinBalanceChanged(min_balance_minor=minor, was_minor=was):
                assert self.profiles[key].min_balance_minor == was
                self.profiles[key] = replace(self.profiles[key], min_balance_minor=minor)
            case AccountClosing(closes_at=closes_at):
                assert self.profiles[key].closes_at is None, "closed twice"
                left = self.store.wallet(self.profiles[key])
                assert left.available_minor == left.balance_minor == 0, "closed with money"
                self.profiles[key] = replace(
                    self.profiles[key], closes_at=closes_at, min_balance_minor=0
                )

    # What follows from the facts.

    def check_drained(self) -> None:
        """Once nothing is under way, everything derived is what the facts come to."""
        for stream, known in self.rows.items():
            rows = self.store.rows(stream)
            assert rows == known, "what was written has changed"
            verify(rows)
        fresh = self.rebuilt()
        assert {stream: fresh.rows(stream) for stream in self.rows} == self.rows
        assert self.told_by(self.store) == self.told_by(fresh)
        self._statements(self.store)
        self._figures()
        self._both_tables()

    def rebuilt(self) -> Memory:
        """A new store with the same facts, and everything derived from them alone."""
        fresh = Memory()
        projector = Projector(store=fresh, books=fresh)
        for fact in self.journal:
            assert isinstance(fresh.append(_written_again(fresh, fact)), Appended)
            projector.project([fact.stream])
        return fresh

    def accounts(self) -> Iterator[AccountKey]:
        """Every account that is no wallet and has no holder."""
        for key in self.sums:
            if not (is_wallet(key.account) or is_held(key.account)):
                yield key

    def told_by(self, store: Any) -> Mapping[str, object]:
        """All that is derived, but for the order of the lines."""
        found: dict[str, object] = {}
        for profile in self.profiles.values():
            known = store.profile(profile.tenant_id, profile.account_id, fresh=True)
            assert known == profile
            found[profile.account_id] = (
                store.wallet(profile),
                sorted(store.reserved(profile), key=lambda one: one.stream),
                sorted(
                    (line.line.entry_id, line.line.leg.side, line.line.leg.amount.minor)
                    for line in store.statement(wallet_key(profile), limit=ALL)
                ),
            )
        for tenant_id in {profile.tenant_id for profile in self.profiles.values()}:
            found[tenant_id] = store.payments(PaymentQuery(tenant_id=tenant_id, limit=100))
        found |= {f"{key}": store.total(key) for key in self.accounts()}
        return found | {stream: store.view(stream) for stream in self.rows}

    def _statements(self, store: Any) -> None:
        for profile in self.profiles.values():
            lines = store.statement(wallet_key(profile), limit=ALL)[::-1]
            balance = 0
            for number, line in enumerate(lines, start=1):
                balance += line.line.leg.credit_minor
                assert (line.number, line.balance_after_minor) == (number, balance)

    def _figures(self) -> None:
        """Every balance again, straight from the journal."""
        for tenant_id in {profile.tenant_id for profile in self.profiles.values()}:
            books = balances(
                fact.entry for fact in self.journal if fact.entry and fact.tenant_id == tenant_id
            )
            for currency in {currency for _, currency in books}:
                assert sum(minor for (_, of), minor in books.items() if of == currency) == 0
            for profile in self.profiles.values():
                if profile.tenant_id == tenant_id:
                    self._wallet_figures(profile, books)
            for key in self.accounts():
                if key.tenant_id == tenant_id:
                    debited, credited = self.store.total(key)
                    assert credited - debited == books[key.account, key.currency], key

    def _wallet_figures(self, profile: Profile, books: Mapping[tuple[Account, str], int]) -> None:
        key = wallet_key(profile)
        available = books.get((key.account, key.currency), 0)
        aside = books.get((held(profile.account_id), key.currency), 0)
        told = self.store.wallet(profile)
        assert (told.available_minor, told.held_minor) == (available, aside)
        assert sum(one.amount_minor for one in self.store.reserved(profile)) == aside

    def _both_tables(self) -> None:
        """The provider's table and our facts tell the same."""
        for payment_id, tally in self.tallies.items():
            if not payment_id.startswith("pay_"):
                continue
            charge = self.bank.charges.get(payment_id)
            payment = self.payments[payment_id]
            if exhausted(payment) and payment_id in self.bank.wronged:
                continue  # an operator has to find out
            ours = (tally.authorized, tally.captured, tally.refunded)
            theirs = (charge.authorized, charge.captured, charge.refunded) if charge else (0, 0, 0)
            assert ours == theirs, payment_id
            if isinstance(payment, Failed | Canceled):
                assert charge is None or charge.closed, "it is over, and money is held"


def profile_of(account_id: str, opened: AccountOpened, fact: Recorded) -> Profile:
    return Profile(
        tenant_id=opened.tenant_id,
        account_id=account_id,
        currency=opened.currency,
        kind=opened.kind,
        opened_at=fact.recorded_at,
        min_balance_minor=opened.min_balance_minor,
        parent=opened.parent,
        priority=opened.priority,
        expires_at=opened.expires_at,
    )


def _written_again(store: Memory, fact: Recorded) -> Batch:
    """The write of one fact, with what of an account follows from it."""
    opens: Profile | None = None
    amends: Amendment | None = None
    known = store.profile(fact.tenant_id, fact.stream)
    match fact.event:
        case AccountOpened() as opened:
            opens = profile_of(fact.stream, opened, fact)
        case AccountMinBalanceChanged(min_balance_minor=minor, was_minor=was) if known:
            profile = replace(known, min_balance_minor=minor)
            amends = Amendment(profile=profile, spendable_minor=was - minor)
        case AccountClosing(closes_at=closes_at) if known:
            profile = replace(known, closes_at=closes_at, min_balance_minor=0)
            amends = Amendment(profile=profile, spendable_minor=known.min_balance_minor)
        case _:
            pass
    return Batch(
        stream=fact.stream,
        tenant_id=fact.tenant_id,
        after=store.read(fact.stream).head,
        drafts=(Draft(event=fact.event, entry=fact.entry),),
        at=fact.recorded_at,
        execution=fact.execution,
        opens=opens,
        amends=amends,
    )


WRITES: Final = frozenset({"advance", "bind"})


class Watched:
    """A store whose writes an auditor is told of, and of which every call is a place to stop."""

    def __init__(self, store: Any, auditor: Auditor, relay: Relay, told: Told) -> None:
        self._store = store
        self._auditor = auditor
        self._relay = relay
        self._told = told

    def __getattr__(self, name: str) -> Any:
        port = getattr(self._store, name)

        def call(*given: Any, **named: Any) -> Any:
            self._relay.stop(reading=name not in WRITES)
            return port(*given, **named)

        return call

    def append(self, batch: Batch) -> AppendResult:
        self._relay.stop()
        answer: AppendResult = self._store.append(batch)
        if isinstance(answer, Appended):
            with self._watching():
                self._auditor.appended(batch, answer.recorded)
            self._told(answer.recorded)
        return answer

    def post(self, wallet: AccountKey, *given: Any) -> None:
        self._relay.stop()
        self._store.post(wallet, *given)
        with self._watching():
            self._auditor.moved(wallet)

    @contextmanager
    def _watching(self) -> Iterator[None]:
        """What the auditor finds counts, whatever its actor makes of it."""
        try:
            yield
        except AssertionError as broken:
            self._relay.moving.error = broken
            raise
