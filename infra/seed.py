"""Give a test stack something to start with: two tenants and the route to the simulator.

Their keys are those of admins who are also the operators of the stack.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from boto3.dynamodb.types import TypeSerializer

FEE_BASIS_POINTS = 300
KEY_BYTES = 24  # 32 characters in URL-safe base 64
BASE_32 = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
STACK_SCOPES = ("payments:resolve", "stack:operate")
"""What an admin may not, and an operator may."""


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
        Tenant(tenant_id, name, new_api_key("test")) for tenant_id, name in TEST_TENANTS
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
        yield tenant_item(tenant, "test", FEE_BASIS_POINTS, "simulator")
        yield key_item(tenant, pepper, "admin", STACK_SCOPES)
    yield {"id": "provider#simulator", "url": simulator_url}


def tenant_item(tenant: Tenant, mode: str, fee_basis_points: int, provider: str) -> dict[str, Any]:
    """What the config table holds about a tenant."""
    return {
        "id": f"tenant#{tenant.tenant_id}",
        "tenant_id": tenant.tenant_id,
        "name": tenant.name,
        "mode": mode,
        "fee_basis_points": fee_basis_points,
        "fee_basis_points_in": {},
        "fee_fixed_minor": {},
        "fee_on_refund": "proportional",
        "provider": provider,
    }


def new_ulid() -> str:
    """A ULID of now."""
    milliseconds = int(datetime.now(UTC).timestamp() * 1_000)
    value = milliseconds << 80 | secrets.randbits(80)
    return "".join(BASE_32[value >> shift & 31] for shift in range(125, -1, -5))


def new_api_key(mode: str) -> str:
    """A key: its mode, the ULID of its id, and what only its holder knows."""
    return f"sk_{mode}_{new_ulid()}_{secrets.token_urlsafe(KEY_BYTES)}"


def key_item(tenant: Tenant, pepper: str, role: str, scopes: Iterable[str] = ()) -> dict[str, Any]:
    """What the config table holds about a tenant's first key."""
    parts = re.fullmatch(r"sk_(test|live)_([0-9A-Z]{26})_.+", tenant.api_key)
    assert parts is not None, "a key has its id in it"
    return {
        "id": f"api_key#key_{parts[2]}",
        "key_of": tenant.tenant_id,
        "mode": parts[1],
        "name": "first key",
        "role": role,
        "scopes": list(scopes),
        "allowed_addresses": [],
        "secret_hash": key_hash(pepper, tenant.api_key),
        "created_at": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "version": 1,
    }


def key_hash(pepper: str, api_key: str) -> str:
    """How a key is stored: useless without the pepper, which no table holds."""
    return hmac.new(pepper.encode(), f"api-key:{api_key}".encode(), hashlib.sha256).hexdigest()
