"""What every keeper of API keys promises: one key per id, and only what was read is changed."""

import uuid
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import boto3
import pytest
from moto import mock_aws

from florin.adapters.dynamodb_keys import DynamoKeys
from florin.adapters.memory_keys import MemoryKeys
from florin.domain.keys import ApiKey, Role, Scope
from florin.ports import LAST_USE_KEPT_EVERY, ApiKeys
from tests.support.busy import BusyClient
from tests.support.examples import NOON, TENANT
from tests.support.tables import make_table

VENICE = "tn_venice"


@pytest.fixture(params=["memory", "moto", "busy", "local_stack"])
def keys(request: pytest.FixtureRequest) -> Iterator[ApiKeys]:
    name = uuid.uuid4().hex[:8]
    match request.param:
        case "memory":
            yield MemoryKeys()
        case "moto":
            with mock_aws():
                client = boto3.client("dynamodb", region_name="us-east-1")
                yield DynamoKeys(client, make_table(client, "ConfigTable", name))
        case "busy":
            with mock_aws():
                client = boto3.client("dynamodb", region_name="us-east-1")
                table = make_table(client, "ConfigTable", name)
                busy: Any = BusyClient(client)
                yield DynamoKeys(busy, table, lambda seconds: None)
        case _:
            client = request.getfixturevalue("local_dynamodb")
            yield DynamoKeys(client, make_table(client, "ConfigTable", name))


def a_key(number: int = 1, tenant_id: str = TENANT) -> ApiKey:
    return ApiKey(
        key_id=f"key_{number:026}",
        tenant_id=tenant_id,
        mode="test",
        name="webshop",
        secret_hash=f"hash {number}",
        created_at=NOON,
        role=Role.READ_ONLY,
    )


FULL = replace(
    a_key(7),
    role=None,
    scopes=frozenset({Scope.HOLDS_READ, Scope.LEDGER_READ}),
    allowed_addresses=("203.0.113.0/24", "2001:db8::/32"),
    created_by="key_creator",
    expires_at=NOON + timedelta(days=2),
    rolled_from="key_before",
    rolled_to="key_after",
    retires_at=NOON + timedelta(days=1),
    revoked_at=NOON + timedelta(milliseconds=1),
    last_used_at=NOON + timedelta(hours=1),
    version=4,
)


@pytest.mark.parametrize("key", [a_key(), FULL])
def test_a_key_comes_back_as_it_was(keys: ApiKeys, key: ApiKey) -> None:
    assert keys.api_key(key.key_id) is None
    assert keys.add(key)
    assert keys.api_key(key.key_id) == key


def test_there_is_one_key_with_an_id(keys: ApiKeys) -> None:
    assert keys.add(a_key())
    assert not keys.add(replace(a_key(), name="another"))
    assert keys.api_key(a_key().key_id) == a_key()


def test_a_change_needs_the_version_that_was_read(keys: ApiKeys) -> None:
    keys.add(a_key())
    assert keys.change(replace(a_key(), revoked_at=NOON))
    assert not keys.change(replace(a_key(), retires_at=NOON))
    assert keys.api_key(a_key().key_id) == replace(a_key(), revoked_at=NOON, version=2)
    assert not keys.change(a_key(2)), "what is not there cannot change"


def test_a_successor_comes_with_what_becomes_of_the_other_or_not_at_all(keys: ApiKeys) -> None:
    old, new = a_key(1), a_key(2)
    keys.add(old)
    rolled = replace(old, rolled_to=new.key_id, retires_at=NOON)
    assert not keys.add(new, replace(rolled, version=9))
    assert keys.api_key(new.key_id) is None
    assert keys.add(new, rolled)
    assert keys.api_key(new.key_id) == new
    assert keys.api_key(old.key_id) == replace(rolled, version=2)
    assert not keys.add(new, replace(rolled, version=2, revoked_at=NOON))
    assert keys.api_key(old.key_id) == replace(rolled, version=2), "there is one like it already"


def test_a_use_is_kept_once_an_hour_and_is_no_change(keys: ApiKeys) -> None:
    key = a_key()
    keys.add(key)
    keys.used(key, NOON, key.secret_hash)
    keys.used(key, NOON + LAST_USE_KEPT_EVERY - timedelta(milliseconds=1), key.secret_hash)
    assert keys.api_key(key.key_id) == replace(key, last_used_at=NOON)
    later = NOON + LAST_USE_KEPT_EVERY
    keys.used(key, later, "hash under another pepper")
    kept = replace(key, last_used_at=later, secret_hash="hash under another pepper")
    assert keys.api_key(key.key_id) == kept
    keys.used(key, later + LAST_USE_KEPT_EVERY, "hash of an old reader")
    assert keys.api_key(key.key_id) == kept, "the hash is another one by now"
    assert keys.change(replace(key, revoked_at=later)), "who read it before may still change it"
    assert keys.api_key(key.key_id) == replace(kept, revoked_at=later, version=2)


def test_a_use_makes_no_key(keys: ApiKeys) -> None:
    keys.used(a_key(), NOON, "hash 1")
    assert keys.api_key(a_key().key_id) is None


def test_keys_are_listed_newest_first_in_pages_and_by_tenant(keys: ApiKeys) -> None:
    made = [a_key(number) for number in range(1, 6)]
    for key in (*made, a_key(9, VENICE)):
        keys.add(key)
    first = keys.api_keys(TENANT, limit=2)
    assert first == (made[4], made[3])
    assert keys.api_keys(TENANT, limit=9, after=first[-1].key_id) == (made[2], made[1], made[0])
    assert [key.tenant_id for key in keys.api_keys(VENICE, limit=9)] == [VENICE]
