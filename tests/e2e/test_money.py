"""What may happen to a payment's money, over HTTP and in races: holds, captures, refunds, keys.

What the engine says is compared with the simulator's own books: only they tell whether money was
moved twice.
"""

import json
import time
import uuid
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from florin.adapters.clock import SystemClock, UlidIds
from florin.adapters.dynamodb import Dynamo, Tables
from florin.domain.fees import FeeOnRefund, FeeTerms
from florin.domain.payment import CaptureMethod, RequestCapture
from florin.handle import Accepted, Desk
from infra.client import Answer, Client, Json
from infra.local import Stack
from infra.simulator_books import simulator_books
from tests.support.examples import initiate, once

PATIENCE_S = 30.0
POLL_S = 0.05
RACES, RACES_AT_ONCE, WINS_MIN = 50, 5, 5


@pytest.fixture
def client(stack: Stack) -> Client:
    return Client.of(stack)


def key() -> str:
    return uuid.uuid4().hex


def asked(seller: str, amount: int = 1_000, currency: str = "EUR", **more: object) -> Json:
    """The body of a payment."""
    usual = {"payment_method": "tok_visa", "recipient": seller}
    return {"amount": amount, "currency": currency, **usual, **more}


def paid(client: Client, seller: str, amount: int = 1_000, **more: Any) -> str:
    """The id of a payment that is captured."""
    payment_id: str = client.created("/payments", asked(seller, amount, **more))["payment_id"]
    assert client.ended(payment_id)["status"] == "succeeded"
    return payment_id


def held(client: Client, seller: str, amount: int = 1_000) -> str:
    """The id of a payment that waits to be captured or canceled."""
    body = asked(seller, amount, capture_method="manual")
    payment_id: str = client.created("/payments", body)["payment_id"]
    having(client, payment_id, status="authorized")
    return payment_id


def having(client: Client, payment_id: str, **wanted: object) -> Json:
    """The payment, once its fields are as wanted."""
    return client.payment_when(payment_id, lambda payment: payment.items() >= wanted.items())


def capture(client: Client, payment_id: str, **body: object) -> Answer:
    return client.post(f"/payments/{payment_id}/capture", body)


def cancel(client: Client, payment_id: str) -> Answer:
    return client.post(f"/payments/{payment_id}/cancel", {})


def refund(client: Client, payment_id: str, **body: object) -> Answer:
    return client.post(f"/payments/{payment_id}/refund", body)


def refund_done(client: Client, payment_id: str, **body: object) -> Json:
    """A refund that is accepted, once it is done: what the payment says of it."""
    answer = refund(client, payment_id, **body)
    assert answer.status == 201, answer
    refund_id = answer.body["refund_id"]

    def found(payment: Json) -> Json:
        (one,) = [one for one in payment["refunds"] if one["refund_id"] == refund_id]
        return dict(one)

    return found(client.payment_when(payment_id, lambda seen: found(seen)["status"] != "pending"))


def until_accepted(post: Callable[[], Answer]) -> Answer:
    """The first answer that is not a refusal for now."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        answer = post()
        if not (answer.status == 409 and answer.body["error"]["transient"]):
            return answer
        assert time.monotonic() < deadline, answer
        time.sleep(POLL_S)


def word(answer: Answer) -> str:
    """An answer in short: its status, and the code of a refusal."""
    code = answer.body["error"]["code"] if "error" in answer.body else ""
    return f"{answer.status} {code}".strip()


def words(answers: Iterable[Answer]) -> Counter[str]:
    return Counter(word(answer) for answer in answers)


def is_replay(answer: Answer) -> bool:
    return answer.headers.get("idempotent-replayed") == "true"


def at_once(count: int, call: Callable[[], Answer]) -> list[Answer]:
    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(lambda _: call(), range(count)))


def desk(stack: Stack) -> Desk:
    """Where requests are accepted without anybody being told: as after a crash."""
    tables = {name: stack.tables[name] for name in ("events", "idempotency", "accounts", "views")}
    store = Dynamo(stack.client("dynamodb"), Tables(**tables))
    return Desk(store=store, accounts=store, clock=SystemClock(), ids=UlidIds())


def accepted(stack: Stack, seller: str, **terms: Any) -> str:
    """The id of a payment on special terms, whose saga is not started."""
    tenant_id = stack.tenants[0].tenant_id
    usual = initiate(recipient=seller, tenant_id=tenant_id)
    command = replace(usual, provider="simulator", **terms)
    taken = desk(stack).initiate_payment(command, once(key(), tenant_id))
    assert isinstance(taken, Accepted)
    return taken.receipt.object_id


def start(stack: Stack, payment_id: str) -> None:
    stack.client("stepfunctions").start_execution(
        stateMachineArn=stack.state_machines["standard"],
        input=json.dumps({"payment_id": payment_id}),
    )


def ledger(client: Client, payment_id: str) -> dict[str, int]:
    """Credits minus debits of a payment by account, also where they are zero."""
    sums: dict[str, int] = defaultdict(int)
    for line in client.get(f"/payments/{payment_id}/ledger").body["data"]:
        sums[line["account"]] += line["amount"] * (1 if line["entry_type"] == "CREDIT" else -1)
    assert sum(sums.values()) == 0, sums
    return sums


def facts(client: Client, payment_id: str, kind: str = "payment") -> list[Json]:
    """The events of a payment whose type begins like this."""
    events = client.get(f"/payments/{payment_id}/events").body["data"]
    return [event["data"] for event in events if event["type"].startswith(kind)]


# One key, one effect.


def test_idem_same_body_replays_bytes(stack: Stack, client: Client) -> None:
    seller, same = client.seller(), key()
    body = asked(seller, description="Twelve ells of silk", metadata={"loom": "3"})
    answers = at_once(16, lambda: client.post("/payments", body, same))
    assert words(answers) == {"201": 16}
    assert sum(map(is_replay, answers)) == 15
    assert len({answer.raw for answer in answers}) == 1
    payment_id = answers[0].body["payment_id"]
    client.ended(payment_id)
    assert client.wallet_with(seller, 970)["balance"] == 970
    assert simulator_books(stack, payment_id).captured_amount == 1_000
    late = client.post("/payments", body, same)
    assert (is_replay(late), late.raw) == (True, answers[0].raw)


def test_idem_same_refund_replays_bytes(stack: Stack, client: Client) -> None:
    payment_id, same = paid(client, client.seller()), key()
    body = {"amount": 100, "reason": "a torn ell"}
    answers = at_once(8, lambda: client.post(f"/payments/{payment_id}/refund", body, same))
    assert words(answers) == {"201": 8}
    assert sum(map(is_replay, answers)) == 7
    assert len({answer.raw for answer in answers}) == 1
    having(client, payment_id, refunded=100)
    late = client.post(f"/payments/{payment_id}/refund", body, same)
    assert (is_replay(late), late.raw) == (True, answers[0].raw)
    books = simulator_books(stack, payment_id)
    assert (books.refunded, books.refunded_amount) == (1, 100)


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"amount": 999}, "amount"),
        ({"payment_method": "tok_declined"}, "payment_method"),
        ({"capture_method": "manual"}, "capture_method"),
        ({"amount": 999, "description": "silk"}, "amount,description"),
    ],
)
def test_idem_other_body_names_the_field(client: Client, change: Json, param: str) -> None:
    body, same = asked(client.seller()), key()
    first = client.post("/payments", body, same)
    other = client.post("/payments", body | change, same)
    assert word(other) == "422 idempotency_key_reused"
    assert other.body["error"]["param"] == param
    assert not is_replay(other)
    assert client.post("/payments", body, same).raw == first.raw


def test_idem_route_mismatch(client: Client) -> None:
    body, same = asked(client.seller()), key()
    payment_id = client.post("/payments", body, same).body["payment_id"]
    client.ended(payment_id)
    for path in ("capture", "cancel", "refund"):
        other = client.post(f"/payments/{payment_id}/{path}", {}, same)
        assert word(other) == "422 idempotency_key_reused", path
        assert other.body["error"]["param"] == "route"
    payment = client.get(f"/payments/{payment_id}").body
    assert (payment["status"], payment["refunds"]) == ("succeeded", [])


def test_idem_route_mismatch_of_another_payment(client: Client) -> None:
    seller, same = client.seller(), key()
    one, other = paid(client, seller), paid(client, seller)
    assert client.post(f"/payments/{one}/refund", {"amount": 1}, same).status == 201
    answer = client.post(f"/payments/{other}/refund", {"amount": 1}, same)
    assert (word(answer), answer.body["error"]["param"]) == ("422 idempotency_key_reused", "route")
    assert client.get(f"/payments/{other}").body["refunds"] == []


def test_idem_bound_refusal(client: Client) -> None:
    """A refusal stays what it was, although the same request would be accepted by now."""
    payment_id, same = held(client, client.seller()), key()
    path, body = f"/payments/{payment_id}/refund", {"amount": 1_000}
    first = client.post(path, body, same)
    assert (word(first), is_replay(first)) == ("409 payment_not_captured", False)
    assert first.body["error"]["transient"] is False
    assert capture(client, payment_id).status == 201
    having(client, payment_id, status="succeeded")
    again = client.post(path, body, same)
    assert (word(again), is_replay(again)) == ("409 payment_not_captured", True)
    other = client.post(path, {"amount": 999}, same)
    assert (word(other), other.body["error"]["param"]) == ("422 idempotency_key_reused", "amount")
    assert client.post(path, body).status == 201


def test_idem_bound_refusal_in_parallel(client: Client) -> None:
    payment_id, same = paid(client, client.seller()), key()
    body = {"amount": 1_001}
    answers = at_once(8, lambda: client.post(f"/payments/{payment_id}/refund", body, same))
    assert words(answers) == {"409 amount_exceeds_refundable": 8}
    assert sum(map(is_replay, answers)) == 7


def test_idem_transient_refusal_binds_nothing(stack: Stack, client: Client) -> None:
    """The payment is accepted but its saga is not started, so nothing holds the money yet."""
    payment_id, same = accepted(stack, client.seller(), capture_method=CaptureMethod.MANUAL), key()
    path = f"/payments/{payment_id}/capture"
    early = client.post(path, {}, same)
    assert (word(early), early.body["error"]["transient"]) == ("409 payment_not_authorized", True)
    assert refund(client, payment_id).body["error"]["transient"] is True
    start(stack, payment_id)
    having(client, payment_id, status="authorized")
    later = client.post(path, {}, same)
    assert (word(later), is_replay(later)) == ("201", False)


# Refunds.


def test_refund_parallel_never_exceeds(stack: Stack, client: Client) -> None:
    payment_id = paid(client, client.seller(), 100)
    answers = at_once(20, lambda: refund(client, payment_id, amount=60))
    assert words(answers) == {"201": 1, "409 amount_exceeds_refundable": 19}
    payment = having(client, payment_id, refunded=60)
    assert (payment["status"], len(payment["refunds"])) == ("partially_refunded", 1)
    books = simulator_books(stack, payment_id)
    assert (books.refunded, books.refunded_amount) == (1, 60)


def test_refund_parallel_never_exceeds_the_last_cent(stack: Stack, client: Client) -> None:
    seller = client.seller()
    payment_id = paid(client, seller)
    counted = words(at_once(24, lambda: refund(client, payment_id, amount=100)))
    assert counted.keys() <= {"201", "409 amount_exceeds_refundable"}, counted
    for _ in range(11):
        counted[word(refund(client, payment_id, amount=100))] += 1
    assert counted == {"201": 10, "409 amount_exceeds_refundable": 25}
    payment = having(client, payment_id, status="refunded", refunded=1_000)
    assert [one["status"] for one in payment["refunds"]] == ["succeeded"] * 10
    books = simulator_books(stack, payment_id)
    assert (books.refunded, books.refunded_amount) == (10, 1_000)
    assert client.wallet_with(seller, 0)["available"] == 0


def test_refund_proportional_fee(client: Client) -> None:
    """Of a fee of 3 on 100, what is back is 0.48, 1.5 and 3 rounded: shares of the sum so far."""
    seller = client.seller()
    payment_id = paid(client, seller, 100)
    for amount, left in ((16, 81), (34, 49), (50, 0)):
        assert refund_done(client, payment_id, amount=amount)["status"] == "succeeded"
        assert client.wallet_with(seller, left)["balance"] == left
    requested = facts(client, payment_id, "payment.refund_requested")
    assert [fact["fee_returned"] for fact in requested] == [0, 2, 1]
    assert ledger(client, payment_id) == {
        "provider:simulator:receivable": 0,
        f"wallet:{seller}": 0,
        "platform:fees": 0,
        "refunds:in_transit": 0,
    }
    payment = client.get(f"/payments/{payment_id}").body
    assert (payment["status"], payment["captured"], payment["refunded"]) == ("refunded", 100, 100)


def test_refund_declined_gives_back(stack: Stack, client: Client) -> None:
    seller = client.seller()
    payment_id = paid(client, seller, payment_method="tok_refund_declined")
    before = ledger(client, payment_id)
    for count in (1, 2):
        assert refund_done(client, payment_id)["status"] == "failed"
        payment = client.get(f"/payments/{payment_id}").body
        assert (payment["status"], payment["refunded"]) == ("succeeded", 0)
        assert len(payment["refunds"]) == count
        wallet = client.wallet_with(seller, 970)
        assert (wallet["balance"], wallet["available"]) == (970, 970)
    assert ledger(client, payment_id) == {**before, "refunds:in_transit": 0}
    assert simulator_books(stack, payment_id).refunded == 0


def test_refund_right_after_capture(stack: Stack, client: Client) -> None:
    """What the capture brings can be given back at once, before it is in the seller's wallet."""
    seller = client.seller()
    for _ in range(3):
        payment_id = held(client, seller)
        assert capture(client, payment_id).status == 201
        answer = until_accepted(partial(refund, client, payment_id))
        assert (word(answer), answer.body["amount"]) == ("201", 1_000)
        having(client, payment_id, status="refunded")
        assert simulator_books(stack, payment_id).refunded_amount == 1_000
    assert client.wallet_with(seller, 0)["balance"] == 0


@contextmanager
def no_projector(stack: Stack) -> Iterator[None]:
    """While nobody but the API brings the books up to date."""
    functions = stack.client("lambda")
    (mapping,) = [
        found["UUID"]
        for found in functions.list_event_source_mappings()["EventSourceMappings"]
        if "ProjectorFunction" in found["FunctionArn"]
    ]
    functions.update_event_source_mapping(UUID=mapping, Enabled=False)
    try:
        yield
    finally:
        functions.update_event_source_mapping(UUID=mapping, Enabled=True)


def test_refund_right_after_capture_without_a_projector(stack: Stack, client: Client) -> None:
    """Nobody else brings the money to the wallet here, so the refund itself has to."""
    seller = client.seller()
    payment_id = held(client, seller)
    with no_projector(stack):
        assert capture(client, payment_id).status == 201
        answer = until_accepted(partial(refund, client, payment_id))
        assert word(answer) == "201"
    having(client, payment_id, status="refunded")
    assert client.wallet_with(seller, 0)["balance"] == 0


def test_who_has_seen_a_payment_can_spend_it_without_a_projector(
    stack: Stack, client: Client
) -> None:
    seller = client.seller()
    with no_projector(stack):
        paid(client, seller)
        wallet = client.get(f"/wallets/{seller}").body
        assert (wallet["available"], wallet["balance"]) == (970, 970)


def test_refund_right_after_capture_is_refused_for_now(stack: Stack, client: Client) -> None:
    """The capture is accepted but nobody has called the provider yet: nothing is bound."""
    payment_id, same = held(client, client.seller()), key()
    wanted = RequestCapture(capture_id=f"cap_{key()}")
    tenant_id = stack.tenants[0].tenant_id
    taken = desk(stack).change_payment(payment_id, "cap", lambda _: wanted, once(key(), tenant_id))
    assert isinstance(taken, Accepted)

    path = f"/payments/{payment_id}/refund"
    early = client.post(path, {}, same)
    assert (word(early), early.body["error"]["transient"]) == ("409 provider_answer_pending", True)
    assert word(capture(client, payment_id)) == "409 provider_answer_pending"
    assert word(cancel(client, payment_id)) == "409 provider_answer_pending"
    start(stack, payment_id)
    having(client, payment_id, status="succeeded")
    later = client.post(path, {}, same)
    assert (word(later), is_replay(later)) == ("201", False)


def test_refund_declined_leaves_other_money_alone(client: Client) -> None:
    seller = client.seller()
    one, other = paid(client, seller), paid(client, seller, payment_method="tok_refund_declined")
    assert refund_done(client, other)["status"] == "failed"
    assert refund_done(client, one)["status"] == "succeeded"
    assert client.wallet_with(seller, 970)["balance"] == 970


def test_refund_never_overspends_the_wallet(stack: Stack, client: Client) -> None:
    """Where the platform keeps its fee, a full refund costs the seller more than was earned."""
    seller, same = client.seller(), key()
    keep = FeeTerms(basis_points=300, fixed_minor=0, on_refund=FeeOnRefund.KEEP)
    one, other = (accepted(stack, seller, fee_terms=keep) for _ in range(2))
    for payment_id in (one, other):
        start(stack, payment_id)
        having(client, payment_id, status="succeeded")
    assert client.wallet_with(seller, 1_940)["available"] == 1_940

    with ThreadPoolExecutor(2) as pool:
        given = pool.map(partial(refund, client), (one, other))
        answers = dict(zip((one, other), given, strict=True))
    assert words(answers.values()) == {"201": 1, "402 insufficient_funds": 1}
    poor = next(payment_id for payment_id, answer in answers.items() if answer.status == 402)
    again = client.post(f"/payments/{poor}/refund", {"amount": 941}, same)
    assert word(again) == "402 insufficient_funds"
    assert again.body["error"]["transient"] is True, "money can arrive at any time"
    assert refund_done(client, poor, amount=940)["status"] == "succeeded"
    assert client.wallet_with(seller, 0)["available"] == 0
    assert simulator_books(stack, poor).refunded_amount == 940


# Captures.


def test_capture_partial_releases_rest(stack: Stack, client: Client) -> None:
    seller = client.seller()
    payment_id = held(client, seller)
    answer = capture(client, payment_id, amount=400)
    assert (answer.status, answer.body["amount"], answer.body["final"]) == (201, 400, True)
    payment = having(client, payment_id, status="succeeded")
    assert (payment["captured"], payment["fees"], payment["net_amount"]) == (400, 12, 388)
    (captured,) = facts(client, payment_id, "payment.captured")
    assert captured["released"] == 600
    assert word(capture(client, payment_id, amount=1)) == "409 payment_captured"
    assert word(cancel(client, payment_id)) == "409 payment_captured"
    assert word(refund(client, payment_id, amount=401)) == "409 amount_exceeds_refundable"
    assert client.wallet_with(seller, 388)["balance"] == 388
    books = simulator_books(stack, payment_id)
    assert (books.captured, books.captured_amount, books.voided) == (1, 400, 0)


def test_capture_final_false_keeps_rest(stack: Stack, client: Client) -> None:
    seller = client.seller()
    payment_id = held(client, seller)
    for amount, captured in ((350, 350), (450, 800)):
        answer = capture(client, payment_id, amount=amount, final=False)
        assert (answer.status, answer.body["final"]) == (201, False)
        having(client, payment_id, captured=captured)
    beyond = capture(client, payment_id, amount=201)
    assert word(beyond) == "409 amount_exceeds_authorization"
    assert word(cancel(client, payment_id)) == "409 payment_captured"
    rest = capture(client, payment_id, final=False)
    assert (rest.body["amount"], rest.body["final"]) == (200, True)
    payment = having(client, payment_id, captured=1_000)
    assert (payment["fees"], payment["net_amount"]) == (30, 970)
    assert client.wallet_with(seller, 970)["balance"] == 970
    books = simulator_books(stack, payment_id)
    assert (books.captured, books.captured_amount, books.voided) == (3, 1_000, 0)


def test_capture_beyond_the_authorization(stack: Stack, client: Client) -> None:
    payment_id = held(client, client.seller())
    assert word(capture(client, payment_id, amount=1_001)) == "409 amount_exceeds_authorization"
    payment = client.get(f"/payments/{payment_id}").body
    assert (payment["status"], payment["captured"]) == ("authorized", 0)
    assert (payment["fees"], payment["capture_method"]) == (None, "manual")
    assert simulator_books(stack, payment_id).captured == 0


def test_capture_double_commit_one_wins(stack: Stack, client: Client) -> None:
    seller = client.seller()
    for number in (1, 2, 3):
        payment_id = held(client, seller)
        won, lost = sorted(
            at_once(2, partial(capture, client, payment_id)),
            key=lambda answer: answer.status,
        )
        assert won.status == 201
        assert word(lost) in {"409 provider_answer_pending", "409 payment_captured"}
        assert having(client, payment_id, status="succeeded")["captured"] == 1_000
        books = simulator_books(stack, payment_id)
        assert (books.captured, books.captured_amount) == (1, 1_000)
        assert client.wallet_with(seller, 970 * number)["balance"] == 970 * number


def test_capture_races_cancel(stack: Stack, client: Client) -> None:
    """Whoever comes first has it, and what the payment becomes is what the provider did."""
    seller = client.seller()

    def race(number: int) -> str:
        late_s = (number % 5 - 2) / 100  # how much later than the cancel the capture is sent
        payment_id = held(client, seller)
        with ThreadPoolExecutor(2) as pool:
            capturing = pool.submit(after, late_s, lambda: capture(client, payment_id))
            canceling = pool.submit(after, -late_s, lambda: cancel(client, payment_id))
        captured, canceled = word(capturing.result()), word(canceling.result())
        payment = client.ended(payment_id)
        books = simulator_books(stack, payment_id)
        done = (books.authorized, books.captured, books.voided, books.captured_amount)
        if captured == "201":
            assert canceled in {"409 provider_answer_pending", "409 payment_captured"}
            assert (payment["status"], payment["captured"]) == ("succeeded", 1_000)
            assert done == (1, 1, 0, 1_000)
        else:
            assert (captured, canceled) == ("409 payment_canceled", "201")
            assert (payment["status"], payment["captured"]) == ("canceled", 0)
            assert done == (1, 0, 1, 0)
        return str(payment["status"])

    with ThreadPoolExecutor(RACES_AT_ONCE) as pool:
        wins = Counter(pool.map(race, range(RACES)))
    assert wins.keys() == {"succeeded", "canceled"}
    assert min(wins.values()) >= WINS_MIN, wins
    expected = 970 * wins["succeeded"]
    assert client.wallet_with(seller, expected)["balance"] == expected


def after(seconds: float, call: Callable[[], Answer]) -> Answer:
    time.sleep(max(seconds, 0))
    return call()


# Ends.


def test_hold_canceled_leaves_nothing(stack: Stack, client: Client) -> None:
    seller = client.seller()
    payment_id = held(client, seller)
    assert cancel(client, payment_id).body["status"] == "processing"
    having(client, payment_id, status="canceled")
    assert ledger(client, payment_id) == {}
    assert client.get(f"/wallets/{seller}").body["balance"] == 0
    books = simulator_books(stack, payment_id)
    assert (books.authorized, books.captured, books.voided) == (1, 0, 1)


@pytest.mark.parametrize("end", ["canceled", "failed"])
def test_hold_terminal_is_terminal(client: Client, end: str) -> None:
    token = "tok_declined" if end == "failed" else "tok_visa"
    body = asked(client.seller(), payment_method=token, capture_method="manual")
    payment_id = client.created("/payments", body)["payment_id"]
    if end == "canceled":
        having(client, payment_id, status="authorized")
        assert cancel(client, payment_id).status == 201
    having(client, payment_id, status=end)
    known = facts(client, payment_id)
    for change in (capture, cancel, refund):
        answer = change(client, payment_id)
        assert word(answer) == f"409 payment_{end}", change
        assert answer.body["error"]["transient"] is False
    assert client.get(f"/payments/{payment_id}").body["status"] == end
    assert facts(client, payment_id) == known


@pytest.mark.parametrize("currency", ["JPY", "USD", "KWD"])
def test_currencies(stack: Stack, client: Client, currency: str) -> None:
    """Minor units are what counts, whether there are none, two or three decimals of them."""
    seller = client.seller(currency)
    payment_id = paid(client, seller, 1_050, currency=currency)
    assert client.wallet_with(seller, 1_018)["balance"] == 1_018
    assert refund_done(client, payment_id, amount=350)["status"] == "succeeded"
    wallet = client.wallet_with(seller, 679)
    assert (wallet["balance"], wallet["currency"]) == (679, currency)
    payment = client.get(f"/payments/{payment_id}").body
    assert (payment["currency"], payment["fees"], payment["net_amount"]) == (currency, 32, 1_018)
    assert (payment["status"], payment["refunded"]) == ("partially_refunded", 350)
    assert ledger(client, payment_id) == {
        "provider:simulator:receivable": -700,
        f"wallet:{seller}": 679,
        "platform:fees": 21,
        "refunds:in_transit": 0,
    }
    lines = client.get(f"/payments/{payment_id}/ledger").body["data"]
    assert {line["currency"] for line in lines} == {currency}
    assert simulator_books(stack, payment_id).refunded_amount == 350


def test_money_of_another_tenant_is_not_there(stack: Stack, client: Client) -> None:
    payment_id, stranger = held(client, client.seller()), Client.of(stack, 1)
    for change in (capture, cancel, refund):
        assert word(change(stranger, payment_id)) == "404 payment_not_found", change
    assert client.get(f"/payments/{payment_id}").body["status"] == "authorized"
