"""The provider simulator alone: what it answers, and what its books say afterwards."""

import base64
import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws
from samtranslator.yaml_helper import yaml_parse

from florin.adapters.clock import SystemClock
from infra.paths import ROOT
from simulator import handler as module
from simulator.books import Books, Done, Operation, Refusal
from simulator.handler import ROUTES, Simulator
from simulator.service import Asked, Service
from simulator.tokens import CARDS, PREFIXES, TOKENS, TROUBLES, Kind
from tests.support.simulator import SECRET, charges, gateway_event, make_simulator
from tests.support.tables import make_table

AUTHORIZATIONS = "/v1/authorizations"
Answer = tuple[int, dict[str, Any]]


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    with mock_aws():
        yield make_simulator(boto3.client("dynamodb"))


@pytest.fixture
def post(simulator: Simulator) -> Callable[..., Answer]:
    def post(path: str, key: str | None, **body: object) -> Answer:
        headers = {"Authorization": f"Bearer {SECRET}"}
        if key is not None:
            headers["Idempotency-Key"] = key
        return answered(simulator(gateway_event("POST", path, json.dumps(body), headers)))

    return post


@pytest.fixture
def authorize(post: Callable[..., Answer]) -> Callable[..., Answer]:
    def authorize(
        key: str = "a-1", card: str = "tok_visa", reference: str = "pay_1:authorization"
    ) -> Answer:
        wanted = {"amount": 1_000, "currency": "EUR", "payment_method": card}
        return post(AUTHORIZATIONS, key, **wanted, reference=reference)

    return authorize


@pytest.fixture
def capture(post: Callable[..., Answer]) -> Callable[..., Answer]:
    def capture(charge: str, key: str = "c-1", amount: int = 1_000) -> Answer:
        path = f"{AUTHORIZATIONS}/{charge}/capture"
        return post(path, key, amount=amount, reference="pay_1:capture")

    return capture


@pytest.fixture
def void(post: Callable[..., Answer]) -> Callable[..., Answer]:
    def void(charge: str, key: str = "v-1") -> Answer:
        return post(f"{AUTHORIZATIONS}/{charge}/void", key, reference="pay_1:void")

    return void


Call = Callable[..., Answer]


def answered(answer: dict[str, Any]) -> Answer:
    assert answer["headers"]["Content-Type"] == "application/json"
    return answer["statusCode"], json.loads(answer["body"])


def get(simulator: Simulator, target: str) -> Answer:
    headers = {"authorization": f"Bearer {SECRET}"}  # in lower case, as HTTP/2 clients send it
    return answered(simulator(gateway_event("GET", target, headers=headers)))


def code(answer: Answer) -> tuple[int, str]:
    return answer[0], answer[1]["error"]["code"]


def states(simulator: Simulator, order: str = "pay_1") -> list[tuple[str, int]]:
    return [(charge["state"], charge["captured"]) for charge in charges(simulator, order)]


# Tokens.


@pytest.mark.parametrize(("token", "last4"), [("tok_visa", "4242"), ("card_token_abc123", "1234")])
def test_a_good_card_is_authorized_and_captured(
    simulator: Simulator, authorize: Call, capture: Call, token: str, last4: str
) -> None:
    status, authorized = authorize(card=token)
    assert status == 201
    assert authorized.pop("created_at")
    assert authorized == {
        "operation": "authorization",
        "reference": "pay_1:authorization",
        "idempotency_key": "a-1",
        "status": "approved",
        "charge": authorized["charge"],
        "amount": 1_000,
        "currency": "EUR",
        "payment_method": {"kind": "card", "brand": "visa", "last4": last4},
    }
    assert states(simulator) == [("authorized", 0)]

    status, captured = capture(authorized["charge"])
    assert (status, captured["operation"], captured["status"]) == (201, "capture", "approved")
    assert (captured["charge"], captured["amount"]) == (authorized["charge"], 1_000)
    assert states(simulator) == [("captured", 1_000)]


@pytest.mark.parametrize(
    ("token", "declined", "hardness"),
    [
        ("tok_insufficient_funds", "insufficient_funds", "soft"),
        ("tok_declined", "card_declined", "soft"),
        ("tok_expired_card", "expired_card", "hard"),
        ("tok_fraudulent", "fraudulent", "hard"),
        ("tok_nobody_knows", "invalid_payment_method", "hard"),
    ],
)
def test_a_bad_card_is_declined_and_leaves_no_charge(
    simulator: Simulator, authorize: Call, token: str, declined: str, hardness: str
) -> None:
    status, answer = authorize(card=token)
    assert (status, answer["status"], answer["charge"]) == (402, "declined", None)
    assert (answer["error"]["code"], answer["error"]["hardness"]) == (declined, hardness)
    assert answer["error"]["message"]
    assert charges(simulator, "pay_1") == []
    books = simulator.service.books
    stored = books._client.scan(TableName=books._table)["Items"]
    assert sorted(item["book"]["S"] for item in stored) == ["key#a-1", "order#pay_1"]


def test_a_capture_that_fails_leaves_the_charge_to_be_voided(
    simulator: Simulator, authorize: Call, capture: Call, void: Call
) -> None:
    _, authorized = authorize(card="tok_capture_fails")
    declined = capture(authorized["charge"])
    assert code(declined) == (402, "capture_failed")
    assert declined[1]["error"]["hardness"] == "hard"
    assert states(simulator) == [("authorized", 0)]
    assert void(authorized["charge"])[0] == 201
    assert states(simulator) == [("voided", 0)]
    assert code(capture(authorized["charge"], "c-2")) == (409, "charge_voided")


def test_every_operation_gets_into_every_trouble() -> None:
    troubled = {f"{prefix}_{trouble}" for prefix in PREFIXES.values() for trouble in TROUBLES}
    assert len(troubled) == len(Kind) * len(TROUBLES)
    assert TOKENS.keys() == CARDS.keys() | troubled


def test_every_token_is_in_the_documentation() -> None:
    page = (ROOT / "docs" / "simulator.md").read_text(encoding="utf-8")
    assert set(re.findall(r"`((?:tok|card_token)_\w+)`", page)) == TOKENS.keys()


def test_every_token_is_told_apart_by_its_last_digits() -> None:
    assert len({token.last4 for token in TOKENS.values()}) == len(TOKENS)


# Trouble. What becomes of it in the engine is told by the tests of its adapter.


@pytest.fixture
def posted(simulator: Simulator) -> Callable[..., dict[str, Any]]:
    """Posts an authorization and gives the gateway's answer as it is."""

    def posted(card: str, key: str, reference: str = "pay_1:authorization") -> dict[str, Any]:
        wanted = {"amount": 1_000, "currency": "EUR", "payment_method": card}
        headers = {"Authorization": f"Bearer {SECRET}", "Idempotency-Key": key}
        body = json.dumps({**wanted, "reference": reference})
        return simulator(gateway_event("POST", AUTHORIZATIONS, body, headers))

    return posted


Posted = Callable[..., dict[str, Any]]


def test_a_lost_answer_leaves_a_charge_and_is_given_to_who_repeats_its_key(
    simulator: Simulator, posted: Posted
) -> None:
    lost = posted("tok_timeout_then_success", "a-1")
    assert (lost["statusCode"], lost["body"]) == (504, "")
    assert states(simulator) == [("authorized", 0)], "the charges of an order never lag"
    again = posted("tok_timeout_then_success", "a-1")
    assert again["statusCode"] == 201
    assert again["headers"]["Idempotent-Replayed"] == "true"
    assert states(simulator) == [("authorized", 0)]
    assert posted("tok_timeout_then_success", "a-2")["statusCode"] == 504
    assert states(simulator) == [("authorized", 0)] * 2, "who asks under two keys pays twice"


def test_what_is_refused_is_never_lost(
    simulator: Simulator, authorize: Call, capture: Call, void: Call
) -> None:
    charge = authorize(card="tok_capture_timeout_then_success")[1]["charge"]
    assert code(capture(charge, "c-1", amount=1_001)) == (422, "amount_exceeds_authorization")
    assert void(charge)[0] == 201
    assert code(capture(charge, "c-1")) == (409, "charge_voided")
    assert states(simulator) == [("voided", 0)]


def test_a_lost_request_leaves_nothing_in_the_books(simulator: Simulator, posted: Posted) -> None:
    lost = posted("tok_timeout_then_nothing", "a-1")
    assert (lost["statusCode"], lost["body"]) == (504, "")
    books = simulator.service.books
    assert books._client.scan(TableName=books._table)["Items"] == []


def test_who_is_turned_away_hears_that_nothing_was_done(
    simulator: Simulator, posted: Posted
) -> None:
    limited = posted("tok_rate_limited", "a-1")
    assert code(answered(limited)) == (429, "not_attempted")
    assert limited["headers"]["Retry-After"] == "1"
    unavailable = posted("tok_unavailable", "a-2")
    assert code(answered(unavailable)) == (503, "not_attempted")
    assert "Retry-After" not in unavailable["headers"]
    assert charges(simulator, "pay_1") == []


def test_to_be_turned_away_binds_no_key(simulator: Simulator, posted: Posted) -> None:
    assert posted("tok_rate_limited", "a-1")["statusCode"] == 429
    assert posted("tok_rate_limited", "a-1")["statusCode"] == 201
    assert states(simulator) == [("authorized", 0)]


def test_every_reference_is_turned_away_on_its_own(posted: Posted) -> None:
    statuses = [
        posted("tok_unavailable_twice", f"{reference}:{key}", reference)["statusCode"]
        for key in ("1", "2", "3")
        for reference in ("pay_1:authorization", "pay_2:authorization")
    ]
    assert statuses == [503, 503, 503, 503, 201, 201]


# Keys.


@pytest.mark.parametrize("token", ["tok_visa", "tok_declined"])
def test_the_same_key_answers_the_same_again(
    simulator: Simulator, authorize: Call, token: str
) -> None:
    first = authorize(card=token)
    assert authorize(card=token) == first
    operations = get(simulator, "/v1/operations?reference=pay_1%3Aauthorization")[1]["operations"]
    assert operations == [first[1]]


def test_a_replay_says_so(simulator: Simulator) -> None:
    body = {"amount": 1, "currency": "EUR", "payment_method": "tok_visa", "reference": "pay_1:a"}
    headers = {"Authorization": f"Bearer {SECRET}", "Idempotency-Key": "a-1"}
    event = gateway_event("POST", AUTHORIZATIONS, json.dumps(body), headers)
    assert "Idempotent-Replayed" not in simulator(event)["headers"]
    assert simulator(event)["headers"]["Idempotent-Replayed"] == "true"


def test_captures_and_voids_are_replayed_from_their_keys_too(
    simulator: Simulator, authorize: Call, capture: Call, void: Call
) -> None:
    taken, let_go = authorize("a-1")[1]["charge"], authorize("a-2")[1]["charge"]
    captured, voided = capture(taken), void(let_go)
    assert (capture(taken), void(let_go)) == (captured, voided)
    assert sorted(states(simulator)) == [("captured", 1_000), ("voided", 0)]


def test_a_key_is_bound_to_its_request(simulator: Simulator, post: Call, authorize: Call) -> None:
    charge = authorize("key")[1]["charge"]
    reused = (422, "idempotency_key_reused")
    assert code(authorize("key", card="card_token_abc123")) == reused
    assert code(authorize("key", reference="pay_2:authorization")) == reused
    path = f"{AUTHORIZATIONS}/{charge}/void"
    assert code(post(path, "key", reference="pay_1:void")) == reused
    assert states(simulator) == [("authorized", 0)]
    assert charges(simulator, "pay_2") == []


def test_a_key_is_bound_to_its_charge(simulator: Simulator, authorize: Call, capture: Call) -> None:
    first, second = authorize("a-1")[1]["charge"], authorize("a-2")[1]["charge"]
    assert capture(first, "key")[0] == 201
    assert code(capture(second, "key")) == (422, "idempotency_key_reused")
    assert sorted(states(simulator)) == [("authorized", 0), ("captured", 1_000)]


def test_a_refusal_is_not_bound_to_its_key(
    simulator: Simulator, authorize: Call, capture: Call
) -> None:
    charge = authorize()[1]["charge"]
    assert capture(charge, "c-1", amount=1_001)[0] == 422
    assert capture(charge, "c-1", amount=1_000)[0] == 201


def test_two_keys_for_one_reference_are_two_charges(simulator: Simulator, authorize: Call) -> None:
    first, second = authorize("a-1")[1]["charge"], authorize("a-2")[1]["charge"]
    assert first != second
    assert {charge["charge"] for charge in charges(simulator, "pay_1")} == {first, second}
    found = get(simulator, "/v1/operations?reference=pay_1:authorization")[1]["operations"]
    assert [operation["idempotency_key"] for operation in found] == ["a-1", "a-2"]


# Caps.


def test_nothing_is_captured_twice(simulator: Simulator, authorize: Call, capture: Call) -> None:
    charge = authorize()[1]["charge"]
    assert capture(charge, "c-1", amount=400)[0] == 201
    assert code(capture(charge, "c-2", amount=400)) == (409, "charge_captured")
    assert states(simulator) == [("captured", 400)]


def test_at_most_the_authorized_amount_is_captured(
    simulator: Simulator, authorize: Call, capture: Call
) -> None:
    charge = authorize()[1]["charge"]
    assert code(capture(charge, amount=1_001)) == (422, "amount_exceeds_authorization")
    assert states(simulator) == [("authorized", 0)]


def test_what_is_captured_cannot_be_voided(
    simulator: Simulator, authorize: Call, capture: Call, void: Call
) -> None:
    charge = authorize()[1]["charge"]
    capture(charge)
    assert code(void(charge)) == (409, "charge_captured")
    assert states(simulator) == [("captured", 1_000)]


def test_what_is_voided_cannot_be_captured_or_voided_again(
    simulator: Simulator, authorize: Call, capture: Call, void: Call
) -> None:
    charge = authorize()[1]["charge"]
    assert void(charge)[0] == 201
    assert code(capture(charge)) == (409, "charge_voided")
    assert code(void(charge, "v-2")) == (409, "charge_voided")
    assert states(simulator) == [("voided", 0)]


def test_the_caps_hold_in_the_write_itself(simulator: Simulator, authorize: Call) -> None:
    """As if two requests had both read the charge while it was still only authorized."""
    charge = authorize()[1]["charge"]
    books = simulator.service.books

    def operation(kind: Kind, key: str) -> Operation:
        return Operation(
            kind=kind,
            reference=f"pay_1:{kind}",
            idempotency_key=key,
            fingerprint=key,
            amount=600,
            currency="EUR",
            charge=charge,
            brand="visa",
            last4="4242",
            decline=None,
            created_at="2026-11-21T12:00:00.000+00:00",
        )

    assert isinstance(books.capture(operation(Kind.CAPTURE, "c-1")), Done)
    assert books.capture(operation(Kind.CAPTURE, "c-2")) is Refusal.CHARGE_CAPTURED
    assert books.void(operation(Kind.VOID, "v-1")) is Refusal.CHARGE_CAPTURED
    kinds = [operation.kind for operation in books.operations("pay_1")]
    assert sorted(kinds) == [Kind.AUTHORIZATION, Kind.CAPTURE]


def test_an_unknown_charge_is_not_found(capture: Call, void: Call) -> None:
    assert code(capture("ch_nobody")) == (404, "charge_not_found")
    assert code(void("ch_nobody")) == (404, "charge_not_found")


# Look-ups.


def test_operations_are_found_by_reference_and_by_no_other(
    simulator: Simulator, authorize: Call
) -> None:
    authorize("a-1", reference="pay_1:authorization")
    authorize("a-2", reference="pay_1:authorization:again", card="tok_declined")
    status, found = get(simulator, "/v1/operations?reference=pay_1:authorization")
    assert status == 200
    assert [operation["idempotency_key"] for operation in found["operations"]] == ["a-1"]
    unheard = get(simulator, "/v1/operations?reference=pay_1")
    assert code(unheard) == (404, "operation_not_found")


def test_an_order_without_charges_has_none(simulator: Simulator) -> None:
    assert get(simulator, "/v1/charges?order=pay_9") == (200, {"charges": []})


@pytest.mark.parametrize("target", ["/v1/operations", "/v1/operations?order=x", "/v1/charges"])
def test_a_look_up_names_what_it_looks_for(simulator: Simulator, target: str) -> None:
    assert code(get(simulator, target)) == (400, "invalid_request")


# Requests that are wrong in themselves.


@pytest.mark.parametrize("headers", [None, {}, {"Authorization": "Bearer guess"}])
@pytest.mark.parametrize("path", [AUTHORIZATIONS, "/v1/nowhere"])
def test_without_the_secret_nothing_is_answered(
    simulator: Simulator, headers: dict[str, str] | None, path: str
) -> None:
    body = {"amount": 1, "currency": "EUR", "payment_method": "tok_visa", "reference": "pay_1:a"}
    headers = headers and headers | {"Idempotency-Key": "a-1"}
    answer = answered(simulator(gateway_event("POST", path, json.dumps(body), headers)))
    assert code(answer) == (401, "unauthorized")
    assert charges(simulator, "pay_1") == []


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/v1/nowhere"), ("DELETE", AUTHORIZATIONS), ("GET", f"{AUTHORIZATIONS}/ch_1/void")],
)
def test_an_unknown_route_is_not_found(simulator: Simulator, method: str, path: str) -> None:
    headers = {"Authorization": f"Bearer {SECRET}"}
    answer = answered(simulator(gateway_event(method, path, headers=headers)))
    assert code(answer) == (404, "route_not_found")


@pytest.mark.parametrize("body", [None, "", "{", "[]", '"tok_visa"', "[" * 100_000, "\x00"])
def test_a_body_that_is_no_json_object_is_refused(simulator: Simulator, body: str | None) -> None:
    headers = {"Authorization": f"Bearer {SECRET}", "Idempotency-Key": "a-1"}
    answer = answered(simulator(gateway_event("POST", AUTHORIZATIONS, body, headers)))
    assert code(answer) == (400, "invalid_json")


def test_a_body_in_base_64_is_read(simulator: Simulator) -> None:
    body = {"amount": 1, "currency": "EUR", "payment_method": "tok_visa", "reference": "pay_1:a"}
    encoded = base64.b64encode(json.dumps(body).encode()).decode()
    headers = {"Authorization": f"Bearer {SECRET}", "Idempotency-Key": "a-1"}
    event = gateway_event("POST", AUTHORIZATIONS, encoded, headers) | {"isBase64Encoded": True}
    assert simulator(event)["statusCode"] == 201


@pytest.mark.parametrize(
    ("changed", "param"),
    [
        ({"amount": 0}, "amount"),
        ({"amount": -1}, "amount"),
        ({"amount": 10.5}, "amount"),
        ({"amount": "1000"}, "amount"),
        ({"amount": True}, "amount"),
        ({"amount": None}, "amount"),
        ({"amount": 10**12}, "amount"),
        ({"currency": "eur"}, "currency"),
        ({"currency": "EURO"}, "currency"),
        ({"payment_method": ""}, "payment_method"),
        ({"payment_method": 4242}, "payment_method"),
        ({"reference": "two words"}, "reference"),
        ({"reference": "r" * 256}, "reference"),
        ({"tip": 5}, "tip"),
    ],
)
def test_a_wrong_field_is_named(
    simulator: Simulator, post: Call, changed: dict[str, object], param: str
) -> None:
    body: dict[str, object] = {
        "amount": 1_000,
        "currency": "EUR",
        "payment_method": "tok_visa",
        "reference": "pay_1:authorization",
    }
    answer = post(AUTHORIZATIONS, "a-1", **{**body, **changed})
    assert (*code(answer), answer[1]["error"]["param"]) == (400, "invalid_request", param)
    assert charges(simulator, "pay_1") == []


@pytest.mark.parametrize("key", [None, "", "two words", "k" * 256])
def test_a_post_needs_an_idempotency_key(post: Call, key: str | None) -> None:
    body = {"amount": 1, "currency": "EUR", "payment_method": "tok_visa", "reference": "pay_1:a"}
    answer = post(AUTHORIZATIONS, key, **body)
    assert code(answer) == (400, "invalid_request")
    assert answer[1]["error"]["param"] == "Idempotency-Key"


# The table under pressure.


class Pressed:
    """A client whose transactions meet these errors before one gets through, and whose queries
    answer item by item."""

    def __init__(self, client: Any, *errors: dict[str, Any]) -> None:
        self._client, self.errors = client, list(errors)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def transact_write_items(self, **request: Any) -> Any:
        if not self.errors:
            return self._client.transact_write_items(**request)
        response: Any = self.errors.pop(0)
        raise ClientError(response, "TransactWriteItems")

    def query(self, **request: Any) -> Any:
        return self._client.query(**request, Limit=1)


def canceled(*reasons: str) -> dict[str, Any]:
    error = {"Code": "TransactionCanceledException", "Message": ""}
    return {"Error": error, "CancellationReasons": [{"Code": reason} for reason in reasons]}


def failed(code: str) -> dict[str, Any]:
    return {"Error": {"Code": code, "Message": ""}}


CONFLICT = canceled("TransactionConflict", "None", "None")
CONFLICT_AND_CAPTURED = canceled("TransactionConflict", "None", "ConditionalCheckFailed")
IN_PROGRESS = failed("TransactionInProgressException")
ASKED = Asked(reference="pay_1:capture", idempotency_key="c-1", fingerprint="same")


def pressed(simulator: Simulator, *errors: dict[str, Any]) -> Service:
    books = simulator.service.books
    client: Any = Pressed(books._client, *errors)
    return Service(Books(client, books._table, pause=lambda _: None), SystemClock())


def test_a_conflict_is_tried_again(simulator: Simulator, authorize: Call) -> None:
    charge = authorize()[1]["charge"]
    done = pressed(simulator, CONFLICT, IN_PROGRESS, CONFLICT).capture(ASKED, charge, 1_000)
    assert isinstance(done, Done)
    assert not done.replayed
    assert states(simulator) == [("captured", 1_000)]


def test_a_conflict_with_the_same_key_ends_in_its_answer(
    simulator: Simulator, authorize: Call
) -> None:
    """Another request with this key has just captured the charge: that is this key's answer."""
    charge = authorize()[1]["charge"]
    first = simulator.service.capture(ASKED, charge, 1_000)
    again = pressed(simulator, CONFLICT_AND_CAPTURED).capture(ASKED, charge, 1_000)
    assert isinstance(first, Done)
    assert again == Done(first.operation, replayed=True)


def test_a_conflict_without_end_is_in_flight_and_writes_nothing(
    simulator: Simulator, authorize: Call
) -> None:
    charge = authorize()[1]["charge"]
    service = pressed(simulator, *[CONFLICT] * 99)
    assert service.capture(ASKED, charge, 1_000) is Refusal.IN_FLIGHT
    assert states(simulator) == [("authorized", 0)]
    headers = {"Authorization": f"Bearer {SECRET}", "Idempotency-Key": "c-1"}
    body = json.dumps({"amount": 1_000, "reference": "pay_1:capture"})
    event = gateway_event("POST", f"{AUTHORIZATIONS}/{charge}/capture", body, headers)
    assert code(answered(Simulator(service, SECRET)(event))) == (409, "in_flight")


def test_a_table_that_fails_is_not_answered_for(simulator: Simulator, authorize: Call) -> None:
    """The function fails, the gateway answers 5xx, and the caller knows that it does not know."""
    charge = authorize()[1]["charge"]
    service = pressed(simulator, failed("InternalServerError"))
    with pytest.raises(ClientError, match="InternalServerError"):
        service.capture(ASKED, charge, 1_000)


def test_books_longer_than_a_page_are_read_to_their_end(
    simulator: Simulator, authorize: Call
) -> None:
    opened = [authorize(key)[1]["charge"] for key in ("a-1", "a-2", "a-3")]
    service = pressed(simulator)
    assert [charge.charge_id for charge in service.charges("pay_1")] == opened
    assert len(service.operations("pay_1:authorization")) == 3


# The function as it is deployed.


def test_the_function_finds_its_table_and_secret(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with mock_aws():
        table = make_table(boto3.client("dynamodb"), "SimulatorTable", "deployed")
        boto3.client("secretsmanager").create_secret(Name="sesame", SecretString=SECRET)
        monkeypatch.setenv("SIMULATOR_TABLE", table)
        monkeypatch.setenv("SIMULATOR_SECRET_ID", "sesame")
        module._simulator.cache_clear()
        headers = {"Authorization": f"Bearer {SECRET}", "Idempotency-Key": "a-1"}
        body = {"amount": 7, "currency": "EUR", "payment_method": "tok_visa", "reference": "p:a"}
        event = gateway_event("POST", AUTHORIZATIONS, json.dumps(body), headers)
        assert module.handler(event, None)["statusCode"] == 201
        module._simulator.cache_clear()
    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line)["reference"] == "p:a"
    assert SECRET not in line
    assert "tok_visa" not in line


def test_the_gateway_has_exactly_the_routes_of_the_function() -> None:
    function = yaml_parse((ROOT / "template.yaml").read_text())["Resources"]["SimulatorFunction"]
    deployed = {
        (event["Properties"]["Method"], event["Properties"]["Path"])
        for event in function["Properties"]["Events"].values()
    }
    assert deployed == set(ROUTES)
