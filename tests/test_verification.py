"""Verification: correct books have no findings, whatever goes on; one fault is found and named."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from threading import Event, Thread
from typing import cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from florin.adapters.clock import ManualClock, UlidIds
from florin.adapters.codec import Row
from florin.adapters.memory import Memory, MemoryRunWakeups
from florin.adapters.risk import PassingRisk
from florin.domain.chart import PLATFORM_FEES, wallet
from florin.domain.hold import CaptureHold, Part, PlaceHold, Share, VoidHold
from florin.domain.ledger import Entry, Leg, Side
from florin.domain.money import Money
from florin.domain.payment import RequestRefund, Step
from florin.domain.provider import Declined, Hardness
from florin.domain.verification import Fault, Finding, Standing
from florin.handle import Accepted, Desk
from florin.ports import AccountKey, Advance, Line, Reserved, StatementLine, View
from florin.ports import Books as BooksPort
from florin.projection import Projector
from florin.saga import Saga
from florin.verification import (
    CALM,
    FINDINGS_MAX,
    OPEN_MAX,
    Begun,
    Requested,
    Run,
    Sealed,
    StreamPage,
    VerificationDesk,
    Verifier,
    new_run,
)
from tests.support.examples import (
    NOON,
    TENANT,
    ScriptedProvider,
    accepted_payment,
    once,
    opened_account,
)

OTHER_TENANT = "tn_venice"
FORWARD = (Step.ASSESS_RISK, Step.AUTHORIZE, Step.CAPTURE, Step.VOID, Step.FINISH)


class Books(Memory):
    """A store whose books can be tampered with."""

    def wallet_of(self, account_id: str) -> AccountKey:
        return AccountKey(tenant_id=TENANT, account=wallet(account_id), currency="EUR")

    def move_guard(self, account_id: str, by: int) -> None:
        self._wallets[self.wallet_of(account_id)].spendable_minor += by

    def move_balance(self, account_id: str, by: int) -> None:
        self._wallets[self.wallet_of(account_id)].balance_minor += by

    def change_line(self, account_id: str, place: int, **changed: object) -> None:
        lines = self._wallets[self.wallet_of(account_id)].lines
        lines[place - 1] = replace(lines[place - 1], **changed)  # type: ignore[arg-type]  # by name

    def drop_line(self, account_id: str, number: int) -> None:
        del self._wallets[self.wallet_of(account_id)].lines[number - 1]

    def add_line(self, account_id: str, line: StatementLine) -> None:
        self._wallets[self.wallet_of(account_id)].lines.append(line)

    def move_total(self, key: AccountKey, debits: int, credits_: int) -> None:
        before = self._totals[key]
        self._totals[key] = (before[0] + debits, before[1] + credits_)

    def move_held(self, account_id: str, by: int) -> None:
        self._wallets[self.wallet_of(account_id)].held_minor += by

    def move_hold(self, account_id: str, stream: str, **changed: int) -> None:
        reserved = self._wallets[self.wallet_of(account_id)].reserved
        reserved[stream] = replace(reserved[stream], **changed)  # type: ignore[arg-type]  # by name

    def drop_hold(self, account_id: str, stream: str) -> None:
        del self._wallets[self.wallet_of(account_id)].reserved[stream]

    def rewrite(self, stream: str, version: int, change: Callable[[Row], Row]) -> None:
        rows = self._streams[stream]
        rows[version - 1] = change(rows[version - 1])

    def remove(self, stream: str, version: int) -> None:
        del self._streams[stream][version - 1]

    def set_view(self, stream: str, version: int) -> None:
        self._views[stream] = replace(self._views[stream], version=version)


class Interrupted(Books):
    """A store in which something happens before each thing that verification reads."""

    def __init__(self) -> None:
        super().__init__()
        self.before_reading: Callable[[], object] = lambda: None
        self.before_total: Callable[[], object] = lambda: None
        self.reading: Callable[[str], Sealed] = super().sealed

    def stream_page(
        self, tenant_id: str, *, after: str | None, since: datetime | None = None
    ) -> StreamPage:
        self.before_reading()
        return super().stream_page(tenant_id, after=after, since=since)

    def view(self, stream: str) -> View | None:
        self.before_reading()
        return super().view(stream)

    def sealed(self, stream: str) -> Sealed:
        self.before_reading()
        return self.reading(stream)

    def entry_lines(
        self, wanted: Sequence[tuple[AccountKey, str]]
    ) -> Mapping[tuple[AccountKey, str], StatementLine]:
        self.before_reading()
        return super().entry_lines(wanted)

    def statement(
        self, wallet: AccountKey, *, limit: int, before: int | None = None
    ) -> Sequence[StatementLine]:
        self.before_reading()
        return super().statement(wallet, limit=limit, before=before)

    def lines(self, wallet: AccountKey, *, above: int, limit: int) -> Sequence[StatementLine]:
        self.before_reading()
        return super().lines(wallet, above=above, limit=limit)

    def standing(self, wallet: AccountKey) -> Standing | None:
        self.before_reading()
        return super().standing(wallet)

    def total(self, account: AccountKey) -> tuple[int, int]:
        self.before_reading()
        self.before_total()
        return super().total(account)


class DyingError(Exception):
    """The projector died."""


@dataclass
class HalfTheBooks:
    """Books of a projector that dies after it has put the lines."""

    store: Memory

    def view(self, stream: str) -> View | None:
        return self.store.view(stream)

    def post(
        self, wallet: AccountKey, lines: Sequence[Line], reserved: Sequence[Reserved] = ()
    ) -> None:
        self.store.post(wallet, lines, reserved)

    def advance(self, advances: Sequence[Advance]) -> bool:
        raise DyingError


class House:
    """A seller, payments and refunds, and somebody who verifies."""

    def __init__(self) -> None:
        self.store = Interrupted()
        self.clock = ManualClock(NOON)
        self.provider = ScriptedProvider()
        self.seller = opened_account(self.store)
        self.projector = Projector(store=self.store, books=self.store)
        self.saga = Saga(
            store=self.store,
            accounts=self.store,
            clock=self.clock,
            risk=PassingRisk(),
            provider=lambda name: self.provider,
            new_owner=lambda: "owner",
        )
        self.payments: list[str] = []
        self.ids = UlidIds()

    @property
    def desk(self) -> Desk:
        return Desk(store=self.store, accounts=self.store, clock=self.clock, ids=self.ids)

    def pay(self, minor: int = 1_000, *, project: bool = True) -> str:
        """A payment that is captured, or fails if the provider says so."""
        payment_id = accepted_payment(
            self.store, f"pay-{len(self.payments)}", Money(minor, "EUR"), self.seller
        )
        for step in FORWARD:
            self.saga.run(step, payment_id, "arn:execution")
        self.payments.append(payment_id)
        if project:
            self.projector.project([self.seller, payment_id])
        return payment_id

    def project_half(self) -> None:
        """Put all lines, and die."""
        with suppress(DyingError):
            Projector(store=self.store, books=cast("BooksPort", HalfTheBooks(self.store))).project(
                self.store.streams()
            )

    def refund(self, payment_id: str, key: str, minor: int | None = None) -> bool:
        answer = self.desk.change_payment(
            payment_id,
            "ref",
            lambda refund_id: RequestRefund(refund_id=refund_id, amount_minor=minor),
            once(key),
        )
        return isinstance(answer, Accepted)

    def verify(self, has_time: Callable[[], bool] = lambda: True) -> Run:
        """A run from its beginning to its end."""
        verifier = Verifier(audit=self.store, books=self.store, runs=self.store, clock=self.clock)
        begun = self.store.begin(new_run(self.ids.new("ver", NOON), TENANT, self.clock.now()))
        assert isinstance(begun, Begun), begun
        while verifier.work(TENANT, begun.run.run_id, has_time) is not None:
            pass
        run = self.store.last(TENANT)
        assert run is not None
        assert run.run_id == begun.run.run_id
        return run


def faults(run: Run) -> set[Fault]:
    return {finding.fault for finding in run.tally.findings}


@pytest.fixture(params=[timedelta(0), 2 * CALM], ids=["young", "old"])
def house(request: pytest.FixtureRequest) -> House:
    """Two captured payments, one of them partly refunded, and one that failed."""
    house = House()
    house.pay()
    first = house.payments[0]
    house.pay(5_000)
    assert house.refund(first, "refund-1", 400)
    house.saga.follow_up(first, "arn:execution")
    house.provider.answers["capture"] = Declined(code="no", hardness=Hardness.HARD)
    house.pay(7)
    del house.provider.answers["capture"]
    house.projector.project(house.store.streams())
    house.clock.advance(request.param)
    return house


def test_correct_books_are_balanced_and_without_findings(house: House) -> None:
    run = house.verify()
    assert run.tally.findings == []
    assert (run.tally.found, run.tally.unsettled, run.tally.in_flight) == (0, 0, 0)
    assert run.tally.is_balanced
    total = run.tally.currencies["EUR"]
    # Two captures, a refund asked for and done.
    assert total.debits_minor == total.credits_minor == 1_000 + 5_000 + 400 + 400
    tally = run.tally
    assert (tally.streams, tally.accounts, tally.entries, tally.lines) == (4, 1, 4, 3)


# One fault at a time.


def fees(store: Books) -> AccountKey:
    return AccountKey(tenant_id=TENANT, account=PLATFORM_FEES, currency="EUR")


def other_amount(house: House) -> None:
    line = house.store.lines(house.store.wallet_of(house.seller), above=0, limit=1)[0]
    leg = replace(line.line.leg, amount=Money(971, "EUR"))
    house.store.change_line(house.seller, 1, line=replace(line.line, leg=leg))


def extra_line(house: House, number: int) -> None:
    key = house.store.wallet_of(house.seller)
    leg = Leg(account=key.account, side=Side.CREDIT, amount=Money(5, "EUR"))
    line = Line(entry_id=f"{house.payments[0]}:1", leg=leg, recorded_at=NOON)
    house.store.add_line(
        house.seller, StatementLine(line=line, number=number, balance_after_minor=5_000)
    )


def unbalanced(row: Row) -> Row:
    assert row.entry is not None
    return replace(row, entry=row.entry.replace('"minor":970', '"minor":971'))


def version_with_entry(house: House, payment_id: str) -> int:
    return next(row.version for row in house.store.rows(payment_id) if row.entry is not None)


PLANTED: dict[str, tuple[Callable[[House], object], set[Fault]]] = {
    "a guard too high": (lambda house: house.store.move_guard(house.seller, 1), {Fault.GUARD}),
    "a guard too low": (lambda house: house.store.move_guard(house.seller, -1), {Fault.GUARD}),
    "a balance": (
        lambda house: house.store.move_balance(house.seller, 1),
        {Fault.POSITION_BALANCE, Fault.GUARD},
    ),
    "an amount": (other_amount, {Fault.LINE_DIFFERS, Fault.BALANCE_AFTER}),
    "another side": (
        lambda house: house.store.change_line(
            house.seller,
            2,
            line=replace(
                house.store.lines(house.store.wallet_of(house.seller), above=1, limit=1)[0].line,
                leg=Leg(account=wallet(house.seller), side=Side.DEBIT, amount=Money(4_850, "EUR")),
            ),
        ),
        {Fault.LINE_DIFFERS, Fault.BALANCE_AFTER},
    ),
    "a number": (
        lambda house: house.store.change_line(house.seller, 2, number=9),
        {Fault.LINE_NUMBER, Fault.BALANCE_AFTER},
    ),
    "a balance after": (
        lambda house: house.store.change_line(house.seller, 2, balance_after_minor=1),
        {Fault.BALANCE_AFTER},
    ),
    "no line": (
        lambda house: house.store.drop_line(house.seller, 1),
        {Fault.LINE_MISSING, Fault.LINE_NUMBER, Fault.BALANCE_AFTER},
    ),
    "a line twice": (
        lambda house: extra_line(house, 2),
        {Fault.LINE_WITHOUT_ENTRY, Fault.LINE_NUMBER, Fault.BALANCE_AFTER},
    ),
    "a line after the last": (
        lambda house: extra_line(house, 4),
        {Fault.LINE_WITHOUT_ENTRY, Fault.POSITION_BALANCE},
    ),
    "debits of a total": (
        lambda house: house.store.move_total(fees(house.store), 1, 0),
        {Fault.TOTAL_DEBITS},
    ),
    "credits of a total": (
        lambda house: house.store.move_total(fees(house.store), 0, -1),
        {Fault.TOTAL_CREDITS},
    ),
    "a view that is ahead": (
        lambda house: house.store.set_view(house.payments[1], 99),
        {Fault.VIEW_AHEAD},
    ),
    "a view that is behind": (
        lambda house: house.store.set_view(house.payments[1], 1),
        {Fault.TOTAL_DEBITS, Fault.TOTAL_CREDITS},
    ),
    "an event's data": (
        lambda house: house.store.rewrite(
            house.payments[2], 1, lambda row: replace(row, data=row.data.replace("silk", "wool"))
        ),
        {Fault.CHAIN_BROKEN},
    ),
    "an event's hash": (
        lambda house: house.store.rewrite(
            house.payments[2], 1, lambda row: replace(row, hash="0" * 64)
        ),
        {Fault.CHAIN_BROKEN},
    ),
    "what cannot be read": (
        lambda house: house.store.rewrite(
            house.payments[2], 2, lambda row: replace(row, data="{").sealed("")
        ),
        {Fault.CHAIN_BROKEN},
    ),
    "a first event": (lambda house: house.store.remove(house.payments[2], 1), {Fault.CHAIN_BROKEN}),
    "an event in between": (
        lambda house: house.store.remove(house.payments[2], 2),
        {Fault.CHAIN_BROKEN},
    ),
}


@pytest.mark.parametrize("planted", PLANTED)
def test_a_fault_is_found_and_named(house: House, planted: str) -> None:
    plant, expected = PLANTED[planted]
    plant(house)
    run = house.verify()
    assert expected <= faults(run), run.tally.findings
    assert run.tally.found >= len(run.tally.findings) > 0
    assert run.tally.unsettled == 0
    again = house.verify()
    assert faults(again) == faults(run), "a difference stays one until it is put right"


def test_a_missing_end_is_found_by_its_view(house: House) -> None:
    stream = house.payments[2]
    house.store.remove(stream, len(house.store.rows(stream)))
    run = house.verify()
    head = len(house.store.rows(stream))
    (finding,) = run.tally.findings
    assert finding == Finding(
        fault=Fault.VIEW_AHEAD, at=stream, expected=str(head), found=str(head + 1)
    )


def test_an_entry_that_was_changed_is_found_wherever_it_counts(house: House) -> None:
    stream = house.payments[0]
    house.store.rewrite(stream, version_with_entry(house, stream), unbalanced)
    assert faults(house.verify()) >= {Fault.CHAIN_BROKEN, Fault.LINE_DIFFERS, Fault.TOTAL_DEBITS}


@dataclass(frozen=True, slots=True, kw_only=True)
class Lopsided(Entry):
    """What no posting can spell."""

    def legs(self) -> tuple[Leg, ...]:
        return Entry.legs(self)[:-1]


def test_an_entry_that_does_not_balance_is_found(house: House) -> None:
    def lopsided(stream: str) -> Sealed:
        sealed = Books.sealed(house.store, stream)
        events = tuple(
            recorded
            if recorded.entry is None
            else replace(
                recorded, entry=Lopsided(chart_version=1, postings=recorded.entry.postings)
            )
            for recorded in sealed.events
        )
        return Sealed(events=events, broken_at=None)

    house.store.reading = lopsided
    run = house.verify()
    assert Fault.ENTRY_UNBALANCED in faults(run)
    assert not run.tally.is_balanced


def test_what_is_not_projected_is_in_flight_and_no_finding(house: House) -> None:
    payment_id = house.pay(2_000, project=False)
    run = house.verify()
    assert (run.tally.findings, run.tally.in_flight, run.tally.unsettled) == ([], 1, 0)
    house.projector.project([payment_id])
    # Its money is taken back, and the books do not know of it yet.
    assert house.refund(payment_id, "refund-2")
    run = house.verify()
    assert (run.tally.findings, run.tally.in_flight, run.tally.unsettled) == ([], 1, 0)
    house.store.move_guard(house.seller, 1)
    assert faults(house.verify()) == {Fault.GUARD}


def test_what_was_in_flight_for_long_is_still_explained(house: House) -> None:
    payment_id = house.pay(2_000)
    assert house.refund(payment_id, "refund-2")
    behind = house.pay(3_000, project=False)
    house.clock.advance(5 * CALM)
    run = house.verify()
    assert (run.tally.findings, run.tally.in_flight, run.tally.unsettled) == ([], 2, 0)
    # One that is behind goes on.
    assert house.refund(behind, "refund-3", 10)
    run = house.verify()
    assert (run.tally.findings, run.tally.in_flight, run.tally.unsettled) == ([], 3, 0)
    house.store.move_total(fees(house.store), 0, 1)
    house.store.move_guard(house.seller, 1)
    assert faults(house.verify()) == {Fault.GUARD, Fault.TOTAL_CREDITS}


def test_an_entry_on_its_way_does_not_hide_a_wrong_guard(house: House) -> None:
    assert house.refund(house.payments[1], "refund-2", 100)
    house.store.move_guard(house.seller, 97)
    standing = house.store.standing(house.store.wallet_of(house.seller))
    assert standing is not None
    assert standing.is_at_rest
    run = house.verify()
    assert (faults(run), run.tally.unsettled) == ({Fault.GUARD}, 0)


def test_piece_by_piece_finds_the_same(house: House) -> None:
    house.store.move_guard(house.seller, 1)
    whole, pieces = house.verify(), house.verify(lambda: False)
    assert pieces.step > whole.step
    assert pieces.tally == whole.tally


def test_statements_longer_than_a_page(house: House) -> None:
    for number in range(130):
        house.pay(100 + number, project=False)
    house.projector.project(house.store.streams())
    run = house.verify(lambda: False)
    assert (run.tally.findings, run.tally.lines) == ([], 133)
    house.store.change_line(house.seller, 128, balance_after_minor=1)
    (first, second) = house.verify().tally.findings
    assert first.at == f"wallet:{house.seller} line 128"
    assert second.at == f"wallet:{house.seller} line 129"


def test_other_tenants_are_not_looked_at(house: House) -> None:
    house.store.move_guard(house.seller, 1)
    begun = house.store.begin(new_run("ver_1", OTHER_TENANT, NOON))
    assert isinstance(begun, Begun)
    verifier = Verifier(audit=house.store, books=house.store, runs=house.store, clock=house.clock)
    assert verifier.work(OTHER_TENANT, "ver_1", lambda: True) is None
    run = house.store.last(OTHER_TENANT)
    assert run is not None
    assert (run.tally.streams, run.tally.findings) == (0, [])


# While payments go on.


def test_payments_that_go_on_are_never_a_finding() -> None:
    house = House()
    house.pay(100_000)
    over, failed = Event(), []

    def work(do: Callable[[int], object]) -> Thread:
        def loop() -> None:
            number = 0
            try:
                while not over.is_set():
                    number += 1
                    do(number)
            except BaseException as error:  # told below
                failed.append(error)
                raise

        thread = Thread(target=loop)
        thread.start()
        return thread

    def pay(number: int) -> None:
        house.pay(100 + number % 7, project=False)
        house.refund(house.payments[0], f"refund-{number}", 1)

    def project(number: int) -> None:
        house.projector.project(house.store.streams()[-40:])

    threads = [work(pay), work(project)]
    try:
        runs = [house.verify(lambda: False) for _ in range(3)]
    finally:
        over.set()
        for thread in threads:
            thread.join()
    assert not failed
    for run in runs:
        assert run.tally.findings == []
    house.projector.project(house.store.streams())
    last = house.verify()
    assert (last.tally.findings, last.tally.unsettled, last.tally.in_flight) == ([], 0, 0)


actions = st.lists(
    st.sampled_from(
        [
            *("nothing", "pay", "pay and project", "refund", "refund and project"),
            *("project", "half", "wait"),
        ]
    ),
    min_size=1,
    max_size=12,
)


@settings(max_examples=120, deadline=None)
@given(actions, actions)
def test_whatever_happens_between_two_reads_is_never_a_finding(
    before: list[str], meanwhile: list[str]
) -> None:
    house = House()
    house.pay(50_000)

    def act(number: int, action: str) -> None:
        match action:
            case "pay":
                house.pay(100 + number, project=False)
            case "pay and project":
                house.pay(100 + number)
            case "refund":
                house.refund(house.payments[number % len(house.payments)], f"refund-{number}", 1)
            case "refund and project":
                payment_id = house.payments[number % len(house.payments)]
                house.refund(payment_id, f"refund-{number}", 1)
                house.projector.project([payment_id])
            case "project":
                house.projector.project(house.store.streams())
            case "half":
                house.project_half()
            case "wait":
                house.clock.advance(2 * CALM)

    for number, action in enumerate(before):
        act(number, action)
    happening = iter(enumerate(meanwhile * 4, start=100))

    def go_on() -> None:
        house.store.before_reading = lambda: None
        if (happens := next(happening, None)) is not None:
            act(*happens)
        house.store.before_reading = go_on

    house.store.before_reading = go_on
    run = house.verify()
    assert (run.tally.findings, run.tally.is_balanced) == ([], True)
    house.store.before_reading = lambda: None
    house.projector.project(house.store.streams())
    run = house.verify()
    assert (run.tally.findings, run.tally.unsettled, run.tally.in_flight) == ([], 0, 0)


def test_what_never_stands_still_is_unsettled() -> None:
    house = House()
    house.pay(50_000)
    house.store.before_total = lambda: house.pay(1_000)
    run = house.verify()
    assert run.tally.findings == []
    assert run.tally.unsettled > 0
    # Something much larger than what goes on is found all the same.
    house.store.move_total(fees(house.store), 0, 10**9)
    assert faults(house.verify()) == {Fault.TOTAL_CREDITS}


def test_more_that_lags_than_is_kept_settles_nothing() -> None:
    house = House()
    for _ in range(OPEN_MAX + 1):
        house.pay(100, project=False)
    house.clock.advance(2 * CALM)
    run = house.verify()
    assert (run.tally.findings, run.tally.in_flight) == ([], OPEN_MAX + 1)
    assert run.tally.unsettled == 2  # receivable and fees
    house.projector.project(house.store.streams())
    run = house.verify()
    assert (run.tally.findings, run.tally.unsettled, run.tally.in_flight) == ([], 0, 0)


def test_findings_are_counted_and_a_hundred_are_kept() -> None:
    house = House()
    for _ in range(FINDINGS_MAX + 5):
        stream = house.pay(100, project=False)
        house.store.rewrite(stream, 2, lambda row: replace(row, hash="0" * 64))
    run = house.verify()
    assert (len(run.tally.findings), run.tally.found) == (FINDINGS_MAX, FINDINGS_MAX + 5)


amounts = st.sampled_from([1, 99, 1_000, 5_000])
moves = st.lists(
    st.one_of(
        st.tuples(st.just("pay"), amounts, st.booleans()),
        st.tuples(st.just("refund"), amounts, st.booleans()),
        st.tuples(st.just("project"), amounts, st.booleans()),
        st.tuples(st.just("wait"), amounts, st.booleans()),
    ),
    max_size=12,
)


def played(script: Sequence[tuple[str, int, bool]]) -> House:
    house = House()
    for number, (move, minor, now) in enumerate(script):
        match move:
            case "pay":
                house.pay(minor, project=now)
            case "refund" if house.payments:
                payment_id = house.payments[minor % len(house.payments)]
                if house.refund(payment_id, f"refund-{number}", minor) and now:
                    house.saga.follow_up(payment_id, "arn:execution")
            case "project":
                house.projector.project(house.store.streams())
            case "wait":
                house.clock.advance(2 * CALM)
    return house


@settings(max_examples=60, deadline=None)
@given(moves)
def test_no_history_has_findings(script: list[tuple[str, int, bool]]) -> None:
    house = played(script)
    run = house.verify()
    assert (run.tally.findings, run.tally.unsettled) == ([], 0)
    house.projector.project(house.store.streams())
    run = house.verify()
    assert (run.tally.findings, run.tally.unsettled, run.tally.in_flight) == ([], 0, 0)
    assert run.tally.is_balanced


@settings(max_examples=60, deadline=None)
@given(moves, st.sampled_from([-1, 1]), st.sampled_from(["guard", "total", "balance", "line"]))
def test_in_every_history_a_fault_is_found(
    script: list[tuple[str, int, bool]], by: int, where: str
) -> None:
    house = played([*script, ("pay", 1_000, True)])
    match where:
        case "guard":
            house.store.move_guard(house.seller, by)
        case "total":
            house.store.move_total(fees(house.store), 0, by)
        case "balance":
            house.store.move_balance(house.seller, by)
        case _:
            key = house.store.wallet_of(house.seller)
            (line,) = house.store.lines(key, above=0, limit=1)
            house.store.change_line(
                house.seller, 1, balance_after_minor=line.balance_after_minor + by
            )
    assert house.verify().tally.findings


# Asking for a run.


class Desks:
    def __init__(self) -> None:
        self.store, self.wakeups = Memory(), MemoryRunWakeups()
        self.clock = ManualClock(NOON)
        self.desk = VerificationDesk(
            store=self.store,
            runs=self.store,
            wakeups=self.wakeups,
            clock=self.clock,
            ids=UlidIds(),
        )

    def ask(self, key: str) -> str:
        answer = self.desk.request(once(key))
        assert isinstance(answer, Requested), answer
        return answer.receipt.object_id


def test_who_asks_while_a_run_is_under_way_is_told_of_it() -> None:
    desks = Desks()
    first = desks.ask("key-1")
    assert [desks.ask("key-1"), desks.ask("key-2")] == [first, first]
    assert desks.wakeups.woken == [(TENANT, first)]
    desks.clock.advance(timedelta(minutes=3))
    assert desks.ask("key-3") == first
    assert desks.wakeups.woken == [(TENANT, first)] * 2, "its wake-up call may be lost"


def test_a_run_that_nobody_works_on_does_not_stand_in_the_way() -> None:
    desks = Desks()
    first = desks.ask("key-1")
    desks.clock.advance(timedelta(hours=2))
    second = desks.ask("key-2")
    assert second != first
    # What is left of the first one, in a dead-letter queue say, does nothing.
    verifier = Verifier(audit=desks.store, books=desks.store, runs=desks.store, clock=desks.clock)
    assert verifier.work(TENANT, first, lambda: True) is None
    assert desks.store.last(TENANT) is None
    assert verifier.work(TENANT, second, lambda: True) is None
    last = desks.store.last(TENANT)
    assert last is not None
    assert last.run_id == second
    assert desks.ask("key-1") == first, "a key stays with what it was used for"


def test_a_schedule_begins_a_run_unless_one_is_under_way() -> None:
    desks = Desks()
    desks.desk.schedule(TENANT)
    desks.desk.schedule(TENANT)
    assert len(desks.wakeups.woken) == 1


# What is put aside.


@pytest.fixture
def holding(house: House) -> tuple[House, str]:
    """The seller has 200 put aside for others, of which 50 went to them."""
    other = opened_account(house.store, "account-2")
    part = Part(recipient=other, amount=Money(250, "EUR"))
    command = PlaceHold(tenant_id=TENANT, account_id=house.seller, parts=(part,))
    placed = house.desk.place_hold(command, once("hold"))
    assert isinstance(placed, Accepted)
    hold_id = placed.receipt.object_id
    house.desk.change_hold(
        hold_id,
        "cap",
        lambda capture_id, now: CaptureHold(
            capture_id=capture_id, share=Share(total_minor=50), now=now, final=False
        ),
        once("capture"),
    )
    house.projector.project(house.store.streams())
    return house, hold_id


def test_what_is_put_aside_is_in_order(holding: tuple[House, str]) -> None:
    run = holding[0].verify()
    assert (run.tally.findings, run.tally.unsettled) == ([], 0)


@pytest.mark.parametrize(
    ("plant", "expected"),
    [
        (lambda house, _: house.store.move_held(house.seller, 1), {Fault.HELD}),
        (
            lambda house, hold: house.store.move_hold(house.seller, hold, amount_minor=199),
            {Fault.HOLD, Fault.HELD},
        ),
        (
            lambda house, hold: house.store.drop_hold(house.seller, hold),
            {Fault.HOLD, Fault.HELD},
        ),
    ],
)
def test_what_is_not_put_aside_is_found(
    holding: tuple[House, str], plant: Callable[[House, str], None], expected: set[Fault]
) -> None:
    house, hold_id = holding
    plant(house, hold_id)
    assert faults(house.verify()) == expected


def test_a_hold_that_nobody_projected_yet_is_no_finding(holding: tuple[House, str]) -> None:
    house, hold_id = holding
    house.desk.change_hold(
        hold_id, "void", lambda _, now: VoidHold(share=Share(), now=now), once("void")
    )
    assert house.verify().tally.findings == []
    house.project_half()
    assert house.verify().tally.findings == []
