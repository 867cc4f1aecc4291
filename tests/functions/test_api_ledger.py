"""The ledger over HTTP: the lines of a payment, and verification."""

from datetime import timedelta

import pytest

from florin.domain.payment import Step
from florin.domain.provider import Declined, Hardness
from florin.verification import Verifier
from tests.functions.world import OTHER_TENANT, Json, Reply, World, got
from tests.support.examples import NOON, TENANT

FORWARD = (Step.ASSESS_RISK, Step.AUTHORIZE, Step.CAPTURE)
UNHEARD_OF = "pay_01JZ8QB2S5E0GZ4Y1KXAM9V7TD"


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def refunded(world: World) -> str:
    """The id of a payment with three entries: captured, refund asked for, refund done."""
    payment_id = world.payment()
    world.run(payment_id, *FORWARD)
    assert world.change(payment_id, "refund", {"amount": 600}).status == 201
    world.follow_up(payment_id)
    return payment_id


def lines(world: World, tenant_id: str = TENANT, **query: str) -> Reply:
    event = got("/ledger", "", tenant_id)
    return world.send(event | {"queryStringParameters": query, "pathParameters": None})


# Lines of a payment.


def test_a_payment_has_its_lines_newest_entry_first(world: World, refunded: str) -> None:
    body = lines(world, payment_id=refunded).body
    assert body["has_more"] is False
    assert {line["entry_id"] for line in body["data"][:2]} == {f"{refunded}:9"}
    assert body["data"][-3]["entry_id"] == f"{refunded}:6"
    told = world.get("/payments/{payment_id}/ledger", refunded).body["data"]
    shown = [
        {name: line[name] for name in told[0]} | {"entry_id": line["entry_id"]}
        for line in body["data"]
    ]
    assert sorted(shown, key=str) == sorted(told, key=str)
    assert {(line["number"], line["balance_after"]) for line in body["data"]} == {(None, None)}


def test_pages_of_a_payment_hold_whole_entries(world: World, refunded: str) -> None:
    pages, after = [], None
    while True:
        more: dict[str, str] = {} if after is None else {"starting_after": after}
        page = lines(world, payment_id=refunded, limit="1", **more).body
        assert len({line["entry_id"] for line in page["data"]}) == 1
        pages.append(page["data"])
        after = page["data"][-1]["entry_id"]
        if not page["has_more"]:
            break
    whole = lines(world, payment_id=refunded).body["data"]
    assert len(pages) == 3
    assert [line for page in pages for line in page] == whole
    assert lines(world, payment_id=refunded, limit="5").body["has_more"] is True
    assert len(lines(world, payment_id=refunded, limit="3").body["data"]) == 2


def test_a_payment_without_entries_has_no_lines(world: World) -> None:
    world.answering(authorization=Declined(code="no", hardness=Hardness.HARD))
    payment_id = world.payment()
    world.run(payment_id, *FORWARD)
    assert lines(world, payment_id=payment_id).body == {"data": [], "has_more": False}


@pytest.mark.parametrize(
    ("query", "refusal"),
    [
        ({"payment_id": "x"}, (404, "payment_not_found", "payment_id")),
        ({"payment_id": UNHEARD_OF}, (404, "payment_not_found", "payment_id")),
        ({"payment_id": "own", "limit": "0"}, (400, "parameter_invalid", "limit")),
        (
            {"payment_id": "own", "starting_after": "x"},
            (400, "parameter_invalid", "starting_after"),
        ),
        (
            {"payment_id": "own", "account_id": "acct_1"},
            (400, "parameter_invalid", "account_id,payment_id"),
        ),
    ],
)
def test_a_wrong_question_for_lines_is_refused(
    world: World, refunded: str, query: dict[str, str], refusal: object
) -> None:
    asked = {name: refunded if value == "own" else value for name, value in query.items()}
    assert lines(world, **asked).refusal == refusal


def test_lines_of_a_foreign_payment_are_not_there(world: World, refunded: str) -> None:
    foreign = lines(world, OTHER_TENANT, payment_id=refunded)
    assert foreign.refusal == (404, "payment_not_found", "payment_id")


# Verification.


def asked(world: World, key: str = "key-1", tenant_id: str = TENANT, body: object = "") -> Reply:
    return world.post("/ledger/verification", body, key, tenant_id)


def shown(world: World, tenant_id: str = TENANT) -> Json:
    return world.send(got("/ledger/verification", "", tenant_id) | {"pathParameters": None}).body


def worked(world: World) -> None:
    """Do what was woken."""
    verifier = Verifier(audit=world.store, books=world.store, runs=world.store, clock=world.clock)
    for tenant_id, run_id in world.wakeups.woken:
        while verifier.work(tenant_id, run_id, lambda: True) is not None:
            pass


def test_books_are_verified_and_shown(world: World, refunded: str) -> None:
    assert shown(world) == {"last": None, "running": None}
    reply = asked(world)
    assert reply.status == 201
    run_id = reply.body["verification_id"]
    assert reply.body == {
        "verification_id": run_id,
        "status": "running",
        "requested_at": "2026-11-21T12:00:00.000Z",
    }
    running = shown(world)
    assert running["last"] is None
    assert running["running"]["verification_id"] == run_id
    assert running["running"]["phase"] == "streams"
    worked(world)
    assert shown(world) == {
        "last": {
            "verification_id": run_id,
            "balanced": True,
            "cut_at": "2026-11-21T12:00:00.000Z",
            "finished_at": "2026-11-21T12:00:00.000Z",
            "currencies": [
                {
                    "currency": "EUR",
                    "total_debits": 2_200,
                    "total_credits": 2_200,
                    "difference": 0,
                }
            ],
            "in_flight": 0,
            "unsettled": 0,
            "checked": {"streams": 2, "entries": 3, "accounts": 1, "lines": 2},
            "findings_count": 0,
            "findings": [],
        },
        "running": None,
    }


def test_the_same_key_is_answered_the_same_also_when_the_run_is_over(world: World) -> None:
    first = asked(world)
    worked(world)
    world.clock.advance(timedelta(hours=3))
    again = asked(world)
    assert (again.status, again.text) == (201, first.text)
    assert again.headers["Idempotent-Replayed"] == "true"
    assert "Idempotent-Replayed" not in first.headers
    assert len(world.wakeups.woken) == 1
    assert asked(world, "key-2").body["verification_id"] != first.body["verification_id"]


def test_who_asks_while_a_run_is_under_way_is_told_of_it(world: World) -> None:
    first = asked(world)
    other = asked(world, "key-2")
    assert other.body["verification_id"] == first.body["verification_id"]
    assert asked(world, "key-2").text == other.text
    assert asked(world, "key-1", OTHER_TENANT).body["verification_id"] not in first.text


@pytest.mark.parametrize(
    ("body", "refusal"),
    [
        ("{", (400, "body_malformed", None)),
        ({"deep": True}, (400, "parameter_unknown", "deep")),
    ],
)
def test_a_wrong_request_for_a_run_is_refused(world: World, body: object, refusal: object) -> None:
    assert asked(world, body=body).refusal == refusal
    assert not world.wakeups.woken


def test_a_key_that_was_used_elsewhere_is_refused(world: World) -> None:
    world.post("/accounts", {"currency": "EUR", "kind": "seller"}, "key-1")
    assert asked(world).refusal == (422, "idempotency_key_reused", "route")
    assert world.post("/ledger/verification", "", None).refusal == (
        400,
        "idempotency_key_missing",
        None,
    )
    assert shown(world)["running"] is None


def test_a_tenant_sees_its_own_runs_only(world: World, refunded: str) -> None:
    asked(world)
    worked(world)
    assert shown(world, OTHER_TENANT) == {"last": None, "running": None}
    assert shown(world)["last"]["cut_at"].startswith(f"{NOON:%Y-%m-%d}")
