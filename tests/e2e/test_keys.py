"""API keys on the deployed template: made, used, refused, rolled and revoked.

What the gateway remembers of a key it remembers for as long as `KeyCacheSeconds`, which is made
shorter here: what happened to a key is waited for, and never for longer than that.
"""

import json
import re
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from infra.client import Answer, Client, Json
from infra.local import Stack
from infra.local.package import load_template
from infra.paths import TEMPLATE
from tests.support.tenants import with_tenant

pytestmark = pytest.mark.parametrize("stack", ["plain"], indirect=True)
"""What conflicts and throttling do to keys is asked of their table."""

CACHED_S = 5
POLL_S = 0.25
SELLER = {"currency": "EUR", "kind": "seller"}


@pytest.fixture(scope="module")
def stack(stack: Stack) -> Iterator[Stack]:
    """With a tenant that has no other keys, and a gateway that forgets keys soon."""
    gateway, api_id = stack.client("apigateway"), api_of(stack)[0]
    (authorizer,) = gateway.get_authorizers(restApiId=api_id)["items"]
    default = load_template(TEMPLATE)["Parameters"]["KeyCacheSeconds"]["Default"]
    assert int(authorizer["authorizerResultTtlInSeconds"]) == default

    def forget_after(seconds: int) -> None:
        path, value = "/authorizerResultTtlInSeconds", str(seconds)
        gateway.update_authorizer(
            restApiId=api_id,
            authorizerId=authorizer["id"],
            patchOperations=[{"op": "replace", "path": path, "value": value}],
        )

    forget_after(CACHED_S)
    yield with_tenant(stack, "Pisa Locks")
    forget_after(default)


def api_of(stack: Stack) -> tuple[str, str]:
    """The id and the stage of the stack's API."""
    match = re.search(r"/_aws/execute-api/([^/]+)/(.+)$", stack.api_url)
    assert match is not None
    return match[1], match[2]


@pytest.fixture
def admin(stack: Stack) -> Client:
    return Client.of(stack)


def made(admin: Client, **fields: Any) -> tuple[Client, Json]:
    """A new key, and a client that has it."""
    body = admin.created("/api-keys", {"name": "a key"} | fields)
    return Client(admin.api_url, body["secret"]), body


def refused(answer: Answer) -> tuple[int, str]:
    return answer.status, answer.body["error"]["code"]


def within_the_cache(closed: Callable[[], bool]) -> bool:
    """Whether it comes true before the gateway must have forgotten what it knew, and a bit."""
    deadline = time.monotonic() + CACHED_S + 5
    while not closed():
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_S)
    return True


def is_closed(client: Client) -> bool:
    answer = client.get("/payments")
    if answer.status == 200:
        return False
    # By the function while the gateway remembers the key, and by the gateway once it does not.
    assert refused(answer) == (401, "unauthenticated")
    return True


def test_a_key_is_shown_once_and_opens_what_it_was_made_for(stack: Stack, admin: Client) -> None:
    wanted = {"name": "read", "scopes": ["accounts:read", "payments:read"]}
    first = admin.post("/api-keys", wanted, "key-shown-once")
    again = admin.post("/api-keys", wanted, "key-shown-once")
    assert (first.status, again.status) == (201, 201)
    assert again.body == first.body | {"secret": None}
    client = Client(admin.api_url, first.body["secret"])
    assert client.get("/payments").status == 200
    assert refused(client.post("/accounts", SELLER)) == (403, "scope_missing")
    assert refused(client.get("/api-keys")) == (403, "scope_missing")
    stored = stack.client("dynamodb").scan(TableName=stack.tables["config"])["Items"]
    assert first.body["api_key_id"] in json.dumps(stored)
    assert first.body["secret"] not in json.dumps(stored)
    shown = admin.get(f"/api-keys/{first.body['api_key_id']}").body
    assert (shown["status"], shown["last_used_at"] is None) == ("active", False)


def test_key_scope_escalation_denied(admin: Client) -> None:
    developer, _ = made(admin, role="developer")
    answer = developer.post("/api-keys", {"name": "more", "role": "admin"})
    assert refused(answer) == (403, "scope_escalation")
    assert developer.post("/api-keys", {"name": "less", "role": "read_only"}).status == 201


def test_a_key_is_good_from_its_addresses_only(admin: Client) -> None:
    here, _ = made(admin, role="read_only", allowed_addresses=["127.0.0.0/8", "::1"])
    elsewhere, _ = made(admin, role="read_only", allowed_addresses=["203.0.113.0/24"])
    assert here.get("/payments").status == 200
    assert refused(elsewhere.get("/payments")) == (403, "address_not_allowed")


def test_a_key_expires(admin: Client) -> None:
    brief, body = made(admin, role="read_only", expires_in_s=4)
    assert brief.get("/payments").status == 200
    # The gateway may remember it for longer: who is asked then is the function behind it.
    assert within_the_cache(lambda: is_closed(brief))
    assert admin.get(f"/api-keys/{body['api_key_id']}").body["status"] == "expired"


def test_a_rolled_key_is_good_until_the_overlap_is_over(admin: Client) -> None:
    old, body = made(admin, role="read_only")
    assert old.get("/payments").status == 200
    path = f"/api-keys/{body['api_key_id']}/roll"
    rolled = admin.created(path, {"overlap_s": CACHED_S + 3})
    new = Client(admin.api_url, rolled["secret"])
    assert new.get("/payments").status == 200
    assert old.get("/payments").status == 200
    time.sleep(CACHED_S + 3)
    assert within_the_cache(lambda: is_closed(old))
    assert new.get("/payments").status == 200
    assert refused(admin.post(path, {"overlap_s": 0})) == (409, "api_key_not_active")


def test_a_revoked_key_is_closed_within_the_stated_delay(admin: Client) -> None:
    client, body = made(admin, role="read_only")
    assert client.get("/payments").status == 200
    admin.created(f"/api-keys/{body['api_key_id']}/revoke", {})
    assert within_the_cache(lambda: is_closed(client))


def test_a_pepper_is_rotated_under_keys_in_use(stack: Stack, admin: Client) -> None:
    before, _ = made(admin, role="read_only")
    secrets = stack.client("secretsmanager")
    secrets.put_secret_value(SecretId=stack.outputs["PepperSecret"], SecretString="new pepper")
    assert before.get("/payments").status == 200
    after, _ = made(admin, role="read_only")
    assert after.get("/payments").status == 200


# Rates. What belongs to one tenant is AWS's to count: see tests/codebase/test_template.py.


@pytest.fixture
def throttled(stack: Stack) -> Iterator[None]:
    """One call to list API keys, and no other for a long time."""
    gateway = stack.client("apigateway")
    api_id, stage = api_of(stack)

    def limit(rate: str, burst: str) -> None:
        path = "/~1api-keys/GET/throttling"
        gateway.update_stage(
            restApiId=api_id,
            stageName=stage,
            patchOperations=[
                {"op": "replace", "path": f"{path}/rateLimit", "value": rate},
                {"op": "replace", "path": f"{path}/burstLimit", "value": burst},
            ],
        )

    limit("0.001", "1")
    yield
    limit("1000", "2000")


@pytest.mark.usefixtures("throttled")
def test_rate_429_retry_after(admin: Client) -> None:
    assert admin.get("/api-keys").status == 200
    answer = admin.get("/api-keys")
    assert refused(answer) == (429, "rate_limited")
    assert answer.headers["retry-after"] == "1"
    assert answer.body["error"]["transient"] is True
    assert answer.body["error"]["request_id"] == answer.headers["x-request-id"]
    assert admin.get("/payments").status == 200, "each call has its own limit"
