"""What a recorded call needs leave for, which the end-to-end tests compare with the roles."""

import json
from typing import Any

import pytest

from tests.support.fault_proxy import Request, pass_all
from tests.support.permissions import Permission, Recorder, Role, Roles, needed_for, permissions

KEY = "ASIA0123456789ABCDEF"
TABLE = "arn:aws:dynamodb:us-east-1:000000000000:table/things"
MACHINE = "arn:aws:states:us-east-1:000000000000:stateMachine:saga"
EXECUTION = "arn:aws:states:us-east-1:000000000000:execution:saga:pay_1-v1"
SECRET = "arn:aws:secretsmanager:us-east-1:000000000000:secret:pepper-a1b2c3"


def request(service: str, operation: str, **document: Any) -> Request:
    body = json.dumps(document).encode()
    return Request(service=service, operation=operation, body=body, access_key=KEY)


@pytest.mark.parametrize(
    ("asked", "needed"),
    [
        (request("dynamodb", "GetItem", TableName="t"), {"dynamodb:GetItem on table/t"}),
        (request("dynamodb", "Query", TableName=TABLE), {"dynamodb:Query on table/things"}),
        (
            request("dynamodb", "Query", TableName="t", IndexName="by_due"),
            {"dynamodb:Query on table/t/index/by_due"},
        ),
        (
            request("dynamodb", "BatchGetItem", RequestItems={"t": {}, TABLE: {}}),
            {"dynamodb:BatchGetItem on table/t", "dynamodb:BatchGetItem on table/things"},
        ),
        (
            request(
                "dynamodb",
                "TransactWriteItems",
                TransactItems=[
                    {"Put": {"TableName": "t"}},
                    {"ConditionCheck": {"TableName": TABLE}},
                    {"Put": {"TableName": "t"}},
                ],
            ),
            {"dynamodb:PutItem on table/t", "dynamodb:ConditionCheckItem on table/things"},
        ),
        (
            request("sqs", "SendMessage", QueueUrl="http://127.0.0.1:1/000000000000/parked"),
            {"sqs:SendMessage on parked"},
        ),
        (
            request(
                "events", "PutEvents", Entries=[{"EventBusName": "bus"}, {"EventBusName": "b"}]
            ),
            {"events:PutEvents on event-bus/bus", "events:PutEvents on event-bus/b"},
        ),
        (
            request("states", "StartExecution", stateMachineArn=MACHINE),
            {"states:StartExecution on stateMachine:saga"},
        ),
        (
            request("states", "DescribeExecution", executionArn=EXECUTION),
            {"states:DescribeExecution on execution:saga:pay_1-v1"},
        ),
        (
            request("secretsmanager", "GetSecretValue", SecretId=SECRET),
            {"secretsmanager:GetSecretValue on secret:pepper"},
        ),
        (
            request("lambda", "POST /2015-03-31/functions/reader/invocations"),
            {"lambda:InvokeFunction on function:reader"},
        ),
        (request("s3", "GET /bucket/a/key%2Bone"), {"s3:GetObject on bucket/a/key+one"}),
    ],
)
def test_a_request_needs_its_action_on_its_resource(asked: Request, needed: set[str]) -> None:
    assert set(map(str, needed_for(asked))) == needed


def test_a_service_that_nobody_knows_is_no_secret() -> None:
    with pytest.raises(LookupError, match="kinesis PutRecord"):
        set(needed_for(request("kinesis", "PutRecord")))


def test_a_policy_is_taken_apart() -> None:
    document = {
        "Statement": [
            {"Action": ["dynamodb:GetItem", "dynamodb:Query"], "Resource": [TABLE, f"{TABLE}/*"]},
            {"Action": "secretsmanager:GetSecretValue", "Resource": SECRET},
        ]
    }
    assert sorted(map(str, permissions(json.dumps(document)))) == [
        "dynamodb:GetItem on table/things",
        "dynamodb:GetItem on table/things/*",
        "dynamodb:Query on table/things",
        "dynamodb:Query on table/things/*",
        "secretsmanager:GetSecretValue on secret:pepper",
    ]


@pytest.mark.parametrize(
    ("action", "resource", "covered"),
    [
        ("dynamodb:Query", "table/t", False),
        ("dynamodb:Query", "table/t/index/by_due", True),
        ("dynamodb:Query", "table/t/index/*", True),
        ("dynamodb:*", "*", True),
        ("dynamodb:GetItem", "table/t/index/by_due", False),
    ],
)
def test_a_permission_covers_what_it_spells(action: str, resource: str, covered: bool) -> None:
    needed = Permission("dynamodb:Query", "table/t/index/by_due")
    assert Permission(action, resource).covers(needed) is covered


def test_calls_are_recorded_by_function_and_by_the_names_of_the_template() -> None:
    recorder = Recorder(pass_all)
    recorder(request("dynamodb", "GetItem", TableName="florin-Things-1"))
    recorder(request("dynamodb", "GetItem", TableName="florin-Things-1"))
    recorder(Request(service="execute-api", operation="GET /v1/payments", body=b"", access_key=KEY))
    recorder(Request(service="s3", operation="GET /bucket/key", body=b"", access_key="test"))
    recorder(Request(service="kinesis", operation="", body=b""))  # signed by nobody
    role = Role(
        function="Reader", access_keys=frozenset({KEY}), own=frozenset(), attached=frozenset()
    )
    roles = Roles(roles={"Reader": role}, names={"florin-Things-1": "Things"})
    made = list(roles.by_function(recorder.calls))
    assert made == [("Reader", Permission("dynamodb:GetItem", "table/Things"))]
    assert not role.allows(made[0][1])
