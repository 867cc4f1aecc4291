"""What every store promises to verification: all that is there, and runs that nobody loses."""

from datetime import timedelta

from florin.adapters.clock import ManualClock
from florin.adapters.risk import PassingRisk
from florin.domain.chart import wallet
from florin.domain.ledger import Leg, Side
from florin.domain.money import Money
from florin.domain.payment import RequestRefund, Step
from florin.domain.verification import Standing, Total
from florin.handle import Accepted
from florin.ports import AccountKey, AlreadyReceived, Line, Receipt
from florin.projection import Projector
from florin.saga import Saga
from florin.verification import ABANDONED_AFTER, Begun, Run, Underway, Verifier, new_run
from tests.contracts.conftest import Store
from tests.support.examples import (
    NOON,
    TENANT,
    ScriptedProvider,
    accepted_payment,
    desk,
    once,
    opened_account,
)

FORWARD = (Step.ASSESS_RISK, Step.AUTHORIZE, Step.CAPTURE)


def key_of(account_id: str) -> AccountKey:
    return AccountKey(tenant_id=TENANT, account=wallet(account_id), currency="EUR")


def credit(key: AccountKey, entry_id: str, minor: int) -> Line:
    leg = Leg(account=key.account, side=Side.CREDIT, amount=Money(minor, "EUR"))
    return Line(entry_id=entry_id, leg=leg, recorded_at=NOON)


def captured(store: Store, number: int, seller: str) -> str:
    saga = Saga(
        store=store,
        accounts=store,
        clock=ManualClock(NOON),
        risk=PassingRisk(),
        provider=lambda name: ScriptedProvider(),
        new_owner=lambda: "owner",
    )
    payment_id = accepted_payment(store, f"key-{number}", recipient=seller)
    for step in FORWARD:
        saga.run(step, payment_id, "arn:execution")
    return payment_id


def walked(store: Store, tenant_id: str, since: object = None) -> dict[str, int]:
    """Every stream that the pages show, with the lowest version shown of it."""
    shown: dict[str, int] = {}
    after = None
    while True:
        page = store.stream_page(tenant_id, after=after, since=since)  # type: ignore[arg-type]
        for stream, version in page.streams.items():
            shown[stream] = min(version, shown.get(stream, version))
        after = page.after
        if after is None:
            return shown


def test_pages_show_every_stream_of_the_tenant(store: Store) -> None:
    seller = opened_account(store)
    payments = [captured(store, number, seller) for number in range(3)]
    assert walked(store, TENANT) == dict.fromkeys([seller, *payments], 1)
    assert walked(store, "tn_venice") == {}


def test_pages_show_what_is_younger(store: Store) -> None:
    seller = opened_account(store)
    assert walked(store, TENANT, NOON) == {}
    assert walked(store, TENANT, NOON - timedelta(milliseconds=1)) == {seller: 1}


def test_a_stream_is_read_with_its_seal(store: Store) -> None:
    payment_id = accepted_payment(store)
    sealed = store.sealed(payment_id)
    assert (sealed.events, sealed.broken_at) == (store.read(payment_id).events, None)
    assert store.sealed("pay_unseen").events == ()


def test_lines_are_found_by_their_entries(store: Store) -> None:
    seller, other = opened_account(store), opened_account(store, "account-2")
    key = key_of(seller)
    store.post(key, [credit(key, f"pay_{number}:6", number) for number in range(1, 151)])
    asked = [(key, f"pay_{number}:6") for number in range(140, 260)]
    found = store.entry_lines([*asked, (key_of(other), "pay_1:6")])
    assert {entry for _, entry in found} == {f"pay_{number}:6" for number in range(140, 151)}
    assert found[key, "pay_150:6"].number == 150
    assert store.entry_lines([]) == {}


def test_facts_are_found_by_their_entries(store: Store) -> None:
    payment_id = captured(store, 1, opened_account(store))
    facts = store.entry_facts([f"{payment_id}:6", f"{payment_id}:99", "pay_unseen:1"])
    assert facts == {f"{payment_id}:6": store.read(payment_id).events[5]}


def test_lines_are_read_in_the_order_of_their_numbers(store: Store) -> None:
    key = key_of(opened_account(store))
    store.post(key, [credit(key, f"pay_{9 - number}:6", 1) for number in range(7)])
    assert [line.number for line in store.lines(key, above=0, limit=3)] == [1, 2, 3]
    assert [line.number for line in store.lines(key, above=5, limit=3)] == [6, 7]
    assert store.lines_between(key, 3, 5) == store.lines(key, above=2, limit=3)
    assert store.lines_between(key, 8, 9) == ()


def test_a_wallet_stands_where_its_lines_left_it(store: Store) -> None:
    key = key_of(opened_account(store))
    store.post(key, [credit(key, "pay_1:6", 30), credit(key, "pay_2:6", 12)])
    assert store.standing(key) == Standing(spendable_minor=42, balance_minor=42, number=2)
    assert store.standing(key_of("acct_nobody")) is None


def receipt(key: str, run: Run) -> Receipt:
    return Receipt(
        tenant_id=run.tenant_id,
        key=key,
        route="POST /ledger/verification",
        object_id=run.run_id,
        recorded_at=NOON,
        fingerprint={},
    )


def test_a_run_is_begun_with_its_key_and_once(store: Store) -> None:
    first, second = new_run("ver_1", TENANT, NOON), new_run("ver_2", TENANT, NOON)
    assert isinstance(store.begin(first, receipt("key-1", first)), Begun)
    assert store.receipt(TENANT, "key-1") == receipt("key-1", first)
    assert store.begin(second, receipt("key-1", second)) == AlreadyReceived(receipt("key-1", first))
    assert store.begin(second, receipt("key-2", second)) == Underway(first)
    assert store.receipt(TENANT, "key-2") is None
    assert store.run(TENANT, "ver_2") is None
    assert (store.underway(TENANT), store.last(TENANT)) == (first, None)
    assert isinstance(store.begin(new_run("ver_3", "tn_venice", NOON)), Begun)


def test_a_run_is_kept_by_one_of_those_who_work_on_it(store: Store) -> None:
    store.begin(new_run("ver_1", TENANT, NOON))
    mine, theirs = store.run(TENANT, "ver_1"), store.run(TENANT, "ver_1")
    assert mine
    assert theirs
    mine.tally.currencies["EUR"] = Total(7, 7)
    mine.pages.todo.append(("pay_1", 1))
    assert store.save(mine)
    assert not store.save(theirs)
    assert store.run(TENANT, "ver_1") == mine
    mine.phase, mine.finished_at = type(mine.phase)("finished"), NOON
    assert store.save(mine)
    assert (store.underway(TENANT), store.last(TENANT)) == (None, mine)
    assert isinstance(store.begin(new_run("ver_2", TENANT, NOON)), Begun)
    assert store.last(TENANT) == mine


def test_a_run_that_was_abandoned_is_replaced_and_kept_no_more(store: Store) -> None:
    store.begin(new_run("ver_1", TENANT, NOON))
    old = store.run(TENANT, "ver_1")
    assert old
    soon, later = NOON + ABANDONED_AFTER, NOON + ABANDONED_AFTER + timedelta(milliseconds=1)
    assert isinstance(store.begin(new_run("ver_2", TENANT, soon)), Underway)
    assert isinstance(store.begin(new_run("ver_2", TENANT, later)), Begun)
    assert not store.save(old)
    running = store.underway(TENANT)
    assert running
    assert running.run_id == "ver_2"


def verified(store: Store) -> Run:
    """A run from its beginning to its end, kept after each piece."""
    run_id = f"ver_{len(walked(store, TENANT))}"
    assert isinstance(store.begin(new_run(run_id, TENANT, NOON)), Begun)
    verifier = Verifier(audit=store, books=store, runs=store, clock=ManualClock(NOON))
    while verifier.work(TENANT, run_id, lambda: False) is not None:
        pass
    run = store.last(TENANT)
    assert run is not None
    return run


def test_the_books_of_every_store_hold(store: Store) -> None:
    seller = opened_account(store)
    payments = [captured(store, number, seller) for number in range(2)]
    projector = Projector(store=store, books=store)
    projector.project([seller, *payments])
    refund = desk(store).change_payment(
        payments[0],
        "ref",
        lambda refund_id: RequestRefund(refund_id=refund_id, amount_minor=400),
        once("refund"),
    )
    assert isinstance(refund, Accepted)
    run = verified(store)
    assert (run.tally.findings, run.tally.unsettled, run.tally.in_flight) == ([], 0, 1)
    total = run.tally.currencies["EUR"]
    assert total == Total(2_400, 2_400)
