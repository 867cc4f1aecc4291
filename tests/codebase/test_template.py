"""The template is code, and is tested as such."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from samtranslator.yaml_helper import yaml_parse

from florin.adapters import http
from florin.saga import CALL_BUDGET
from infra.paths import ROOT

TEMPLATE = yaml_parse((ROOT / "template.yaml").read_text(encoding="utf-8"))
RESOURCES: dict[str, Any] = TEMPLATE["Resources"]
MACHINE = json.loads((ROOT / "state_machines/payment.asl.json").read_text(encoding="utf-8"))


def of_type(kind: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, resource in RESOURCES.items():
        if resource["Type"] == kind:
            yield name, resource["Properties"]


FUNCTIONS = dict(of_type("AWS::Serverless::Function"))
TABLES = dict(of_type("AWS::DynamoDB::Table"))


def timeout_s(function: str) -> int:
    default: int = TEMPLATE["Globals"]["Function"]["Timeout"]
    return int(FUNCTIONS[function].get("Timeout", default))


@pytest.mark.parametrize("table", TABLES)
def test_tables_are_encrypted_recoverable_and_unnamed(table: str) -> None:
    properties = TABLES[table]
    assert properties["SSESpecification"]["KMSMasterKeyId"] == {"Ref": "DataKey"}
    assert properties["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"] is True
    assert properties["BillingMode"] == "PAY_PER_REQUEST"
    assert "TableName" not in properties


def test_prod_tables_cannot_be_deleted() -> None:
    protected = {"Fn::If": ["IsProd", True, False]}
    for name, properties in TABLES.items():
        if name != "SimulatorTable":  # no prod stack has one
            assert properties["DeletionProtectionEnabled"] == protected, name


def test_events_cannot_be_changed_or_deleted() -> None:
    (statement,) = TABLES["EventsTable"]["ResourcePolicy"]["PolicyDocument"]["Statement"]
    assert (statement["Effect"], statement["Principal"]) == ("Deny", "*")
    assert {"dynamodb:UpdateItem", "dynamodb:DeleteItem", "dynamodb:BatchWriteItem"} <= set(
        statement["Action"]
    )


@pytest.mark.parametrize("state", [s for s in MACHINE["States"] if f"{s}Function" in FUNCTIONS])
def test_a_provider_gives_up_before_its_function_and_that_before_its_state(state: str) -> None:
    function = timeout_s(f"{state}Function")
    assert function < MACHINE["States"][state]["TimeoutSeconds"]
    assert function <= CALL_BUDGET.total_seconds()
    assert function > http.TOTAL_TIMEOUT_S or state in {"AssessRisk", "Failed"}


def test_every_step_of_the_machine_has_its_function() -> None:
    used = {name for name in json.dumps(MACHINE).split("${") if name.find("Function}") > 0}
    wanted = {name.split("}")[0] for name in used}
    assert wanted <= set(FUNCTIONS)
    for machine in ("PaymentStandard", "PaymentExpress"):
        substitutions = RESOURCES[machine]["Properties"]["DefinitionSubstitutions"]
        assert set(substitutions) == wanted | {"ParkedQueueUrl"}


def test_both_machines_come_from_one_definition() -> None:
    machines = dict(of_type("AWS::Serverless::StateMachine"))
    assert {machine["Type"] for machine in machines.values()} == {"STANDARD", "EXPRESS"}
    assert len({machine["DefinitionUri"] for machine in machines.values()}) == 1
    assert all("Name" not in machine for machine in machines.values())


def test_every_function_has_policies_of_its_own() -> None:
    for name, properties in FUNCTIONS.items():
        assert properties["Policies"], name
        assert "Role" not in properties, f"{name} shares a role"


def test_no_function_may_change_an_event() -> None:
    for name, properties in FUNCTIONS.items():
        for statement in statements(properties):
            actions = statement["Action"]
            actions = [actions] if isinstance(actions, str) else actions
            assert not any("*" in action for action in actions), name
            if statement["Resource"] == {"Fn::GetAtt": ["EventsTable", "Arn"]}:
                assert set(actions) <= {"dynamodb:PutItem", "dynamodb:Query"}, name


def statements(properties: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for policy in properties["Policies"]:
        for statement in policy.get("Statement", ()):
            yield statement["Fn::If"][1] if "Fn::If" in statement else statement


def test_the_readers_of_the_stream_keep_what_they_fail_on() -> None:
    readers = [
        source["Properties"]
        for properties in FUNCTIONS.values()
        for source in properties.get("Events", {}).values()
        if source["Type"] == "DynamoDB"
    ]
    assert len(readers) == 2, "DynamoDB Streams throttles more than two readers of a shard"
    for reader in readers:
        assert reader["BisectBatchOnFunctionError"] is True
        assert reader["MaximumRetryAttempts"] > 0
        assert reader["DestinationConfig"]["OnFailure"]["Type"] == "S3"


def test_queues_wait_longer_than_their_function_and_have_a_dead_letter_queue() -> None:
    for properties in FUNCTIONS.values():
        for source in properties.get("Events", {}).values():
            if source["Type"] == "SQS":
                queue = RESOURCES[source["Properties"]["Queue"]["Fn::GetAtt"][0]]["Properties"]
                assert queue["VisibilityTimeout"] >= 6 * TEMPLATE["Globals"]["Function"]["Timeout"]
                assert queue["RedrivePolicy"]["maxReceiveCount"] >= 3
                assert source["Properties"]["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
