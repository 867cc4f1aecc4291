"""Who is let in."""

import json
from copy import deepcopy
from typing import Any

import pytest

from authorizer.keys import Authorizer
from florin.adapters.memory import MemoryConfig
from florin.edge.cache import CachedConfig
from florin.edge.pepper import key_hash
from florin.ports import ApiKey
from infra import seed
from tests.functions.world import PEPPER, sample

KEY = "sk_test_bm90LWEtcmVhbC1rZXktYXQtYWxs"
EVENT = sample("authorize_request")


class CountingConfig(MemoryConfig):
    asked = 0

    def api_key(self, key_hash: str) -> ApiKey | None:
        type(self).asked += 1
        return super().api_key(key_hash)


def config(*keys: str) -> CountingConfig:
    CountingConfig.asked = 0
    found = ApiKey(tenant_id="tn_florence", mode="test", role="admin")
    return CountingConfig(keys={key_hash(PEPPER, key): found for key in keys})


def authorizer(*keys: str) -> Authorizer:
    return Authorizer(config=config(*keys), pepper=lambda: PEPPER)


def asking(authorization: str | None) -> dict[str, Any]:
    event = deepcopy(EVENT)
    for headers in (event["headers"], event["multiValueHeaders"]):
        del headers["Authorization"]
    if authorization is not None:
        event["headers"]["authorization"] = authorization
        event["multiValueHeaders"]["authorization"] = [authorization]
    return event


def test_a_known_key_opens_the_whole_stage() -> None:
    assert authorizer(KEY).authorize(EVENT) == {
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
        "context": {"tenant_id": "tn_florence", "mode": "test", "role": "admin"},
    }


def test_the_hash_is_the_one_that_keys_are_stored_by() -> None:
    assert key_hash(PEPPER, KEY) == seed.key_hash(PEPPER.decode(), KEY)


@pytest.mark.parametrize("kind", ["sk_test_a-Z_09", "sk_live_a-Z_09"])
@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_keys_of_both_modes_are_known_under_any_spelling_of_the_scheme(
    kind: str, scheme: str
) -> None:
    assert authorizer(kind).authorize(asking(f"{scheme} {kind}"))["principalId"] == "tn_florence"


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
        "Bearer sk_test_",
        "Bearer pk_test_bm90LWEtcmVhbC1rZXktYXQtYWxs",
        "Bearer sk_test_ключ",
        "Bearer sk_test_" + "x" * 5_000,
    ],
)
def test_everybody_else_stays_outside(
    authorization: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(Exception, match=r"^Unauthorized$") as raised:
        authorizer(KEY).authorize(asking(authorization))
    assert type(raised.value) is Exception
    line = json.loads(capsys.readouterr().out)
    assert (line["allowed"], line["tenant_id"]) == (False, None)


def test_two_keys_are_none() -> None:
    event = asking(f"Bearer {KEY}")
    event["multiValueHeaders"]["authorization"] *= 2
    with pytest.raises(Exception, match=r"^Unauthorized$"):
        authorizer(KEY).authorize(event)


def test_the_log_knows_the_tenant_and_not_the_key(capsys: pytest.CaptureFixture[str]) -> None:
    authorizer(KEY).authorize(EVENT)
    text = capsys.readouterr().out
    assert KEY not in text
    assert key_hash(PEPPER, KEY) not in text
    assert json.loads(text) == {
        "level": "INFO",
        "kind": "authorizer",
        "request_id": EVENT["requestContext"]["requestId"],
        "tenant_id": "tn_florence",
        "allowed": True,
    }


def test_a_malformed_key_is_not_even_looked_up() -> None:
    store = config(KEY)
    with pytest.raises(Exception, match=r"^Unauthorized$"):
        Authorizer(config=store, pepper=lambda: PEPPER).authorize(asking("Bearer nonsense"))
    assert store.asked == 0


def test_a_known_key_is_remembered_for_half_a_minute_and_an_unknown_one_is_not() -> None:
    store, now = config(KEY), [0.0]
    cached = Authorizer(config=CachedConfig(store, lambda: now[0]), pepper=lambda: PEPPER)
    for now[0], asked in ((0.0, 1), (29.9, 1), (30.0, 2)):
        cached.authorize(EVENT)
        assert store.asked == asked
    for asked in (3, 4):
        with pytest.raises(Exception, match=r"^Unauthorized$"):
            cached.authorize(asking("Bearer sk_test_unknown"))
        assert store.asked == asked


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
