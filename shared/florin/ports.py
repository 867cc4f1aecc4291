"""What the core needs from the world, in the core's own words.

Each port has a real in-memory implementation in `florin.adapters.memory`, and one suite of
contract tests that every implementation passes.
"""

from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol

from florin.domain.account import AccountKind
from florin.domain.chart import wallet
from florin.domain.fees import FeeTerms
from florin.domain.history import Draft, Head, History, Recorded, event_id_of
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


AppendResult = Appended | StreamMoved | AlreadyReceived | InsufficientFunds


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
    """What an account's holder has, in minor units. `balance` includes what is held."""

    account_id: str
    currency: str
    available_minor: int
    held_minor: int
    balance_minor: int


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
class StatementLine:
    """A line as it stands: numbered without a gap, with the balance after it."""

    line: Line
    number: int
    balance_after_minor: int


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """The folded summary of one stream. `version` is the last event that the books contain."""

    stream: str
    tenant_id: str
    kind: str
    status: str
    version: int
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Advance:
    """A view that moves from the version it was read at, and what its new facts add to accounts.

    `totals` holds the legs on accounts that are not wallets.
    """

    view: View
    from_version: int
    totals: tuple[tuple[AccountKey, Leg], ...] = ()


def wallet_key(profile: Profile) -> AccountKey:
    """The wallet of an account."""
    return AccountKey(
        tenant_id=profile.tenant_id,
        account=wallet(profile.account_id),
        currency=profile.currency,
    )


class Accounts(Protocol):
    def profile(self, tenant_id: str, account_id: str) -> Profile | None: ...

    def wallet(self, profile: Profile) -> Wallet: ...


class Books(Protocol):
    """Everything that is derived from events: statement lines, balances, views."""

    def view(self, stream: str) -> View | None: ...

    def post(self, wallet: AccountKey, lines: Sequence[Line]) -> None:
        """Put the lines that are not there yet on a wallet's statement, and move its balance and
        guard with them, in transactions. Lines that are there change nothing.
        """
        ...

    def advance(self, advances: Sequence[Advance]) -> bool:
        """Move views and add to totals, all or nothing; false when a view was moved by somebody
        else meanwhile.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class FeeSchedule:
    """A tenant's fees: a percentage, and a fixed part per currency in its minor units."""

    basis_points: int
    fixed_minor: Mapping[str, int]

    def terms(self, currency: str) -> FeeTerms:
        return FeeTerms(
            basis_points=self.basis_points, fixed_minor=self.fixed_minor.get(currency, 0)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Tenant:
    tenant_id: str
    name: str
    mode: str
    fees: FeeSchedule
    provider: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """What a key opens. The key itself is nowhere: it is found by its keyed hash."""

    tenant_id: str
    mode: str
    role: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderRoute:
    """Where a provider is reached."""

    name: str
    url: str


class Config(Protocol):
    def tenant(self, tenant_id: str) -> Tenant | None: ...

    def api_key(self, key_hash: str) -> ApiKey | None: ...

    def provider_route(self, name: str) -> ProviderRoute | None: ...


# The world outside.


class PaymentProvider(Protocol):
    """A payment provider. None of its calls raises for what a provider or a network can do."""

    @property
    def not_found_final_after(self) -> timedelta:
        """How long after a call's deadline the provider may still not show what it did."""
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

    def look_up(self, call: Call) -> ProviderAnswer | None:
        """What became of an operation, by our reference; `None` when the provider knows none."""
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
