"""Tenants of a test's own, for what would get in the way of others."""

import secrets
from collections.abc import Mapping
from dataclasses import replace

from infra.local import Stack, Tenant
from infra.seed import config_items, new_api_key, put_items


def with_tenant(stack: Stack, name: str, schedule: Mapping[str, object] | None = None) -> Stack:
    """The stack with a new tenant in front, who may have a fee schedule of its own."""
    tenant = Tenant(f"tn_{secrets.token_hex(8)}", name, new_api_key("test"))
    pepper = stack.client("secretsmanager").get_secret_value(SecretId=stack.outputs["PepperSecret"])
    items = [
        item | dict(schedule or {}) if item["id"].startswith("tenant#") else item
        for item in config_items((tenant,), pepper["SecretString"], stack.simulator_url)
    ]
    put_items(stack.client("dynamodb"), stack.tables["config"], items)
    return replace(stack, tenants=(tenant, *stack.tenants))
