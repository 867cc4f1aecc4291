"""What the core needs from the world, in the core's own words.

Each port has a real in-memory implementation in `florin.adapters.memory`, and one suite of
contract tests that every implementation passes.
"""

from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, Protocol

from florin.domain.account import AccountKind
from florin.domain.chart import wallet
from florin.domain.fees import FeeSchedule
from florin.domain.history import Draft, Head, History, Recorded, event_id_of
from florin.domain.keys import ApiKey
from florin.domain.ledger import Account, Leg, Side
from florin.domain.money import Money
from florin.domain.payment import Call, PaymentAuthorized, PaymentInitiated, RiskDecision
from florin.domain.provider import ProviderAnswer
from florin.domain.refusals import Refusal


class ContentionError(Exception):
    """Too many writers met at one item, again and again: nothing was written, try later."""


class Clock(Protocol):
    def now(self) -> datetime:
        """The time, in UTC and whole milliseconds."""
        ...


class Ids(Protocol):
    def new(self, prefix: str, at: datetime) -> str:
        """A fresh id, `{prefix}_{ULID}`; ids of a later millisecond sort after earlier ones."""
        ...


# Events.


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """An idempotency key's record: what it was used for, written with its effect.

    `fingerprint` maps each field of the request to a keyed hash of its value. What happened is the
    event at `version` of the object's stream or, instead, `refusal`.
    """

    tenant_id: str
    key: str
    route: str
    object_id: str
    recorded_at: datetime
    fingerprint: Mapping[str, str]
    version: int = 1
    refusal: Refusal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What the engine has to know of an account before it takes money for it."""

    tenant_id: str
    account_id: str
    currency: str
    kind: AccountKind
    opened_at: datetime
    min_balance_minor: int = 0
    parent: str | None = None
    priority: int = 0
    expires_at: datetime | None = None
    closes_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Amendment:
    """A profile that changes, and what that adds to the guard of its wallet, in minor units.

    More is never taken from the guard than is there; `empty` demands a wallet without money, of
    which nothing but its limit can be taken.
    """

    profile: Profile
    spendable_minor: int = 0
    empty: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Facts to append to one stream, and what has to be written with them, all or nothing."""

    stream: str
    tenant_id: str
    after: Head
    drafts: tuple[Draft, ...]
    at: datetime
    execution: str | None = None
    receipt: Receipt | None = None
    opens: Profile | None = None
    amends: Amendment | None = None

    def guarded(self) -> Mapping["AccountKey", int]:
        """What the entries take from guarded accounts, in minor units."""
        taken: dict[AccountKey, int] = {}
        for draft in self.drafts:
            for leg in draft.entry.legs() if draft.entry else ():
                if draft.entry and leg.side is Side.DEBIT and leg.account in draft.entry.guarded:
                    key = AccountKey(
                        tenant_id=self.tenant_id, account=leg.account, currency=leg.amount.currency
                    )
                    taken[key] = taken.get(key, 0) + draft.entry.guarded[leg.account]
        return taken


@dataclass(frozen=True, slots=True)
class Appended:
    """The batch is written: these are its facts."""

    recorded: tuple[Recorded, ...]


@dataclass(frozen=True, slots=True)
class StreamMoved:
    """Somebody else wrote to this stream since it was read. Read it again and decide anew."""


@dataclass(frozen=True, slots=True)
class InsufficientFunds:
    """A guard did not let an entry take what it wanted from this account; nothing was written."""

    account: Account


@dataclass(frozen=True, slots=True)
class AlreadyReceived:
    """The idempotency key was used before; nothing was written."""

    receipt: Receipt


@dataclass(frozen=True, slots=True)
class NotEmpty:
    """The batch demanded a wallet without money, and there was some; nothing was written."""


AppendResult = Appended | StreamMoved | AlreadyReceived | InsufficientFunds | NotEmpty


class EventStore(Protocol):
    """The append-only store of facts."""

    def read(self, stream: str) -> History:
        """The stream's facts as of now, strongly consistent."""
        ...

    def append(self, batch: Batch) -> AppendResult:
        """Append all of the batch or none of it.

        What the batch's entries take from guarded accounts is taken here too, if it is there.

        Raises:
            ContentionError: other transactions kept the items busy.
        """
        ...

    def receipt(self, tenant_id: str, key: str) -> Receipt | None:
        """What an idempotency key is bound to."""
        ...

    def bind(self, receipt: Receipt) -> Receipt:
        """Keep a refusal under its idempotency key; the receipt that the key is bound to now."""
        ...


# Accounts and books.


@dataclass(frozen=True, slots=True, kw_only=True)
class Wallet:
    """What an account's holder has, in minor units. `balance` includes what is held.

    `available` may be negative down to the account's `min_balance`.
    """

    account_id: str
    currency: str
    available_minor: int
    held_minor: int
    balance_minor: int
    min_balance_minor: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountKey:
    """An account of one tenant's books in one currency."""

    tenant_id: str
    account: Account
    currency: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One leg of an entry on the statement of a wallet, before it has its number.

    `guarded_minor` is what of it the guard knows already.
    """

    entry_id: str
    leg: Leg
    recorded_at: datetime
    guarded_minor: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Reserved:
    """What a stream's facts up to `version` leave put aside of a wallet, in minor units."""

    stream: str
    version: int
    amount_minor: int
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StatementLine:
    """A line as it stands: numbered without a gap, with the balance after it."""

    line: Line
    number: int
    balance_after_minor: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentSummary:
    """What a list tells of a payment. There is no fee before the first capture."""

    amount: Money
    captured_minor: int = 0
    refunded_minor: int = 0
    fee_minor: int | None = None
    description: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """The folded summary of one stream. `version` is the last event that the books contain.

    `recipient`, `payer` (both account ids) and `order_id` are what it can be found by; the first
    event says them for good. `due_at` is when to look after the stream if its facts stay as they
    are, to the minute, and `resumes` how often that was done since the last of them.
    """

    stream: str
    tenant_id: str
    kind: str
    status: str
    version: int
    created_at: datetime
    updated_at: datetime
    recipient: str | None = None
    payer: str | None = None
    order_id: str | None = None
    payment: PaymentSummary | None = None
    due_at: datetime | None = None
    resumes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Advance:
    """A view that moves from the version it was read at, and what its new facts add to accounts.

    `totals` holds the legs on accounts that belong to no wallet.
    """

    view: View
    from_version: int
    totals: tuple[tuple[AccountKey, Leg], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentQuery:
    """Which of a tenant's payments are asked for; what is `None` makes no difference.

    `account` is the recipient or the payer, `since` is inclusive and `until` is not, and only what
    is older than `starting_after` counts, a payment id that need not be anybody's.
    """

    tenant_id: str
    limit: int
    status: str | None = None
    account: str | None = None
    order_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    starting_after: str | None = None

    def wants(self, view: View) -> bool:
        """Whether a stream is a payment that is asked for."""
        return (
            view.payment is not None
            and view.tenant_id == self.tenant_id
            and self.status in {None, view.status}
            and self.account in {None, view.recipient, view.payer}
            and self.order_id in {None, view.order_id}
            and (self.since is None or self.since <= view.created_at)
            and (self.until is None or view.created_at < self.until)
            and (self.starting_after is None or view.stream < self.starting_after)
        )


@dataclass(frozen=True, slots=True)
class Page:
    """What was found, newest first. It is empty only when there is nothing more."""

    views: tuple[View, ...]
    has_more: bool


@dataclass(frozen=True, slots=True)
class SearchTooBroad:
    """Nothing was found with the work that one search may be, and there is more to look through."""


def wallet_key(profile: Profile) -> AccountKey:
    """The wallet of an account."""
    return AccountKey(
        tenant_id=profile.tenant_id,
        account=wallet(profile.account_id),
        currency=profile.currency,
    )


def wallet_of(
    profile: Profile, *, spendable_minor: int, position_minor: int, held_minor: int
) -> Wallet:
    """What a wallet's guard, position and held money mean to its holder.

    The guard knows of debits before the position does, so what is on its way out counts as held.
    """
    available = spendable_minor + profile.min_balance_minor
    balance = position_minor + held_minor
    return Wallet(
        account_id=profile.account_id,
        currency=profile.currency,
        available_minor=available,
        held_minor=balance - available,
        balance_minor=balance,
        min_balance_minor=profile.min_balance_minor,
    )


class Accounts(Protocol):
    def profile(self, tenant_id: str, account_id: str, *, fresh: bool = False) -> Profile | None:
        """What an account is; `fresh` is for who may not be told what was so half a minute ago."""
        ...

    def wallet(self, profile: Profile) -> Wallet:
        """What is in the wallet of an account, all as of one moment."""
        ...

    def balances(self, profile: Profile) -> Sequence[Profile]:
        """The balances of an account: the accounts that were opened as such, oldest first."""
        ...

    def reserved(self, profile: Profile) -> Sequence[Reserved]:
        """What is put aside of an account's wallet, by the streams that did it."""
        ...


class Books(Protocol):
    """Everything that is derived from events: statement lines, balances, views."""

    def view(self, stream: str) -> View | None: ...

    def payments(self, query: PaymentQuery) -> Page | SearchTooBroad:
        """Payments by their views, newest first: at most `limit`, and fewer when looking for more
        would be too much work. A payment is found soon after it was accepted or has changed.
        """
        ...

    def post(
        self, wallet: AccountKey, lines: Sequence[Line], reserved: Sequence[Reserved] = ()
    ) -> None:
        """Put the lines that are not there yet on a wallet's statement, and move its balance and
        guard with them, in transactions; and set what streams have put aside, and what is held
        with it. Lines that are there, and what is older than what is known, change nothing.
        """
        ...

    def advance(self, advances: Sequence[Advance]) -> bool:
        """Move views and add to totals, all or nothing; false when a view was moved by somebody
        else meanwhile.
        """
        ...

    def due(self, until: datetime, limit: int) -> Sequence[str]:
        """At most so many streams that are due by then."""
        ...

    def postpone(self, view: View, due_at: datetime | None) -> bool:
        """Say that the stream of a view was looked after, and when to do it again; false when the
        view was moved, or this was said, by somebody else meanwhile.
        """
        ...

    def statement(
        self, wallet: AccountKey, *, limit: int, before: int | None = None
    ) -> Sequence[StatementLine]:
        """A wallet's lines, newest first: at most `limit`, with numbers under `before`."""
        ...

    def line_number(self, wallet: AccountKey, entry_id: str) -> int | None:
        """The number of the line that an entry has on a wallet's statement."""
        ...

    def total(self, account: AccountKey) -> tuple[int, int]:
        """What was debited and credited to an account that is no wallet, in minor units."""
        ...


# Configuration.


class ConfigurationError(Exception):
    """An item of the configuration cannot mean what it says; the message names item and fault."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tenant:
    tenant_id: str
    name: str
    mode: str
    fees: FeeSchedule
    provider: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderRoute:
    """Where a provider is reached."""

    name: str
    url: str


class Config(Protocol):
    def tenant(self, tenant_id: str) -> Tenant | None:
        """The tenant, if there is one.

        Raises:
            ConfigurationError: its item is wrong; no terms are better than other terms.
        """
        ...

    def gateway_key(self, tenant_id: str) -> str | None:
        """By what API Gateway counts a tenant's calls: random, and no secret."""
        ...

    def provider_route(self, name: str) -> ProviderRoute | None: ...


class ApiKeys(Protocol):
    """Every API key there ever was."""

    def api_key(self, key_id: str) -> ApiKey | None:
        """The key as of now, strongly consistent."""
        ...

    def api_keys(self, tenant_id: str, *, limit: int, after: str | None = None) -> Sequence[ApiKey]:
        """A tenant's keys, newest first: at most `limit`, older than the key `after`.

        What was just written may be missing, or be as it was.
        """
        ...

    def add(self, key: ApiKey, predecessor: ApiKey | None = None) -> bool:
        """Keep a new key, and with it what becomes of the key that it takes the place of; false if
        there is a key with this id, or the other one was changed by somebody else meanwhile.
        """
        ...

    def change(self, key: ApiKey) -> bool:
        """Keep a key as it is now, with the version that it was read with; false if it has
        another one meanwhile. Its hash and its last use are not written.
        """
        ...

    def used(self, key: ApiKey, at: datetime, secret_hash: str) -> None:
        """Say that a key was used, unless somebody said so within the hour, and keep this hash of
        it if it is the key that was read. It is no change of the key.
        """
        ...


LAST_USE_KEPT_EVERY: Final = timedelta(hours=1)
"""How exactly it is known when a key was last used."""


# The world outside.


class PaymentProvider(Protocol):
    """A payment provider. None of its calls raises for what a provider or a network can do."""

    @property
    def not_found_final_after(self) -> timedelta:
        """How long after a call's deadline the provider may still not show what it did."""
        ...

    @property
    def key_retention(self) -> timedelta:
        """How long after a call is announced its key is known for sure, so that the same request
        under it is never done twice: less than the provider says, by what requests take.
        """
        ...

    def authorize(self, call: Call, terms: PaymentInitiated) -> ProviderAnswer: ...

    def capture(
        self,
        call: Call,
        authorization: PaymentAuthorized,
        amount: Money,
        *,
        final: bool = True,
    ) -> ProviderAnswer:
        """Take `amount` of what is held; a final capture lets go of the rest."""
        ...

    def void(self, call: Call, authorization: PaymentAuthorized) -> ProviderAnswer: ...

    def refund(
        self, call: Call, authorization: PaymentAuthorized, amount: Money
    ) -> ProviderAnswer: ...

    def look_up(
        self, call: Call, amount: Money, authorization: PaymentAuthorized | None
    ) -> ProviderAnswer | None:
        """What became of an operation, by our reference; `None` when the provider knows none.

        `amount` and `authorization` are what it was asked with (an authorization, with none). What
        is found and differs from them is `Unknown`: it is never taken for the answer.
        """
        ...


class RiskAssessor(Protocol):
    @property
    def name(self) -> str: ...

    def assess(self, terms: PaymentInitiated) -> RiskDecision: ...


class Sagas(Protocol):
    def start(self, payment_id: str, version: int) -> None:
        """Start an execution for a payment whose stream has just reached `version`."""
        ...

    def follow_up(self, payment_id: str, version: int) -> None:
        """Start an execution for what was asked of an authorized payment by event `version`."""
        ...

    def resume(self, payment_id: str, version: int, label: str, *, authorized: bool) -> None:
        """Start an execution for a payment that stopped at `version`, where nothing was appended.

        The label tells apart the reasons to do so; for one of them it is started once.
        """
        ...


class Wakeups(Protocol):
    def wake(self, payment_id: str, number: int, delay: timedelta) -> None:
        """Have an open call of a payment looked up after a while, for the n-th time."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A fact as the bus carries it: ids, type, time and public data."""

    event_id: str
    type: str
    tenant_id: str
    stream: str
    version: int
    recorded_at: datetime
    data: Mapping[str, object]


class Bus(Protocol):
    def publish(self, messages: Sequence[Message]) -> Sequence[Message]:
        """Publish the messages; what could not be published comes back."""
        ...


class Parking(Protocol):
    def park(self, hop: str, cause: str, payload: Mapping[str, object]) -> None:
        """Put what could not be worked on where an operator finds it. Raises when it cannot."""
        ...


class Retries(Protocol):
    def later(self, receipt: str, delay_s: int) -> None:
        """Have the queue hand out a message again after this time."""
        ...


# Dead letters.


class LetterState(StrEnum):
    """Whether somebody has to look. Values go on the wire: add, never rename."""

    OPEN = "open"
    REDRIVEN = "redriven"


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """What a hop could not work on, as it was found in the hop's queue.

    `letter_id` is the same for the same piece of work, so what fails again is no second letter.
    `message_id` is that of the queue's message: what the queue hands out twice arrived once.
    `stream` and `version` name the fact or the payment that it is about, where that is known.
    `tenant_id` is None where nobody can tell whose it is.
    """

    letter_id: str
    message_id: str
    hop: str
    cause: str
    payload: str
    tenant_id: str | None = None
    stream: str | None = None
    version: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """A piece of work that a hop gave up, with its last cause.

    `seen` is how often it arrived, `redrives` how often it was sent to its hop again. `revision`
    grows with every change, so that who acts on what he read learns that it has changed.
    """

    letter_id: str
    hop: str
    cause: str
    payload: str
    tenant_id: str | None
    stream: str | None
    version: int | None
    first_seen: datetime
    last_seen: datetime
    seen: int
    state: LetterState
    redrives: int
    revision: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LetterFilter:
    """Which dead letters are meant: those with all of these. `cause` is how a cause begins."""

    hop: str | None = None
    state: LetterState | None = None
    stream: str | None = None
    cause: str | None = None

    def matches(self, letter: DeadLetter) -> bool:
        return (
            self.hop in (None, letter.hop)
            and self.state in (None, letter.state)
            and self.stream in (None, letter.stream)
            and letter.cause.startswith(self.cause or "")
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RedriveRecord:
    """What one request to redrive did: each letter with the state that it was left in."""

    redrive_id: str
    tenant_id: str
    created_at: datetime
    letters: tuple[tuple[str, LetterState], ...]
    has_more: bool


class DeadLetters(Protocol):
    """Every dead letter there ever was."""

    def arrive(self, arrival: Arrival, at: datetime) -> bool:
        """Keep what arrived as an open letter; false when this very message was kept before."""
        ...

    def letter(self, letter_id: str) -> DeadLetter | None: ...

    def letters(
        self,
        owners: Sequence[str | None],
        wanted: LetterFilter,
        *,
        limit: int,
        after: DeadLetter | None = None,
        oldest_first: bool = False,
    ) -> Sequence[DeadLetter]:
        """The letters of these tenants, by the time they were first seen, without their payloads.

        At most `limit`; `after` is the last one of the page before. The owner None stands for
        letters of which nobody can tell whose they are.
        """
        ...

    def count_redrive(self, letter: DeadLetter) -> DeadLetter | None:
        """Count one more redrive of a letter; None when it has changed since it was read."""
        ...

    def close(self, letter: DeadLetter) -> bool:
        """Call a letter redriven; false when it has changed since, because it came back."""
        ...

    def keep(self, record: RedriveRecord) -> None: ...

    def record(self, redrive_id: str) -> RedriveRecord | None: ...


class Hop(Protocol):
    """One way from which letters come, and to which they can go again."""

    def take(self, letter: DeadLetter) -> None:
        """Do the letter's work again, or have it done.

        Raises:
            NotRedrivableError: there is nothing that could be done again.
            HopUnavailableError: it was not taken; the letter is as dead as before.
        """
        ...


class NotRedrivableError(Exception):
    """A letter that is evidence, and no work to repeat."""


class HopUnavailableError(Exception):
    """A hop did not take what it was sent."""


# Walking over everything.


@dataclass(frozen=True, slots=True, kw_only=True)
class Passed:
    """An event that a walk comes by: all but what happened."""

    stream: str
    version: int
    tenant_id: str
    type: str
    recorded_at: datetime

    @property
    def event_id(self) -> str:
        return event_id_of(self.stream, self.version)


class EventWalk(Protocol):
    def walk(self, segment: int = 0, segments: int = 1) -> Iterator[Passed]:
        """Every event of one of so many segments, mostly stream by stream."""
        ...


class Witness(Protocol):
    def heard_of(self, event_ids: Sequence[str]) -> AbstractSet[str]:
        """Which of these events somebody has heard of who listens to the bus."""
        ...
