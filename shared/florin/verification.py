"""Verification: a walk over a tenant's facts that finds whatever in the books does not follow.

Payments go on while it walks, and nothing can be read as of one moment. So everything is compared
where no traffic can make it differ:

- A fact is read after the view of its stream. What the view counts must be in the books; what it
  does not count yet may be, and is in flight.
- A position is read before its statement, and the statement only up to the position's number.
- Totals and guards are moved by many streams. They are judged at the end, against the facts
  summed again, once they stood still from before that sum until after it: a total only grows, and
  a guard that nobody took from has the same entries on their way. What does not stand still is
  summed again a few times, and is `unsettled` if it never does.

Only facts younger than a minute before the run began are summed at the end, and those that were
older and not in the books when the walk came by: no writer lives for a minute, so a stream that
the walk has passed gets no older facts.

A run is worked on in pieces, as long as its caller has time. Where it stands is kept in the run
itself, and it keeps sums and a bounded list of what is still to be explained, never the facts.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, Protocol

from florin.domain.account import AccountOpened
from florin.domain.chart import WALLET_PREFIX, is_held, is_wallet, wallet, wallet_of_held
from florin.domain.history import Recorded
from florin.domain.ledger import Account, Leg, Side
from florin.domain.refusals import Refusal
from florin.domain.verification import (
    Fault,
    Finding,
    Standing,
    Statement,
    Total,
    check_entry,
    check_guard,
    check_held,
    check_hold,
    check_leg,
    check_line,
    check_next,
    check_position,
    check_stream,
    check_total,
)
from florin.handle import Once, Refused
from florin.ports import (
    AccountKey,
    AlreadyReceived,
    Books,
    Clock,
    EventStore,
    Ids,
    Receipt,
    Reserved,
    StatementLine,
)

CALM: Final = timedelta(minutes=1)
"""Longer than any writer of events lives."""
LINES_AT_ONCE: Final = 100
HELD_READS_MAX: Final = 5

ROUNDS_MAX: Final = 12
WAIT_MAX_S: Final = 30
FINDINGS_MAX: Final = 100
"""So many findings are kept; all are counted."""
OPEN_MAX: Final = 500
"""So many streams and wallets are kept to be looked at again."""
ABANDONED_AFTER: Final = timedelta(hours=1)
"""A run that nobody worked on for so long does not stand in the way of the next one."""
FORGOTTEN_AFTER: Final = timedelta(minutes=2)
"""A run that nobody worked on for so long is woken when somebody asks for one."""


# What a run reads.


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamPage:
    """Some rows of the events table, as their streams and the first version of each among them.

    `after` is where the next page begins, and `None` when there is none.
    """

    streams: Mapping[str, int]
    after: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sealed:
    """A stream as it can be read, and the version at which its chain breaks, if it does."""

    events: tuple[Recorded, ...]
    broken_at: int | None


class Audit(Protocol):
    """What verification reads beside the ports of daily work, strongly consistent if not said."""

    def stream_page(
        self, tenant_id: str, *, after: str | None, since: datetime | None = None
    ) -> StreamPage:
        """A page of a tenant's rows, or of those recorded after `since`, in any lasting order."""
        ...

    def sealed(self, stream: str) -> Sealed: ...

    def entry_lines(
        self, wanted: Sequence[tuple[AccountKey, str]]
    ) -> Mapping[tuple[AccountKey, str], StatementLine]:
        """The lines that entries have on wallets, where they have one."""
        ...

    def entry_facts(self, entry_ids: Sequence[str]) -> Mapping[str, Recorded]:
        """The facts that carry these entries, where there are any."""
        ...

    def lines(self, wallet: AccountKey, *, above: int, limit: int) -> Sequence[StatementLine]:
        """The lines with the next numbers above one; the very latest may not show yet."""
        ...

    def lines_between(self, wallet: AccountKey, first: int, last: int) -> Sequence[StatementLine]:
        """The lines with these numbers, in order, slowly and for certain."""
        ...

    def standing(self, wallet: AccountKey) -> Standing | None:
        """A wallet's guard and position as of one moment."""
        ...

    def reserved_by(self, wallet: AccountKey, stream: str) -> Reserved | None:
        """What a stream is known to have put aside of a wallet."""
        ...

    def reserved_minor(self, wallet: AccountKey) -> int:
        """What all streams together are known to have put aside of a wallet."""
        ...


# A run.


class Phase(StrEnum):
    STREAMS = "streams"
    SETTLING = "settling"
    FINISHED = "finished"


@dataclass(slots=True, kw_only=True)
class Tally:
    """What a run has counted and found. `currencies` are the journal's sums up to the cut."""

    currencies: dict[str, Total] = field(default_factory=dict)
    streams: int = 0
    entries: int = 0
    accounts: int = 0
    lines: int = 0
    in_flight: int = 0
    unsettled: int = 0
    found: int = 0
    findings: list[Finding] = field(default_factory=list)

    @property
    def is_balanced(self) -> bool:
        return all(total.debits_minor == total.credits_minor for total in self.currencies.values())

    def find(self, findings: Iterable[Finding]) -> None:
        for finding in findings:
            if finding in self.findings:
                continue
            self.found += 1
            if len(self.findings) < FINDINGS_MAX:
                self.findings.append(finding)


@dataclass(slots=True, kw_only=True)
class Pages:
    """How far a walk over the events table has come."""

    after: str | None = None
    ended: bool = False
    todo: list[tuple[str, int]] = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class WalletWalk:
    """How far a wallet's statement was read that had this position."""

    account_id: str
    currency: str
    standing: Standing
    statement: Statement = field(default_factory=Statement)


@dataclass(slots=True, kw_only=True)
class Settling:
    """Totals and guards before the sums that they are judged by, and these sums."""

    pages: Pages = field(default_factory=Pages)
    totals: dict[str, Total] = field(default_factory=dict)
    standings: dict[str, Standing] = field(default_factory=dict)
    late: dict[str, Total] = field(default_factory=dict)
    pending: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class Run:
    """One verification of one tenant's books, with all that is needed to go on with it.

    Accounts are named as in `platform:fees EUR`. `step` counts how often the run was saved;
    `booked` sums the entries recorded up to `calm_at` by account. Guards of `suspects` have to be
    explained; those of `doubtful` wallets are judged again if they rest, for an entry on its way
    may have hidden that they are wrong.
    """

    run_id: str
    tenant_id: str
    cut_at: datetime
    calm_at: datetime
    worked_at: datetime
    finished_at: datetime | None = None
    step: int = 0
    phase: Phase = Phase.STREAMS
    wait_s: int = 0
    tally: Tally = field(default_factory=Tally)
    pages: Pages = field(default_factory=Pages)
    wallet: WalletWalk | None = None
    booked: dict[str, Total] = field(default_factory=dict)
    lagging: list[str] = field(default_factory=list)
    suspects: list[str] = field(default_factory=list)
    doubtful: list[str] = field(default_factory=list)
    crowded: bool = False
    round: int = 0
    judged: list[str] = field(default_factory=list)
    settling: Settling | None = None

    @property
    def is_finished(self) -> bool:
        return self.phase is Phase.FINISHED


def new_run(run_id: str, tenant_id: str, now: datetime) -> Run:
    return Run(run_id=run_id, tenant_id=tenant_id, cut_at=now, calm_at=now - CALM, worked_at=now)


@dataclass(frozen=True, slots=True)
class Begun:
    """The run exists, and it is the tenant's only one that is under way."""

    run: Run


@dataclass(frozen=True, slots=True)
class Underway:
    """Another run of the tenant is not finished; nothing was written."""

    run: Run


class Runs(Protocol):
    """Where runs are kept. A tenant has at most one that is under way."""

    def begin(self, run: Run, receipt: Receipt | None = None) -> Begun | Underway | AlreadyReceived:
        """Keep a new run, with the record of the idempotency key that asked for it."""
        ...

    def run(self, tenant_id: str, run_id: str) -> Run | None: ...

    def save(self, run: Run) -> bool:
        """Keep how far a run has come; false if somebody else did since it was read, or another
        run has taken its place.
        """
        ...

    def underway(self, tenant_id: str) -> Run | None: ...

    def last(self, tenant_id: str) -> Run | None:
        """The run that finished last."""
        ...


class Wakeups(Protocol):
    def wake(self, tenant_id: str, run_id: str, wait_s: int = 0) -> None:
        """Have a run worked on, after a while. Once too often does no harm."""
        ...


# Asking for one.


@dataclass(frozen=True, slots=True, kw_only=True)
class Requested:
    """The run that a request led to, and the receipt of the first request with its key."""

    receipt: Receipt
    replayed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class VerificationDesk:
    """Where runs are asked for. Who asks while one is under way is told of that one."""

    store: EventStore
    runs: Runs
    wakeups: Wakeups
    clock: Clock
    ids: Ids

    def request(self, once: Once) -> Requested | Refused:
        now = self.clock.now()
        run = new_run(self.ids.new("ver", now), once.tenant_id, now)
        receipt = _receipt(once, run.run_id, now)
        match self.runs.begin(run, receipt):
            case Begun():
                self.wakeups.wake(run.tenant_id, run.run_id)
                return Requested(receipt=receipt, replayed=False)
            case AlreadyReceived(first):
                return _replayed(first, receipt)
            case Underway(other):
                self._remind(other, now)
                joined = _receipt(once, other.run_id, now)
                return _replayed(self.store.bind(joined), joined)

    def schedule(self, tenant_id: str) -> None:
        """Begin a run that no request asked for, unless one is under way."""
        now = self.clock.now()
        match self.runs.begin(new_run(self.ids.new("ver", now), tenant_id, now)):
            case Begun(run):
                self.wakeups.wake(tenant_id, run.run_id)
            case Underway(other):
                self._remind(other, now)

    def _remind(self, run: Run, now: datetime) -> None:
        """Wake a run whose wake-up call was lost when the one who began it died."""
        if now - run.worked_at > FORGOTTEN_AFTER:
            self.wakeups.wake(run.tenant_id, run.run_id)


def _receipt(once: Once, run_id: str, now: datetime) -> Receipt:
    return Receipt(
        tenant_id=once.tenant_id,
        key=once.key,
        route=once.route,
        object_id=run_id,
        recorded_at=now,
        fingerprint=once.fingerprint,
    )


def _replayed(first: Receipt, own: Receipt) -> Requested | Refused:
    """The first answer again. The request has no fields, so only its route can differ."""
    if first.route != own.route:
        return Refused(refusal=Refusal.IDEMPOTENCY_KEY_REUSED, params=("route",))
    return Requested(receipt=first, replayed=first != own)


# Working on one.


@dataclass(frozen=True, slots=True, kw_only=True)
class Verifier:
    audit: Audit
    books: Books
    runs: Runs
    clock: Clock

    def work(self, tenant_id: str, run_id: str, has_time: Callable[[], bool]) -> Run | None:
        """Go on with a run while there is time, and keep how far it came.

        Answers the run if it is to go on after `wait_s`, and `None` when there is nothing left to
        do here: it is finished, or somebody else is at it.
        """
        run = self.runs.run(tenant_id, run_id)
        if run is None or run.finished_at is not None:
            return None
        run.wait_s = 0
        while not run.is_finished and not run.wait_s:
            self._piece(run)
            if not has_time():
                break
        run.worked_at = self.clock.now()
        if run.is_finished:
            run.finished_at = run.worked_at
        return run if self.runs.save(run) and not run.is_finished else None

    def _piece(self, run: Run) -> None:
        """The next piece of work: a page, a stream, or a page of a statement."""
        if run.settling is not None:
            self._settle(run, run.settling)
        elif run.phase is Phase.SETTLING:
            run.settling = self._new_round(run)
        elif run.wallet is not None:
            self._read_statement(run, run.wallet)
        elif run.pages.todo:
            self._visit(run, *run.pages.todo.pop())
        elif not run.pages.ended:
            self._turn_page(run, run.pages)
        else:
            run.phase = Phase.SETTLING

    def _turn_page(self, run: Run, pages: Pages, since: datetime | None = None) -> None:
        page = self.audit.stream_page(run.tenant_id, after=pages.after, since=since)
        pages.todo += page.streams.items()
        pages.after, pages.ended = page.after, page.after is None

    # Streams.

    def _visit(self, run: Run, stream: str, first_shown: int) -> None:
        view = self.books.view(stream)
        sealed = self.audit.sealed(stream)
        if not sealed.events:
            run.tally.find(check_stream(stream, broken_at=sealed.broken_at, head=0, view_version=0))
            return
        if sealed.events[0].version != first_shown:
            return  # its turn is on the page that shows its first row
        booked_to = view.version if view else 0
        head = sealed.events[-1].version
        tally = run.tally
        tally.streams += 1
        tally.find(
            check_stream(stream, broken_at=sealed.broken_at, head=head, view_version=booked_to)
        )
        lines = self.audit.entry_lines([key for key, _ in _wallet_legs(sealed.events)])
        for recorded in sealed.events:
            if recorded.entry is not None:
                self._count(run, recorded, lines, booked=recorded.version <= booked_to)
        tally.find(self._hold_findings(stream, sealed.events, booked_to))
        opened = sealed.events[0].event
        if isinstance(opened, AccountOpened):
            self._open_statement(run, stream, opened.currency)

    def _hold_findings(
        self, stream: str, events: Sequence[Recorded], booked_to: int
    ) -> Iterator[Finding]:
        """What the stream has put aside, against what its wallets know of it. They are asked after
        the events were read, so they may know more, but not less than the view promised.
        """
        moved: dict[AccountKey, list[tuple[int, Leg]]] = {}
        for recorded in events:
            for leg in recorded.entry.legs() if recorded.entry is not None else ():
                if is_held(leg.account):
                    key = AccountKey(
                        tenant_id=recorded.tenant_id,
                        account=wallet_of_held(leg.account),
                        currency=leg.amount.currency,
                    )
                    moved.setdefault(key, []).append((recorded.version, leg))
        for key, legs in moved.items():
            known = self.audit.reserved_by(key, stream)
            version = 0 if known is None else known.version
            if version > events[-1].version:
                continue  # more than was read here; the next run reads it
            if any(version < at <= booked_to for at, _ in legs):
                version = booked_to
            until = [leg for at, leg in legs if at <= version]
            yield from check_hold(key.account, stream, until, known.amount_minor if known else 0)

    def _held_findings(self, key: AccountKey) -> Iterator[Finding]:
        """A position's held money against what it is made of, at a moment when it stood still."""
        for _ in range(HELD_READS_MAX):
            before = self.audit.standing(key)
            aside_minor = self.audit.reserved_minor(key)
            after = self.audit.standing(key)
            if before is None or after is None:
                return  # that it is missing was found where it was opened
            if before.held_minor == after.held_minor:
                yield from check_held(key.account, after, aside_minor)
                return

    def _count(
        self,
        run: Run,
        recorded: Recorded,
        lines: Mapping[tuple[AccountKey, str], StatementLine],
        *,
        booked: bool,
    ) -> None:
        """Count an entry, and compare it with the lines that it has."""
        assert recorded.entry is not None
        legs, tally = recorded.entry.legs(), run.tally
        tally.find(check_entry(recorded.entry_id, legs))
        if recorded.recorded_at <= run.cut_at:
            tally.entries += 1
            for leg in legs:
                _add(tally.currencies, leg.amount.currency, leg)
        if not booked or recorded.recorded_at > run.cut_at:
            tally.in_flight += 1
        if recorded.recorded_at <= run.calm_at:
            for leg in legs:
                if _has_total(leg.account):
                    _add(run.booked, _name(leg), leg)
            if not booked:
                _keep(run, run.lagging, recorded.stream)
        for key, leg in _wallet_legs([recorded]):
            line = lines.get(key)
            shown = None if line is None else line.line.leg
            if shown is None:
                self._doubt(run, recorded, key[0])
            tally.find(check_leg(recorded.entry_id, leg, shown, booked=booked))

    # Wallets.

    def _open_statement(self, run: Run, account_id: str, currency: str) -> None:
        key = _wallet(run, account_id, currency)
        newest = self.books.statement(key, limit=1)
        standing = self.audit.standing(key)
        if standing is None:
            missing = Finding(
                fault=Fault.WALLET_MISSING,
                at=key.account,
                expected="a guard and a position",
                found="nothing",
            )
            run.tally.find([missing])
            return
        if newest and newest[0].number > standing.number:
            beyond = Statement(newest[0].number, newest[0].balance_after_minor)
            run.tally.find(check_position(key.account, beyond, standing))
        run.tally.find(list(self._held_findings(key)))
        if not standing.is_at_rest:
            _keep(run, run.suspects, f"{account_id} {currency}")
        run.wallet = WalletWalk(account_id=account_id, currency=currency, standing=standing)

    def _read_statement(self, run: Run, walk: WalletWalk) -> None:
        key, read = _wallet(run, walk.account_id, walk.currency), walk.statement
        last = min(read.number + LINES_AT_ONCE, walk.standing.number)
        lines = self.audit.lines(key, above=read.number, limit=LINES_AT_ONCE)
        lines = [line for line in lines if line.number <= last]
        findings = list(self._line_findings(run, key, read, lines))
        if findings or len(lines) != last - read.number:
            # The index may be behind; the table is not.
            lines = self.audit.lines_between(key, read.number + 1, last)
            findings = list(self._line_findings(run, key, read, lines))
        run.tally.find(findings)
        run.tally.lines += len(lines)
        if lines:
            read = Statement(lines[-1].number, lines[-1].balance_after_minor)
        if lines and read.number < walk.standing.number:
            walk.statement = read
            return
        run.tally.find(check_position(key.account, read, walk.standing))
        run.tally.accounts += 1
        run.wallet = None

    def _line_findings(
        self, run: Run, key: AccountKey, read: Statement, lines: Sequence[StatementLine]
    ) -> Iterator[Finding]:
        facts = self.audit.entry_facts([line.line.entry_id for line in lines])
        for numbered in lines:
            entry_id, leg = numbered.line.entry_id, numbered.line.leg
            after = Statement(numbered.number, numbered.balance_after_minor)
            yield from check_next(read, key.account, leg, after)
            fact = facts.get(entry_id)
            owned = fact is not None and fact.tenant_id == run.tenant_id
            entry = fact.entry if fact and owned else None
            yield from check_line(entry_id, leg, entry.legs() if entry else None)
            read = after

    # Totals and guards.

    def _new_round(self, run: Run) -> Settling:
        settling = Settling()
        for name in run.booked:
            if name not in run.judged:
                settling.totals[name] = self._total(run, name)
        for name in dict.fromkeys([*run.suspects, *run.doubtful]):
            if name not in run.judged:
                standing = self._standing(run, name)
                if standing is None:
                    run.judged.append(name)  # that it is missing was found where it was opened
                else:
                    settling.standings[name] = standing
        settling.pages.todo += [(stream, 0) for stream in run.lagging]
        return settling

    def _settle(self, run: Run, settling: Settling) -> None:
        if settling.pages.todo:
            self._revisit(run, settling, *settling.pages.todo.pop())
        elif not settling.pages.ended:
            self._turn_page(run, settling.pages, since=run.calm_at)
        else:
            self._judge(run, settling)

    def _revisit(self, run: Run, settling: Settling, stream: str, first_shown: int) -> None:
        """Sum what of a stream the walk has not: what is younger, and is in the totals, and what
        is older, and is not.
        """
        if first_shown and stream in run.lagging:
            return
        view = self.books.view(stream)
        booked_to = view.version if view else 0
        events = self.audit.sealed(stream).events
        young = [recorded for recorded in events if recorded.recorded_at > run.calm_at]
        if first_shown and young and young[0].version != first_shown:
            return
        for recorded in events:
            booked, late = recorded.version <= booked_to, recorded.recorded_at > run.calm_at
            if recorded.entry is not None and booked == late:
                for leg in recorded.entry.legs():
                    if _has_total(leg.account):
                        _add(settling.late, _name(leg), leg, 1 if booked else -1)
        if run.round == 0:
            for recorded in young:
                for key, _ in _wallet_legs([recorded]):
                    self._doubt(run, recorded, key[0])
        waiting = [recorded for recorded in events if recorded.version > booked_to]
        lines = self.audit.entry_lines([key for key, _ in _wallet_legs(waiting)])
        for recorded in waiting:
            for key, leg in _wallet_legs([recorded]):
                if key not in lines and leg.side is Side.DEBIT and recorded.entry is not None:
                    name = _wallet_name(key[0])
                    taken = recorded.entry.guarded.get(leg.account, 0)
                    settling.pending[name] = settling.pending.get(name, 0) + taken

    def _doubt(self, run: Run, recorded: Recorded, key: AccountKey) -> None:
        """Have the guard judged that this fact took something from, as long as there is room."""
        name = _wallet_name(key)
        taken = recorded.entry.guarded.get(key.account, 0) if recorded.entry else 0
        if taken and name not in run.doubtful and len(run.doubtful) < OPEN_MAX:
            run.doubtful.append(name)

    def _judge(self, run: Run, settling: Settling) -> None:
        moved = False
        if not run.crowded:
            for name, before in settling.totals.items():
                late, booked = settling.late.get(name, Total()), run.booked[name]
                journal = Total(
                    booked.debits_minor + late.debits_minor,
                    booked.credits_minor + late.credits_minor,
                )
                after = self._total(run, name)
                findings = list(check_total(name, journal, before, after))
                run.tally.find(findings)
                if findings or before == after:
                    run.judged.append(name)
                moved |= before != after
            for name, standing in settling.standings.items():
                stood = standing == self._standing(run, name)
                if stood:
                    account, pending = wallet(name.partition(" ")[0]), settling.pending.get(name, 0)
                    run.tally.find(check_guard(account, standing, pending))
                    run.judged.append(name)
                moved |= not stood
        for name in settling.late:
            run.booked.setdefault(name, Total())
        unjudged = {*run.booked, *run.suspects, *run.doubtful} - {*run.judged}
        run.settling = None
        if unjudged and not run.crowded and run.round + 1 < ROUNDS_MAX:
            run.round += 1
            run.wait_s = min(2**run.round, WAIT_MAX_S) if moved else 0
        else:
            run.tally.unsettled = len(unjudged & {*run.booked, *run.suspects})
            run.phase = Phase.FINISHED

    def _total(self, run: Run, name: str) -> Total:
        account, _, currency = name.rpartition(" ")
        key = AccountKey(tenant_id=run.tenant_id, account=Account(account), currency=currency)
        return Total(*self.books.total(key))

    def _standing(self, run: Run, name: str) -> Standing | None:
        account_id, _, currency = name.partition(" ")
        return self.audit.standing(_wallet(run, account_id, currency))


def _wallet_legs(events: Iterable[Recorded]) -> list[tuple[tuple[AccountKey, str], Leg]]:
    """The legs on wallets, each with the wallet and the entry that name its line."""
    return [
        (
            (
                AccountKey(
                    tenant_id=recorded.tenant_id, account=leg.account, currency=leg.amount.currency
                ),
                recorded.entry_id,
            ),
            leg,
        )
        for recorded in events
        if recorded.entry is not None
        for leg in recorded.entry.legs()
        if is_wallet(leg.account)
    ]


def _has_total(account: Account) -> bool:
    """Whether an account is summed in totals: what belongs to a wallet is not."""
    return not account.startswith(WALLET_PREFIX)


def _name(leg: Leg) -> str:
    return f"{leg.account} {leg.amount.currency}"


def _wallet(run: Run, account_id: str, currency: str) -> AccountKey:
    return AccountKey(tenant_id=run.tenant_id, account=wallet(account_id), currency=currency)


def _wallet_name(key: AccountKey) -> str:
    return f"{key.account.removeprefix(WALLET_PREFIX)} {key.currency}"


def _add(sums: dict[str, Total], name: str, leg: Leg, times: int = 1) -> None:
    sums[name] = sums.get(name, Total()).plus(leg, times)


def _keep(run: Run, names: list[str], name: str) -> None:
    """Note what is to be looked at again; when too much is, nothing can be settled."""
    if name in names:
        return
    if len(names) < OPEN_MAX:
        names.append(name)
    else:
        run.crowded = True
