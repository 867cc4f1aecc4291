"""What holds for every route: who may ask, what is logged, and what an error looks like."""

import json
from typing import Any

import pytest

from api.routes import ROUTES, handle
from florin.domain.history import History
from tests.functions.world import POST, Counting, World, got, payment_body, posted, sample


@pytest.fixture
def world() -> World:
    return World()


def test_the_document_needs_no_key(world: World) -> None:
    event = got("/openapi.json", "")
    event["requestContext"]["authorizer"] = None
    reply = world.send(event)
    assert (reply.status, reply.body) == (200, {"openapi": "3.1.1"})


def test_the_page_needs_no_key_and_comes_with_its_policy(world: World) -> None:
    event = got("/docs", "")
    event["requestContext"]["authorizer"] = None
    answer = handle(event, world.app)
    assert (answer["statusCode"], answer["body"]) == (200, world.app.page().html)
    assert answer["headers"] == {
        "Content-Type": "text/html; charset=utf-8",
        "Content-Security-Policy": world.app.page().policy,
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
        "X-Request-Id": event["requestContext"]["requestId"],
    }


@pytest.mark.parametrize("route", [name for name, route in ROUTES.items() if not route.public])
@pytest.mark.parametrize("authorizer", [None, {}, {"tenant_id": ""}])
def test_every_other_route_needs_a_tenant(world: World, route: str, authorizer: Any) -> None:
    method, resource = route.split()
    event = posted(resource, "{}") if method == "POST" else got(resource, "pay_1")
    event["requestContext"]["authorizer"] = authorizer
    assert world.send(event).refusal == (401, "unauthenticated", None)


@pytest.mark.parametrize(
    ("method", "resource"),
    [
        ("DELETE", "/payments"),
        ("PUT", "/payments/{payment_id}"),
        ("POST", "/payments/{payment_id}/dispute"),
        ("GET", "/"),
    ],
)
def test_what_is_not_there_is_not_found(world: World, method: str, resource: str) -> None:
    event = got("/payments/{payment_id}", "pay_1") | {"httpMethod": method, "resource": resource}
    answer = handle(event, world.app)
    assert answer["statusCode"] == 404
    assert json.loads(answer["body"])["error"]["code"] == "route_not_found"


@pytest.mark.parametrize(
    "event",
    [
        {},
        {"requestContext": None, "headers": None},
        {"httpMethod": "POST", "resource": "/payments"},
    ],
)
def test_an_event_of_nobody_is_answered(world: World, event: dict[str, Any]) -> None:
    assert handle(event, world.app)["statusCode"] in {401, 404}


def test_an_error_has_one_body(world: World) -> None:
    reply = world.get("/payments/{payment_id}", "pay_1")
    assert reply.text == (
        '{"error":{"type":"not_found","code":"payment_not_found",'
        '"message":"There is no such payment.","param":null,"transient":false,'
        '"request_id":"7e1cb3e9-20ad-4a4f-8b1d-6b6f9d2c8a21"}}'
    )


class Broken(Counting):
    def read(self, stream: str) -> History:
        raise RuntimeError(f"secret of {stream}")


def test_what_nobody_expected_is_told_to_the_log_alone(
    capsys: pytest.CaptureFixture[str],
) -> None:
    world = World(store=Broken())
    reply = world.get("/payments/{payment_id}", "pay_01JZ8QB2S5E0GZ4Y1KXAM9V7TD")
    assert reply.refusal == (500, "internal", None)
    assert "secret" not in reply.text
    failure, request = map(json.loads, capsys.readouterr().out.splitlines())
    assert (failure["level"], failure["kind"]) == ("ERROR", "unexpected")
    assert failure["cause"] == "RuntimeError"
    assert any(place.startswith("api.payments._told:") for place in failure["at"])
    assert failure["request_id"] == request["request_id"] == reply.error["request_id"]
    assert "secret" not in json.dumps(failure)


def test_a_request_is_one_line_of_the_log(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    seller = world.account()
    capsys.readouterr()
    body = payment_body(seller, description="Silk for Lorenzo", metadata={"note": "secret"})
    payment_id = world.post("/payments", body, "secret-key").body["payment_id"]
    (text,) = capsys.readouterr().out.splitlines()
    line = json.loads(text)
    assert 0 <= line.pop("duration_ms") < 10_000
    assert line == {
        "level": "INFO",
        "kind": "request",
        "request_id": POST["requestContext"]["requestId"],
        "tenant_id": "tn_florence",
        "route": "POST /payments",
        "status": 201,
        "payment_id": payment_id,
    }


@pytest.mark.parametrize(("named", "status"), [("someone@example", 404), ("4242424242424242", 400)])
def test_what_is_no_id_stays_out_of_the_log(
    world: World, capsys: pytest.CaptureFixture[str], named: str, status: int
) -> None:
    world.get("/payments/{payment_id}", named)
    line = json.loads(capsys.readouterr().out)
    assert (line["status"], line["payment_id"]) == (status, None)


def test_a_quiet_log_tells_errors_only(
    world: World, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOG_LEVEL", "ERROR")
    world.send(sample("get_payment"))
    assert capsys.readouterr().out == ""


@pytest.mark.usefixtures("fresh_wiring")
def test_the_function_makes_its_world_from_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in (
        "EVENTS",
        "IDEMPOTENCY",
        "ACCOUNTS",
        "VIEWS",
        "CONFIG",
        "DEAD_LETTERS",
        "VERIFICATIONS",
    ):
        monkeypatch.setenv(f"{name}_TABLE", name.lower())
    monkeypatch.setenv("PEPPER_SECRET_ID", "pepper")
    monkeypatch.setenv("FIELD_PEPPER_SECRET_ID", "pepper")
    monkeypatch.setenv("PAYMENT_MACHINE_ARN", "arn:payment")
    monkeypatch.setenv("FOLLOW_UP_MACHINE_ARN", "arn:follow-up")
    monkeypatch.setenv("VERIFIER_QUEUE_URL", "https://queue")
    # Imported here: the module makes its clients and wants the settings above.
    from api.handler import handler  # noqa: PLC0415

    event = posted("/payments", "{}", key=None)
    assert handler(event, None)["statusCode"] == 400
