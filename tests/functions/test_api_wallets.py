"""Payments out of wallets, balances of an account, limits, and accounts that close."""

import json
import uuid
from datetime import timedelta
from typing import Any

import pytest

from florin.domain.chart import ACCOUNT_CLOSED
from florin.domain.payment import Step
from florin.ports import AccountKey
from tests.functions.world import OTHER_TENANT, Reply, World, payment_body, posted
from tests.support.examples import TENANT

FORWARD = (Step.ASSESS_RISK, Step.AUTHORIZE, Step.CAPTURE)
UNHEARD_OF = "acct_01JZ8Q4T6M3VX5N9RWCB7HD2EK"


@pytest.fixture
def world() -> World:
    return World()


def funded(world: World, amount: int, **account: object) -> str:
    """An account with so much in its wallet."""
    body = {"currency": "EUR", "kind": "customer", **account}
    account_id: str = world.post("/accounts", body, fresh()).body["account_id"]
    if amount:
        fill(world, account_id, amount)
    return account_id


def fill(world: World, account_id: str, amount: int) -> None:
    """Pay in what leaves `amount` after the fee of 3 percent."""
    gross = next(n for n in range(amount, 2 * amount + 2) if n - round_half_up(n) == amount)
    body = payment_body(account_id, amount=gross)
    payment_id = world.post("/payments", body, fresh()).body["payment_id"]
    world.run(payment_id, *FORWARD)


def round_half_up(amount: int) -> int:
    return (amount * 3 + 50) // 100


def fresh() -> str:
    return uuid.uuid4().hex


def pay(world: World, payer: str, recipient: str, amount: int = 100, **more: object) -> Reply:
    """Ask for a payment out of a wallet."""
    key = str(more.pop("key", fresh()))
    method = more.pop("method", f"wallet:{payer}")
    body = payment_body(recipient, amount=amount, payment_method=method, **more)
    return world.post("/payments", body, key)


def wallet(world: World, account_id: str) -> tuple[int, int, int]:
    """What is available, held, and both."""
    body = world.get("/wallets/{account_id}", account_id).body
    return body["available"], body["held"], body["balance"]


def shown(world: World, payment_id: str) -> dict[str, Any]:
    return world.get("/payments/{payment_id}", payment_id).body


def to(world: World, path: str, resource: str, body: object, key: str | None = None) -> Reply:
    """Post to a resource with one path parameter."""
    name = resource.partition("{")[2].partition("}")[0]
    event = posted(resource, json.dumps(body), key or fresh())
    event |= {"path": path, "pathParameters": {name: path.split("/")[2]}}
    return world.send(event)


# Payments out of a wallet.


def test_a_wallet_pays(world: World) -> None:
    payer, seller = funded(world, 1_000), world.account()
    accepted = pay(world, payer, seller, 400)
    assert (accepted.status, accepted.body["status"]) == (201, "processing")
    assert wallet(world, payer) == (600, 400, 1_000), "reserved when it is accepted"
    payment_id = accepted.body["payment_id"]
    world.run(payment_id, *FORWARD)
    assert wallet(world, payer) == (600, 0, 600)
    assert wallet(world, seller) == (388, 0, 388)
    payment = shown(world, payment_id)
    assert (payment["status"], payment["fees"]) == ("succeeded", 12)
    assert payment["payment_method"] == f"wallet:{payer}"
    steps = payment["saga"]["completed_steps"]
    assert steps == ["ReserveFunds", "AssessRisk", "Authorize", "Capture"]
    assert {attempt["provider"] for attempt in payment["attempts"]} == {"wallet"}
    assert world.provider.calls == world.provider.calls[:2], "only the pay-in asked a provider"


def test_a_wallet_without_the_money_is_refused_at_once(world: World) -> None:
    payer, seller = funded(world, 100), world.account()
    streams = world.store.streams()
    refused = pay(world, payer, seller, 101, key="short")
    assert refused.refusal == (402, "insufficient_funds", None)
    assert refused.error["transient"] is True, "money may be on its way"
    assert world.store.streams() == streams
    assert wallet(world, payer) == (100, 0, 100)
    fill(world, payer, 1)
    assert pay(world, payer, seller, 101, key="short").status == 201, "the key was not bound"


def test_a_replay_is_answered_when_the_wallet_is_empty(world: World) -> None:
    payer, seller = funded(world, 100), world.account()
    first = pay(world, payer, seller, 100, key="once")
    again = pay(world, payer, seller, 100, key="once")
    assert first.status == again.status == 201
    assert again.text == first.text
    assert again.headers["Idempotent-Replayed"] == "true"
    assert wallet(world, payer) == (0, 100, 100)


def test_a_canceled_payment_releases_what_it_reserved(world: World) -> None:
    payer, seller = funded(world, 500), world.account()
    payment_id = pay(world, payer, seller, 300, capture_method="manual").body["payment_id"]
    world.run(payment_id, Step.ASSESS_RISK, Step.AUTHORIZE)
    assert world.change(payment_id, "cancel").status == 201
    world.follow_up(payment_id)
    assert shown(world, payment_id)["status"] == "canceled"
    assert wallet(world, payer) == (500, 0, 500)
    steps = shown(world, payment_id)["saga"]["completed_steps"]
    assert steps[-3:] == ["Void", "ReleaseFunds", "Finish"]


def test_a_payment_canceled_before_anything_happened_releases_too(world: World) -> None:
    payer, seller = funded(world, 500), world.account()
    payment_id = pay(world, payer, seller, 300).body["payment_id"]
    assert world.change(payment_id, "cancel").status == 201
    world.follow_up(payment_id)
    assert shown(world, payment_id)["status"] == "canceled"
    assert wallet(world, payer) == (500, 0, 500)


def test_captures_take_from_what_is_held_and_the_last_releases_the_rest(world: World) -> None:
    payer, seller = funded(world, 1_000), world.account()
    payment_id = pay(world, payer, seller, 900, capture_method="manual").body["payment_id"]
    world.run(payment_id, Step.ASSESS_RISK, Step.AUTHORIZE)
    assert wallet(world, payer) == (100, 900, 1_000)
    world.change(payment_id, "capture", {"amount": 200, "final": False}, "capture-1")
    world.follow_up(payment_id)
    assert wallet(world, payer) == (100, 700, 800)
    world.change(payment_id, "capture", {"amount": 300}, "capture-2")
    world.follow_up(payment_id)
    assert wallet(world, payer) == (500, 0, 500)
    assert wallet(world, seller) == (485, 0, 485)


def test_a_refund_goes_back_to_the_wallet(world: World) -> None:
    payer, seller = funded(world, 1_000), world.account()
    payment_id = pay(world, payer, seller, 1_000).body["payment_id"]
    world.run(payment_id, *FORWARD)
    for key, amount, left in (("r-1", 250, (250, 0, 250)), ("r-2", None, (1_000, 0, 1_000))):
        body = {"amount": amount} if amount else {}
        assert world.change(payment_id, "refund", body, key).status == 201
        world.follow_up(payment_id)
        assert wallet(world, payer) == left
    assert shown(world, payment_id)["status"] == "refunded"
    assert wallet(world, seller) == (0, 0, 0)


def test_a_top_up_is_spent_as_soon_as_it_is_seen(world: World) -> None:
    payer, seller = funded(world, 0), world.account()
    top_up = world.post("/payments", payment_body(payer, amount=1_000), "top-up").body
    for step in FORWARD:
        world.saga.run(step, top_up["payment_id"], "arn:execution")
    assert pay(world, payer, seller, 970, key="early").refusal[0] == 402
    assert shown(world, top_up["payment_id"])["status"] == "succeeded"
    assert pay(world, payer, seller, 970, key="early").status == 201


def test_a_credit_on_its_way_is_looked_for_before_a_payment_is_refused(world: World) -> None:
    """The view says that the top-up is under way: what it has captured since is brought in."""
    payer, seller = funded(world, 0), world.account()
    top_up = world.post("/payments", payment_body(payer, amount=1_000), "top-up").body["payment_id"]
    world.run(top_up, Step.ASSESS_RISK)
    for step in (Step.AUTHORIZE, Step.CAPTURE):
        world.saga.run(step, top_up, "arn:execution")
    assert wallet(world, payer) == (0, 0, 0)
    assert pay(world, payer, seller, 970).status == 201


@pytest.mark.parametrize(
    ("method", "refusal"),
    [
        (f"wallet:{UNHEARD_OF}", (404, "account_not_found", "payment_method")),
        ("wallet:acct_1", (400, "parameter_invalid", "payment_method")),
        (f"wallet:{UNHEARD_OF}:all", (400, "parameter_invalid", "payment_method")),
        ("wallet:", (400, "parameter_invalid", "payment_method")),
    ],
)
def test_a_wallet_that_is_none_is_refused(
    world: World, method: str, refusal: tuple[int, str, str]
) -> None:
    assert pay(world, "", world.account(), method=method).refusal == refusal


def test_a_wallet_of_another_tenant_is_not_there(world: World) -> None:
    foreign = world.account(tenant_id=OTHER_TENANT)
    refused = pay(world, foreign, world.account())
    assert refused.refusal == (404, "account_not_found", "payment_method")


def test_a_wallet_does_not_pay_itself(world: World) -> None:
    payer = funded(world, 100)
    assert pay(world, payer, payer).refusal == (422, "recipient_is_payer", None)
    assert wallet(world, payer) == (100, 0, 100)


def test_a_wallet_in_another_currency_is_refused(world: World) -> None:
    payer = funded(world, 0, currency="JPY")
    refused = pay(world, payer, world.account())
    assert refused.refusal == (422, "currency_differs", "currency")


# Limits.


def test_wallet_min_balance_enforced(world: World) -> None:
    payer, seller = funded(world, 100, min_balance=-50), world.account()
    assert pay(world, payer, seller, 151).refusal[:2] == (402, "insufficient_funds")
    assert pay(world, payer, seller, 150).status == 201
    assert wallet(world, payer) == (-50, 150, 100)
    assert pay(world, payer, seller, 1).refusal[:2] == (402, "insufficient_funds")


def test_min_balance_changes_with_what_is_there(world: World) -> None:
    payer, seller = funded(world, 100), world.account()
    path, resource = f"/accounts/{payer}", "/accounts/{account_id}"
    raised = to(world, path, resource, {"min_balance": 60}, "up")
    assert (raised.status, raised.body["min_balance"]) == (201, 60)
    assert to(world, path, resource, {"min_balance": 60}, "up").text == raised.text
    assert pay(world, payer, seller, 41).refusal[:2] == (402, "insufficient_funds")
    assert pay(world, payer, seller, 40).status == 201
    too_high = to(world, path, resource, {"min_balance": 61})
    assert too_high.refusal == (402, "insufficient_funds", None), "one less is there than to keep"
    assert world.get(resource, payer).body["min_balance"] == 60
    assert to(world, path, resource, {"min_balance": -10}).status == 201
    assert pay(world, payer, seller, 70).status == 201
    assert wallet(world, payer) == (-10, 110, 100)


# Balances.


def test_wallet_priority_and_expiry(world: World) -> None:
    main, seller = funded(world, 1_000), world.account()
    gift = funded(world, 300, parent=main, priority=-1)
    promo = funded(world, 200, parent=main, priority=-1, expires_in_s=3_600)
    late = funded(world, 500, parent=main, priority=1)
    all_of_it = f"wallet:{main}:*"
    payment_id = pay(world, main, seller, 1_600, method=all_of_it).body["payment_id"]
    assert [wallet(world, one)[0] for one in (promo, gift, main, late)] == [0, 0, 0, 400]
    world.run(payment_id, *FORWARD)
    assert [wallet(world, one)[2] for one in (promo, gift, main, late)] == [0, 0, 0, 400]

    # What was drawn last comes back first: the promotion's money comes last.
    world.change(payment_id, "refund", {"amount": 1_300}, "r-1")
    world.follow_up(payment_id)
    assert [wallet(world, one)[0] for one in (promo, gift, main, late)] == [0, 200, 1_000, 500]
    world.change(payment_id, "refund", {}, "r-2")
    world.follow_up(payment_id)
    assert [wallet(world, one)[0] for one in (promo, gift, main, late)] == [200, 300, 1_000, 500]

    world.clock.advance(timedelta(hours=1))
    assert pay(world, main, seller, 1_801, method=all_of_it).refusal[0] == 402
    refused = pay(world, promo, seller, 100)
    assert refused.refusal == (409, "balance_expired", None)
    assert pay(world, main, seller, 1_800, method=all_of_it).status == 201
    body = world.get("/wallets/{account_id}", main).body
    assert [(one["account_id"], one["available"], one["expired"]) for one in body["balances"]] == [
        (gift, 0, False),
        (promo, 200, True),
        (late, 0, False),
    ]


def test_a_wallet_named_alone_pays_alone(world: World) -> None:
    main, seller = funded(world, 100), world.account()
    gift = funded(world, 300, parent=main, priority=-1)
    assert pay(world, main, seller, 101).refusal[0] == 402
    assert pay(world, main, seller, 100).status == 201
    assert wallet(world, gift) == (300, 0, 300)


def test_a_balance_belongs_to_an_account_that_is_none(world: World) -> None:
    main = funded(world, 0)
    gift = funded(world, 0, parent=main)
    body = {"currency": "EUR", "kind": "customer", "parent": gift}
    assert world.post("/accounts", body, "b-1").refusal == (422, "balance_nested", "parent")
    other = body | {"parent": main, "currency": "JPY"}
    assert world.post("/accounts", other, "b-2").refusal == (422, "currency_differs", "currency")
    for number in range(19):
        last = world.post("/accounts", body | {"parent": main}, f"n-{number}")
        assert last.status == 201
    again = world.post("/accounts", body | {"parent": main}, "n-18")
    assert (again.status, again.text) == (201, last.text), "there is no room, but it has its room"
    refused = world.post("/accounts", body | {"parent": main}, "b-3")
    assert refused.refusal == (422, "balances_too_many", "parent")


# Closing.


def test_an_account_closes(world: World) -> None:
    payer, seller = funded(world, 100), world.account()
    path, resource = f"/accounts/{payer}/close", "/accounts/{account_id}/close"
    refused = to(world, path, resource, {})
    assert (refused.refusal, refused.error["transient"]) == ((409, "account_not_empty", None), True)
    payment_id = pay(world, payer, seller, 100).body["payment_id"]
    assert to(world, path, resource, {}).refusal == (409, "account_not_empty", None), "it is held"
    world.run(payment_id, *FORWARD)
    closing = to(world, path, resource, {"reason": "Moved"}, "close")
    assert (closing.status, closing.body["state"]) == (201, "closing")
    assert to(world, path, resource, {"reason": "Moved"}, "close").text == closing.text
    assert to(world, path, resource, {}).refusal == (409, "account_closed", None)
    shown_now = world.get("/accounts/{account_id}", payer).body
    assert (shown_now["state"], shown_now["closes_at"]) == ("closing", closing.body["closes_at"])
    world.clock.advance(timedelta(seconds=60))
    assert world.get("/accounts/{account_id}", payer).body["state"] == "closed"


def test_a_closed_account_takes_no_new_business(world: World) -> None:
    gone, seller = funded(world, 0), funded(world, 100)
    path = f"/accounts/{gone}/close"
    assert to(world, path, "/accounts/{account_id}/close", {}).status == 201
    to_it = world.post("/payments", payment_body(gone), "to-it")
    assert to_it.refusal == (409, "recipient_closed", None)
    assert pay(world, gone, seller).refusal == (402, "insufficient_funds", None)
    child = {"currency": "EUR", "kind": "customer", "parent": gone}
    assert world.post("/accounts", child, "child").refusal == (409, "account_closed", None)
    limit = to(world, f"/accounts/{gone}", "/accounts/{account_id}", {"min_balance": -5})
    assert limit.refusal == (409, "account_closed", None)
    hold = {"account": seller, "currency": "EUR", "parts": [{"recipient": gone, "amount": 1}]}
    assert world.post("/holds", hold, "hold").refusal == (409, "recipient_closed", None)


def test_a_closed_account_owes_nothing_and_pays_out_what_came_late(world: World) -> None:
    gone, seller = funded(world, 0, min_balance=-500), world.account()
    under_way = world.post("/payments", payment_body(gone, amount=1_000), "under-way")
    assert to(world, f"/accounts/{gone}/close", "/accounts/{account_id}/close", {}).status == 201
    assert pay(world, gone, seller, 1).refusal[0] == 402, "its debt is over"
    world.run(under_way.body["payment_id"], *FORWARD)
    assert wallet(world, gone) == (970, 0, 970)
    assert pay(world, gone, seller, 971).refusal[0] == 402
    assert pay(world, gone, seller, 970).status == 201


def test_a_capture_that_was_not_projected_keeps_an_account_open(world: World) -> None:
    seller = world.account()
    payment_id = world.post("/payments", payment_body(seller, amount=1_000), "pay").body[
        "payment_id"
    ]
    world.run(payment_id, Step.ASSESS_RISK)
    for step in (Step.AUTHORIZE, Step.CAPTURE):
        world.saga.run(step, payment_id, "arn:execution")
    close = to(world, f"/accounts/{seller}/close", "/accounts/{account_id}/close", {})
    assert close.refusal == (409, "account_not_empty", None)
    assert wallet(world, seller) == (970, 0, 970)


def test_what_has_expired_goes_back_to_its_account(world: World) -> None:
    main, seller = funded(world, 0), world.account()
    promo = funded(world, 200, parent=main, expires_in_s=60)
    world.clock.advance(timedelta(seconds=60))
    assert pay(world, promo, seller, 200).refusal == (409, "balance_expired", None)
    assert pay(world, promo, main, 200).status == 201


def test_the_rest_of_a_payment_can_be_let_go(world: World) -> None:
    payer, seller = funded(world, 500), world.account()
    payment_id = pay(world, payer, seller, 500, capture_method="manual").body["payment_id"]
    world.run(payment_id, Step.ASSESS_RISK, Step.AUTHORIZE)
    world.change(payment_id, "capture", {"amount": 200, "final": False}, "c-1")
    busy = world.change(payment_id, "cancel", {}, "early")
    assert busy.refusal == (409, "provider_answer_pending", None)
    world.follow_up(payment_id)
    assert wallet(world, payer) == (0, 300, 300)
    assert world.change(payment_id, "cancel", {}, "rest").status == 201
    world.follow_up(payment_id)
    assert wallet(world, payer) == (300, 0, 300)
    assert shown(world, payment_id)["status"] == "succeeded"
    assert world.change(payment_id, "capture", {}, "c-2").refusal[1] == "payment_captured"
    assert world.change(payment_id, "cancel", {}, "again").refusal[1] == "payment_captured"


def test_all_of_a_wallet_hears_of_what_is_on_its_way(world: World) -> None:
    main, seller = funded(world, 0), world.account()
    top_up = world.post("/payments", payment_body(main, amount=1_000), "top-up").body["payment_id"]
    world.run(top_up, Step.ASSESS_RISK)
    for step in (Step.AUTHORIZE, Step.CAPTURE):
        world.saga.run(step, top_up, "arn:execution")
    assert pay(world, main, seller, 970, method=f"wallet:{main}:*").status == 201


def test_a_replay_is_answered_after_the_account_is_closed(world: World) -> None:
    payer, seller = funded(world, 100), world.account()
    first = pay(world, payer, seller, 100, key="once")
    world.run(first.body["payment_id"], *FORWARD)
    assert to(world, f"/accounts/{payer}/close", "/accounts/{account_id}/close", {}).status == 201
    assert pay(world, payer, seller, 100, key="once").text == first.text


def test_what_comes_too_late_for_a_closed_account_waits_in_suspense(world: World) -> None:
    payer, gone = funded(world, 1_000), world.account()
    late = pay(world, payer, gone, 1_000, capture_method="manual").body["payment_id"]
    world.run(late, Step.ASSESS_RISK, Step.AUTHORIZE)
    hold = {"account": payer, "currency": "EUR", "parts": [{"recipient": gone, "amount": 30}]}
    fill(world, payer, 30)
    held = world.post("/holds", hold, "hold").body["hold_id"]
    assert to(world, f"/accounts/{gone}/close", "/accounts/{account_id}/close", {}).status == 201
    world.clock.advance(timedelta(seconds=59))
    assert world.change(late, "capture", {"amount": 400, "final": False}, "in-time").status == 201
    world.follow_up(late)
    assert wallet(world, gone) == (388, 0, 388), "it is closing, and takes what was under way"
    world.clock.advance(timedelta(seconds=1))
    assert world.change(late, "capture", {}, "late").status == 201
    world.follow_up(late)
    assert to(world, f"/holds/{held}/capture", "/holds/{hold_id}/capture", {}).status == 201
    assert wallet(world, gone) == (388, 0, 388)
    assert wallet(world, payer) == (0, 0, 0)
    suspense = AccountKey(tenant_id=TENANT, account=ACCOUNT_CLOSED, currency="EUR")
    world.run(late)
    assert world.store.total(suspense) == (0, 582 + 30)


def test_a_refund_to_a_closed_payer_waits_in_suspense(world: World) -> None:
    payer, seller = funded(world, 1_000), world.account()
    payment_id = pay(world, payer, seller, 1_000).body["payment_id"]
    world.run(payment_id, *FORWARD)
    assert to(world, f"/accounts/{payer}/close", "/accounts/{account_id}/close", {}).status == 201
    world.clock.advance(timedelta(seconds=60))
    assert world.change(payment_id, "refund", {}, "r-1").status == 201
    world.follow_up(payment_id)
    assert shown(world, payment_id)["status"] == "refunded"
    assert wallet(world, payer) == (0, 0, 0)
    suspense = AccountKey(tenant_id=TENANT, account=ACCOUNT_CLOSED, currency="EUR")
    assert world.store.total(suspense) == (0, 1_000)
