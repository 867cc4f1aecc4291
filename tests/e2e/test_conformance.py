"""The deployed API answers as the document says that it serves, whatever it is asked."""

from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from schemathesis import GenerationMode

from infra.api_document import operations
from infra.api_page import rendered
from infra.client import Client, Json
from infra.local import Stack
from tests.functions.document import SERVED
from tests.support.conformance import CHECKS, blended, examples, modes, schema_of

pytestmark = pytest.mark.parametrize("stack", ["plain"], indirect=True)
"""What conflicts and throttling do to money is asked elsewhere."""

SCHEMA: Final = schema_of(SERVED)
EXAMPLES: Final = 6
"""Of an operation, about a minute in all. Many more are asked in tests/functions."""
CALLS: Final = {f"{method} {path}": operation for method, path, operation in operations(SERVED)}
CLOSED: Final = [call for call, operation in CALLS.items() if operation.get("security") != []]


@pytest.fixture
def client(stack: Stack) -> Client:
    return Client.of(stack)


@pytest.fixture(scope="module")
def things(stack: Stack) -> Json:
    """What a request may name, by the name of its parameter or field."""
    client = Client.of(stack)
    rich, seller = client.seller(), client.seller()
    body = {"amount": 100_000, "currency": "EUR", "payment_method": "tok_visa"}
    paid = client.created("/payments", body | {"recipient": rich})["payment_id"]
    client.ended(paid)
    client.wallet_with(rich, 97_000)
    parts = [{"recipient": seller, "amount": 100}]
    hold = client.created("/holds", {"account": rich, "currency": "EUR", "parts": parts})
    return {
        "payment_id": paid,
        "account_id": rich,
        "hold_id": hold["hold_id"],
        "account": rich,
        "recipient": seller,
        "parts": parts,
    }


def test_the_document_is_served(client: Client) -> None:
    answer = client.send("GET", "/openapi.json", headers={"Authorization": ""})
    assert (answer.status, answer.body) == (200, SERVED)


def test_the_page_is_served_with_its_policy(client: Client) -> None:
    answer = client.send("GET", "/docs", headers={"Authorization": ""})
    page = rendered(SERVED)
    assert (answer.status, answer.raw.decode()) == (200, page.html)
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["content-security-policy"] == page.policy


def asked_with(client: Client, call: str, authorization: str) -> int:
    method, path = call.split()
    headers = {"Authorization": authorization, "Idempotency-Key": "stranger"}
    return client.send(method, path, b"{}", headers).status


@pytest.mark.parametrize("call", CLOSED)
def test_nothing_else_is_open_without_a_key(client: Client, call: str) -> None:
    assert asked_with(client, call, "") == 401


@pytest.mark.parametrize("call", ["POST /payments", "GET /payments/{payment_id}"])
def test_nothing_else_is_open_to_a_key_of_nobody(client: Client, call: str) -> None:
    """All calls have one authorizer; each unknown key costs the local stack a cold start."""
    assert asked_with(client, call, "Bearer sk_test_of_nobody") == 401


@pytest.mark.parametrize(
    ("call", "mode"),
    [
        pytest.param(call, mode, id=f"{call} {mode.value}")
        for call in CALLS
        for mode in modes(SCHEMA[call.split()[1]][call.split()[0]])
    ],
)
def test_whatever_is_asked_is_answered_as_documented(
    stack: Stack, client: Client, things: Json, call: str, mode: GenerationMode
) -> None:
    method, path = call.split()
    content = CALLS[call].get("requestBody", {}).get("content", {})
    body = content.get("application/json", {}).get("example", {})

    @examples(EXAMPLES)
    @given(SCHEMA[path][method].as_strategy(mode), st.data())
    def check(case: Any, data: st.DataObject) -> None:
        good = {name: things.get(name, value) for name, value in body.items()}
        blended(case, data, path=named(things, case.path_parameters), query={}, body=good)
        case.headers["Authorization"] = f"Bearer {client.api_key}"
        case.validate_response(case.call(base_url=stack.api_url), checks=CHECKS)

    check()


def named(things: Json, parameters: Any) -> dict[str, str]:
    return {name: things[name] for name in parameters or {} if name in things}
