"""Real implementations of the ports that keep everything in memory.

They pass the same contract tests as the adapters for AWS, go through the same codec, and serve
tests, benchmarks and whoever wants to run the engine without a cloud.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from threading import Lock
from zlib import crc32

import msgspec

from florin.adapters.codec import Codec, Row
from florin.adapters.sealing import sealed
from florin.domain.chart import holder_of
from florin.domain.history import History, Recorded
from florin.domain.ledger import Side
from florin.domain.verification import Standing
from florin.ports import (
    AccountKey,
    Advance,
    AlreadyReceived,
    Appended,
    AppendResult,
    Batch,
    InsufficientFunds,
    Line,
    Message,
    NotEmpty,
    Page,
    Passed,
    PaymentQuery,
    Profile,
    ProviderRoute,
    Receipt,
    Reserved,
    SearchTooBroad,
    StatementLine,
    StreamMoved,
    Tenant,
    View,
    Wallet,
    wallet_key,
    wallet_of,
)
from florin.verification import (
    ABANDONED_AFTER,
    Begun,
    Run,
    Sealed,
    StreamPage,
    Underway,
)


@dataclass
class _WalletBook:
    spendable_minor: int = 0
    balance_minor: int = 0
    held_minor: int = 0
    lines: list[StatementLine] = field(default_factory=list)
    reserved: dict[str, Reserved] = field(default_factory=dict)


class Memory:
    """Event store, accounts and books over one set of dictionaries and one lock."""

    def __init__(self, codec: Codec | None = None) -> None:
        self._codec = codec or Codec()
        self._lock = Lock()
        self._streams: dict[str, list[Row]] = defaultdict(list)
        self._receipts: dict[tuple[str, str], Receipt] = {}
        self._profiles: dict[tuple[str, str], Profile] = {}
        self._wallets: dict[AccountKey, _WalletBook] = {}
        self._totals: dict[AccountKey, tuple[int, int]] = {}
        self._views: dict[str, View] = {}
        self._runs: dict[tuple[str, str], bytes] = {}
        self._underway: dict[str, str] = {}
        self._last: dict[str, str] = {}

    # Events.

    def read(self, stream: str) -> History:
        with self._lock:
            rows = tuple(self._streams.get(stream, ()))
        return History(tuple(self._codec.decode(row) for row in rows))

    def rows(self, stream: str) -> tuple[Row, ...]:
        """The stream as it is stored."""
        with self._lock:
            return tuple(self._streams.get(stream, ()))

    def streams(self) -> tuple[str, ...]:
        with self._lock:
            return tuple(self._streams)

    def append(self, batch: Batch) -> AppendResult:
        rows, facts = self._codec.encode(batch)
        with self._lock:
            if batch.receipt is not None:
                first = self._receipts.get((batch.receipt.tenant_id, batch.receipt.key))
                if first is not None:
                    return AlreadyReceived(first)
            if len(self._streams.get(batch.stream, ())) != batch.after.version:
                return StreamMoved()
            short = self._short(batch)
            if short is not None:
                return short
            for key, minor in batch.guarded().items():
                self._wallets[key].spendable_minor -= minor
            if batch.receipt is not None:
                self._receipts[batch.receipt.tenant_id, batch.receipt.key] = batch.receipt
            if batch.opens is not None:
                profile = batch.opens
                self._profiles[profile.tenant_id, profile.account_id] = profile
                self._wallets[wallet_key(profile)] = _WalletBook(
                    spendable_minor=-profile.min_balance_minor
                )
            if batch.amends is not None:
                profile = batch.amends.profile
                self._profiles[profile.tenant_id, profile.account_id] = profile
                self._wallets[wallet_key(profile)].spendable_minor += batch.amends.spendable_minor
            self._streams[batch.stream].extend(rows)
        return Appended(facts)

    def _short(self, batch: Batch) -> AppendResult | None:
        """Why the guards do not let the batch happen, if so."""
        for key, minor in batch.guarded().items():
            if self._wallets[key].spendable_minor < minor:
                return InsufficientFunds(key.account)
        if batch.amends is not None:
            key = wallet_key(batch.amends.profile)
            book = self._wallets[key]
            spent = book.spendable_minor + batch.amends.spendable_minor
            if batch.amends.empty and (spent or book.balance_minor or book.held_minor):
                return NotEmpty()
            if (
                batch.amends.spendable_minor
                < 0
                > book.spendable_minor + batch.amends.spendable_minor
            ):
                return InsufficientFunds(key.account)
        return None

    def bind(self, receipt: Receipt) -> Receipt:
        with self._lock:
            return self._receipts.setdefault((receipt.tenant_id, receipt.key), receipt)

    def receipt(self, tenant_id: str, key: str) -> Receipt | None:
        with self._lock:
            return self._receipts.get((tenant_id, key))

    # Accounts.

    def profile(self, tenant_id: str, account_id: str, *, fresh: bool = False) -> Profile | None:
        with self._lock:
            return self._profiles.get((tenant_id, account_id))

    def wallet(self, profile: Profile) -> Wallet:
        with self._lock:
            book = self._wallets[wallet_key(profile)]
            known = self._profiles[profile.tenant_id, profile.account_id]
            return wallet_of(
                known,
                spendable_minor=book.spendable_minor,
                position_minor=book.balance_minor,
                held_minor=book.held_minor,
            )

    def balances(self, profile: Profile) -> Sequence[Profile]:
        with self._lock:
            return tuple(
                other
                for other in self._profiles.values()
                if (other.tenant_id, other.parent) == (profile.tenant_id, profile.account_id)
            )

    def reserved(self, profile: Profile) -> Sequence[Reserved]:
        with self._lock:
            found = self._wallets[wallet_key(profile)].reserved
            return tuple(found[stream] for stream in sorted(found) if found[stream].amount_minor)

    # Books.

    def view(self, stream: str) -> View | None:
        with self._lock:
            return self._views.get(stream)

    def payments(self, query: PaymentQuery) -> Page | SearchTooBroad:
        with self._lock:
            wanted = [view for view in self._views.values() if query.wants(view)]
        wanted.sort(key=lambda view: view.stream, reverse=True)
        return Page(tuple(wanted[: query.limit]), has_more=len(wanted) > query.limit)

    def post(
        self, wallet: AccountKey, lines: Sequence[Line], reserved: Sequence[Reserved] = ()
    ) -> None:
        with self._lock:
            book = self._wallets[wallet]
            for newer in reserved:
                known_of = book.reserved.get(newer.stream)
                if known_of is not None and known_of.version >= newer.version:
                    continue
                book.held_minor += newer.amount_minor - (known_of.amount_minor if known_of else 0)
                book.reserved[newer.stream] = newer
            known = {statement.line.entry_id for statement in book.lines}
            for line in lines:
                if line.entry_id in known:
                    continue
                known.add(line.entry_id)
                book.balance_minor += line.leg.credit_minor
                book.spendable_minor += line.leg.credit_minor + line.guarded_minor
                book.lines.append(
                    StatementLine(
                        line=line,
                        number=len(book.lines) + 1,
                        balance_after_minor=book.balance_minor,
                    )
                )

    def advance(self, advances: Sequence[Advance]) -> bool:
        with self._lock:
            for change in advances:
                current = self._views.get(change.view.stream)
                if (current.version if current else 0) != change.from_version:
                    return False
            for change in advances:
                self._views[change.view.stream] = change.view
                for account, leg in change.totals:
                    debited, credited = self._totals.get(account, (0, 0))
                    if leg.side is Side.DEBIT:
                        debited += leg.amount.minor
                    else:
                        credited += leg.amount.minor
                    self._totals[account] = (debited, credited)
        return True

    def due(self, until: datetime, limit: int) -> Sequence[str]:
        with self._lock:
            found = [
                (view.due_at, view.stream)
                for view in self._views.values()
                if view.due_at is not None and view.due_at <= until
            ]
        return tuple(stream for _, stream in sorted(found)[:limit])

    def postpone(self, view: View, due_at: datetime | None) -> bool:
        with self._lock:
            known = self._views.get(view.stream)
            if known is None or (known.version, known.resumes) != (view.version, view.resumes):
                return False
            self._views[view.stream] = replace(known, due_at=due_at, resumes=view.resumes + 1)
        return True

    def statement(
        self, wallet: AccountKey, *, limit: int, before: int | None = None
    ) -> Sequence[StatementLine]:
        with self._lock:
            lines = self._wallets[wallet].lines
            end = len(lines) if before is None else before - 1
            return tuple(reversed(lines[max(0, end - limit) : end]))

    # Verification.

    def stream_page(
        self, tenant_id: str, *, after: str | None, since: datetime | None = None
    ) -> StreamPage:
        """A stream a page, in the order in which streams began."""
        with self._lock:
            names = list(self._streams)
            number = 0 if after is None else int(after)
            shown = [
                row.version
                for name in names[number : number + 1]
                for row in self._streams[name]
                if row.tenant_id == tenant_id
                and (since is None or datetime.fromisoformat(row.recorded_at) > since)
            ]
        return StreamPage(
            streams={names[number]: shown[0]} if shown else {},
            after=str(number + 1) if number + 1 < len(names) else None,
        )

    def sealed(self, stream: str) -> Sealed:
        return sealed(self.rows(stream), self._codec)

    def entry_lines(
        self, wanted: Sequence[tuple[AccountKey, str]]
    ) -> Mapping[tuple[AccountKey, str], StatementLine]:
        with self._lock:
            return {
                (wallet, line.line.entry_id): line
                for wallet in {wallet for wallet, _ in wanted} & self._wallets.keys()
                for line in self._wallets[wallet].lines
                if (wallet, line.line.entry_id) in wanted
            }

    def entry_facts(self, entry_ids: Sequence[str]) -> Mapping[str, Recorded]:
        with self._lock:
            return {
                f"{row.stream}:{row.version}": self._codec.decode(row)
                for stream in {entry_id.rpartition(":")[0] for entry_id in entry_ids}
                for row in self._streams.get(stream, ())
                if f"{row.stream}:{row.version}" in entry_ids
            }

    def lines(self, wallet: AccountKey, *, above: int, limit: int) -> Sequence[StatementLine]:
        return self.lines_between(wallet, above + 1, above + limit)

    def lines_between(self, wallet: AccountKey, first: int, last: int) -> Sequence[StatementLine]:
        with self._lock:
            found = [line for line in self._wallets[wallet].lines if first <= line.number <= last]
        return tuple(sorted(found, key=lambda line: line.number))

    def standing(self, wallet: AccountKey) -> Standing | None:
        with self._lock:
            book = self._wallets.get(wallet)
            if book is None:
                return None
            account_id = holder_of(wallet.account)
            profile = self._profiles[wallet.tenant_id, account_id]
            return Standing(
                spendable_minor=book.spendable_minor,
                balance_minor=book.balance_minor,
                number=len(book.lines),
                min_balance_minor=profile.min_balance_minor,
                held_minor=book.held_minor,
            )

    def reserved_by(self, wallet: AccountKey, stream: str) -> Reserved | None:
        with self._lock:
            return self._wallets[wallet].reserved.get(stream)

    def reserved_minor(self, wallet: AccountKey) -> int:
        with self._lock:
            return sum(one.amount_minor for one in self._wallets[wallet].reserved.values())

    def begin(self, run: Run, receipt: Receipt | None = None) -> Begun | Underway | AlreadyReceived:
        with self._lock:
            if receipt is not None:
                first = self._receipts.get((receipt.tenant_id, receipt.key))
                if first is not None:
                    return AlreadyReceived(first)
            underway = self._run_named(run.tenant_id, self._underway)
            if underway and underway.worked_at >= run.worked_at - ABANDONED_AFTER:
                return Underway(underway)
            if receipt is not None:
                self._receipts[receipt.tenant_id, receipt.key] = receipt
            self._runs[run.tenant_id, run.run_id] = msgspec.json.encode(run)
            self._underway[run.tenant_id] = run.run_id
        return Begun(run)

    def run(self, tenant_id: str, run_id: str) -> Run | None:
        with self._lock:
            return self._run(tenant_id, run_id)

    def save(self, run: Run) -> bool:
        with self._lock:
            stored = self._run(run.tenant_id, run.run_id)
            mine = self._underway.get(run.tenant_id) == run.run_id
            if not mine or stored is None or stored.step != run.step:
                return False
            run.step += 1
            self._runs[run.tenant_id, run.run_id] = msgspec.json.encode(run)
            if run.is_finished:
                del self._underway[run.tenant_id]
                self._last[run.tenant_id] = run.run_id
        return True

    def underway(self, tenant_id: str) -> Run | None:
        with self._lock:
            return self._run_named(tenant_id, self._underway)

    def last(self, tenant_id: str) -> Run | None:
        with self._lock:
            return self._run_named(tenant_id, self._last)

    def _run_named(self, tenant_id: str, named: Mapping[str, str]) -> Run | None:
        return self._run(tenant_id, named[tenant_id]) if tenant_id in named else None

    def _run(self, tenant_id: str, run_id: str) -> Run | None:
        """A copy: who changes it has to save it."""
        kept = self._runs.get((tenant_id, run_id))
        return None if kept is None else msgspec.json.decode(kept, type=Run)

    def line_number(self, wallet: AccountKey, entry_id: str) -> int | None:
        with self._lock:
            numbers = {line.line.entry_id: line.number for line in self._wallets[wallet].lines}
        return numbers.get(entry_id)

    def total(self, account: AccountKey) -> tuple[int, int]:
        with self._lock:
            return self._totals.get(account, (0, 0))


@dataclass(frozen=True)
class MemoryConfig:
    tenants: Mapping[str, Tenant] = field(default_factory=dict)
    routes: Mapping[str, ProviderRoute] = field(default_factory=dict)
    gateway_keys: Mapping[str, str] = field(default_factory=dict)

    def tenant(self, tenant_id: str) -> Tenant | None:
        return self.tenants.get(tenant_id)

    def gateway_key(self, tenant_id: str) -> str | None:
        return self.gateway_keys.get(tenant_id)

    def provider_route(self, name: str) -> ProviderRoute | None:
        return self.routes.get(name)


class MemorySagas:
    """Remembers which executions were asked for, in order."""

    def __init__(self) -> None:
        self.started: list[tuple[str, int]] = []
        self.followed_up: list[tuple[str, int]] = []
        self.resumed: list[tuple[str, int, str]] = []

    def start(self, payment_id: str, version: int) -> None:
        self.started.append((payment_id, version))

    def follow_up(self, payment_id: str, version: int) -> None:
        self.followed_up.append((payment_id, version))

    def resume(self, payment_id: str, version: int, label: str, *, authorized: bool) -> None:
        self.resumed.append((payment_id, version, label))


class MemoryWakeups:
    """Remembers who is to be woken, and when."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, int, timedelta]] = []

    def wake(self, payment_id: str, number: int, delay: timedelta) -> None:
        self.asked.append((payment_id, number, delay))


class MemoryBus:
    """Keeps what was published; `down` refuses everything."""

    def __init__(self) -> None:
        self.published: list[Message] = []
        self.down = False

    def publish(self, messages: Sequence[Message]) -> Sequence[Message]:
        if self.down:
            return tuple(messages)
        self.published.extend(messages)
        return ()


class MemoryParking:
    def __init__(self) -> None:
        self.parked: list[tuple[str, str, Mapping[str, object]]] = []

    def park(self, hop: str, cause: str, payload: Mapping[str, object]) -> None:
        self.parked.append((hop, cause, payload))


class MemoryRunWakeups:
    """Remembers who is to be woken, in order."""

    def __init__(self) -> None:
        self.woken: list[tuple[str, str]] = []

    def wake(self, tenant_id: str, run_id: str, wait_s: int = 0) -> None:
        self.woken.append((tenant_id, run_id))


class MemoryRetries:
    """Remembers what was to come again, and when."""

    def __init__(self) -> None:
        self.delays_s: list[tuple[str, int]] = []

    def later(self, receipt: str, delay_s: int) -> None:
        self.delays_s.append((receipt, delay_s))


class MemoryWalk:
    """A walk over the events of a store, whose streams fall into segments by their names."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory

    def walk(self, segment: int = 0, segments: int = 1) -> Iterator[Passed]:
        for stream in self._memory.streams():
            if crc32(stream.encode()) % segments != segment:
                continue
            for row in self._memory.rows(stream):
                yield Passed(
                    stream=row.stream,
                    version=row.version,
                    tenant_id=row.tenant_id,
                    type=row.type,
                    recorded_at=datetime.fromisoformat(row.recorded_at),
                )
