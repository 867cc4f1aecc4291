"""Holds over HTTP: money put aside for others, in parts, for a time."""

import json
import uuid
from datetime import timedelta
from typing import Any

import pytest

from florin.domain.payment import Step
from tests.functions.world import OTHER_TENANT, Reply, World, payment_body, posted

FORWARD = (Step.ASSESS_RISK, Step.AUTHORIZE, Step.CAPTURE)
UNHEARD_OF = "acct_01JZ8Q4T6M3VX5N9RWCB7HD2EK"
HOLD_UNHEARD_OF = "hold_01JZ8Q4T6M3VX5N9RWCB7HD2EK"
HOLDS_OF_1000 = 5


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def payer(world: World) -> str:
    """An account with 5000 in its wallet."""
    account_id = world.account()
    top_up = world.post("/payments", payment_body(account_id, amount=5_155), "top-up")
    world.run(top_up.body["payment_id"], *FORWARD)
    assert wallet(world, account_id) == (5_000, 0, 5_000)
    return account_id


def wallet(world: World, account_id: str) -> tuple[int, int, int]:
    """What is available, held, and both."""
    body = world.get("/wallets/{account_id}", account_id).body
    return body["available"], body["held"], body["balance"]


def place(world: World, payer: str, *parts: tuple[str, int], **more: object) -> Reply:
    key = str(more.pop("key", uuid.uuid4().hex))
    body = {
        "account": payer,
        "currency": "EUR",
        "parts": [{"recipient": recipient, "amount": amount} for recipient, amount in parts],
    }
    return world.post("/holds", body | more, key)


def change(world: World, hold_id: str, what: str, key: str | None = None, **body: object) -> Reply:
    event = posted(f"/holds/{{hold_id}}/{what}", json.dumps(body), key or uuid.uuid4().hex)
    event |= {"path": f"/holds/{hold_id}/{what}", "pathParameters": {"hold_id": hold_id}}
    return world.send(event)


def shown(world: World, hold_id: str) -> dict[str, Any]:
    return world.get("/holds/{hold_id}", hold_id).body


def part(recipient: str, amount: int) -> dict[str, object]:
    return {"recipient": recipient, "amount": amount}


def test_a_hold_is_placed_captured_and_shown(world: World, payer: str) -> None:
    seller = world.account()
    placed = place(world, payer, (seller, 1_000), expires_in_s=60, description="Wool")
    assert placed.status == 201
    hold_id = placed.body["hold_id"]
    assert placed.body == {
        "hold_id": hold_id,
        "status": "open",
        "account": payer,
        "amount": 1_000,
        "currency": "EUR",
        "parts": [part(seller, 1_000)],
        "expires_at": "2026-11-21T12:01:00.000Z",
        "created_at": "2026-11-21T12:00:00.000Z",
    }
    assert wallet(world, payer) == (4_000, 1_000, 5_000)
    captured = change(world, hold_id, "capture", "c-1", amount=700)
    assert (captured.status, captured.body["amount"], captured.body["released"]) == (201, 700, 300)
    assert wallet(world, payer) == (4_300, 0, 4_300)
    assert wallet(world, seller) == (700, 0, 700), "and it is there at once"
    hold = shown(world, hold_id)
    assert (hold["status"], hold["captured"], hold["held"]) == ("captured", 700, 0)
    assert [event["type"] for event in hold["events"]] == ["hold.placed", "hold.captured"]
    assert change(world, hold_id, "capture", "c-1", amount=700).text == captured.text
    assert wallet(world, seller) == (700, 0, 700)


def test_hold_pending_counts(world: World, payer: str) -> None:
    seller = world.account()
    for _ in range(HOLDS_OF_1000):
        assert place(world, payer, (seller, 1_000)).status == 201
    sixth = place(world, payer, (seller, 1_000), key="sixth")
    assert sixth.refusal == (402, "insufficient_funds", None)
    assert wallet(world, payer) == (0, 5_000, 5_000)
    assert place(world, payer, (seller, 1)).refusal[0] == 402


def test_hold_group_partial_void(world: World, payer: str) -> None:
    """One hold for several sellers: parts go by name or in proportion, to the last cent."""
    wool, dye, thread = world.account(), world.account(), world.account()
    hold_id = place(world, payer, (wool, 500), (dye, 300), (thread, 200)).body["hold_id"]
    named = change(world, hold_id, "void", parts=[part(dye, 100)])
    assert (named.status, named.body["released"]) == (201, 100)
    spread = change(world, hold_id, "void", amount=100)
    assert spread.body["parts"] == [part(wool, 55), part(dye, 22), part(thread, 23)]
    assert wallet(world, payer) == (4_200, 800, 5_000)
    captured = change(world, hold_id, "capture", parts=[part(thread, 177)], final=False)
    assert captured.body["parts"] == [part(thread, 177)]
    rest = change(world, hold_id, "capture", amount=400)
    assert rest.body["released"] == 800 - 177 - 400
    assert sum(one["amount"] for one in rest.body["parts"]) == 400
    got = [wallet(world, one)[2] for one in (wool, dye, thread)]
    assert sum(got) == 577
    assert wallet(world, payer) == (4_423, 0, 4_423)
    assert [one["captured"] for one in shown(world, hold_id)["parts"]] == got


@pytest.mark.parametrize("what", ["capture", "void"])
def test_hold_terminal_is_terminal(world: World, payer: str, what: str) -> None:
    seller = world.account()
    for end, code in (("capture", "hold_captured"), ("void", "hold_voided")):
        hold_id = place(world, payer, (seller, 100)).body["hold_id"]
        assert change(world, hold_id, end).status == 201
        before = wallet(world, payer), wallet(world, seller)
        assert change(world, hold_id, what).refusal == (409, code, None)
        assert (wallet(world, payer), wallet(world, seller)) == before
    late = place(world, payer, (seller, 100), expires_in_s=10).body["hold_id"]
    world.clock.advance(timedelta(seconds=10))
    refused = change(world, late, what, "late")
    assert refused.refusal == (409, "hold_expired", None)
    assert change(world, late, what, "late").headers["Idempotent-Replayed"] == "true"
    assert shown(world, late)["status"] == "expired", "the refusal let it go"


def test_money_of_a_hold_whose_time_is_up_can_be_spent(world: World, payer: str) -> None:
    """Nobody has swept it yet: who needs the money lets go of it."""
    seller = world.account()
    late = place(world, payer, (seller, 4_000), expires_in_s=10).body["hold_id"]
    world.run(world.payment(), Step.ASSESS_RISK)  # and brings the books up to date
    assert place(world, payer, (seller, 2_000)).refusal[0] == 402
    world.clock.advance(timedelta(seconds=10))
    assert place(world, payer, (seller, 2_000)).status == 201
    assert shown(world, late)["status"] == "expired"
    assert wallet(world, payer) == (3_000, 2_000, 5_000)


def test_no_more_than_what_is_left(world: World, payer: str) -> None:
    wool, dye = world.account(), world.account()
    hold_id = place(world, payer, (wool, 60), (dye, 40)).body["hold_id"]
    over = (409, "amount_exceeds_hold", None)
    for what in ("capture", "void"):
        assert change(world, hold_id, what, amount=101).refusal == over
        assert change(world, hold_id, what, parts=[part(dye, 41)]).refusal == over
        stranger = change(world, hold_id, what, parts=[part(payer, 1)])
        assert stranger.refusal == (422, "recipient_not_held_for", None)
        twice = change(world, hold_id, what, parts=[part(dye, 1), part(dye, 1)])
        assert twice.refusal == (422, "recipient_twice", "parts")
        both = change(world, hold_id, what, amount=1, parts=[part(dye, 1)])
        assert both.refusal == (400, "parameter_invalid", "amount,parts")
    assert wallet(world, payer) == (4_900, 100, 5_000)


def test_what_a_hold_cannot_be(world: World, payer: str) -> None:
    seller = world.account()
    assert place(world, payer, (payer, 1)).refusal == (422, "recipient_is_payer", None)
    assert place(world, payer, (seller, 1), (seller, 2)).refusal == (422, "recipient_twice", None)
    assert place(world, payer).refusal == (400, "parameter_invalid", "parts")
    assert place(world, payer, (seller, 0)).refusal == (400, "parameter_invalid", "parts")
    assert place(world, payer, (UNHEARD_OF, 1)).refusal == (404, "account_not_found", "parts")
    assert place(world, UNHEARD_OF, (seller, 1)).refusal == (404, "account_not_found", "account")
    yen = world.account("JPY")
    assert place(world, payer, (yen, 1)).refusal == (422, "currency_differs", "currency")
    assert wallet(world, payer) == (5_000, 0, 5_000)


def test_a_hold_of_another_tenant_is_not_there(world: World, payer: str) -> None:
    hold_id = place(world, payer, (world.account(), 1)).body["hold_id"]
    missing = (404, "hold_not_found", None)
    assert world.get("/holds/{hold_id}", hold_id, OTHER_TENANT).refusal == missing
    assert world.get("/holds/{hold_id}", HOLD_UNHEARD_OF).refusal == missing
    assert world.get("/holds/{hold_id}", "hold_1").refusal == missing
    assert change(world, HOLD_UNHEARD_OF, "void").refusal == missing
    event = posted("/holds/{hold_id}/void", "{}", "theirs", OTHER_TENANT)
    event |= {"path": f"/holds/{hold_id}/void", "pathParameters": {"hold_id": hold_id}}
    assert world.send(event).refusal == missing
    assert wallet(world, payer) == (4_999, 1, 5_000)
