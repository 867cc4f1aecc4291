"""Accounts and wallets over HTTP."""

from typing import Any

import pytest

from florin.domain.payment import Step
from tests.functions.world import OTHER_TENANT, World

FORWARD = (Step.ASSESS_RISK, Step.AUTHORIZE, Step.CAPTURE)
UNHEARD_OF = "acct_01JZ8Q4T6M3VX5N9RWCB7HD2EK"


@pytest.fixture
def world() -> World:
    return World()


@pytest.mark.parametrize("kind", ["seller", "customer"])
def test_an_account_is_opened_and_shown(world: World, kind: str) -> None:
    reply = world.post("/accounts", {"currency": "JPY", "kind": kind})
    assert reply.status == 201
    account_id = reply.body["account_id"]
    created = {
        "account_id": account_id,
        "currency": "JPY",
        "kind": kind,
        "min_balance": 0,
        "parent": None,
        "priority": 0,
        "expires_at": None,
        "created_at": "2026-11-21T12:00:00.000Z",
    }
    assert reply.body == created
    shown = {"state": "open", "closes_at": None}
    assert world.get("/accounts/{account_id}", account_id).body == created | shown
    assert world.get("/wallets/{account_id}", account_id).body == {
        "account_id": account_id,
        "currency": "JPY",
        "available": 0,
        "held": 0,
        "balance": 0,
        "min_balance": 0,
        "balances": [],
    }


@pytest.mark.parametrize(
    ("body", "refusal"),
    [
        ("{", (400, "body_malformed", None)),
        ({}, (400, "parameter_missing", "currency,kind")),
        ({"kind": "seller"}, (400, "parameter_missing", "currency")),
        ({"currency": "EUR", "kind": "bank"}, (400, "parameter_invalid", "kind")),
        ({"currency": "EUR", "kind": None}, (400, "parameter_invalid", "kind")),
        ({"currency": 1, "kind": 1}, (400, "parameter_invalid", "currency,kind")),
        (
            {"currency": "EUR", "kind": "seller", "overdraft": 0},
            (400, "parameter_unknown", "overdraft"),
        ),
        (
            {"currency": "EUR", "kind": "seller", "min_balance": 1},
            (400, "parameter_invalid", "min_balance"),
        ),
        (
            {"currency": "EUR", "kind": "seller", "parent": "acct_1"},
            (404, "account_not_found", "parent"),
        ),
        (
            {"currency": "EUR", "kind": "seller", "expires_in_s": 0},
            (400, "parameter_invalid", "expires_in_s"),
        ),
        ({"currency": "XTS", "kind": "seller"}, (422, "currency_unknown", "currency")),
    ],
)
def test_a_wrong_account_is_refused(
    world: World, body: Any, refusal: tuple[int, str, str | None]
) -> None:
    assert world.post("/accounts", body).refusal == refusal
    assert not world.store.written


def test_an_account_needs_an_idempotency_key(world: World) -> None:
    reply = world.post("/accounts", {"currency": "EUR", "kind": "seller"}, None)
    assert reply.refusal == (400, "idempotency_key_missing", None)
    assert not world.store.written


def test_the_same_account_again_is_the_same_account(world: World) -> None:
    body = {"currency": "EUR", "kind": "seller"}
    first, again = world.post("/accounts", body), world.post("/accounts", body)
    assert (again.status, again.text) == (201, first.text)
    assert again.headers["Idempotent-Replayed"] == "true"
    assert len(world.store.written) == 1
    other = world.post("/accounts", body | {"kind": "customer"})
    assert other.refusal == (422, "idempotency_key_reused", "kind")


@pytest.mark.parametrize("resource", ["/accounts/{account_id}", "/wallets/{account_id}"])
def test_an_unknown_account_and_a_foreign_one_look_the_same(world: World, resource: str) -> None:
    mine = world.account()
    unheard_of = world.get(resource, UNHEARD_OF)
    assert unheard_of.refusal == (404, "account_not_found", None)
    assert world.get(resource, mine, OTHER_TENANT).text == unheard_of.text
    for other in ("", "acct_1", mine.lower(), f"{mine}\n", world.payment(), "x" * 3_000):
        assert world.get(resource, other).text == unheard_of.text


def test_a_capture_is_credited_to_the_wallet(world: World) -> None:
    payment_id = world.payment()
    world.run(payment_id, *FORWARD)
    recipient = world.get("/payments/{payment_id}", payment_id).body["recipient"]
    wallet = world.get("/wallets/{account_id}", recipient).body
    assert (wallet["available"], wallet["held"], wallet["balance"]) == (970, 0, 970)
