"""The template is code, and is tested as such."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from samtranslator.yaml_helper import yaml_parse

from florin.adapters import http
from florin.saga import ANSWER_TIME, CALL_BUDGET, CALLS_MAX
from infra.paths import ROOT
from verifier.handler import ALL_TENANTS, WORK_S

TEMPLATE = yaml_parse((ROOT / "template.yaml").read_text(encoding="utf-8"))
RESOURCES: dict[str, Any] = TEMPLATE["Resources"]
MACHINES = {
    name: json.loads((ROOT / f"state_machines/{name}.asl.json").read_text(encoding="utf-8"))
    for name in ("payment", "follow_up")
}


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


STEPS = [
    (machine, state)
    for machine, definition in MACHINES.items()
    for state in definition["States"]
    if f"{state}Function" in FUNCTIONS
]
CALLS = {"Authorize": 1, "Capture": 1, "Void": 1, "FollowUp": CALLS_MAX}
"""How many provider calls a step makes at most, one after the other."""


@pytest.mark.parametrize(("machine", "state"), STEPS)
def test_a_provider_gives_up_before_its_function_and_that_before_its_state(
    machine: str, state: str
) -> None:
    function = timeout_s(f"{state}Function")
    assert function < MACHINES[machine]["States"][state]["TimeoutSeconds"]
    assert function > http.TOTAL_TIMEOUT_S * CALLS.get(state, 0)


def test_a_call_is_over_before_anybody_looks_it_up() -> None:
    """Who is too late for an answer in time does not ask, so the deadline is the call's end."""
    assert ANSWER_TIME.total_seconds() >= http.TOTAL_TIMEOUT_S
    assert ANSWER_TIME < CALL_BUDGET


@pytest.mark.parametrize("machine", MACHINES)
def test_every_step_of_a_machine_has_its_function(machine: str) -> None:
    wanted = set(re.findall(r"\$\{(\w+Function)\}", json.dumps(MACHINES[machine])))
    assert wanted <= set(FUNCTIONS)
    for properties in machines_of(machine):
        assert set(properties["DefinitionSubstitutions"]) == wanted | {"ParkedQueueUrl"}


@pytest.mark.parametrize("machine", MACHINES)
def test_both_types_of_a_machine_come_from_one_definition(machine: str) -> None:
    both = machines_of(machine)
    assert [properties["Type"] for properties in both] == ["STANDARD", "EXPRESS"]
    assert all("Name" not in properties for properties in both)


def machines_of(definition: str) -> list[dict[str, Any]]:
    return [
        properties
        for _, properties in of_type("AWS::Serverless::StateMachine")
        if properties["DefinitionUri"] == f"state_machines/{definition}.asl.json"
    ]


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
                allowed = {"dynamodb:PutItem", "dynamodb:Query"}
                if name == "VerifierFunction":
                    allowed = {"dynamodb:BatchGetItem", "dynamodb:Query", "dynamodb:Scan"}
                assert set(actions) <= allowed, name


def statements(properties: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for policy in properties["Policies"]:
        for statement in policy.get("Statement", ()):
            yield statement["Fn::If"][1] if "Fn::If" in statement else statement


def test_the_verifier_writes_nothing_but_its_runs() -> None:
    writes = ("Put", "Update", "Delete", "BatchWrite", "PartiQL")
    written = {
        json.dumps(statement["Resource"])
        for statement in statements(FUNCTIONS["VerifierFunction"])
        for action in (
            [statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"]
        )
        if action.partition(":")[2].startswith(writes)
    }
    assert written == {json.dumps({"Fn::GetAtt": ["VerificationsTable", "Arn"]})}


def test_the_verifier_may_call_itself_and_its_messages_outlast_it() -> None:
    verifier = FUNCTIONS["VerifierFunction"]
    assert verifier["RecursiveLoop"] == "Allow", "AWS ends what calls itself 16 times"
    assert timeout_s("VerifierFunction") > 2 * WORK_S
    queue = RESOURCES["VerifierQueue"]["Properties"]
    assert queue["VisibilityTimeout"] >= 6 * timeout_s("VerifierFunction")
    assert json.loads(RESOURCES["VerifierSchedule"]["Properties"]["Targets"][0]["Input"]) == (
        ALL_TENANTS
    )


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
