"""What the seeds are, down to the hash that the authorizer will compute."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

from infra.seed import TEST_TENANTS, Tenant, config_items, key_hash, seed

OUTPUTS = {"ConfigTable": "config", "PepperSecret": "pepper", "SimulatorUrl": "http://here/sim"}


class Recorder:
    """Stands for both clients: gives the pepper, keeps the items."""

    def __init__(self) -> None:
        self.items: list[dict[str, Any]] = []

    def __call__(self, service: str) -> Recorder:
        assert service in ("dynamodb", "secretsmanager")
        return self

    def get_secret_value(self, SecretId: str) -> dict[str, str]:  # noqa: N803  # AWS names it so
        assert SecretId == "pepper"
        return {"SecretString": "black"}

    def put_item(self, TableName: str, Item: dict[str, Any]) -> None:  # noqa: N803  # AWS names it so
        assert TableName == "config"
        self.items.append(Item)


def test_two_tenants_get_a_key_of_their_own_each() -> None:
    tenants = seed(OUTPUTS, Recorder())
    assert len({tenant.tenant_id for tenant in tenants}) == len(TEST_TENANTS) == 2
    for tenant in tenants:
        assert re.fullmatch(r"sk_test_[0-9A-HJKMNP-TV-Z]{26}_[\w-]{32}", tenant.api_key)
        assert re.fullmatch(r"tn_[0-9A-HJKMNP-TV-Z]{26}", tenant.tenant_id)


def test_keys_are_new_each_time() -> None:
    keys = {tenant.api_key for _ in range(2) for tenant in seed(OUTPUTS, Recorder())}
    assert len(keys) == 4


def test_no_key_is_stored_or_shown() -> None:
    recorder = Recorder()
    for tenant in seed(OUTPUTS, recorder):
        assert tenant.api_key not in str(recorder.items)
        assert tenant.api_key not in repr(tenant)


def test_the_items_are_what_the_engine_reads() -> None:
    tenant = Tenant("tn_1", "Silks", "sk_test_01JZ8S2M4N6P8Q0R2T4V6W8X0Y_1")
    # echo -n 'api-key:sk_test_01JZ8S2M4N6P8Q0R2T4V6W8X0Y_1' | openssl dgst -sha256 -hmac black
    digest = "41def56b626a5faf4bfe2da8fb0785284d718f1f5251ee2758f85d096c75f3f1"
    items = list(config_items((tenant,), "black", "http://here/sim"))
    created_at = items[1]["created_at"]
    assert datetime.fromisoformat(created_at).tzinfo is UTC
    assert items == [
        {
            "id": "tenant#tn_1",
            "tenant_id": "tn_1",
            "name": "Silks",
            "mode": "test",
            "fee_basis_points": 300,
            "fee_basis_points_in": {},
            "fee_fixed_minor": {},
            "fee_on_refund": "proportional",
            "provider": "simulator",
        },
        {
            "id": "api_key#key_01JZ8S2M4N6P8Q0R2T4V6W8X0Y",
            "key_of": "tn_1",
            "mode": "test",
            "name": "first key",
            "role": "admin",
            "scopes": ["payments:resolve", "stack:operate"],
            "allowed_addresses": [],
            "secret_hash": digest,
            "created_at": created_at,
            "version": 1,
        },
        {"id": "provider#simulator", "url": "http://here/sim"},
    ]
    assert key_hash("white", tenant.api_key) != digest
