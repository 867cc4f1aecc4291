"""What a stack's owner does for tenants, on the gateway, table and secret of moto."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

import boto3
import pytest
from moto import mock_aws

from florin.adapters.dynamodb_config import DynamoConfig
from florin.adapters.dynamodb_keys import DynamoKeys
from florin.domain.keys import ApiKey, Role
from florin.edge.pepper import key_hash
from infra.tenants import TIERS, Clients, TenantError, main
from tests.support.tables import make_table

REGION: Final = "us-east-1"


class Owner:
    """Runs the command, and looks at what it left."""

    def __init__(self, clients: Clients, outputs: Mapping[str, str]) -> None:
        self._clients = clients
        self.outputs = outputs
        self.config = DynamoConfig(clients("dynamodb"), outputs["ConfigTable"])

    def run(self, **given: str) -> None:
        main({"STACK": "florin", **given}, self._clients)

    def key(self, shown: str) -> ApiKey:
        """The stored key behind one that was shown."""
        keys = DynamoKeys(self._clients("dynamodb"), self.outputs["ConfigTable"])
        found = keys.api_key(f"key_{shown.split('_')[2]}")
        assert found is not None
        assert found.secret_hash == key_hash(b"black", shown)
        return found

    def tier(self, tenant_id: str) -> list[str]:
        """The tiers in whose plans the tenant's gateway key is, with the value that is stored."""
        gateway = self._clients("apigateway")
        value = self.config.gateway_key(tenant_id)
        found = []
        for tier, name in TIERS.items():
            plan_keys = gateway.get_usage_plan_keys(usagePlanId=self.outputs[name])["items"]
            for key in plan_keys:
                made = gateway.get_api_key(apiKey=key["id"], includeValue=True)
                assert made["enabled"]
                found += [tier] if made["value"] == value else []
        return found


class Stacks:
    """Stands for CloudFormation: there is one stack."""

    def __init__(self, outputs: Mapping[str, str]) -> None:
        self._outputs = outputs

    def describe_stacks(self, StackName: str) -> dict[str, Any]:  # noqa: N803  # AWS names it so
        assert StackName == "florin"
        outputs = [{"OutputKey": key, "OutputValue": self._outputs[key]} for key in self._outputs]
        return {"Stacks": [{"Outputs": outputs}]}


@pytest.fixture
def owner() -> Iterator[Owner]:
    with mock_aws():
        made: dict[str, Any] = {
            name: boto3.client(name, region_name=REGION)
            for name in ("apigateway", "dynamodb", "secretsmanager")
        }
        secret = made["secretsmanager"].create_secret(Name="pepper", SecretString="black")
        outputs = {
            "ConfigTable": make_table(made["dynamodb"], "ConfigTable", "t"),
            "PepperSecret": secret["ARN"],
            **{
                plan: made["apigateway"].create_usage_plan(name=plan)["id"]
                for plan in TIERS.values()
            },
        }
        made["cloudformation"] = Stacks(outputs)
        yield Owner(made.__getitem__, outputs)


def test_a_tenant_is_counted_and_has_an_admin(
    owner: Owner, capsys: pytest.CaptureFixture[str]
) -> None:
    owner.run(NAME="Florence Silks", TIER="standard", FEE_BASIS_POINTS="250")
    tenant_id, shown, _ = capsys.readouterr().out.splitlines()
    tenant = owner.config.tenant(tenant_id)
    assert tenant is not None
    assert (tenant.name, tenant.mode, tenant.fees.basis_points) == ("Florence Silks", "live", 250)
    assert owner.tier(tenant_id) == ["standard"]
    key = owner.key(shown)
    assert (key.tenant_id, key.mode, key.role, key.scopes) == (
        tenant_id,
        "live",
        Role.ADMIN,
        frozenset(),
    )
    gateway_key = owner.config.gateway_key(tenant_id)
    assert gateway_key is not None
    assert 20 <= len(gateway_key) <= 128
    assert gateway_key not in shown


def test_a_tenant_moves_from_tier_to_tier(owner: Owner, capsys: pytest.CaptureFixture[str]) -> None:
    owner.run(NAME="Florence Silks")
    owner.run(NAME="Venice Glass")
    lines = capsys.readouterr().out.splitlines()
    florence, venice = lines[0], lines[3]
    assert owner.tier(florence) == ["starter"]
    for _ in range(2):
        owner.run(TENANT=florence, TIER="scale")
        assert owner.tier(florence) == ["scale"]
    assert owner.tier(venice) == ["starter"]


def test_the_owner_makes_operators(owner: Owner, capsys: pytest.CaptureFixture[str]) -> None:
    owner.run(NAME="Florence Silks", MODE="test")
    tenant_id = capsys.readouterr().out.splitlines()[0]
    owner.run(TENANT=tenant_id, ROLE="operator")
    key = owner.key(capsys.readouterr().out.splitlines()[0])
    assert (key.tenant_id, key.mode, key.role) == (tenant_id, "test", Role.OPERATOR)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "Say what to do"),
        ({"STACK": "", "NAME": "a"}, "Say which stack"),
        ({"NAME": "a", "TIER": "golden"}, "golden is none of starter, standard, scale"),
        ({"NAME": "a", "MODE": "prod"}, "prod is none of test, live"),
        ({"TENANT": "tn_1", "TIER": "scale"}, "no key for tn_1"),
        ({"TENANT": "tn_1", "ROLE": "operator"}, "no tenant tn_1"),
        ({"TENANT": "tn_1", "ROLE": "root"}, "root is none of admin"),
    ],
)
def test_what_cannot_be_done_is_said(owner: Owner, given: dict[str, str], said: str) -> None:
    with pytest.raises(TenantError, match=said):
        owner.run(**given)
