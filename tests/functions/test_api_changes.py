"""What is asked of a payment: captures, cancellations and refunds, over API Gateway's events."""

from collections.abc import Sequence

import pytest

from florin.domain.chart import PLATFORM_FEES
from florin.domain.chart import wallet as wallet_account
from florin.domain.history import NO_EVENTS, Draft
from florin.domain.ledger import Entry, Posting
from florin.domain.money import Money
from florin.domain.payment import PaymentRefundRequested, Step
from florin.domain.provider import Approved, Declined, Hardness, Unknown
from florin.ports import AccountKey, Appended, Batch, ContentionError, Line, Reserved
from florin.saga import CALL_BUDGET
from tests.functions.world import OTHER_TENANT, Counting, Reply, World, got, posted
from tests.support.examples import TENANT

FORWARD = (Step.ASSESS_RISK, Step.AUTHORIZE, Step.CAPTURE)
NO = Declined(code="refund_declined", hardness=Hardness.HARD)
NOBODY = "pay_01JZ8QB2S5E0GZ4Y1KXAM9V7TD"


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def held(world: World) -> str:
    """A payment whose amount waits to be captured by hand."""
    payment_id = world.payment(capture_method="manual")
    world.run(payment_id, *FORWARD)
    return payment_id


@pytest.fixture
def paid(world: World) -> str:
    payment_id = world.payment()
    world.run(payment_id, *FORWARD)
    return payment_id


def shown(world: World, payment_id: str) -> dict[str, object]:
    body: dict[str, object] = world.get("/payments/{payment_id}", payment_id).body
    return body


def wallet(world: World, payment_id: str) -> tuple[int, int]:
    """What the payment's recipient can spend, and has."""
    recipient = str(shown(world, payment_id)["recipient"])
    body = world.get("/wallets/{account_id}", recipient).body
    return body["available"], body["balance"]


def test_a_manual_payment_waits_for_its_capture(world: World, held: str) -> None:
    assert shown(world, held)["status"] == "authorized"
    reply = world.change(held, "capture", {"amount": 600, "final": False})
    assert (reply.status, reply.body["amount"], reply.body["final"]) == (201, 600, False)
    assert reply.body["capture_id"].startswith("cap_")
    assert world.sagas.followed_up == [(held, 5)]
    world.follow_up(held)
    payment = shown(world, held)
    assert (payment["status"], payment["captured"], payment["fees"]) == ("succeeded", 600, 18)
    rest = world.change(held, "capture", key="c-2")
    assert (rest.body["amount"], rest.body["final"]) == (400, True)
    world.follow_up(held)
    assert wallet(world, held) == (970, 970)
    assert world.change(held, "capture", key="c-3").refusal == (409, "payment_captured", None)


def test_a_final_capture_lets_go_of_the_rest(world: World, held: str) -> None:
    world.change(held, "capture", {"amount": 600})
    world.follow_up(held)
    assert shown(world, held)["captured"] == 600
    assert world.change(held, "capture", key="c-2").refusal == (409, "payment_captured", None)


def test_a_cancellation_voids(world: World, held: str) -> None:
    reply = world.change(held, "cancel", {"reason": "The loom broke"})
    assert (reply.status, reply.body["status"]) == (201, "processing")
    world.follow_up(held)
    payment = shown(world, held)
    assert payment["status"] == "canceled"
    assert payment["saga"]["completed_steps"][-2:] == ["Void", "Finish"]  # type: ignore[index]
    for what, key in (("capture", "c-2"), ("cancel", "c-3"), ("refund", "c-4")):
        assert world.change(held, what, key=key).refusal == (409, "payment_canceled", None)


def test_a_refund_takes_from_the_wallet_when_it_is_accepted(world: World, paid: str) -> None:
    assert wallet(world, paid) == (970, 970)
    reply = world.change(paid, "refund", {"amount": 600, "reason": "Moths"})
    assert (reply.status, reply.body["amount"], reply.body["reason"]) == (201, 600, "Moths")
    assert wallet(world, paid)[0] == 970 - 582
    assert shown(world, paid)["refunds"][0]["status"] == "pending"  # type: ignore[index]
    world.follow_up(paid)
    payment = shown(world, paid)
    assert (payment["status"], payment["refunded"]) == ("partially_refunded", 600)
    world.change(paid, "refund", key="c-2")
    world.follow_up(paid)
    assert shown(world, paid)["status"] == "refunded"
    assert wallet(world, paid) == (0, 0)


def test_a_refund_that_is_declined_gives_back(world: World, paid: str) -> None:
    world.answering(refund=NO)
    world.change(paid, "refund")
    assert wallet(world, paid)[0] == 0
    world.follow_up(paid)
    payment = shown(world, paid)
    assert payment["status"] == "succeeded"
    assert payment["refunds"][0]["status"] == "failed"  # type: ignore[index]
    assert wallet(world, paid) == (970, 970)


def test_a_refund_is_accepted_right_after_the_capture(world: World) -> None:
    """The wallet has not heard of the money yet; the refund brings the books up to date."""
    payment_id = world.payment()
    for step in FORWARD:
        world.saga.run(step, payment_id, "arn:execution")
    assert world.store.view(payment_id) is None, "nobody projected it"
    assert world.change(payment_id, "refund").status == 201


def test_who_has_seen_a_payment_finds_its_money_in_the_wallet(world: World) -> None:
    payment_id = world.payment()
    for step in FORWARD:
        world.saga.run(step, payment_id, "arn:execution")
    assert world.store.view(payment_id) is None, "nobody projected it"
    assert wallet(world, payment_id) == (970, 970), "it is looked at before the wallet is"


class Crowded(Counting):
    """Books at which others always were a moment earlier, for a while."""

    def __init__(self, lost: int) -> None:
        super().__init__()
        self.lost = lost

    def post(
        self, wallet: AccountKey, lines: Sequence[Line], reserved: Sequence[Reserved] = ()
    ) -> None:
        if self.lost:
            self.lost -= 1
            raise ContentionError("the statement was never free")
        super().post(wallet, lines, reserved)


def test_a_refund_is_accepted_right_after_the_capture_however_many_ask_for_it() -> None:
    """All of them bring the books up to date at once, and only one can be the first."""
    store = Crowded(lost=0)
    world = World(store=store)
    payment_id = world.payment()
    for step in FORWARD:
        world.saga.run(step, payment_id, "arn:execution")
    store.lost = 3
    assert world.change(payment_id, "refund").status == 201
    assert store.lost == 0


def test_a_refund_of_what_was_spent_is_refused(world: World, paid: str) -> None:
    recipient = str(shown(world, paid)["recipient"])
    spend(world, recipient, 400)
    refused = world.change(paid, "refund")
    assert refused.refusal == (402, "insufficient_funds", None)
    assert wallet(world, paid) == (570, 970)
    assert refused.error["transient"] is True
    other = world.change(paid, "refund", {"amount": 500})
    assert other.status == 201, "money can arrive at any time, so the key is not bound"


def spend(world: World, account_id: str, minor: int) -> None:
    """Take money from a wallet, as a fact of another stream does."""
    payer, amount = wallet_account(account_id), Money(minor, "EUR")
    entry = Entry(
        chart_version=1,
        postings=(Posting(debit=payer, credit=PLATFORM_FEES, amount=amount),),
        guarded={payer: minor},
    )
    fact = PaymentRefundRequested(
        refund_id="ref_1", amount=amount, fee_returned=Money(0, "EUR"), reason=None
    )
    taken = world.store.append(
        Batch(
            stream="pay_elsewhere",
            tenant_id=TENANT,
            after=NO_EVENTS,
            drafts=(Draft(event=fact, entry=entry),),
            at=world.clock.now(),
        )
    )
    assert isinstance(taken, Appended)


@pytest.mark.parametrize(
    ("what", "body", "refusal"),
    [
        ("capture", {"amount": 0}, (400, "parameter_invalid", "amount")),
        ("capture", {"amount": "1"}, (400, "parameter_invalid", "amount")),
        ("capture", {"final": "no"}, (400, "parameter_invalid", "final")),
        ("capture", {"currency": "EUR"}, (400, "parameter_unknown", "currency")),
        ("capture", "[]", (400, "body_malformed", None)),
        ("capture", {"amount": 1_001}, (409, "amount_exceeds_authorization", None)),
        ("cancel", {"reason": 1}, (400, "parameter_invalid", "reason")),
        ("cancel", {"amount": 1}, (400, "parameter_unknown", "amount")),
        ("refund", {"amount": -1}, (400, "parameter_invalid", "amount")),
        ("refund", {"amount": 1.5}, (400, "parameter_invalid", "amount")),
        ("refund", {}, (409, "payment_not_captured", None)),
    ],
)
def test_what_is_wrong_is_refused_and_changes_nothing(
    world: World, held: str, what: str, body: dict[str, object] | str, refusal: object
) -> None:
    before = world.store.rows(held)
    assert world.change(held, what, body).refusal == refusal
    assert world.store.rows(held) == before
    assert not world.sagas.followed_up


@pytest.mark.parametrize("what", ["capture", "cancel", "refund"])
def test_a_foreign_payment_is_an_unknown_one(world: World, held: str, what: str) -> None:
    foreign = posted(f"/payments/{{payment_id}}/{what}", "", "c-1", OTHER_TENANT)
    theirs = world.send(foreign | {"pathParameters": {"payment_id": held}})
    nobodys = world.send(foreign | {"pathParameters": {"payment_id": NOBODY}})
    nonsense = world.send(foreign | {"pathParameters": {"payment_id": "x"}})
    assert theirs.refusal == nobodys.refusal == nonsense.refusal == (404, "payment_not_found", None)
    assert theirs.text == nobodys.text


# Once.


def test_the_same_request_again_gets_the_same_bytes(world: World, paid: str) -> None:
    first = world.change(paid, "refund")
    world.follow_up(paid)
    again = world.change(paid, "refund")
    assert (again.status, again.text) == (first.status, first.text)
    assert again.headers["Idempotent-Replayed"] == "true"
    assert len(world.sagas.followed_up) == 1
    assert shown(world, paid)["refunded"] == 1_000


def test_the_first_answer_is_given_again_whatever_the_state_would_say_now(
    world: World, held: str
) -> None:
    """The capture is under way, so that another one would be refused for now."""
    first = world.change(held, "capture", {"amount": 600, "final": False})
    assert world.change(held, "capture", key="c-2").refusal[1] == "provider_answer_pending"
    again = world.change(held, "capture", {"amount": 600, "final": False})
    assert (again.status, again.text) == (first.status, first.text)
    assert again.headers["Idempotent-Replayed"] == "true"


def test_another_request_under_the_key_is_told_what_differs(world: World, paid: str) -> None:
    other = world.payment()
    world.run(other, *FORWARD)
    world.change(paid, "refund", {"amount": 1})
    reused = (422, "idempotency_key_reused", "amount")
    assert world.change(paid, "refund", {"amount": 2}).refusal == reused
    assert world.change(other, "refund", {"amount": 1}).refusal == (*reused[:2], "route")
    assert world.change(paid, "cancel").refusal == (*reused[:2], "route")


def test_a_refusal_that_lasts_is_bound_to_its_key(world: World, held: str) -> None:
    refused = world.change(held, "refund")
    assert refused.refusal == (409, "payment_not_captured", None)
    world.change(held, "capture", key="c-2")
    world.follow_up(held)
    again = world.change(held, "refund")
    assert again.refusal == refused.refusal
    assert again.headers["Idempotent-Replayed"] == "true"
    assert world.change(held, "refund", key="c-3").status == 201


def test_a_refusal_that_time_can_change_binds_nothing(world: World) -> None:
    world.answering(capture=Unknown(reason="timeout"))
    payment_id = world.payment()
    world.run(payment_id, *FORWARD)
    refused = world.change(payment_id, "refund")
    assert refused.refusal == (409, "provider_answer_pending", None)
    assert refused.error["transient"] is True
    world.provider.shown[f"{payment_id}:capture"] = Approved(provider_reference="ch_1")
    world.clock.advance(CALL_BUDGET)
    world.run(payment_id, *FORWARD)
    assert world.change(payment_id, "refund").status == 201


# The ledger of an account.


def lines(world: World, **query: str) -> Reply:
    event = got("/ledger", "") | {"queryStringParameters": query, "pathParameters": None}
    return world.send(event)


def test_an_account_has_a_statement(world: World, paid: str) -> None:
    recipient = str(shown(world, paid)["recipient"])
    world.change(paid, "refund", {"amount": 600})
    world.follow_up(paid)
    newest = lines(world, account_id=recipient, limit="1")
    assert newest.body["has_more"] is True
    assert newest.body["data"] == [
        {
            "entry_id": f"{paid}:7",
            "number": 2,
            "entry_type": "DEBIT",
            "account": f"wallet:{recipient}",
            "amount": 582,
            "currency": "EUR",
            "balance_after": 388,
            "created_at": "2026-11-21T12:00:00.000Z",
        }
    ]
    older = lines(world, account_id=recipient, starting_after=f"{paid}:7").body
    assert [(line["number"], line["balance_after"]) for line in older["data"]] == [(1, 970)]
    assert older["has_more"] is False


@pytest.mark.parametrize(
    ("query", "refusal"),
    [
        ({}, (400, "parameter_missing", "account_id,payment_id")),
        ({"account_id": "x"}, (404, "account_not_found", "account_id")),
        ({"account_id": "own", "limit": "0"}, (400, "parameter_invalid", "limit")),
        ({"account_id": "own", "limit": "101"}, (400, "parameter_invalid", "limit")),
        ({"account_id": "own", "limit": "1e1"}, (400, "parameter_invalid", "limit")),
        ({"account_id": "own", "page": "2"}, (400, "parameter_unknown", "page")),
        (
            {"account_id": "own", "starting_after": "x"},
            (400, "parameter_invalid", "starting_after"),
        ),
    ],
)
def test_a_wrong_question_for_a_statement_is_refused(
    world: World, query: dict[str, str], refusal: object
) -> None:
    own = world.account()
    asked = {name: own if value == "own" else value for name, value in query.items()}
    assert lines(world, **asked).refusal == refusal


def test_a_foreign_statement_is_not_there(world: World) -> None:
    theirs = world.account(tenant_id=OTHER_TENANT)
    assert lines(world, account_id=theirs).refusal == (404, "account_not_found", "account_id")


def test_a_parameter_that_comes_twice_is_refused(world: World) -> None:
    own = world.account()
    event = got("/ledger", "") | {
        "queryStringParameters": {"account_id": own, "limit": "2"},
        "multiValueQueryStringParameters": {"account_id": [own], "limit": ["1", "2"]},
        "pathParameters": None,
    }
    assert world.send(event).refusal == (400, "parameter_invalid", "limit")
