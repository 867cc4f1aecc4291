"""`make tenant`: what the owner of a stack does for its tenants, with AWS credentials of his own.

    make tenant STACK=… NAME="Florence Silks"    a new tenant, with the key of its first admin;
        also MODE=test|live, TIER=starter|standard|scale, PROVIDER=, FEE_BASIS_POINTS=
    make tenant STACK=… TENANT=tn_… TIER=scale      another tier for a tenant
    make tenant STACK=… TENANT=tn_… ROLE=operator   a key for who runs the stack

API Gateway counts the calls of a tenant by a key of the gateway's, random and no secret: which
tier a tenant is in is which usage plan has that key.
"""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Callable, Mapping
from typing import Any

import boto3

from infra.seed import Tenant, key_item, new_api_key, new_ulid, put_items, tenant_item

TIERS = {"starter": "StarterPlan", "standard": "StandardPlan", "scale": "ScalePlan"}
MODES = ("test", "live")
ROLES = ("admin", "developer", "operator", "finance", "read_only")
GATEWAY_KEY_BYTES = 30  # 40 characters; API Gateway wants 20 to 128

Clients = Callable[[str], Any]


class TenantError(Exception):
    """It was not done; the message says why."""


def main(given: Mapping[str, str], clients: Clients) -> None:
    outputs = _outputs(clients("cloudformation"), given.get("STACK", ""))
    tier, role = given.get("TIER", ""), given.get("ROLE", "")
    if given.get("NAME"):
        tenant = add(
            outputs,
            clients,
            name=given["NAME"],
            mode=_one_of(MODES, given.get("MODE") or "live"),
            tier=tier or "starter",
            provider=given.get("PROVIDER") or "simulator",
            fee_basis_points=int(given.get("FEE_BASIS_POINTS") or 0),
        )
        print(f"{tenant.tenant_id}\n{tenant.api_key}\nThis key of an admin is not shown again.")
    elif given.get("TENANT") and tier:
        move(outputs, clients, given["TENANT"], tier)
        print(f"{given['TENANT']} is in the tier {tier}.")
    elif given.get("TENANT") and role:
        tenant = add_key(outputs, clients, given["TENANT"], _one_of(ROLES, role))
        print(f"{tenant.api_key}\nThis key is not shown again.")
    else:
        raise TenantError("Say what to do: NAME=, or TENANT= with TIER= or ROLE=.")


def add(
    outputs: Mapping[str, str],
    clients: Clients,
    *,
    name: str,
    mode: str,
    tier: str,
    provider: str,
    fee_basis_points: int,
) -> Tenant:
    """Add a tenant with the key of its first admin. It is counted before anybody can call."""
    tenant = Tenant(f"tn_{new_ulid()}", name, new_api_key(mode))
    gateway_key = count(outputs, clients("apigateway"), tenant.tenant_id, tier)
    item = tenant_item(tenant, mode, fee_basis_points, provider) | {"gateway_key": gateway_key}
    first_key = key_item(tenant, _pepper(outputs, clients), "admin")
    put_items(clients("dynamodb"), outputs["ConfigTable"], [item, first_key])
    return tenant


def add_key(outputs: Mapping[str, str], clients: Clients, tenant_id: str, role: str) -> Tenant:
    """Make a key of any role, also of the one that no tenant can give to itself."""
    dynamodb = clients("dynamodb")
    found = dynamodb.get_item(
        TableName=outputs["ConfigTable"], Key={"id": {"S": f"tenant#{tenant_id}"}}
    ).get("Item")
    if found is None:
        raise TenantError(f"There is no tenant {tenant_id}.")
    tenant = Tenant(tenant_id, found["name"]["S"], new_api_key(found["mode"]["S"]))
    item = key_item(tenant, _pepper(outputs, clients), role)
    put_items(dynamodb, outputs["ConfigTable"], [item])
    return tenant


def count(outputs: Mapping[str, str], apigateway: Any, tenant_id: str, tier: str) -> str:
    """Make the gateway's key for a tenant, in the plan of its tier."""
    plan = outputs[TIERS[_one_of(TIERS, tier)]]
    value = secrets.token_urlsafe(GATEWAY_KEY_BYTES)
    made = apigateway.create_api_key(name=tenant_id, value=value, enabled=True)
    apigateway.create_usage_plan_key(usagePlanId=plan, keyId=made["id"], keyType="API_KEY")
    return value


def move(outputs: Mapping[str, str], clients: Clients, tenant_id: str, tier: str) -> None:
    """Put a tenant's gateway key into another plan.

    A key is in one plan of a stage at a time, so the tenant is turned away for a moment.
    """
    apigateway = clients("apigateway")
    wanted = outputs[TIERS[_one_of(TIERS, tier)]]
    found = apigateway.get_api_keys(nameQuery=tenant_id, includeValues=False)["items"]
    ids = [key["id"] for key in found if key["name"] == tenant_id]
    if not ids:
        raise TenantError(f"The gateway has no key for {tenant_id}.")
    for plan in (outputs[name] for name in TIERS.values()):
        for key in apigateway.get_usage_plan_keys(usagePlanId=plan, nameQuery=tenant_id)["items"]:
            if key["id"] in ids and plan != wanted:
                apigateway.delete_usage_plan_key(usagePlanId=plan, keyId=key["id"])
    known = apigateway.get_usage_plan_keys(usagePlanId=wanted, nameQuery=tenant_id)["items"]
    for key_id in set(ids) - {key["id"] for key in known}:
        apigateway.create_usage_plan_key(usagePlanId=wanted, keyId=key_id, keyType="API_KEY")


def _pepper(outputs: Mapping[str, str], clients: Clients) -> str:
    secret = clients("secretsmanager").get_secret_value(SecretId=outputs["PepperSecret"])
    pepper: str = secret["SecretString"]
    return pepper


def _one_of(known: Mapping[str, str] | tuple[str, ...], given: str) -> str:
    if given not in known:
        raise TenantError(f"{given} is none of {', '.join(known)}.")
    return given


def _outputs(cloudformation: Any, stack: str) -> dict[str, str]:
    if not stack:
        raise TenantError("Say which stack: STACK=florin-prod.")
    (found,) = cloudformation.describe_stacks(StackName=stack)["Stacks"]
    return {output["OutputKey"]: output["OutputValue"] for output in found["Outputs"]}


if __name__ == "__main__":
    try:
        main(os.environ, boto3.client)  # type: ignore[arg-type]  # an overload for each name
    except TenantError as error:
        sys.exit(str(error))
