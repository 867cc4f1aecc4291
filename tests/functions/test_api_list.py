"""GET /payments: filters, pages, and what is refused."""

from datetime import timedelta

import pytest

from florin.adapters.memory import Memory
from florin.domain.payment import Step
from florin.domain.provider import Declined, Hardness
from florin.ports import PaymentQuery, SearchTooBroad
from florin.projection import Projector
from tests.functions.world import OTHER_TENANT, Reply, World, got, payment_body
from tests.support.examples import TENANT

FORWARD = (Step.ASSESS_RISK, Step.AUTHORIZE, Step.CAPTURE)
NO = Declined(code="no", hardness=Hardness.HARD)
NOBODY = "acct_01JZ8Q4T6M3VX5N9RWCB7HD2EK"


@pytest.fixture
def world() -> World:
    return World()


def listed(world: World, tenant_id: str = TENANT, **query: str) -> Reply:
    """The answer to a query; `from` is asked for as `from_`."""
    Projector(store=world.store, books=world.store).project(world.store.streams())
    event = got("/payments", "", tenant_id) | {"pathParameters": None}
    given = {name.rstrip("_"): value for name, value in query.items()}
    return world.send(event | {"queryStringParameters": given or None})


def ids(reply: Reply) -> list[str]:
    assert reply.status == 200, reply
    return [payment["payment_id"] for payment in reply.body["data"]]


def paid(world: World, recipient: str, tenant_id: str = TENANT, **fields: object) -> str:
    """The id of a payment, a minute after the one before it."""
    world.clock.advance(timedelta(minutes=1))
    key = f"payment-{len(world.store.streams())}"
    reply = world.post("/payments", payment_body(recipient, **fields), key, tenant_id)
    payment_id: str = reply.body["payment_id"]
    return payment_id


def test_a_payment_is_listed_as_it_is_shown(world: World) -> None:
    payment_id = paid(world, world.account(), description="Silk", order_id="order-12")
    world.clock.advance(timedelta(seconds=1))
    world.run(payment_id, *FORWARD)
    world.change(payment_id, "refund", {"amount": 600})
    world.follow_up(payment_id)
    (told,) = listed(world).body["data"]
    assert (told["captured"], told["fees"], told["refunded"]) == (1_000, 30, 600)
    assert told["status"] == "partially_refunded"
    shown = world.get("/payments/{payment_id}", payment_id).body
    assert told.pop("updated_at") == "2026-11-21T12:01:01.000Z"
    assert told == {name: shown[name] for name in told}


def test_a_payment_that_is_only_accepted_has_no_fees(world: World) -> None:
    paid(world, world.account())
    (told,) = listed(world).body["data"]
    assert (told["status"], told["captured"], told["fees"]) == ("processing", 0, None)
    assert (told["description"], told["order_id"]) == (None, None)


def test_pages_follow_each_other_newest_first(world: World) -> None:
    seller = world.account()
    payments = [paid(world, seller) for _ in range(12)][::-1]
    first = listed(world)
    assert (ids(first), first.body["has_more"]) == (payments[:10], True)
    last = listed(world, starting_after=payments[9])
    assert (ids(last), last.body["has_more"]) == (payments[10:], False)
    short = listed(world, starting_after=payments[3], limit="2")
    assert (ids(short), short.body["has_more"]) == (payments[4:6], True)


def test_every_filter_keeps_what_it_names(world: World) -> None:
    silk, wool = world.account(), world.account()
    one = paid(world, silk, order_id="order-1")
    two = paid(world, wool, order_id="order-2")
    three = paid(world, silk, order_id="order-2")
    world.run(one, *FORWARD)
    world.answering(authorization=NO).run(three, *FORWARD, Step.FINISH)
    assert ids(listed(world)) == [three, two, one]
    assert ids(listed(world, account=silk)) == [three, one]
    assert ids(listed(world, order_id="order-2")) == [three, two]
    assert ids(listed(world, status="succeeded")) == [one]
    assert ids(listed(world, status="failed")) == [three]
    assert ids(listed(world, status="canceled")) == []
    assert ids(listed(world, account=silk, order_id="order-2", status="failed")) == [three]
    assert ids(listed(world, account=wool, order_id="order-2", status="failed")) == []


def test_a_time_begins_with_its_first_moment_and_ends_before_its_last(world: World) -> None:
    seller = world.account()
    payments = [paid(world, seller) for _ in range(4)][::-1]  # 12:04, 12:03, 12:02, 12:01
    span = listed(world, from_="2026-11-21T12:02:00Z", to="2026-11-21T12:04:00Z")
    assert ids(span) == payments[1:3]
    elsewhere = listed(world, from_="2026-11-21T13:02:00+01:00", to="2026-11-21T07:04:00-05:00")
    assert ids(elsewhere) == payments[1:3]
    just_after = "2026-11-21T12:02:00.000001Z"
    assert ids(listed(world, from_=just_after)) == payments[:2]
    assert ids(listed(world, to=just_after)) == payments[2:]
    assert ids(listed(world, from_=just_after, to=just_after)) == []
    assert ids(listed(world, from_="0001-01-01T00:00:00+14:00")) == payments
    assert ids(listed(world, to="9999-12-31T23:59:59-14:00")) == payments


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ({"status": "paid"}, "status"),
        ({"status": "SUCCEEDED"}, "status"),
        ({"status": ""}, "status"),
        ({"account": "acct_1"}, "account"),
        ({"account": f"{NOBODY}\n"}, "account"),
        ({"account": "pay_01JZ8QB2S5E0GZ4Y1KXAM9V7TD"}, "account"),
        ({"order_id": ""}, "order_id"),
        ({"order_id": "x" * 256}, "order_id"),
        ({"order_id": "\ud800"}, "order_id"),
        ({"starting_after": NOBODY}, "starting_after"),
        ({"starting_after": "pay_1"}, "starting_after"),
        ({"limit": "0"}, "limit"),
        ({"limit": "101"}, "limit"),
        ({"from_": "2026-11-21"}, "from"),
        ({"from_": "2026-11-21T12:00:00"}, "from"),
        ({"from_": "2026-11-21T12:00:00 01:00"}, "from"),
        ({"from_": "1763726400"}, "from"),
        ({"to": "2026-11-31T12:00:00Z"}, "to"),
        ({"from_": "2026-11-21T12:00:00.001Z", "to": "2026-11-21T12:00:00Z"}, "from,to"),
        ({"status": "x", "to": "x", "account": "x", "limit": "x"}, "status,to,account,limit"),
    ],
)
def test_a_wrong_filter_is_refused_by_name(world: World, query: dict[str, str], param: str) -> None:
    assert listed(world, **query).refusal == (400, "parameter_invalid", param)


def test_an_unknown_filter_is_refused_by_name(world: World) -> None:
    reply = listed(world, recipient=NOBODY, status="succeeded")
    assert reply.refusal == (400, "parameter_unknown", "recipient")


def test_another_tenants_payments_are_not_there(world: World) -> None:
    silk = world.account()
    payments = [paid(world, silk, order_id="order-1") for _ in range(3)]
    for query in ({}, {"account": silk}, {"order_id": "order-1"}, {"status": "processing"}):
        reply = listed(world, OTHER_TENANT, **query)
        assert reply.text == listed(world, OTHER_TENANT, account=NOBODY).text
        assert reply.body == {"data": [], "has_more": False}
    own = paid(world, world.account(tenant_id=OTHER_TENANT), OTHER_TENANT)
    assert ids(listed(world, OTHER_TENANT)) == [own]
    # Where a page ended is a place in time, whoever's payment it was.
    assert ids(listed(world, OTHER_TENANT, starting_after=payments[0])) == []
    assert ids(listed(world, starting_after=own)) == payments[::-1]


def test_an_id_is_no_card_number_whatever_its_digits(world: World) -> None:
    """The 16 digits after its time are a card number's."""
    after = "pay_01JZ8QB2SA4242424242424242"
    assert ids(listed(world, starting_after=after)) == []
    assert ids(listed(world, account=after.replace("pay", "acct"))) == []
    assert listed(world, order_id="4242424242424242").refusal == (400, "card_data", "order_id")


class Endless(Memory):
    """Has more payments than one search may look through."""

    def payments(self, query: PaymentQuery) -> SearchTooBroad:
        return SearchTooBroad()


def test_a_search_that_is_too_broad_is_refused(world: World) -> None:
    world.use(books=Endless())
    assert listed(world).refusal == (422, "search_too_broad", None)
