"""Who is let in, for how long, and what is said about him."""

import json
from copy import deepcopy
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final

import pytest

from authorizer.keys import Authorizer
from florin.adapters.clock import ManualClock
from florin.adapters.memory import MemoryConfig
from florin.adapters.memory_keys import MemoryKeys
from florin.domain.keys import SCOPES, ApiKey, Role, Scope
from florin.edge.callers import caller_in
from florin.edge.pepper import ASKED_ANEW_AFTER_S, PEPPERS_KEPT_FOR_S, Peppers, key_hash
from infra import seed
from tests.functions.world import sample
from tests.support.examples import NOON

KEY_ID: Final = "key_01JZ8S2M4N6P8Q0R2T4V6W8X0Y"
KEY: Final = "sk_test_01JZ8S2M4N6P8Q0R2T4V6W8X0Y_bm90LWEtcmVhbC1rZXktYXQtYWxsLXJl"
EVENT: Final = sample("authorize_request")
OLD, NEW, NEWEST = b"old pepper", b"new pepper", b"newest pepper"
A_KEY: Final = ApiKey(
    key_id=KEY_ID,
    tenant_id="tn_florence",
    mode="test",
    name="webshop",
    secret_hash=key_hash(OLD, KEY),
    created_at=NOON,
    role=Role.FINANCE,
)


class CountingKeys(MemoryKeys):
    """Counts how often it was read and written."""

    def __init__(self, *keys: ApiKey) -> None:
        super().__init__(*keys)
        self.asked = 0
        self.told = 0

    def api_key(self, key_id: str) -> ApiKey | None:
        self.asked += 1
        return super().api_key(key_id)

    def used(self, key: ApiKey, at: datetime, secret_hash: str) -> None:
        self.told += 1
        super().used(key, at, secret_hash)


class BrokenKeys(CountingKeys):
    """Cannot be written."""

    def used(self, key: ApiKey, at: datetime, secret_hash: str) -> None:
        raise OSError("no table today")


class Door:
    """An authorizer with all that it works with."""

    def __init__(self, *keys: ApiKey, kind: type[CountingKeys] = CountingKeys) -> None:
        self.keys = kind(*keys)
        self.clock = ManualClock(NOON + timedelta(minutes=1))
        self.now_s = 1_000.0
        self.secret = {"AWSCURRENT": OLD}
        self.authorizer = Authorizer(
            keys=self.keys,
            config=MemoryConfig(gateway_keys={"tn_florence": "gateway key of Florence"}),
            peppers=Peppers(self.secret.get, lambda: self.now_s),
            clock=self.clock,
        )

    def opens(self, authorization: str | None = f"Bearer {KEY}") -> bool:
        try:
            self.authorizer.authorize(asking(authorization))
        except Exception as error:
            if (type(error), str(error)) != (Exception, "Unauthorized"):
                raise
            return False
        return True

    def rotate(self, pepper: bytes) -> None:
        self.secret["AWSPREVIOUS"] = self.secret["AWSCURRENT"]
        self.secret["AWSCURRENT"] = pepper

    @property
    def kept(self) -> ApiKey:
        key = self.keys.api_key(KEY_ID)
        assert key is not None
        return key


def asking(authorization: str | None) -> dict[str, Any]:
    event = deepcopy(EVENT)
    for headers in (event["headers"], event["multiValueHeaders"]):
        del headers["Authorization"]
    if authorization is not None:
        event["headers"]["authorization"] = authorization
        event["multiValueHeaders"]["authorization"] = [authorization]
    return event


def test_a_known_key_opens_the_stage_and_what_it_may_is_said_with_it() -> None:
    limited = replace(
        A_KEY,
        scopes=frozenset({Scope.HOLDS_WRITE}),
        allowed_addresses=("203.0.113.0/24", "2001:db8::/32"),
        expires_at=NOON + timedelta(days=9),
        retires_at=NOON + timedelta(days=1),
    )
    assert Door(limited).authorizer.authorize(EVENT) == {
        "principalId": "tn_florence",
        "policyDocument": {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Action": "execute-api:Invoke",
                    "Effect": "Allow",
                    "Resource": ("arn:aws:execute-api:eu-central-1:123456789012:a1b2c3d4e5/v1/*/*"),
                }
            ],
        },
        "context": {
            "tenant_id": "tn_florence",
            "key_id": KEY_ID,
            "mode": "test",
            "role": "finance",
            "scopes": "accounts:read holds:read holds:write"
            " ledger:read ledger:verify payments:read",
            "addresses": "203.0.113.0/24 2001:db8::/32",
            "expires_at": "2026-11-22T12:00:00+00:00",
        },
        "usageIdentifierKey": "gateway key of Florence",
    }


def test_the_gateway_counts_a_tenant_by_its_own_key_and_never_by_the_bearers() -> None:
    answer = Door(A_KEY).authorizer.authorize(EVENT)
    assert answer["usageIdentifierKey"] == "gateway key of Florence"
    assert KEY not in json.dumps(answer)
    assert A_KEY.secret_hash not in json.dumps(answer)
    stranger = replace(A_KEY, tenant_id="tn_venice")
    assert "usageIdentifierKey" not in Door(stranger).authorizer.authorize(EVENT)


def test_what_is_said_is_what_the_api_hears() -> None:
    limited = replace(
        A_KEY, allowed_addresses=("203.0.113.0/24",), expires_at=NOON + timedelta(days=9)
    )
    caller = caller_in(Door(limited).authorizer.authorize(EVENT)["context"])
    assert caller is not None
    assert (caller.tenant_id, caller.key_id, caller.mode) == ("tn_florence", KEY_ID, "test")
    assert caller.scopes == SCOPES[Role.FINANCE]
    assert caller.allowed_addresses == ("203.0.113.0/24",)
    assert caller.ends_at == NOON + timedelta(days=9)


def test_a_scope_that_this_version_does_not_know_opens_nothing() -> None:
    caller = caller_in({"tenant_id": "tn_1", "scopes": "payments:read payments:read_all"})
    assert caller is not None
    assert caller.scopes == {Scope.PAYMENTS_READ}
    assert caller_in({"tenant_id": "tn_1"}) == replace(caller, scopes=frozenset())


def test_the_hash_is_the_one_that_keys_are_stored_by() -> None:
    assert key_hash(OLD, KEY) == seed.key_hash(OLD.decode(), KEY)


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_the_scheme_may_be_spelled_as_one_likes(scheme: str) -> None:
    assert Door(A_KEY).opens(f"{scheme} {KEY}")


def test_a_live_key_is_known_too() -> None:
    live = KEY.replace("test", "live")
    assert Door(replace(A_KEY, mode="live", secret_hash=key_hash(OLD, live))).opens(
        f"Bearer {live}"
    )


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        KEY,
        f"Basic {KEY}",
        f"Bearer  {KEY}",
        f"Bearer {KEY} ",
        f"Bearer {KEY}\n",
        f"Bearer {KEY}, Bearer {KEY}",
        f"Bearer {KEY}x",
        f"Bearer {KEY[:-1]}",
        f"Bearer {KEY.replace('test', 'live')}",
        f"Bearer {KEY.replace('sk_', 'pk_')}",
        f"Bearer {KEY.replace('01JZ', '01JY')}",
        "Bearer sk_test_",
        "Bearer sk_test_ключ",
        "Bearer sk_test_" + "x" * 5_000,
    ],
)
def test_everybody_else_stays_outside(
    authorization: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert not Door(A_KEY).opens(authorization)
    line = json.loads(capsys.readouterr().out)
    assert (line["allowed"], line["tenant_id"], line["key_id"]) == (False, None, None)


def test_two_keys_are_none() -> None:
    event = asking(f"Bearer {KEY}")
    event["multiValueHeaders"]["authorization"] *= 2
    with pytest.raises(Exception, match=r"^Unauthorized$"):
        Door(A_KEY).authorizer.authorize(event)


def test_the_log_knows_the_tenant_and_the_id_and_not_the_key(
    capsys: pytest.CaptureFixture[str],
) -> None:
    Door(A_KEY).opens()
    text = capsys.readouterr().out
    assert KEY not in text
    assert A_KEY.secret_hash not in text
    assert json.loads(text) == {
        "level": "INFO",
        "kind": "authorizer",
        "request_id": EVENT["requestContext"]["requestId"],
        "tenant_id": "tn_florence",
        "key_id": KEY_ID,
        "allowed": True,
    }


def test_a_malformed_key_is_not_even_looked_up() -> None:
    door = Door(A_KEY)
    assert not door.opens("Bearer nonsense")
    assert door.keys.asked == 0


# When a key ends.


def test_a_key_opens_until_it_expires() -> None:
    door = Door(replace(A_KEY, expires_at=NOON + timedelta(hours=1)))
    door.clock.advance(timedelta(minutes=59) - timedelta(milliseconds=1))
    assert door.opens()
    door.clock.advance(timedelta(milliseconds=1))
    assert not door.opens()


def test_a_rolled_key_opens_until_the_overlap_is_over() -> None:
    door = Door(replace(A_KEY, rolled_to="key_2", retires_at=NOON + timedelta(minutes=2)))
    assert door.opens()
    door.clock.advance(timedelta(minutes=1))
    assert not door.opens()


def test_a_key_that_is_revoked_is_refused_by_the_next_question() -> None:
    """Nothing is remembered here: what the gateway remembers is all of the delay."""
    door = Door(A_KEY)
    assert door.opens()
    door.keys.change(replace(door.kept, revoked_at=door.clock.now()))
    assert not door.opens()


# Peppers.


def test_both_peppers_of_a_rotation_are_live_and_no_third_one() -> None:
    door = Door(A_KEY)
    door.rotate(NEW)
    assert door.opens()
    unused = Door(A_KEY)
    unused.rotate(NEW)
    unused.rotate(NEWEST)
    assert not unused.opens()


def test_a_key_made_under_a_new_pepper_is_known_at_once() -> None:
    door = Door(A_KEY)
    assert door.opens()
    door.rotate(NEW)
    fresh = KEY.replace(KEY_ID[4:], "2" * 26)
    made = replace(A_KEY, key_id="key_" + "2" * 26, secret_hash=key_hash(NEW, fresh))
    assert door.keys.add(made)
    door.now_s += ASKED_ANEW_AFTER_S
    assert door.opens(f"Bearer {fresh}")


def test_a_key_in_use_outlives_its_pepper() -> None:
    door = Door(A_KEY)
    for pepper in (NEW, NEWEST):
        door.rotate(pepper)
        door.now_s += PEPPERS_KEPT_FOR_S
        door.clock.advance(timedelta(hours=1))
        assert door.opens()
        assert door.kept.secret_hash == key_hash(pepper, KEY)


def test_who_sends_what_matches_nothing_does_not_keep_us_reading_the_peppers() -> None:
    read: list[str] = []

    def reading(label: str) -> bytes | None:
        read.append(label)
        return OLD if label == "AWSCURRENT" else None

    now_s = [0.0]
    peppers = Peppers(reading, lambda: now_s[0])
    for _ in range(10):
        assert peppers.matching(KEY, "no hash of it") is None
    assert read == ["AWSCURRENT", "AWSPREVIOUS"]
    now_s[0] = ASKED_ANEW_AFTER_S
    assert peppers.matching(KEY, "no hash of it") is None
    assert len(read) == 4


# Last use.


def test_the_last_use_is_known_to_the_hour_without_a_write_per_request() -> None:
    door = Door(A_KEY)
    first = door.clock.now()
    for _ in range(60):
        assert door.opens()
        door.clock.advance(timedelta(seconds=59))
    assert (door.keys.told, door.kept.last_used_at) == (1, first)
    door.clock.advance(timedelta(minutes=1))
    assert door.opens()
    assert (door.keys.told, door.kept.last_used_at) == (2, first + timedelta(hours=1))
    assert door.kept.version == A_KEY.version


def test_nobody_is_refused_because_the_last_use_cannot_be_kept(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert Door(A_KEY, kind=BrokenKeys).opens()
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["kind"] for line in lines] == ["use of a key not kept", "authorizer"]


@pytest.mark.usefixtures("fresh_wiring")
def test_the_function_makes_its_world_from_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CONFIG_TABLE", "config")
    monkeypatch.setenv("PEPPER_SECRET_ID", "pepper")
    # Imported here: the module makes its client and wants the settings above.
    from authorizer.handler import handler  # noqa: PLC0415

    with pytest.raises(Exception, match=r"^Unauthorized$"):
        handler(asking(None), None)
