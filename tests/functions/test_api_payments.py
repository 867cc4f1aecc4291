"""Payments over HTTP: what is accepted, what is refused, what is told."""

import base64
import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from florin.adapters.memory import MemoryConfig
from florin.domain.payment import Step
from florin.domain.provider import Approved, Declined, Hardness, NotAttempted, Unknown
from florin.edge.cache import CachedAccounts, CachedConfig
from florin.ports import AppendResult, Batch, ContentionError
from tests.functions.world import (
    OTHER_TENANT,
    Counting,
    World,
    payment_body,
    posted,
    sample,
)
from tests.support.examples import TENANT

FORWARD = (Step.ASSESS_RISK, Step.AUTHORIZE, Step.CAPTURE)
UNDO = (Step.VOID, Step.FINISH)
NO = Declined(code="card_declined", hardness=Hardness.HARD)
UNHEARD_OF = "pay_01JZ8QB2S5E0GZ4Y1KXAM9V7TD"


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def seller(world: World) -> str:
    return world.account()


def nothing_written_since(world: World, writes: int) -> bool:
    return len(world.store.written) == writes and not world.sagas.started


# Accepted.


def test_a_payment_is_accepted(world: World, seller: str) -> None:
    reply = world.post("/payments", payment_body(seller))
    assert reply.status == 201
    payment_id = reply.body["payment_id"]
    assert reply.text == (
        f'{{"payment_id":"{payment_id}","status":"processing","amount":1000,"currency":"EUR",'
        '"created_at":"2026-11-21T12:00:00.000Z",'
        '"estimated_completion":"2026-11-21T12:00:30.000Z","next_action":null}'
    )
    assert world.sagas.started == [(payment_id, 1)]
    assert "Idempotent-Replayed" not in reply.headers


def test_what_is_optional_is_kept(world: World, seller: str) -> None:
    optional = {
        "description": "Twelve ells of silk",
        "customer": "lorenzo",
        "order_id": "order-12",
        "metadata": {"loom": "3", "colour": "crimson 🐛"},
    }
    created = world.post("/payments", payment_body(seller, **optional)).body
    payment = world.get("/payments/{payment_id}", created["payment_id"]).body
    assert {name: payment[name] for name in optional} == optional


def test_the_sample_event_is_answered(world: World) -> None:
    reply = world.send(sample("post_payment"))
    assert reply.refusal == (404, "account_not_found", "recipient")


def test_a_base64_body_is_decoded(world: World, seller: str) -> None:
    event = posted("/payments", json.dumps(payment_body(seller)))
    event["body"] = base64.b64encode(event["body"].encode()).decode()
    event["isBase64Encoded"] = True
    assert world.send(event).status == 201


@pytest.mark.parametrize("amount", [1, 999_999_999_999])
def test_the_ends_of_the_range_are_inside(world: World, seller: str, amount: int) -> None:
    assert world.post("/payments", payment_body(seller, amount=amount)).body["amount"] == amount


def test_a_warm_accept_reads_nothing_before_its_transaction(world: World, seller: str) -> None:
    world.use(accounts=CachedAccounts(world.store), config=CachedConfig(world.app.config))
    world.post("/payments", payment_body(seller), "cold")
    world.store.profiles_read = 0
    assert world.post("/payments", payment_body(seller), "warm").status == 201
    assert world.store.profiles_read == 0


class Refusing:
    """Sagas that cannot be started."""

    started: tuple[()] = ()

    def start(self, payment_id: str, version: int) -> None:
        raise ConnectionError("tok_visa_secret is none of the log's business")


def test_a_payment_whose_saga_does_not_start_is_accepted(
    world: World, seller: str, capsys: pytest.CaptureFixture[str]
) -> None:
    world.use(sagas=Refusing())
    reply = world.post("/payments", payment_body(seller))
    assert reply.status == 201
    error, request = map(json.loads, capsys.readouterr().out.splitlines()[-2:])
    assert (error["level"], error["kind"]) == ("ERROR", "saga not started")
    assert error["payment_id"] == request["payment_id"] == reply.body["payment_id"]
    assert "tok_visa_secret" not in json.dumps(error)


# Refused.

LONG = "x" * 256


@pytest.mark.parametrize(
    ("fields", "refusal"),
    [
        # Amounts are whole, positive, and numbers.
        ({"amount": 100.0}, (400, "parameter_invalid", "amount")),
        ({"amount": "100"}, (400, "parameter_invalid", "amount")),
        ({"amount": True}, (400, "parameter_invalid", "amount")),
        ({"amount": 0}, (400, "parameter_invalid", "amount")),
        ({"amount": -1}, (400, "parameter_invalid", "amount")),
        ({"amount": 10**12}, (400, "parameter_invalid", "amount")),
        ({"amount": 10**15}, (400, "parameter_invalid", "amount")),
        ({"amount": 10**400}, (400, "parameter_invalid", "amount")),
        ({"amount": None}, (400, "parameter_invalid", "amount")),
        ({"amount": [100]}, (400, "parameter_invalid", "amount")),
        ({"amount": {"minor": 100}}, (400, "parameter_invalid", "amount")),
        # Texts are texts, within their lengths; null is not absent.
        ({"currency": 978}, (400, "parameter_invalid", "currency")),
        ({"payment_method": ""}, (400, "parameter_invalid", "payment_method")),
        ({"payment_method": LONG}, (400, "parameter_invalid", "payment_method")),
        ({"payment_method": "tok visa"}, (400, "parameter_invalid", "payment_method")),
        ({"payment_method": "tok_visa\n"}, (400, "parameter_invalid", "payment_method")),
        ({"payment_method": "wallet:acct_1"}, (400, "parameter_invalid", "payment_method")),
        ({"payment_method": {"card": "tok"}}, (400, "parameter_invalid", "payment_method")),
        ({"recipient": None}, (400, "parameter_invalid", "recipient")),
        ({"description": None}, (400, "parameter_invalid", "description")),
        ({"description": "x" * 501}, (400, "parameter_invalid", "description")),
        ({"description": {"a": "b"}}, (400, "parameter_invalid", "description")),
        ({"customer": ""}, (400, "parameter_invalid", "customer")),
        ({"customer": LONG}, (400, "parameter_invalid", "customer")),
        ({"order_id": 12}, (400, "parameter_invalid", "order_id")),
        # Metadata are named by entry.
        ({"metadata": []}, (400, "parameter_invalid", "metadata")),
        ({"metadata": None}, (400, "parameter_invalid", "metadata")),
        ({"metadata": {"a": 1}}, (400, "parameter_invalid", "metadata.a")),
        ({"metadata": {"a": "", "b": None}}, (400, "parameter_invalid", "metadata.b")),
        ({"metadata": {"a": {"b": "c"}}}, (400, "parameter_invalid", "metadata.a")),
        ({"metadata": {"": "a"}}, (400, "parameter_invalid", "metadata.")),
        ({"metadata": {"k" * 41: "a"}}, (400, "parameter_invalid", f"metadata.{'k' * 41}")),
        ({"metadata": {"a": "x" * 501}}, (400, "parameter_invalid", "metadata.a")),
        ({"metadata": {str(n): "" for n in range(21)}}, (400, "parameter_invalid", "metadata")),
        # All fields that are wrong in one way are named, and no others.
        ({"amount": 0, "order_id": ""}, (400, "parameter_invalid", "amount,order_id")),
        ({"capture_method": "by hand"}, (400, "parameter_invalid", "capture_method")),
        ({"return_url": "https://x"}, (400, "parameter_unknown", "return_url")),
        ({"return_url": "a", "as": 1}, (400, "parameter_unknown", "return_url,as")),
        ({"amount": 0, "tip": 1}, (400, "parameter_unknown", "tip")),
        ({"x" * 65: 1}, (400, "parameter_unknown", "x" * 64 + "…")),
        # Rules, once the form is right.
        ({"currency": "XXX"}, (422, "currency_unknown", "currency")),
        ({"currency": "XAU"}, (422, "currency_unknown", "currency")),
        ({"currency": "eur"}, (422, "currency_unknown", "currency")),
        ({"currency": ""}, (422, "currency_unknown", "currency")),
        ({"currency": "EURO"}, (422, "currency_unknown", "currency")),
        ({"currency": "USD"}, (422, "currency_differs", "currency")),
        ({"recipient": ""}, (404, "account_not_found", "recipient")),
        ({"recipient": "merchant_xyz"}, (404, "account_not_found", "recipient")),
        ({"recipient": "acct_" + "0" * 26}, (404, "account_not_found", "recipient")),
        ({"recipient": "x" * 5_000}, (404, "account_not_found", "recipient")),
        ({"recipient": "merchant", "currency": "XXX"}, (422, "currency_unknown", "currency")),
    ],
)
def test_a_wrong_field_is_refused_by_name(
    world: World, seller: str, fields: dict[str, Any], refusal: tuple[int, str, str]
) -> None:
    assert world.post("/payments", payment_body(seller, **fields)).refusal == refusal
    assert nothing_written_since(world, 1)


@pytest.mark.parametrize("missing", ["amount", "currency", "payment_method", "recipient"])
def test_a_missing_field_is_named(world: World, seller: str, missing: str) -> None:
    body = payment_body(seller, metadata=1)
    del body[missing]
    assert world.post("/payments", body).refusal == (400, "parameter_missing", missing)
    assert nothing_written_since(world, 1)


def test_all_missing_fields_are_named(world: World) -> None:
    reply = world.post("/payments", {})
    assert reply.refusal == (
        400,
        "parameter_missing",
        "amount,currency,payment_method,recipient",
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "null",
        "[]",
        '"amount"',
        "1",
        "{'amount': 1}",
        '{"amount": 1,}',
        '{"amount": 01}',
        '{"amount": NaN}',
        '{"amount": Infinity}',
        '{"amount": -Infinity}',
        '{"amount": 1} {"amount": 2}',
        '{"amount": 1, "amount": 1}',
        '{"amount": 1, "\\u0061mount": 2}',
        '{"metadata": {"a": "1", "a": "2"}}',
        '{"description": "\\ud83d"}',
        '{"description": "\\ude00\\ud83d"}',
        '{"\\udc00": 1}',
        '{"metadata": {"\\ud800": ""}}',
        '{"description": "a\nb"}',
        '\ufeff{"amount": 1}',
        '{"amount": ' + "[" * 50_000,
        '{"amount": ' + "[" * 50_000 + "]" * 50_000 + "}",
        '{"amount": ' + "[" * 20 + "]" * 20 + "}",
        '{"a":' * 20_000 + "1" + "}" * 20_000,
        '{"amount": ' + "9" * 2_000 + "}",
        '{"amount": ' + "9" * 100_000 + "}",
        '{"amount": -' + "9" * 5_000 + "}",
    ],
)
def test_a_malformed_body_is_refused(world: World, text: str) -> None:
    assert world.post("/payments", text).refusal == (400, "body_malformed", None)
    assert nothing_written_since(world, 0)


def test_a_pair_of_surrogates_is_a_character(world: World, seller: str) -> None:
    text = json.dumps(payment_body(seller, description="🐛"))
    assert "\\ud83d\\udc1b" in text
    assert world.post("/payments", text).status == 201


def test_an_exponent_makes_no_integer(world: World, seller: str) -> None:
    text = json.dumps(payment_body(seller)).replace("1000", "1e3")
    assert world.post("/payments", text).refusal == (400, "parameter_invalid", "amount")


@pytest.mark.parametrize(
    ("body", "is_base64"),
    [
        (None, False),
        (None, True),
        ("=", True),
        ("ü", True),
        ("/w==", True),
        ("\ud800", False),
        ("e30!=", True),
    ],
)
def test_a_body_that_is_no_text_is_refused(world: World, body: str | None, is_base64: bool) -> None:
    event = posted("/payments", "") | {"body": body, "isBase64Encoded": is_base64}
    assert world.send(event).refusal == (400, "body_malformed", None)


def test_a_body_that_is_too_large_is_refused(world: World, seller: str) -> None:
    text = json.dumps(payment_body(seller))
    padded = text + " " * (256 * 1024 - len(text))
    assert world.post("/payments", padded).status == 201
    assert world.post("/payments", padded + " ", "key-2").refusal == (413, "body_too_large", None)


@pytest.mark.parametrize(
    ("key", "code"),
    [
        (None, "idempotency_key_missing"),
        ("", "idempotency_key_invalid"),
        ("k" * 256, "idempotency_key_invalid"),
        ("clé", "idempotency_key_invalid"),
        ("a\tb", "idempotency_key_invalid"),
        ("a\n", "idempotency_key_invalid"),
    ],
)
def test_the_idempotency_key_is_judged_first(world: World, key: str | None, code: str) -> None:
    assert world.post("/payments", "not even JSON", key).refusal == (400, code, None)
    assert nothing_written_since(world, 0)


def test_two_idempotency_keys_are_none(world: World, seller: str) -> None:
    event = posted("/payments", json.dumps(payment_body(seller)))
    event["multiValueHeaders"]["Idempotency-Key"] = ["key-1", "key-2"]
    assert world.send(event).refusal == (400, "idempotency_key_invalid", None)


@pytest.mark.parametrize("key", ["k", "k" * 255, "order 12 ~!"])
def test_any_printable_key_will_do_in_any_spelling_of_its_header(
    world: World, seller: str, key: str
) -> None:
    event = posted("/payments", json.dumps(payment_body(seller)), None)
    event["headers"]["idempotency-KEY"] = key
    event["multiValueHeaders"] = None
    assert world.send(event).status == 201


def test_a_query_parameter_is_refused(world: World, seller: str) -> None:
    event = posted("/payments", json.dumps(payment_body(seller)))
    event["queryStringParameters"] = {"expand": "all", "as_of": "now"}
    assert world.send(event).refusal == (400, "parameter_unknown", "as_of,expand")
    assert nothing_written_since(world, 1)


def test_what_is_no_id_is_not_even_looked_up(world: World) -> None:
    world.post("/payments", payment_body("x" * 5_000))
    assert world.store.profiles_read == 0
    world.get("/accounts/{account_id}", "x" * 5_000)
    assert world.store.profiles_read == 0


def test_another_tenants_account_is_not_there(world: World) -> None:
    foreign = world.account(tenant_id=OTHER_TENANT)
    assert world.post("/payments", payment_body(foreign)).refusal == (
        404,
        "account_not_found",
        "recipient",
    )
    assert nothing_written_since(world, 1)


class Busy(Counting):
    """A store in which something else is always going on."""

    busy = False

    def append(self, batch: Batch) -> AppendResult:
        if self.busy:
            raise ContentionError("8 tries met other transactions")
        return super().append(batch)


def test_contention_is_transient_and_says_when_to_come_again() -> None:
    store = Busy()
    world = World(store=store)
    body = payment_body(world.account())
    store.busy = True
    reply = world.post("/payments", body)
    assert reply.refusal == (503, "contention", None)
    assert reply.error["transient"] is True
    assert reply.headers["Retry-After"] == "1"
    assert nothing_written_since(world, 1)


class Stuttering(Counting):
    """A store whose client sends what it has written once more, and reports the second answer."""

    def append(self, batch: Batch) -> AppendResult:
        super().append(batch)
        return super().append(batch)


def test_a_write_that_was_sent_twice_below_us_is_no_replay() -> None:
    world = World(store=Stuttering())
    first = world.post("/payments", payment_body(world.account()))
    assert "Idempotent-Replayed" not in first.headers
    assert world.sagas.started == [(first.body["payment_id"], 1)]


def test_a_tenant_without_configuration_is_our_fault(world: World, seller: str) -> None:
    world.use(config=MemoryConfig())
    assert world.post("/payments", payment_body(seller)).refusal == (500, "internal", None)
    assert nothing_written_since(world, 1)


# Once.


def test_the_same_request_again_gets_the_same_bytes(world: World, seller: str) -> None:
    body = payment_body(seller, metadata={"a": "1", "b": "2"})
    first = world.post("/payments", body)
    writes = len(world.store.written)
    world.run(first.body["payment_id"], *FORWARD)
    writes_of_the_saga = len(world.store.written) - writes
    reordered = json.dumps(dict(reversed(body.items())), indent=2)
    again = world.post("/payments", reordered)
    assert (again.status, again.text) == (first.status, first.text)
    assert again.headers["Idempotent-Replayed"] == "true"
    assert len(world.store.written) == writes + writes_of_the_saga
    assert world.sagas.started == [(first.body["payment_id"], 1)]


def test_a_replay_does_not_depend_on_the_fees_of_today(world: World, seller: str) -> None:
    first = world.post("/payments", payment_body(seller))
    dearer = MemoryConfig(
        tenants={
            TENANT: replace(
                world.app.tenant(TENANT),
                fees=replace(world.app.tenant(TENANT).fees, basis_points=900),
                provider="other",
            )
        }
    )
    world.use(config=dearer)
    assert world.post("/payments", payment_body(seller)).text == first.text


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"amount": 1_001}, "amount"),
        ({"payment_method": "tok_other"}, "payment_method"),
        ({"description": "Other silk"}, "description"),
        ({"order_id": "order-12"}, "order_id"),
        ({"metadata": {"loom": "4"}}, "metadata.loom"),
        ({"metadata": {"loom": "3", "spool": ""}}, "metadata.spool"),
        ({"metadata": {}}, "metadata.loom"),
        ({"amount": 1, "description": "x", "customer": "c"}, "amount,customer,description"),
    ],
)
def test_a_reused_key_is_told_which_fields_differ(
    world: World, seller: str, fields: dict[str, Any], param: str
) -> None:
    body = payment_body(seller, description="Silk", metadata={"loom": "3"})
    world.post("/payments", body)
    writes = len(world.store.written)
    reply = world.post("/payments", body | fields)
    assert reply.refusal == (422, "idempotency_key_reused", param)
    assert len(world.store.written) == writes


def test_a_key_is_bound_to_its_route(world: World, seller: str) -> None:
    world.post("/payments", payment_body(seller), "key-1")
    reply = world.post("/accounts", {"currency": "EUR", "kind": "seller"}, "key-1")
    assert reply.refusal == (422, "idempotency_key_reused", "route")


def test_a_key_is_its_tenants_own(world: World, seller: str) -> None:
    foreign = world.account(tenant_id=OTHER_TENANT)
    mine = world.post("/payments", payment_body(seller))
    theirs = world.post("/payments", payment_body(foreign), tenant_id=OTHER_TENANT)
    assert (mine.status, theirs.status) == (201, 201)
    assert mine.body["payment_id"] != theirs.body["payment_id"]


def test_a_refused_request_does_not_use_its_key_up(world: World, seller: str) -> None:
    assert world.post("/payments", payment_body(seller, amount=0)).status == 400
    assert world.post("/payments", payment_body(seller, currency="USD")).status == 422
    assert world.post("/payments", payment_body(seller)).status == 201


def test_no_value_of_a_request_can_be_read_from_its_receipt(world: World, seller: str) -> None:
    world.post("/payments", payment_body(seller, description="Silk for Lorenzo"))
    receipt = world.store.written[-1].receipt
    assert receipt is not None
    stored = json.dumps([*receipt.fingerprint.values()])
    assert "tok_visa_secret" not in stored
    assert "Lorenzo" not in stored
    assert {len(hashed) for hashed in receipt.fingerprint.values()} == {12}


# Told.


def test_a_fresh_payment_is_processing(world: World, seller: str) -> None:
    payment_id = world.post("/payments", payment_body(seller)).body["payment_id"]
    assert world.get("/payments/{payment_id}", payment_id).body == {
        "payment_id": payment_id,
        "status": "processing",
        "amount": 1_000,
        "currency": "EUR",
        "recipient": seller,
        "payer": None,
        "payment_method": "card_****",
        "capture_method": "automatic",
        "description": None,
        "customer": None,
        "order_id": None,
        "metadata": {},
        "created_at": "2026-11-21T12:00:00.000Z",
        "completed_at": None,
        "captured": 0,
        "fees": None,
        "net_amount": None,
        "refunded": 0,
        "refunds": [],
        "failure": None,
        "events": [{"type": "payment.initiated", "timestamp": "2026-11-21T12:00:00.000Z"}],
        "saga": {
            "status": "running",
            "current_step": "AssessRisk",
            "completed_steps": [],
            "executions": [],
        },
        "attempts": [],
    }


def test_a_payment_that_succeeded(world: World) -> None:
    payment_id = world.payment()
    world.run(payment_id, Step.ASSESS_RISK, Step.AUTHORIZE, execution="arn:execution:1")
    authorized = world.get("/payments/{payment_id}", payment_id).body
    assert (authorized["status"], authorized["completed_at"]) == ("authorized", None)
    world.clock.advance(timedelta(seconds=2))
    world.run(payment_id, *FORWARD, execution="arn:execution:2")
    payment = world.get("/payments/{payment_id}", payment_id).body
    assert payment["status"] == "succeeded"
    assert payment["payment_method"] == "card_****4242"
    assert payment["created_at"] == "2026-11-21T12:00:00.000Z"
    assert payment["completed_at"] == "2026-11-21T12:00:02.000Z"
    assert (payment["fees"], payment["net_amount"]) == (30, 970)
    assert payment["saga"] == {
        "status": "completed",
        "current_step": None,
        "completed_steps": ["AssessRisk", "Authorize", "Capture"],
        "executions": ["arn:execution:1", "arn:execution:2"],
    }
    assert payment["attempts"] == [
        {
            "operation": operation,
            "operation_id": operation,
            "attempt": 1,
            "provider": "scripted",
            "result": "approved",
        }
        for operation in ("authorization", "capture")
    ]


def test_a_provider_may_keep_the_method_to_itself(world: World) -> None:
    payment_id = world.answering(authorization=Approved(provider_reference="ch_1")).payment()
    world.run(payment_id, *FORWARD)
    payment = world.get("/payments/{payment_id}", payment_id).body
    assert (payment["status"], payment["payment_method"]) == ("succeeded", "card_****")


def test_a_payment_that_was_declined(world: World) -> None:
    payment_id = world.answering(authorization=NO).payment()
    world.run(payment_id, *FORWARD, *UNDO)
    payment = world.get("/payments/{payment_id}", payment_id).body
    assert payment["status"] == "failed"
    assert payment["failure"] == {"reason": "declined", "code": "card_declined"}
    assert payment["payment_method"] == "card_****"
    assert payment["completed_at"] is not None
    assert (payment["fees"], payment["net_amount"]) == (None, None)
    assert payment["saga"]["status"] == "failed"
    assert [attempt["result"] for attempt in payment["attempts"]] == ["declined"]


def test_a_payment_that_is_being_undone(world: World) -> None:
    payment_id = world.answering(capture=NO).payment()
    world.run(payment_id, *FORWARD)
    payment = world.get("/payments/{payment_id}", payment_id).body
    assert payment["status"] == "processing"
    assert payment["failure"] is None
    assert payment["saga"]["status"] == "compensating"
    assert payment["saga"]["current_step"] == "Void"
    world.run(payment_id, *UNDO)
    payment = world.get("/payments/{payment_id}", payment_id).body
    assert payment["failure"] == {"reason": "capture_declined", "code": "card_declined"}
    assert payment["payment_method"] == "card_****4242"
    assert payment["saga"]["completed_steps"] == ["AssessRisk", "Authorize", "Void", "Finish"]
    assert [attempt["result"] for attempt in payment["attempts"]] == [
        "approved",
        "declined",
        "approved",
    ]


def test_a_payment_whose_provider_is_silent(world: World) -> None:
    payment_id = world.answering(authorization=Unknown(reason="read_timeout")).payment()
    world.run(payment_id, *FORWARD)
    payment = world.get("/payments/{payment_id}", payment_id).body
    assert payment["status"] == "awaiting_provider"
    assert payment["saga"]["status"] == "waiting"
    assert [attempt["result"] for attempt in payment["attempts"]] == ["unknown"]


def test_every_try_of_a_provider_is_told(world: World) -> None:
    payment_id = world.answering(authorization=NotAttempted(reason="refused")).payment()
    world.run(payment_id, Step.ASSESS_RISK, Step.AUTHORIZE)
    world.answering()
    world.run(payment_id, Step.AUTHORIZE)
    attempts = world.get("/payments/{payment_id}", payment_id).body["attempts"]
    assert [(attempt["attempt"], attempt["result"]) for attempt in attempts] == [
        (1, "not_attempted"),
        (2, "approved"),
    ]


def test_the_facts_of_a_payment(world: World) -> None:
    payment_id = world.payment(metadata={"minor": "3", "currency": "silk"})
    world.run(payment_id, *FORWARD)
    reply = world.get("/payments/{payment_id}/events", payment_id)
    assert reply.body["has_more"] is False
    facts = reply.body["data"]
    assert [fact["version"] for fact in facts] == [1, 2, 3, 4, 5, 6]
    assert len({fact["event_id"] for fact in facts}) == 6
    assert [fact["hash"] for fact in facts] == [row.hash for row in world.store.rows(payment_id)]
    assert facts[0]["data"]["metadata"] == {"minor": "3", "currency": "silk"}
    assert facts[3]["data"] == {
        "amount": 1_000,
        "currency": "EUR",
        "provider_reference": "ch_1",
        "method": {"kind": "card", "brand": "visa", "last4": "4242"},
    }
    assert facts[5]["type"] == "payment.captured"
    assert facts[5]["data"] == {
        "amount": 1_000,
        "currency": "EUR",
        "capture_id": "capture",
        "fee": 30,
        "released": 0,
        "final": True,
    }
    for secret in ("tok_visa_secret", "owner-secret", TENANT):
        assert secret not in reply.text


def test_the_ledger_of_a_payment(world: World) -> None:
    payment_id = world.payment()
    assert world.get("/payments/{payment_id}/ledger", payment_id).body["data"] == []
    world.run(payment_id, *FORWARD)
    ledger = world.get("/payments/{payment_id}/ledger", payment_id).body
    recipient = world.get("/payments/{payment_id}", payment_id).body["recipient"]
    assert ledger == {
        "data": [
            {
                "entry_id": f"{payment_id}:6",
                "entry_type": side,
                "account": account,
                "amount": amount,
                "currency": "EUR",
                "created_at": "2026-11-21T12:00:00.000Z",
            }
            for side, account, amount in (
                ("DEBIT", "provider:scripted:receivable", 1_000),
                ("CREDIT", f"wallet:{recipient}", 970),
                ("CREDIT", "platform:fees", 30),
            )
        ],
        "has_more": False,
    }


@pytest.mark.parametrize(
    "resource",
    [
        "/payments/{payment_id}",
        "/payments/{payment_id}/events",
        "/payments/{payment_id}/ledger",
    ],
)
def test_an_unknown_payment_and_a_foreign_one_look_the_same(world: World, resource: str) -> None:
    mine = world.payment()
    unheard_of = world.get(resource, UNHEARD_OF)
    assert unheard_of.refusal == (404, "payment_not_found", None)
    assert world.get(resource, mine, OTHER_TENANT).text == unheard_of.text
    for other in ("", "pay_1", mine.lower(), f"{mine}\n", f" {mine}", world.account(), "x" * 3_000):
        assert world.get(resource, other).text == unheard_of.text
