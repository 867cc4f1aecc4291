"""Every route, by whatever may be wrong with a call of it, answers as documented.

The rows are made from the router and from one call of each route (tests/functions/route_calls.py);
a route without its call fails here. What comes back is compared with the served document on its
way out, so a status or code that is not documented for its route fails too.
"""

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import pytest

from api.routes import ROUTES, handle
from authorizer.keys import Authorizer
from florin.domain.keys import SCOPES, Scope
from florin.edge.pepper import Peppers
from florin.edge.requests import BODY_BYTES_MAX, NESTING_MAX
from tests.functions.document import SERVED
from tests.functions.route_calls import CALLS, LOOSE, OPEN, Call
from tests.functions.world import OTHER_TENANT, PEPPER, Json, Reply, World, got, posted
from tests.support.examples import NOON

OUR_ID: Final = re.compile(r"\b(pay|acct|hold|dl|key)_[0-9A-Z]{26}\b")
NEW_ID: Final = re.compile(r"\brdr_[0-9A-Z]{26}\b")
"""Of a redrive, which is made also where there is nothing to redrive."""
CARD: Final = "4242424242424242"
POSTS: Final = [route for route in CALLS if route.startswith("POST ")]
CLOSED: Final = [route for route in CALLS if route in ROUTES and not ROUTES[route].public]

Spoil = Callable[[Json], None]
"""Makes a call wrong."""


@pytest.fixture
def world() -> World:
    """Its caller may do everything."""
    return World(scopes=frozenset(Scope))


def spoiled(world: World, route: str, spoil: Spoil) -> Reply:
    """The answer to a route's first call with something wrong; nothing is written for it."""
    call = CALLS[route][0]
    event = call.event(route, call.ids(world))
    spoil(event)
    before = len(world.store.written), len(world.sagas.started)
    reply = world.send(event)
    assert (len(world.store.written), len(world.sagas.started)) == before
    return reply


# The rows are complete.


def test_every_route_has_its_calls() -> None:
    assert CALLS.keys() == ROUTES.keys()
    assert LOOSE.keys() <= CALLS.keys()


def places(call: Call) -> set[str]:
    return {re.sub(r"\.\d+", "", place) for place in call.names}


def documented_places(route: str) -> Iterator[str]:
    """Where the document shows an id of ours in a call."""
    method, path = route.split()
    operation = SERVED["paths"][path][method.lower()]
    for parameter in operation.get("parameters", ()):
        if OUR_ID.search(str(parameter["example"])):
            yield f"{parameter['in']}.{parameter['name']}"
    content = operation.get("requestBody", {}).get("content", {})
    yield from _places_in(content.get("application/json", {}).get("example"), "body")


def _places_in(value: object, path: str) -> Iterator[str]:
    match value:
        case dict():
            for name, inner in value.items():
                yield from _places_in(inner, f"{path}.{name}")
        case list():
            for inner in value:
                yield from _places_in(inner, path)
        case str() if OUR_ID.search(value):
            yield path


@pytest.mark.parametrize("route", ROUTES)
def test_every_place_of_an_id_has_its_row(route: str) -> None:
    """A place that no example shows is not found here: give it one, or a call."""
    named = set().union(*(places(call) for call in (*CALLS[route], *LOOSE.get(route, ()))))
    assert {*documented_places(route)} <= named
    assert {f"path.{name}" for name in re.findall(r"{(\w+)}", route)} <= named


# The call itself.


def calls(of: Mapping[str, tuple[Call, ...]]) -> Iterator[Any]:
    for route, found in of.items():
        for call in found:
            yield pytest.param(route, call, id=f"{route} {' '.join(call.names)}".strip())


@pytest.mark.parametrize(("route", "call"), list(calls(CALLS)))
def test_a_route_answers(world: World, route: str, call: Call) -> None:
    event = call.event(route, call.ids(world))
    if route == "GET /docs":  # the one answer that is no JSON
        assert handle(event, world.app)["statusCode"] == 200
        return
    reply = world.send(event)
    assert reply.status == (201 if route in POSTS else 200), reply


# By who calls, as the authorizer tells of it.

KNOWN: Final[Json] = got("/payments", "")["requestContext"]["authorizer"]
STRANGERS: Final[Mapping[str, tuple[Any, tuple[int, str]]]] = {
    "no key": (None, (401, "unauthenticated")),
    "a key of nobody": ({}, (401, "unauthenticated")),
    "a role and no tenant": ({"role": "operator"}, (401, "unauthenticated")),
    "a tenant without a name": ({"tenant_id": ""}, (401, "unauthenticated")),
    "a key that has ended": (KNOWN | {"expires_at": NOON.isoformat()}, (401, "unauthenticated")),
    "a wrong address": (KNOWN | {"addresses": "198.51.100.0/24"}, (403, "address_not_allowed")),
}


@pytest.mark.parametrize("route", CLOSED)
@pytest.mark.parametrize("stranger", STRANGERS)
def test_a_stranger_is_not_let_in(world: World, route: str, stranger: str) -> None:
    context, answer = STRANGERS[stranger]

    def spoil(event: Json) -> None:
        event["requestContext"]["authorizer"] = context

    assert spoiled(world, route, spoil).refusal == (*answer, None)


@pytest.mark.parametrize("route", [route for route in ROUTES if route not in CLOSED])
def test_who_asks_for_what_is_public_needs_no_key(world: World, route: str) -> None:
    event = CALLS[route][0].event(route, {})
    event["requestContext"]["authorizer"] = None
    assert handle(event, world.app)["statusCode"] == 200


@pytest.mark.parametrize("route", CLOSED)
def test_a_wrong_role_is_refused(world: World, route: str) -> None:
    """Also with every scope but the route's own."""
    call, scope = CALLS[route][0], ROUTES[route].scope
    assert scope is not None
    event, before = call.event(route, call.ids(world)), len(world.store.written)
    lacking = [role for role, scopes in SCOPES.items() if scope not in scopes]
    for scopes in (frozenset(Scope) - {scope}, *(SCOPES[role] for role in lacking)):
        world.scopes = scopes
        assert world.send(event).refusal == (403, "scope_missing", None)
    assert len(world.store.written) == before


@pytest.mark.parametrize("route", CLOSED)
def test_a_revoked_key_opens_nothing(world: World, route: str) -> None:
    """The authorizer is asked about every route with the key itself."""
    made = world.post("/api-keys", {"name": "till", "role": "admin"}).body
    door = Authorizer(
        keys=world.api_keys,
        config=world.app.config,
        peppers=Peppers(lambda stage: PEPPER, lambda: 0.0),
        clock=world.clock,
    )
    event = CALLS[route][0].event(route, dict.fromkeys(CALLS[route][0].names, "x"))
    event["methodArn"] = "arn:aws:execute-api:us-east-1:1:api/v1/" + route.replace(" /", "/")
    event["headers"] = {"Authorization": f"Bearer {made['secret']}"}
    event["multiValueHeaders"] = {"Authorization": [f"Bearer {made['secret']}"]}
    assert door.authorize(event)["context"]["key_id"] == made["api_key_id"]
    revoke = posted("/api-keys/{api_key_id}/revoke", "", "revoke")
    revoke["pathParameters"] = {"api_key_id": made["api_key_id"]}
    assert world.send(revoke).status == 201
    with pytest.raises(Exception, match=r"^Unauthorized$"):
        door.authorize(event)


# By what is malformed.

DEEP: Final = '{"a":' * NESTING_MAX + "{}" + "}" * NESTING_MAX
MALFORMED: Final[Mapping[str, tuple[str, tuple[int, str, str | None]]]] = {
    "half an object": ("{", (400, "body_malformed", None)),
    "a list": ("[]", (400, "body_malformed", None)),
    "a text": ('"body"', (400, "body_malformed", None)),
    "null": ("null", (400, "body_malformed", None)),
    "a name twice": ('{"a":1,"a":2}', (400, "body_malformed", None)),
    "no number": ('{"a":NaN}', (400, "body_malformed", None)),
    "half a character": ('{"a":"\\ud800"}', (400, "body_malformed", None)),
    "nested too deeply": (DEEP, (400, "body_malformed", None)),
    "something after it": ("{} {}", (400, "body_malformed", None)),
    "too large": (" " * (BODY_BYTES_MAX + 1), (413, "body_too_large", None)),
    "an unknown field": ('{"colour":"red"}', (400, "parameter_unknown", "colour")),
    "card data": (f'{{"colour":"{CARD}"}}', (400, "card_data", "colour")),
    "card data in a name": (f'{{"{CARD}":1}}', (400, "card_data", "body")),
}


@pytest.mark.parametrize("route", POSTS)
@pytest.mark.parametrize("what", MALFORMED)
def test_a_malformed_body_is_refused(world: World, route: str, what: str) -> None:
    text, answer = MALFORMED[what]

    def spoil(event: Json) -> None:
        event["body"] = text

    assert spoiled(world, route, spoil).refusal == answer


@pytest.mark.parametrize("route", POSTS)
def test_a_body_that_is_no_text_is_refused(world: World, route: str) -> None:
    def spoil(event: Json) -> None:
        event |= {"body": "/w==", "isBase64Encoded": True}

    assert spoiled(world, route, spoil).refusal == (400, "body_malformed", None)


def required_fields(route: str) -> list[str]:
    method, path = route.split()
    body = SERVED["paths"][path][method.lower()].get("requestBody", {})
    reference = (
        body.get("content", {}).get("application/json", {}).get("schema", {}).get("$ref", "")
    )
    schema = SERVED["components"]["schemas"].get(reference.rpartition("/")[2], {})
    required: list[str] = schema.get("required", [])
    return required


@pytest.mark.parametrize(
    ("route", "name"), [(route, name) for route in POSTS for name in required_fields(route)]
)
@pytest.mark.parametrize("value", ["missing", None, 1.5, ["x"], {"x": 1}])
def test_a_required_field_is_missed_and_judged(
    world: World, route: str, name: str, value: object
) -> None:
    def spoil(event: Json) -> None:
        body = json.loads(event["body"])
        if value == "missing":
            del body[name]
        else:
            body[name] = value
        event["body"] = json.dumps(body)

    status, code, param = spoiled(world, route, spoil).refusal
    assert status == 400
    assert code == ("parameter_missing" if value == "missing" else "parameter_invalid")
    assert param is not None
    assert param.split(".")[0] == name


QUERIES: Final[Mapping[str, tuple[Mapping[str, list[str]], tuple[int, str, str | None]]]] = {
    "an unknown parameter": ({"colour": ["red"]}, (400, "parameter_unknown", "colour")),
    "card data": ({"colour": [CARD]}, (400, "card_data", "colour")),
    "card data in a name": ({CARD: ["1"]}, (400, "card_data", "query")),
}


@pytest.mark.parametrize("route", CALLS)
@pytest.mark.parametrize("what", QUERIES)
def test_a_query_that_is_wrong_is_refused(world: World, route: str, what: str) -> None:
    query, answer = QUERIES[what]

    def spoil(event: Json) -> None:
        event["multiValueQueryStringParameters"] = query
        event["queryStringParameters"] = {name: values[-1] for name, values in query.items()}

    assert spoiled(world, route, spoil).refusal == answer


@pytest.mark.parametrize(
    ("route", "name"), [(route, name) for route in ROUTES for name in sorted(ROUTES[route].query)]
)
def test_a_parameter_that_comes_twice_is_refused(world: World, route: str, name: str) -> None:
    def spoil(event: Json) -> None:
        event["multiValueQueryStringParameters"] = {name: ["10", "10"]}
        event["queryStringParameters"] = {name: "10"}

    assert spoiled(world, route, spoil).refusal == (400, "parameter_invalid", name)


@pytest.mark.parametrize("route", CALLS)
def test_card_data_in_a_header_is_refused(world: World, route: str) -> None:
    def spoil(event: Json) -> None:
        event["headers"]["X-Note"] = CARD
        event["multiValueHeaders"]["X-Note"] = [CARD]

    assert spoiled(world, route, spoil).refusal == (400, "card_data", "x-note")


IN_PATHS: Final = [(route, name) for route in CALLS for name in re.findall(r"{(\w+)}", route)]


@pytest.mark.parametrize(("route", "name"), IN_PATHS)
@pytest.mark.parametrize("text", ["", "x", "pay_1", "pay_" + "0" * 25 + "!", "ü" * 30, "..%2F"])
def test_what_is_no_id_names_nothing(world: World, route: str, name: str, text: str) -> None:
    def spoil(event: Json) -> None:
        event["pathParameters"] = {name: text}

    status, code, param = spoiled(world, route, spoil).refusal
    assert (status, param) == (404, None)
    assert code.endswith("_not_found")


@pytest.mark.parametrize(("route", "name"), IN_PATHS)
def test_card_data_in_a_path_is_refused(world: World, route: str, name: str) -> None:
    def spoil(event: Json) -> None:
        event["pathParameters"] = {name: CARD}

    assert spoiled(world, route, spoil).refusal == (400, "card_data", name)


# By the idempotency key.

KEYS: Final[Mapping[str, tuple[list[str], tuple[int, str, str | None]]]] = {
    "none": ([], (400, "idempotency_key_missing", None)),
    "empty": ([""], (400, "idempotency_key_invalid", None)),
    "too long": (["x" * 256], (400, "idempotency_key_invalid", None)),
    "not ASCII": (["clé"], (400, "idempotency_key_invalid", None)),
    "two": (["a", "b"], (400, "idempotency_key_invalid", None)),
    "card data": ([CARD], (400, "card_data", "idempotency-key")),
}


@pytest.mark.parametrize("route", POSTS)
@pytest.mark.parametrize("what", KEYS)
def test_a_post_needs_one_good_idempotency_key(world: World, route: str, what: str) -> None:
    keys, answer = KEYS[what]

    def spoil(event: Json) -> None:
        for headers in (event["headers"], event["multiValueHeaders"]):
            del headers["Idempotency-Key"]
        if keys:
            event["headers"]["Idempotency-Key"] = keys[-1]
            event["multiValueHeaders"]["Idempotency-Key"] = keys

    assert spoiled(world, route, spoil).refusal == answer


@pytest.mark.parametrize("route", POSTS)
def test_a_key_of_another_route_is_refused(world: World, route: str) -> None:
    call = CALLS[route][0]
    event = call.event(route, call.ids(world), key="shared")
    other = "/accounts" if route != "POST /accounts" else "/ledger/verification"
    assert world.post(other, OPEN if other == "/accounts" else {}, "shared").status == 201
    assert world.send(event).refusal == (422, "idempotency_key_reused", "route")


# By ids of others. An answer about what is another tenant's is that about what does not exist.


class Watched:
    """A port that notes which of its calls are made."""

    def __init__(self, name: str, port: Any, made: Counter[str]) -> None:
        self._name, self._port, self._made = name, port, made

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._port, name)
        if not callable(found):
            return found

        def call(*arguments: Any, **named: Any) -> Any:
            self._made[f"{self._name}.{name}"] += 1
            return found(*arguments, **named)

        return call


PORTS: Final = (
    "store",
    "books",
    "accounts",
    "config",
    "sagas",
    "runs",
    "wakeups",
    "letters",
    "api_keys",
)


def watched(world: World, event: Json) -> tuple[Reply, Counter[str]]:
    """An answer, and how often each call of each port was made for it."""
    made: Counter[str] = Counter()
    before = world.app
    world.use(**{name: Watched(name, getattr(before, name), made) for name in PORTS})
    reply = world.send(event)
    world.app = before
    return reply, made


def named_rows(of: Mapping[str, tuple[Call, ...]]) -> Iterator[Any]:
    for route, found in of.items():
        for call in found:
            for place in call.names:
                names = " ".join(call.names)
                yield pytest.param(route, call, place, id=f"{route} {names}: {place}")


@pytest.mark.parametrize(("route", "call", "place"), [*named_rows(CALLS), *named_rows(LOOSE)])
def test_what_is_anothers_does_not_exist(world: World, route: str, call: Call, place: str) -> None:
    """The same bytes but for the id, and the same calls of the stores: time tells no more."""
    own = call.ids(world)
    foreign = call.names[place].make(world, OTHER_TENANT)
    unknown = call.names[place].unknown
    assert OUR_ID.match(foreign)
    assert OUR_ID.match(unknown)
    before = len(world.store.written), len(world.sagas.started)
    told = {}
    for named in (unknown, foreign):
        event = call.event(route, own | {place: named}, key=f"about {named}")
        reply, made = watched(world, event)
        text = NEW_ID.sub("a new id", reply.text.replace(named, "the id"))
        told[named] = reply.status, reply.headers, text, made
    assert told[foreign] == told[unknown]
    assert (len(world.store.written), len(world.sagas.started)) == before or reply.status == 201
    if place.startswith("path."):
        assert reply.status == 404


@pytest.mark.parametrize(("route", "call", "place"), list(named_rows(CALLS)))
def test_what_is_ones_own_is_found(world: World, route: str, call: Call, place: str) -> None:
    """So that the test above does not pass because nothing is ever looked for."""
    own, others = call.ids(world), call.ids(world, OTHER_TENANT)
    asked = [call.event(route, ids, key="own") for ids in (own, own | {place: others[place]})]
    (found, _), (missed, _) = (watched(world, event) for event in asked)
    assert found.status < 300
    assert (missed.status, missed.text) != (found.status, found.text)
