"""Wallets over HTTP: payments out of them, holds, limits, balances, and races for their money."""

import time
import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import product
from typing import Any

import pytest

from infra.client import Answer, Client, Json
from infra.local import Stack
from infra.simulator_books import simulator_books
from tests.e2e.test_money import at_once, cancel, capture, having, refund, word, words

PATIENCE_S = 30.0
POLL_S = 0.05


@pytest.fixture
def client(stack: Stack) -> Client:
    return Client.of(stack)


def fees(gross: int) -> int:
    return (gross * 3 + 50) // 100


def funded(client: Client, amount: int, **account: object) -> str:
    """The id of a customer's account that had a top-up which left so much."""
    wanted = {"currency": "EUR", "kind": "customer", **account}
    account_id: str = client.created("/accounts", wanted)["account_id"]
    gross = next(gross for gross in range(amount, 2 * amount) if gross - fees(gross) == amount)
    top_up = {
        "amount": gross,
        "currency": "EUR",
        "payment_method": "tok_visa",
        "recipient": account_id,
    }
    payment_id = client.created("/payments", top_up)["payment_id"]
    assert client.ended(payment_id)["status"] == "succeeded"
    return account_id


def pay(client: Client, payer: str, seller: str, amount: int = 100, **more: object) -> Answer:
    """Ask for a payment out of a wallet, or of what `more` names."""
    body = {
        "amount": amount,
        "currency": "EUR",
        "payment_method": f"wallet:{payer}",
        "recipient": seller,
    }
    return client.post("/payments", body | more)


def place(client: Client, payer: str, *parts: tuple[str, int], **more: object) -> Answer:
    wanted = [{"recipient": recipient, "amount": amount} for recipient, amount in parts]
    body = {"account": payer, "currency": "EUR", "parts": wanted}
    return client.post("/holds", body | more)


def wallet(client: Client, account_id: str) -> tuple[int, int, int]:
    """What is available, held, and both."""
    body = client.get(f"/wallets/{account_id}").body
    return body["available"], body["held"], body["balance"]


def wallet_when(client: Client, account_id: str, wanted: tuple[int, int, int]) -> None:
    """Wait until the wallet is as wanted."""
    deadline = time.monotonic() + PATIENCE_S
    while (seen := wallet(client, account_id)) != wanted:
        assert time.monotonic() < deadline, (seen, wanted)
        time.sleep(POLL_S)


def is_numbered(client: Client, account_id: str) -> list[Json]:
    """The lines of a wallet's statement, oldest first, which have no gap and add up."""
    lines: list[Json] = client.get(f"/ledger?account_id={account_id}&limit=100").body["data"][::-1]
    assert [line["number"] for line in lines] == list(range(1, len(lines) + 1))
    balance = 0
    for line in lines:
        balance += line["amount"] * (1 if line["entry_type"] == "CREDIT" else -1)
        assert line["balance_after"] == balance
    return lines


def test_a_wallet_pays_with_a_top_up_that_was_just_seen(stack: Stack, client: Client) -> None:
    payer, seller = funded(client, 1_000), client.seller()
    accepted = pay(client, payer, seller, 1_000)
    assert word(accepted) == "201"
    payment_id = accepted.body["payment_id"]
    payment = client.ended(payment_id)
    assert (payment["status"], payment["payer"], payment["net_amount"]) == ("succeeded", payer, 970)
    assert payment["saga"]["completed_steps"][0] == "ReserveFunds"
    wallet_when(client, payer, (0, 0, 0))
    wallet_when(client, seller, (970, 0, 970))
    assert simulator_books(stack, payment_id).authorized == 0, "no provider had a part in it"
    assert word(refund(client, payment_id)) == "201"
    having(client, payment_id, status="refunded")
    wallet_when(client, payer, (1_000, 0, 1_000))
    assert [line["amount"] for line in is_numbered(client, payer)] == [1_000, 1_000, 1_000]


def test_wallet_parallel_payments_never_overspend(client: Client) -> None:
    """50 payments of 10 from a wallet of 100: ten succeed, forty are refused at once."""
    payer, seller = funded(client, 100), client.seller()
    answers = at_once(50, partial(pay, client, payer, seller, 10))
    assert words(answers) == {"201": 10, "402 insufficient_funds": 40}
    refusals = [answer.body["error"] for answer in answers if answer.status == 402]
    assert all(refusal["transient"] for refusal in refusals), "a credit may be on its way"
    for answer in answers:
        if answer.status == 201:
            assert client.ended(answer.body["payment_id"])["status"] == "succeeded"
    wallet_when(client, payer, (0, 0, 0))
    assert client.wallet_with(seller, 100 - 10 * fees(10))["available"] == 100 - 10 * fees(10)
    assert len(is_numbered(client, payer)) == 11


def test_wallet_credit_in_flight_is_a_transient_refusal(client: Client) -> None:
    """A payment that is refused while its money is on its way is accepted under the same key."""
    payer: str = client.created("/accounts", {"currency": "EUR", "kind": "customer"})["account_id"]
    seller, same = client.seller(), uuid.uuid4().hex
    body = {
        "amount": 970,
        "currency": "EUR",
        "payment_method": f"wallet:{payer}",
        "recipient": seller,
    }
    early = client.post("/payments", body, same)
    assert (word(early), early.body["error"]["transient"]) == ("402 insufficient_funds", True)
    top_up = {**body, "amount": 1_000, "payment_method": "tok_visa", "recipient": payer}
    client.created("/payments", top_up)
    deadline = time.monotonic() + PATIENCE_S
    while (answer := client.post("/payments", body, same)).status != 201:
        assert (word(answer), answer.body["error"]["transient"]) == (
            "402 insufficient_funds",
            True,
        )
        assert time.monotonic() < deadline
        time.sleep(POLL_S)
    assert client.ended(answer.body["payment_id"])["status"] == "succeeded"


def test_wallet_min_balance_enforced(client: Client) -> None:
    payer, seller = funded(client, 100, min_balance=-50), client.seller()
    answers = at_once(20, partial(pay, client, payer, seller, 10))
    assert words(answers) == {"201": 15, "402 insufficient_funds": 5}
    for answer in answers:
        if answer.status == 201:
            client.ended(answer.body["payment_id"])
    wallet_when(client, payer, (-50, 0, -50))
    raised = client.post(f"/accounts/{payer}", {"min_balance": -49})
    assert word(raised) == "402 insufficient_funds"
    assert word(client.post(f"/accounts/{payer}", {"min_balance": -60})) == "201"
    assert word(pay(client, payer, seller, 11)) == "402 insufficient_funds"
    assert word(pay(client, payer, seller, 10)) == "201"


def test_wallet_priority_and_expiry(client: Client) -> None:
    main, seller = funded(client, 1_000), client.seller()
    promo = funded(client, 300, parent=main, priority=-1, expires_in_s=3_600)
    stale = funded(client, 300, parent=main, priority=-2, expires_in_s=2)
    shown = client.get(f"/wallets/{main}").body["balances"]
    assert [one["account_id"] for one in shown] == [promo, stale]
    deadline = time.monotonic() + PATIENCE_S
    while not client.get(f"/wallets/{main}").body["balances"][1]["expired"]:
        assert time.monotonic() < deadline
        time.sleep(POLL_S)
    everything: dict[str, Any] = {"payment_method": f"wallet:{main}:*"}
    assert word(pay(client, main, seller, 1_301, **everything)) == "402 insufficient_funds"
    assert word(pay(client, stale, seller, 1)) == "409 balance_expired"
    accepted = pay(client, main, seller, 500, **everything)
    assert word(accepted) == "201"
    client.ended(accepted.body["payment_id"])
    for account_id, left in ((promo, 0), (stale, 300), (main, 800)):
        wallet_when(client, account_id, (left, 0, left))
    assert word(refund(client, accepted.body["payment_id"], amount=250)) == "201"
    wallet_when(client, main, (1_000, 0, 1_000))
    wallet_when(client, promo, (50, 0, 50))


def test_hold_pending_counts(client: Client) -> None:
    """What is held for one is not there for another, whether payments or holds hold it."""
    payer, seller = funded(client, 5_000), client.seller()
    held = [
        partial(place, client, payer, (seller, 1_000)),
        partial(pay, client, payer, seller, 1_000, capture_method="manual"),
    ]
    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda number: held[number % 2](), range(12)))
    assert words(answers) == {"201": 5, "402 insufficient_funds": 7}
    assert wallet(client, payer)[0] == 0
    wallet_when(client, payer, (0, 5_000, 5_000))
    for answer in answers:
        if answer.status != 201:
            continue
        if "hold_id" in answer.body:
            assert word(client.post(f"/holds/{answer.body['hold_id']}/void", {})) == "201"
        else:
            having(client, answer.body["payment_id"], status="authorized")
            assert word(cancel(client, answer.body["payment_id"])) == "201"
    wallet_when(client, payer, (5_000, 0, 5_000))
    is_numbered(client, payer)


def test_hold_group_partial_void(client: Client) -> None:
    payer, wool, dye = funded(client, 1_000), client.seller(), client.seller()
    hold_id = place(client, payer, (wool, 600), (dye, 400)).body["hold_id"]
    path = f"/holds/{hold_id}"
    voided = client.post(f"{path}/void", {"amount": 100})
    assert [part["amount"] for part in voided.body["parts"]] == [60, 40]
    named = client.post(
        f"{path}/capture", {"parts": [{"recipient": dye, "amount": 360}], "final": False}
    )
    assert (word(named), named.body["amount"], named.body["released"]) == ("201", 360, 0)
    assert wallet(client, dye)[0] == 360, "there as soon as it was answered"
    rest = client.post(f"{path}/capture", {"amount": 500})
    assert (rest.body["amount"], rest.body["released"]) == (500, 40)
    hold = client.get(path).body
    assert (hold["status"], hold["captured"], hold["held"]) == ("captured", 860, 0)
    wallet_when(client, payer, (140, 0, 140))
    assert wallet(client, wool)[0] == 500


def test_hold_captured_and_voided_at_once(client: Client) -> None:
    """Each hold goes one way, whole: what its recipient has is what its payer has not."""
    payer, seller = funded(client, 1_000), client.seller()
    ends: Counter[str] = Counter()
    for _ in range(10):
        path = f"/holds/{place(client, payer, (seller, 100)).body['hold_id']}"
        with ThreadPoolExecutor(4) as pool:
            asked = [f"{path}/{what}" for what, _ in product(("capture", "void"), range(2))]
            answers = list(pool.map(lambda to: client.post(to, {}), asked))
        (won,) = (answer for answer in answers if answer.status == 201)
        end = "captured" if "capture_id" in won.body else "voided"
        assert words(answers) == {"201": 1, f"409 hold_{end}": 3}
        assert client.get(path).body["status"] == end
        ends[end] += 1
    wallet_when(client, payer, (1_000 - 100 * ends["captured"], 0, 1_000 - 100 * ends["captured"]))
    assert client.wallet_with(seller, 100 * ends["captured"])["held"] == 0


def test_hold_terminal_is_terminal(client: Client) -> None:
    payer, seller = funded(client, 1_000), client.seller()
    hold_id = place(client, payer, (seller, 1_000), expires_in_s=1).body["hold_id"]
    wallet_when(client, payer, (0, 1_000, 1_000))
    time.sleep(1.0)
    for what in ("capture", "void"):
        assert word(client.post(f"/holds/{hold_id}/{what}", {})) == "409 hold_expired"
    assert client.get(f"/holds/{hold_id}").body["status"] == "expired"
    assert word(place(client, payer, (seller, 1_000))) == "201", "its money is back"
    assert wallet(client, seller) == (0, 0, 0)


def test_captures_of_a_wallet_payment_release_the_rest(client: Client) -> None:
    payer, seller = funded(client, 1_000), client.seller()
    accepted = pay(client, payer, seller, 900, capture_method="manual")
    payment_id = accepted.body["payment_id"]
    having(client, payment_id, status="authorized")
    answers = at_once(2, partial(capture, client, payment_id, amount=600))
    assert words(answers)["201"] == 1, "two captures at once: one wins"
    having(client, payment_id, status="succeeded", captured=600)
    wallet_when(client, payer, (400, 0, 400))
    wallet_when(client, seller, (582, 0, 582))


def test_an_account_closes(client: Client) -> None:
    payer, seller = funded(client, 100), client.seller()
    close = f"/accounts/{payer}/close"
    assert word(client.post(close, {})) == "409 account_not_empty"
    client.ended(pay(client, payer, seller, 100).body["payment_id"])
    wallet_when(client, payer, (0, 0, 0))
    closing = client.post(close, {"reason": "Moved to Venice"})
    assert (word(closing), closing.body["state"]) == ("201", "closing")
    assert client.get(f"/accounts/{payer}").body["state"] == "closing"
    assert word(client.post(close, {})) == "409 account_closed"
