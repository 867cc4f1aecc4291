"""What holds when everything has come to rest, whatever went wrong on the way.

`broken_promises` asks the events, what was derived from them, the provider's own books, and the
clients' answers, and compares them with each other. Nothing here trusts the code it checks: sums
are taken over the stored entries, and what is derived is derived anew.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

from florin.adapters.codec import CorruptEventError, verify
from florin.domain.account import AccountOpened
from florin.domain.chart import held, is_held, is_wallet, receivable, wallet
from florin.domain.history import History
from florin.domain.hold import HoldCaptured, HoldPlaced, OpenHold
from florin.domain.ledger import Account, Side
from florin.domain.payment import (
    Canceled,
    Captured,
    Failed,
    Held,
    Payment,
    PaymentCanceled,
    PaymentCancelRequested,
    PaymentCaptureRequested,
    PaymentFailed,
    PaymentInitiated,
    PaymentRefundRequested,
    owed,
)
from florin.domain.status import hold_status_of, status_of
from florin.edge.answers import PUBLIC_TYPES
from florin.folding import hold_of
from florin.ports import AccountKey
from florin.projection import view_of
from florin.saga import fold_history
from simulator.books import Charge, State
from tests.chaos.deployment import Deployment
from tests.support.examples import TENANT

CURRENCY = "EUR"
ASKED_FOR = (
    AccountOpened,
    HoldPlaced,
    HoldCaptured,
    PaymentInitiated,
    PaymentCaptureRequested,
    PaymentCancelRequested,
    PaymentRefundRequested,
)
"""The facts that a request causes; a void of a hold has `HoldReleased`, as its expiry has."""
PROMISES: Final[Mapping[str, str]] = {
    "rest": "everything comes to rest in a bounded number of rounds",
    "books": "every entry sums to zero, and the receivable is what was captured and not refunded",
    "overspent": "no wallet is ever below zero, on any line of its statement",
    "derived": "wallets, statements, totals and views are what the facts alone come to",
    "end": "payments and holds have ended or wait for a human, hold nothing more, and stay so",
    "provider": "its books agree with ours to the cent; nothing is asked for but by who announced"
    " it, and nothing that was asked for is done twice, whatever it shows and whenever",
    "key": "each request had one effect at most, and gets its first answer again",
    "chain": "the hashes of every stream follow from its rows",
    "bus": "every public fact was published, and nothing else",
    "parked": "nothing was given up",
}
"""What is checked, by the word that a breach begins with."""
TERMINAL = (Failed, Canceled)
STATEMENT_MAX = 100


@dataclass(frozen=True, slots=True)
class Ending:
    """How things stand at the end, in so far as it must not depend on what went wrong."""

    payments: tuple[tuple[str, int, int, int], ...]
    holds: tuple[str, ...]
    wallets: tuple[tuple[int, int, int], ...]
    at_provider: tuple[tuple[State, int, int], ...]
    answers: tuple[int, ...]


def ending(deployment: Deployment) -> Ending:
    histories = _histories(deployment)
    payments = [fold_history(one) for one in histories.values() if _is_payment(one)]
    holds = [hold_of(one) for one in histories.values() if _is_hold(one)]
    charged = [one for stream in histories for one in _charges(deployment, stream)]
    return Ending(
        payments=tuple((status_of(one), *_moved(one)) for one in payments),
        holds=tuple(hold_status_of(one) for one in holds),
        wallets=tuple(_wallet(deployment, name) for name in (deployment.seller, deployment.buyer)),
        # What was voided and what was never held is the same to everybody.
        at_provider=tuple(
            (one.state, one.captured, one.refunded)
            for one in charged
            if one.state is not State.VOIDED
        ),
        answers=tuple(answer.status for answer in deployment.answers.values()),
    )


def broken_promises(deployment: Deployment) -> list[str]:
    """What was promised and does not hold, in words."""
    histories = _histories(deployment)
    return [
        *_chains(deployment),
        *_balance(histories),
        *_ended(histories),
        *_caps(deployment, histories),
        *_derived(deployment, histories),
        *_told(deployment, histories),
        *_asked_once(deployment),
        *_done_once(deployment, histories),
        *_one_effect(deployment, histories),
        *_terminal(deployment),
        *(f"parked: {message['error']}" for message in deployment.parked),
        *(f"parked: {cause} in {hop}" for hop, cause, _ in deployment.parking.parked),
    ]


def _histories(deployment: Deployment) -> Mapping[str, History]:
    store = deployment.store
    return {stream: store.read(stream) for stream in store.streams()}


def _is_payment(history: History) -> bool:
    return isinstance(history.events[0].event, PaymentInitiated)


def _is_hold(history: History) -> bool:
    return isinstance(history.events[0].event, HoldPlaced)


def _moved(payment: Payment) -> tuple[int, int, int]:
    """What was captured, what of it was the fee, and what was refunded."""
    if not isinstance(payment, Captured):
        return 0, 0, 0
    return payment.captured.minor, payment.fee.minor, payment.refunded.minor


def _chains(deployment: Deployment) -> Iterator[str]:
    for stream in deployment.store.streams():
        try:
            verify(deployment.store.rows(stream))
        except CorruptEventError as error:
            yield f"chain: {error}"


def _sums(history: History) -> Mapping[Account, int]:
    """What a stream's entries come to on each account, credits positive."""
    sums: dict[Account, int] = defaultdict(int)
    for recorded in history.events:
        for leg in recorded.entry.legs() if recorded.entry else ():
            sums[leg.account] += leg.credit_minor
    return sums


def _balance(histories: Mapping[str, History]) -> Iterator[str]:
    for history in histories.values():
        for recorded in history.events:
            legs = recorded.entry.legs() if recorded.entry else ()
            if difference := sum(leg.credit_minor for leg in legs):
                yield f"books: {recorded.entry_id} is out of balance by {difference}"


def _ended(histories: Mapping[str, History]) -> Iterator[str]:
    """Nothing is owed, and what has ended holds no money any more."""
    for stream, history in histories.items():
        over = False
        if _is_payment(history):
            payment = fold_history(history)
            if owed(payment):
                yield f"end: {stream} still owes {owed(payment)}"
            over = isinstance(payment, TERMINAL) or (
                isinstance(payment, Captured) and payment.closed
            )
        elif _is_hold(history):
            over = not isinstance(hold_of(history), OpenHold)
        for account, minor in _sums(history).items():
            if is_held(account) and over and minor:
                yield f"end: {stream} is over, and {account} has {minor} of it"
            if account == "refunds:in_transit" and minor:
                yield f"end: {minor} of {stream} are in transit"


def _caps(deployment: Deployment, histories: Mapping[str, History]) -> Iterator[str]:
    """Our books and the provider's tell of the same money, to the cent."""
    for stream, history in histories.items():
        if not _is_payment(history):
            continue
        payment, charges = fold_history(history), _charges(deployment, stream)
        terms = history.events[0].event
        assert isinstance(terms, PaymentInitiated)
        if terms.funding:
            if charges:
                yield f"provider: {stream} is paid by a wallet and was charged: {charges}"
            continue
        captured, _, refunded = _moved(payment)
        if len(charges) > 1:
            yield f"provider: {stream} was authorized {len(charges)} times"
        if sum(one.captured for one in charges) != captured:
            yield f"provider: {stream} has {captured} captured, the provider {charges}"
        if sum(one.refunded for one in charges) != refunded:
            yield f"provider: {stream} has {refunded} refunded, the provider {charges}"
        ours = _sums(history).get(receivable(terms.provider), 0)
        if -ours != captured - refunded:
            yield f"books: {stream} has {-ours} receivable of {captured - refunded}"
        open_charges = [one for one in charges if one.state is State.AUTHORIZED]
        wanted = isinstance(payment, Held) or (isinstance(payment, Captured) and not payment.closed)
        if bool(open_charges) != wanted:
            yield f"provider: {stream} is {status_of(payment)}, and is held: {open_charges}"


def _charges(deployment: Deployment, payment_id: str) -> tuple[Charge, ...]:
    return deployment.simulator.service.charges(payment_id)


def _wallet(deployment: Deployment, account_id: str) -> tuple[int, int, int]:
    profile = deployment.store.profile(TENANT, account_id)
    assert profile is not None
    found = deployment.store.wallet(profile)
    return found.available_minor, found.held_minor, found.balance_minor


def _derived(deployment: Deployment, histories: Mapping[str, History]) -> Iterator[str]:
    """Wallets, statements, totals and views are what the facts alone come to."""
    sums: dict[Account, int] = defaultdict(int)
    turnover: dict[Account, list[int]] = defaultdict(lambda: [0, 0])
    lines: dict[Account, dict[str, int]] = defaultdict(dict)
    for stream, history in histories.items():
        view = deployment.store.view(stream)
        # When it is looked after next is not of its facts alone: also of how often it was.
        if view is None or replace(view, due_at=None, resumes=0) != replace(
            view_of(history), due_at=None
        ):
            yield f"derived: the view of {stream} is not what its facts say"
        for recorded in history.events:
            for leg in recorded.entry.legs() if recorded.entry else ():
                sums[leg.account] += leg.credit_minor
                turnover[leg.account][leg.side is Side.CREDIT] += leg.amount.minor
                if is_wallet(leg.account):
                    known = lines[leg.account]
                    known[recorded.entry_id] = known.get(recorded.entry_id, 0) + leg.credit_minor
    for account_id in (deployment.seller, deployment.buyer):
        name = wallet(account_id)
        available, reserved = sums[name], sums[held(account_id)]
        found = _wallet(deployment, account_id)
        if found != (available, reserved, available + reserved):
            yield f"derived: {name} has {found}, its facts come to {available} and {reserved}"
        if available < 0 or reserved < 0:
            yield f"overspent: {name} has {available}, of which {reserved} are held"
        yield from _statement(deployment, name, lines[name])
    for account, (debits, credits_) in turnover.items():
        if is_wallet(account) or is_held(account):
            continue
        total = deployment.store.total(_key(account))
        if total != (debits, credits_):
            yield f"derived: {account} has {total}, its facts come to {(debits, credits_)}"


def _statement(deployment: Deployment, name: Account, lines: Mapping[str, int]) -> Iterator[str]:
    statement = deployment.store.statement(_key(name), limit=STATEMENT_MAX)
    balance = 0
    for number, told in enumerate(reversed(statement), start=1):
        balance += told.line.leg.credit_minor
        if (told.number, told.balance_after_minor) != (number, balance):
            yield f"derived: line {told.number} of {name} is not line {number} with {balance}"
        if balance < 0:
            yield f"overspent: {name} had {balance} after {told.line.entry_id}"
    found: Counter[str] = Counter()
    for told in statement:
        found[told.line.entry_id] += told.line.leg.credit_minor
    if found != Counter(lines):
        yield f"derived: the statement of {name} is not what its facts say"


def _key(account: Account) -> AccountKey:
    return AccountKey(tenant_id=TENANT, account=account, currency=CURRENCY)


def _told(deployment: Deployment, histories: Mapping[str, History]) -> Iterator[str]:
    """Every public fact is on the bus, and nothing else is."""
    told = {message.event_id for message in deployment.bus.published}
    public = {
        recorded.event_id
        for history in histories.values()
        for recorded in history.events
        if recorded.type in PUBLIC_TYPES
    }
    if told != public:
        yield f"bus: {sorted(public - told)} were dropped, {sorted(told - public)} made up"


def _asked_once(deployment: Deployment) -> Iterator[str]:
    """Only who announced a call makes it, and every attempt is announced."""
    attempts = Counter((call.reference, call.attempt) for call in deployment.chaos.asked)
    for (reference, attempt), times in attempts.items():
        if times > 1:
            yield f"provider: asked {times} times for attempt {attempt} of {reference}"


def _done_once(deployment: Deployment, histories: Mapping[str, History]) -> Iterator[str]:
    """The provider never holds two deeds for one operation, by its own books."""
    for stream in histories:
        done = Counter(
            operation.reference
            for operation in deployment.simulator.service.books.operations(stream)
            if operation.decline is None
        )
        for reference, times in done.items():
            if times > 1:
                yield f"provider: did {reference} {times} times"


def _one_effect(deployment: Deployment, histories: Mapping[str, History]) -> Iterator[str]:
    """Each key that was accepted had one effect, and says the same again without another."""
    effects = sum(
        isinstance(recorded.event, ASKED_FOR)
        for history in histories.values()
        for recorded in history.events
    )
    if effects > deployment.requests:
        yield f"key: {deployment.requests} requests had {effects} effects"
    before = {stream: history.head for stream, history in histories.items()}
    for first in list(deployment.answers.values()):
        if not first.transient:
            deployment.send(first.event)
    yield from (f"key: {contradiction}" for contradiction in deployment.contradictions)
    after = {stream: history.head for stream, history in _histories(deployment).items()}
    if after != before:
        yield "key: to send requests again had effects"


def _terminal(deployment: Deployment) -> Iterator[str]:
    """What has ended stays as it is, also when it is resumed once more."""
    before = _histories(deployment)

    deployment.clock.advance(timedelta(hours=1))
    for stream, history in before.items():
        if _is_payment(history):
            deployment.resume(stream)
    deployment.settle()
    after = _histories(deployment)
    for stream, history in before.items():
        if after[stream].head != history.head:
            yield f"end: {stream} went on after it had come to rest"
    for stream, history in after.items():
        ends = [
            recorded.version
            for recorded in history.events
            if isinstance(recorded.event, PaymentFailed | PaymentCanceled)
        ]
        if ends and ends != [history.head.version]:
            yield f"end: {stream} had ended at {ends} and did not"
