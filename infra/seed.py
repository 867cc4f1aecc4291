"""Give a test stack something to start with: two tenants and the route to the simulator."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from boto3.dynamodb.types import TypeSerializer

FEE_BASIS_POINTS = 300
KEY_BYTES = 24  # 32 characters in URL-safe base 64


@dataclass(frozen=True)
class Tenant:
    tenant_id: str
    name: str
    api_key: str = field(repr=False)


TEST_TENANTS = (
    ("tn_01JZ00000000000000F10RENCE", "Florence Silks"),
    ("tn_01JZ0000000000000000VEN1CE", "Venice Glass"),
)


def seed(outputs: Mapping[str, str], client_factory: Callable[[str], Any]) -> tuple[Tenant, ...]:
    """Write tenants, keys and route; the keys are new each time and stored only as hashes.

    `SimulatorUrl` among the outputs must be an address that the stack's functions can reach.
    """
    secret = client_factory("secretsmanager").get_secret_value(SecretId=outputs["PepperSecret"])
    tenants = tuple(
        Tenant(tenant_id, name, "sk_test_" + secrets.token_urlsafe(KEY_BYTES))
        for tenant_id, name in TEST_TENANTS
    )
    items = config_items(tenants, secret["SecretString"], outputs["SimulatorUrl"])
    put_items(client_factory("dynamodb"), outputs["ConfigTable"], items)
    return tenants


def put_items(dynamodb: Any, config_table: str, items: Iterable[Mapping[str, Any]]) -> None:
    """Write items of the config table, given in plain Python."""
    serializer = TypeSerializer()
    for item in items:
        attributes = {name: serializer.serialize(value) for name, value in item.items()}
        dynamodb.put_item(TableName=config_table, Item=attributes)


def config_items(
    tenants: tuple[Tenant, ...], pepper: str, simulator_url: str
) -> Iterator[dict[str, Any]]:
    """What the config table holds about them."""
    for tenant in tenants:
        yield {
            "id": f"tenant#{tenant.tenant_id}",
            "tenant_id": tenant.tenant_id,
            "name": tenant.name,
            "mode": "test",
            "fee_basis_points": FEE_BASIS_POINTS,
            "fee_basis_points_in": {},
            "fee_fixed_minor": {},
            "fee_on_refund": "proportional",
            "provider": "simulator",
        }
        yield {
            "id": f"api_key#{key_hash(pepper, tenant.api_key)}",
            "tenant_id": tenant.tenant_id,
            "mode": "test",
            "role": "admin",
        }
    yield {"id": "provider#simulator", "url": simulator_url}


def key_hash(pepper: str, api_key: str) -> str:
    """How a key is stored: useless without the pepper, which no table holds."""
    return hmac.new(pepper.encode(), f"api-key:{api_key}".encode(), hashlib.sha256).hexdigest()
