"""API keys by the API: shown once, never better than their maker, and refused with a line."""

import json
import re
from datetime import timedelta
from typing import Any

import pytest

from api.routes import ROUTES
from florin.adapters.memory_keys import MemoryKeys
from florin.domain.keys import SCOPES, ApiKey, Role, Scope
from florin.edge.pepper import key_hash
from tests.functions.world import OTHER_TENANT, PEPPER, Reply, World, got, posted
from tests.support.examples import NOON, TENANT

CREATOR = "key_01JZ8S2M4N6P8Q0R2T4V6W8X0Y"
"""The key that the sample events come with."""
READER = {"name": "export", "role": "read_only"}


@pytest.fixture
def world() -> World:
    return World()


def created(world: World, key: str = "k-1", **fields: Any) -> dict[str, Any]:
    reply = world.post("/api-keys", READER | fields, key)
    assert reply.status == 201, reply.text
    return reply.body


def change(world: World, key_id: str, what: str, body: object = None, key: str = "c-1") -> Reply:
    text = "" if body is None else json.dumps(body)
    event = posted(f"/api-keys/{{api_key_id}}/{what}", text, key)
    event |= {"path": f"/api-keys/{key_id}/{what}", "pathParameters": {"api_key_id": key_id}}
    return world.send(event)


def listed(world: World, tenant_id: str = TENANT, **query: str) -> Reply:
    event = got("/api-keys", "", tenant_id)
    event["queryStringParameters"] = query
    return world.send(event)


def shown(world: World, key_id: str, tenant_id: str = TENANT) -> Reply:
    return world.get("/api-keys/{api_key_id}", key_id, tenant_id)


def kept(world: World, key_id: str) -> ApiKey:
    key = world.api_keys.api_key(key_id)
    assert key is not None
    return key


def denials(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    return [line for line in lines if line["kind"] == "denied"]


# Making keys.


def test_a_key_is_made_and_only_its_hash_is_kept(world: World) -> None:
    body = created(world, allowed_addresses=["203.0.113.7", "2001:DB8::/32"], expires_in_s=60)
    key_id, secret = body["api_key_id"], body.pop("secret")
    assert re.fullmatch(r"key_[0-9A-HJKMNP-TV-Z]{26}", key_id)
    assert re.fullmatch(f"sk_test_{key_id[4:]}_[\\w-]{{32}}", secret)
    assert body == {
        "api_key_id": key_id,
        "name": "export",
        "mode": "test",
        "role": "read_only",
        "scopes": sorted(SCOPES[Role.READ_ONLY]),
        "allowed_addresses": ["203.0.113.7/32", "2001:db8::/32"],
        "created_at": "2026-11-21T12:00:00.000Z",
        "expires_at": "2026-11-21T12:01:00.000Z",
        "rolled_from": None,
        "rolled_from_until": None,
    }
    key = kept(world, key_id)
    assert key.secret_hash == key_hash(PEPPER, secret)
    assert (key.created_by, key.tenant_id) == (CREATOR, TENANT)
    assert secret not in str(world.api_keys.__dict__)


def test_the_mode_is_the_callers(world: World) -> None:
    event = posted("/api-keys", json.dumps(READER), "k-1")
    event["requestContext"]["authorizer"]["mode"] = "live"
    body = world.send(event).body
    assert (body["mode"], body["secret"][:8]) == ("live", "sk_live_")


def test_a_secret_is_shown_once(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    first = world.post("/api-keys", READER, "k-1")
    again = world.post("/api-keys", READER, "k-1")
    secret = first.body["secret"]
    assert "Idempotent-Replayed" not in first.headers
    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.body == first.body | {"secret": None}
    for reply in (shown(world, first.body["api_key_id"]), listed(world)):
        assert secret not in reply.text
        assert kept(world, first.body["api_key_id"]).secret_hash not in reply.text
    assert len(listed(world).body["data"]) == 1
    assert secret not in capsys.readouterr().out


def test_another_request_under_the_same_idempotency_key_is_refused(world: World) -> None:
    created(world)
    other = world.post("/api-keys", READER | {"role": "finance"}, "k-1")
    assert other.refusal == (422, "idempotency_key_reused", "role")


class Dying(MemoryKeys):
    """Dies before it keeps the next key."""

    dies = True

    def add(self, key: ApiKey, predecessor: ApiKey | None = None) -> bool:
        if self.dies:
            self.dies = False
            raise OSError("no table today")
        return super().add(key, predecessor)


def test_who_was_told_of_no_key_gets_one_by_trying_again(world: World) -> None:
    world.use(api_keys=Dying())
    assert world.post("/api-keys", READER, "k-1").status == 500
    again = world.post("/api-keys", READER, "k-1")
    assert again.status == 201
    assert again.body["secret"]
    assert "Idempotent-Replayed" not in again.headers
    assert world.post("/api-keys", READER, "k-1").body == again.body | {"secret": None}
    assert len(listed(world).body["data"]) == 1


class Overtaken(MemoryKeys):
    """Another request with the same idempotency key is always a little faster."""

    def add(self, key: ApiKey, predecessor: ApiKey | None = None) -> bool:
        super().add(key, predecessor)
        return False


def test_of_two_requests_at_once_one_gets_the_secret(world: World) -> None:
    world.use(api_keys=Overtaken())
    reply = world.post("/api-keys", READER, "k-1")
    assert (reply.status, reply.body["secret"]) == (201, None)


@pytest.mark.parametrize(
    ("body", "refusal"),
    [
        ({"name": "a"}, (400, "parameter_missing", "role,scopes")),
        ({"role": "admin"}, (400, "parameter_missing", "name")),
        (
            {"name": "a", "role": "finance", "scopes": ["ledger:read"]},
            (400, "parameter_invalid", "role,scopes"),
        ),
        ({"name": "a", "role": "root"}, (400, "parameter_invalid", "role")),
        ({"name": "a", "scopes": []}, (400, "parameter_invalid", "scopes")),
        ({"name": "a", "scopes": ["*"]}, (400, "parameter_invalid", "scopes")),
        ({"name": "", "role": "finance"}, (400, "parameter_invalid", "name")),
        (READER | {"expires_in_s": 0}, (400, "parameter_invalid", "expires_in_s")),
        (
            READER | {"allowed_addresses": ["203.0.113.0/24", "203.0.113.7/24"]},
            (400, "parameter_invalid", "allowed_addresses"),
        ),
        (READER | {"secret": "mine"}, (400, "parameter_unknown", "secret")),
    ],
)
def test_what_cannot_be_meant_is_refused(
    world: World, body: dict[str, Any], refusal: tuple[int, str, str]
) -> None:
    assert world.post("/api-keys", body).refusal == refusal
    assert listed(world).body["data"] == []


# Nobody makes more of a key than it is.


@pytest.mark.parametrize(
    ("holder", "wanted", "param"),
    [
        (SCOPES[Role.DEVELOPER], {"role": "admin"}, "role"),
        (SCOPES[Role.ADMIN], {"role": "operator"}, "role"),
        (SCOPES[Role.ADMIN], {"scopes": ["stack:operate"]}, "scopes"),
        (SCOPES[Role.ADMIN], {"scopes": ["ledger:read", "payments:resolve"]}, "scopes"),
        ({Scope.API_KEYS_WRITE}, {"scopes": ["payments:read"]}, "scopes"),
    ],
)
def test_key_scope_escalation_denied(
    world: World,
    holder: set[Scope],
    wanted: dict[str, Any],
    param: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    world.scopes = frozenset(holder)
    refused = world.post("/api-keys", {"name": "more"} | wanted)
    assert refused.refusal == (403, "scope_escalation", param)
    (line,) = denials(capsys)
    assert (line["code"], line["key_id"]) == ("scope_escalation", CREATOR)
    world.scopes = SCOPES[Role.ADMIN]
    assert listed(world).body["data"] == []
    world.scopes = frozenset(Scope)
    assert world.post("/api-keys", {"name": "more"} | wanted).status == 201, "it binds no key"


def test_less_than_what_one_has_can_be_given(world: World) -> None:
    world.scopes = frozenset({Scope.API_KEYS_WRITE, Scope.HOLDS_READ, Scope.LEDGER_READ})
    reply = world.post("/api-keys", {"name": "less", "scopes": ["ledger:read", "ledger:read"]})
    assert (reply.status, reply.body["scopes"]) == (201, ["ledger:read"])


@pytest.mark.parametrize(("what", "body"), [("roll", {"overlap_s": 0}), ("revoke", None)])
def test_a_better_key_can_be_neither_rolled_nor_revoked(
    world: World, what: str, body: dict[str, Any] | None
) -> None:
    """Its successor's secret would be in the hands of who may do less."""
    admin = created(world, role="admin")["api_key_id"]
    before = kept(world, admin)
    world.scopes = SCOPES[Role.DEVELOPER]
    assert change(world, admin, what, body).refusal == (403, "scope_escalation", None)
    assert kept(world, admin) == before


# Rolling.


def test_a_rolled_key_has_a_successor_and_lives_on_for_the_overlap(world: World) -> None:
    old = created(world, allowed_addresses=["203.0.113.0/24"], expires_in_s=7_200)
    world.clock.advance(timedelta(hours=1))
    reply = change(world, old["api_key_id"], "roll", {"overlap_s": 600})
    assert reply.status == 201
    new = reply.body
    assert new["secret"] not in (None, old["secret"])
    assert (new["rolled_from"], new["rolled_from_until"]) == (
        old["api_key_id"],
        "2026-11-21T13:10:00.000Z",
    )
    assert new["expires_at"] == "2026-11-21T15:00:00.000Z", "as long as the old one was made for"
    for same in ("name", "role", "scopes", "allowed_addresses", "mode"):
        assert new[same] == old[same]
    before = shown(world, old["api_key_id"]).body
    assert (before["status"], before["rolled_to"], before["expires_at"]) == (
        "active",
        new["api_key_id"],
        "2026-11-21T13:10:00.000Z",
    )
    world.clock.advance(timedelta(minutes=10))
    assert shown(world, old["api_key_id"]).body["status"] == "expired"
    assert shown(world, new["api_key_id"]).body["status"] == "active"


def test_a_roll_has_one_effect_and_shows_its_secret_once(world: World) -> None:
    old = created(world)["api_key_id"]
    first = change(world, old, "roll", {"overlap_s": 60})
    world.clock.advance(timedelta(seconds=30))
    again = change(world, old, "roll", {"overlap_s": 60})
    assert again.body == first.body | {"secret": None}
    assert again.headers["Idempotent-Replayed"] == "true"
    assert change(world, old, "roll", {"overlap_s": 0}).refusal == (
        422,
        "idempotency_key_reused",
        "overlap_s",
    )
    other = change(world, old, "roll", {"overlap_s": 60}, "c-2")
    assert other.refusal == (409, "api_key_not_active", None)
    assert len(listed(world).body["data"]) == 2


def test_a_roll_that_died_half_way_is_done_by_trying_again(world: World) -> None:
    old = created(world)["api_key_id"]
    dying = Dying(kept(world, old))
    world.use(api_keys=dying)
    assert change(world, old, "roll", {"overlap_s": 0}).status == 500
    before = dying.api_key(old)
    assert before is not None
    assert before.rolled_to is None
    again = change(world, old, "roll", {"overlap_s": 0})
    assert again.body["secret"]
    after = dying.api_key(old)
    assert after is not None
    assert after.rolled_to == again.body["api_key_id"]


class Moving(MemoryKeys):
    """Somebody changes the key, once, between its reader and its writer."""

    moves = True

    def add(self, key: ApiKey, predecessor: ApiKey | None = None) -> bool:
        self._move(predecessor)
        return super().add(key, predecessor)

    def change(self, key: ApiKey) -> bool:
        self._move(key)
        return super().change(key)

    def _move(self, key: ApiKey | None) -> None:
        if key is not None and self.moves:
            self.moves = False
            known = self.api_key(key.key_id)
            assert known is not None
            assert super().change(known)


@pytest.mark.parametrize(("what", "body"), [("roll", {"overlap_s": 0}), ("revoke", None)])
def test_a_key_that_changed_meanwhile_is_read_again(
    world: World, what: str, body: dict[str, Any] | None
) -> None:
    old = created(world)["api_key_id"]
    world.use(api_keys=Moving(kept(world, old)))
    assert change(world, old, what, body).status == 201
    assert shown(world, old).body["status"] != "active"


def test_a_revoked_key_is_not_rolled(world: World) -> None:
    key_id = created(world)["api_key_id"]
    change(world, key_id, "revoke")
    refused = change(world, key_id, "roll", {"overlap_s": 0}, "c-2")
    assert refused.refusal == (409, "api_key_not_active", None)


@pytest.mark.parametrize("overlap_s", [-1, 30 * 86_400 + 1, "1"])
def test_an_overlap_has_its_limits(world: World, overlap_s: object) -> None:
    key_id = created(world)["api_key_id"]
    refused = change(world, key_id, "roll", {"overlap_s": overlap_s})
    assert refused.refusal == (400, "parameter_invalid", "overlap_s")
    assert change(world, key_id, "roll", {}).refusal == (400, "parameter_missing", "overlap_s")


# Revoking.


def test_a_revoked_key_stays_revoked(world: World) -> None:
    key_id = created(world)["api_key_id"]
    first = change(world, key_id, "revoke")
    assert (first.status, first.body) == (
        201,
        {"api_key_id": key_id, "status": "revoked", "revoked_at": "2026-11-21T12:00:00.000Z"},
    )
    world.clock.advance(timedelta(hours=1))
    again = change(world, key_id, "revoke")
    assert (again.text, again.headers["Idempotent-Replayed"]) == (first.text, "true")
    other = change(world, key_id, "revoke", key="c-2")
    assert other.body == first.body
    body = shown(world, key_id).body
    assert (body["status"], body["revoked_at"]) == ("revoked", "2026-11-21T12:00:00.000Z")


# Reading.


def test_keys_are_listed_newest_first_in_pages(world: World) -> None:
    made = []
    for number in range(3):
        world.clock.advance(timedelta(seconds=1))
        made.append(created(world, f"k-{number}")["api_key_id"])
    first = listed(world, limit="2").body
    assert [key["api_key_id"] for key in first["data"]] == made[:0:-1]
    assert first["has_more"] is True
    second = listed(world, limit="2", starting_after=made[1]).body
    assert ([key["api_key_id"] for key in second["data"]], second["has_more"]) == ([made[0]], False)
    assert listed(world, starting_after="7").refusal == (400, "parameter_invalid", "starting_after")


def test_a_key_is_shown_with_its_last_use(world: World) -> None:
    key_id = created(world)["api_key_id"]
    assert shown(world, key_id).body["last_used_at"] is None
    world.api_keys.used(kept(world, key_id), NOON, "hash")
    body = shown(world, key_id).body
    assert (body["last_used_at"], body["created_by"]) == ("2026-11-21T12:00:00.000Z", CREATOR)


def test_another_tenants_key_is_not_there(world: World) -> None:
    key_id = created(world)["api_key_id"]
    missing = (404, "api_key_not_found", None)
    assert shown(world, key_id, OTHER_TENANT).refusal == missing
    assert shown(world, "key_00000000000000000000000000").refusal == missing
    assert shown(world, "7").refusal == missing
    assert listed(world, OTHER_TENANT).body == {"data": [], "has_more": False}
    for what, body in (("roll", {"overlap_s": 0}), ("revoke", None)):
        event = posted(
            f"/api-keys/{{api_key_id}}/{what}", json.dumps(body or {}), "k", OTHER_TENANT
        )
        event["pathParameters"] = {"api_key_id": key_id}
        assert world.send(event).refusal == missing


# What a key is refused.


def asked(world: World, **context: str) -> Reply:
    event = got("/payments", "")
    event["requestContext"]["authorizer"] |= context
    return world.send(event)


def test_key_ip_denied_logged(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    assert asked(world, addresses="198.51.100.0/24 203.0.113.0/24").status == 200
    assert denials(capsys) == []
    refused = asked(world, addresses="198.51.100.0/24 203.0.113.8/29 2001:db8::/32")
    assert refused.refusal == (403, "address_not_allowed", None)
    (line,) = denials(capsys)
    assert line == {
        "level": "ERROR",
        "kind": "denied",
        "request_id": got("/payments", "")["requestContext"]["requestId"],
        "tenant_id": TENANT,
        "key_id": CREATOR,
        "address": "203.0.113.7",
        "route": "GET /payments",
        "code": "address_not_allowed",
    }


def test_a_denial_is_logged_in_a_quiet_log_too(
    world: World, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOG_LEVEL", "ERROR")
    asked(world, addresses="198.51.100.0/24")
    assert "sk_test_" not in (out := capsys.readouterr().out)
    assert json.loads(out)["kind"] == "denied"


def test_the_gateway_may_remember_a_key_for_longer_than_it_lives(world: World) -> None:
    end = (NOON + timedelta(minutes=1)).isoformat()
    assert asked(world, expires_at=end).status == 200
    world.clock.advance(timedelta(minutes=1))
    assert asked(world, expires_at=end).refusal == (401, "unauthenticated", None)


@pytest.mark.parametrize("route", [route for route in ROUTES if not ROUTES[route].public])
def test_a_route_is_closed_to_whoever_lacks_its_scope(world: World, route: str) -> None:
    needed = ROUTES[route].scope
    assert needed is not None
    method, resource = route.split(" ")
    event = posted(resource, "{}", "k") if method == "POST" else got(resource, "7")
    world.scopes = frozenset(Scope) - {needed}
    assert world.send(event).refusal == (403, "scope_missing", None)
    world.scopes = frozenset({needed})
    event["pathParameters"] = None
    assert "scope_missing" not in world.send(event).text


def test_only_what_tells_of_the_api_is_public() -> None:
    public = [route for route in ROUTES if ROUTES[route].public]
    assert public == ["GET /openapi.json", "GET /docs"]
