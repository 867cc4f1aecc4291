"""The template is code, and is tested as such."""

import json
import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest
from samtranslator.yaml_helper import yaml_parse

from analytics.witness import TOLD
from florin.adapters import http
from florin.adapters.search import KEY_OF, Index
from florin.edge.answers import PUBLIC_TYPES
from florin.edge.queues import RECEIVES_MAX
from florin.saga import ANSWER_TIME, CALL_BUDGET, CALLS_MAX
from infra.paths import ROOT
from infra.tenants import TIERS
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
                if name == "WalkFunction":
                    allowed = {"dynamodb:Query", "dynamodb:Scan"}
                if name == "VerifierFunction":
                    allowed = {"dynamodb:BatchGetItem", "dynamodb:Query", "dynamodb:Scan"}
                assert set(actions) <= allowed, name


def test_the_api_reads_views_by_their_keys_and_indexes_only() -> None:
    views = {
        (action, str(resource))
        for statement in statements(FUNCTIONS["ApiFunction"])
        for action in listed(statement["Action"])
        for resource in listed(statement["Resource"])
        if "ViewsTable" in str(resource)
    }
    table = str({"Fn::GetAtt": ["ViewsTable", "Arn"]})
    indexes = {str({"Fn::Sub": f"${{ViewsTable.Arn}}/index/{index}"}) for index in Index}
    reads = {(f"dynamodb:{action}", table) for action in ("BatchGetItem", "GetItem", "PutItem")}
    assert views == reads | {("dynamodb:Query", index) for index in indexes}


def test_the_indexes_of_views_hold_keys_only() -> None:
    """What an index projects it writes again whenever that changes."""
    found = {
        index["IndexName"]: [key["AttributeName"] for key in index["KeySchema"]]
        for index in TABLES["ViewsTable"]["GlobalSecondaryIndexes"]
        if index["Projection"] == {"ProjectionType": "KEYS_ONLY"}
    }
    wanted = {str(index): [KEY_OF[index], "stream"] for index in Index}
    assert found == wanted | {"by_due": ["due_key", "due_at"]}


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


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


def test_the_witness_expects_what_its_rule_picks() -> None:
    pattern = RESOURCES["AnalyticsRule"]["Properties"]["EventPattern"]
    ((prefix,),) = (kind.values() for kind in pattern["detail-type"])
    assert {name for name in PUBLIC_TYPES if name.startswith(prefix)} == TOLD
    assert TOLD < PUBLIC_TYPES


# Hops: what happens behind somebody's back, and what happens when it fails.

ALARMS = {name: alarm for name, alarm in of_type("AWS::CloudWatch::Alarm") if "MetricName" in alarm}
"""Those on one metric; what rings for several together watches releases (test_template_rules)."""
COLLECTOR = "DeadLettersFunction"


def sources(kind: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every event source of a kind, with the function that it calls."""
    for function, properties in FUNCTIONS.items():
        for source in properties.get("Events", {}).values():
            if source["Type"] == kind:
                yield function, source["Properties"]


def named(reference: Any) -> str:
    """The logical id behind a Ref or an ARN."""
    if "Ref" in reference:
        return str(reference["Ref"])
    return str(reference["Fn::GetAtt"][0])


LISTENERS = {
    named(properties["Queue"]): function
    for function, properties in sources("SQS")
    if function != COLLECTOR
}
COLLECTED = {
    named(properties["Queue"]) for function, properties in sources("SQS") if function == COLLECTOR
}


def hops() -> Iterator[tuple[str, str]]:
    """Every asynchronous hop of the template, and the queue in which its dead letters lie.

    Found by what AWS has for it, so that a new one cannot be forgotten here.
    """
    for function, reader in sources("DynamoDB"):
        parked = FUNCTIONS[function]["Environment"]["Variables"]["PARKED_QUEUE_URL"]
        yield f"{function}, what it cannot work on", named(parked)
        bucket = RESOURCES[named(reader["DestinationConfig"]["OnFailure"]["Destination"])]
        (told,) = bucket["Properties"]["NotificationConfiguration"]["QueueConfigurations"]
        yield f"{function}, what it fails on", named(told["Queue"])
    for function, properties in sources("SQS"):
        if function != COLLECTOR:
            queue = RESOURCES[named(properties["Queue"])]["Properties"]
            yield function, named(queue["RedrivePolicy"]["deadLetterTargetArn"])
    for rule, properties in of_type("AWS::Events::Rule"):
        for target in properties["Targets"]:
            dead = named(target["DeadLetterConfig"]["Arn"])
            assert dead != named(target["Arn"]), "what cannot be reached keeps nothing"
            yield f"{rule} to {target['Id']}", dead
    for machine, properties in of_type("AWS::Serverless::StateMachine"):
        yield machine, named(properties["DefinitionSubstitutions"]["ParkedQueueUrl"])


HOPS = dict(hops())
EVENT_SOURCES = {"Api", "DynamoDB", "SQS", "Schedule"}
"""A schedule comes again by itself: what one call leaves the next finds."""


def test_every_way_in_which_a_function_is_called_is_known_here() -> None:
    kinds = {
        source["Type"]
        for properties in FUNCTIONS.values()
        for source in properties.get("Events", {}).values()
    }
    assert kinds <= EVENT_SOURCES, "a new kind of hop: say above where its dead letters lie"
    asynchronous = {"AWS::Scheduler::Schedule", "AWS::Pipes::Pipe", "AWS::SNS::Subscription"}
    assert not asynchronous & {resource["Type"] for resource in RESOURCES.values()}
    assert len(HOPS) == 14


@pytest.mark.parametrize("hop", HOPS)
def test_dlq_every_hop_has_its_queue_its_alarms_and_its_collector(hop: str) -> None:
    queue = RESOURCES[HOPS[hop]]
    assert queue["Type"] == "AWS::SQS::Queue"
    assert queue["Properties"]["MessageRetentionPeriod"] == 14 * 24 * 3600
    assert queue["Properties"]["MaximumMessageSize"] <= 256 * 1024, "what fits into an item"
    assert "RedrivePolicy" not in queue["Properties"], "here it ends"
    assert HOPS[hop] in COLLECTED
    (depth,) = (
        alarm
        for alarm in ALARMS.values()
        if alarm["MetricName"] == "ApproximateNumberOfMessagesVisible"
        and named(alarm["Dimensions"][0]["Value"]) == HOPS[hop]
    )
    assert (depth["Namespace"], depth["Threshold"]) == ("AWS/SQS", 0)
    assert (depth["Statistic"], depth["ComparisonOperator"]) == ("Maximum", "GreaterThanThreshold")


def test_dlq_every_hop_can_be_redriven_and_rings() -> None:
    variables = FUNCTIONS[COLLECTOR]["Environment"]["Variables"]["HOPS"]["Fn::Sub"]
    collected = json.loads(variables)
    redriven = set(re.findall(r'^        "(\w+)": \w+Hop', WIRING, re.MULTILINE))
    assert set(collected.values()) == redriven
    for owner in (*FUNCTIONS, *COLLECTED):
        if owner in {name for name, _ in sources("DynamoDB")} | COLLECTED - SHARED:
            assert f"${{{owner}.Arn}}" in collected, owner
    rings = {
        alarm["Dimensions"][1]["Value"]
        for alarm in ALARMS.values()
        if (alarm["Namespace"], alarm["MetricName"]) == ("Florin", "DeadLetters")
    }
    assert rings == redriven


WIRING = (ROOT / "shared/florin/edge/wiring.py").read_text(encoding="utf-8")
SHARED = {"SagaParked", "FailedBatchesParked", "FailedExecutionsParked"}
"""Queues whose messages say themselves which hop they come from."""


def test_executions_that_fail_and_readers_that_lag_ring() -> None:
    ringing = {
        (alarm["MetricName"], named(alarm["Dimensions"][0]["Value"]))
        for alarm in ALARMS.values()
        if alarm["Namespace"] != "Florin"
    }
    for machine, _ in of_type("AWS::Serverless::StateMachine"):
        assert {("ExecutionsFailed", machine), ("ExecutionsTimedOut", machine)} <= ringing
    for reader, _ in sources("DynamoDB"):
        assert ("IteratorAge", reader) in ringing


@pytest.mark.parametrize("queue", LISTENERS)
def test_listeners_try_with_pauses_before_the_queue_gives_up(queue: str) -> None:
    """The handler parks with the cause; the queue's own policy is for when it could not."""
    function, properties = LISTENERS[queue], RESOURCES[queue]["Properties"]
    assert properties["VisibilityTimeout"] >= 6 * timeout_s(function)
    assert properties["RedrivePolicy"]["maxReceiveCount"] > RECEIVES_MAX >= 3
    variables = FUNCTIONS[function]["Environment"]["Variables"]
    assert named(variables["QUEUE_URL"]) == queue
    assert named(variables["PARKED_QUEUE_URL"]) == HOPS[function]


def test_every_queue_is_read_by_message() -> None:
    for function, properties in sources("SQS"):
        assert properties["FunctionResponseTypes"] == ["ReportBatchItemFailures"], function
    for queue in (*LISTENERS, *COLLECTED):
        waits = RESOURCES[queue]["Properties"]["VisibilityTimeout"]
        assert waits >= 6 * timeout_s(LISTENERS.get(queue, COLLECTOR)), queue


# Keys and rates.


def conditions(function: str, action: str) -> list[dict[str, Any]]:
    """Under which conditions a function may do something to the config table."""
    return [
        statement.get("Condition", {})
        for statement in statements(FUNCTIONS[function])
        if action in listed(statement["Action"])
        and statement["Resource"] == {"Fn::GetAtt": ["ConfigTable", "Arn"]}
    ]


ONLY_KEYS = {"dynamodb:LeadingKeys": ["api_key#*"]}


@pytest.mark.parametrize(
    ("function", "action"),
    [
        ("ApiFunction", "dynamodb:PutItem"),
        ("ApiFunction", "dynamodb:UpdateItem"),
        ("AuthorizerFunction", "dynamodb:UpdateItem"),
    ],
)
def test_of_the_configuration_functions_write_keys_only(function: str, action: str) -> None:
    (condition,) = conditions(function, action)
    assert condition["ForAllValues:StringLike"] == ONLY_KEYS


def test_nobody_else_writes_configuration() -> None:
    writes = ("Put", "Update", "Delete", "BatchWrite", "PartiQL")
    writers = {
        (name, action)
        for name, properties in FUNCTIONS.items()
        for statement in statements(properties)
        for action in listed(statement["Action"])
        if "ConfigTable" in str(statement["Resource"])
        and action.partition(":")[2].startswith(writes)
    }
    assert writers == {
        ("ApiFunction", "dynamodb:PutItem"),
        ("ApiFunction", "dynamodb:UpdateItem"),
        ("AuthorizerFunction", "dynamodb:UpdateItem"),
    }


def test_the_authorizer_writes_of_a_key_its_use_and_its_hash() -> None:
    (condition,) = conditions("AuthorizerFunction", "dynamodb:UpdateItem")
    written = {"dynamodb:Attributes": ["id", "last_used_at", "secret_hash"]}
    assert condition["ForAllValues:StringEquals"] == written


def test_the_secret_of_keys_is_not_that_of_fields() -> None:
    """Only the first may be rotated, and only the API knows the second."""
    variables = FUNCTIONS["ApiFunction"]["Environment"]["Variables"]
    assert variables["PEPPER_SECRET_ID"] == {"Fn::GetAtt": ["PepperSecret", "Id"]}
    assert variables["FIELD_PEPPER_SECRET_ID"] == {"Fn::GetAtt": ["FieldPepperSecret", "Id"]}
    assert "FieldPepperSecret" not in json.dumps(FUNCTIONS["AuthorizerFunction"])


def test_how_long_a_revoked_key_may_be_used_is_a_parameter() -> None:
    parameter = TEMPLATE["Parameters"]["KeyCacheSeconds"]
    assert parameter["Default"] <= 60
    assert (parameter["MinValue"], parameter["MaxValue"]) == (0, 3600), "what API Gateway takes"


API = RESOURCES["Api"]["Properties"]
RATES = TEMPLATE["Mappings"]["Rates"]
PLANS = dict(of_type("AWS::ApiGateway::UsagePlan"))


def test_calls_are_counted_by_the_authorizers_word() -> None:
    assert API["ApiKeySourceType"] == "AUTHORIZER"


def test_the_stage_and_what_begins_something_have_throttles() -> None:
    throttled = {
        (setting["HttpMethod"], setting["ResourcePath"]): (
            setting["ThrottlingRateLimit"]["Fn::FindInMap"][2],
            setting["ThrottlingBurstLimit"]["Fn::FindInMap"][2],
        )
        for setting in API["MethodSettings"]
    }
    assert throttled == {
        ("*", "/*"): ("All", "AllAtOnce"),
        ("POST", "/~1payments"): ("Payments", "PaymentsAtOnce"),
        ("POST", "/~1api-keys"): ("Keys", "KeysAtOnce"),
    }
    assert RATES.keys() == set(TEMPLATE["Parameters"]["Stage"]["AllowedValues"])
    for stage, rates in RATES.items():
        assert 0 < rates["Keys"] < rates["Payments"] < rates["All"] <= 10_000, stage
        for name in ("Keys", "Payments", "All"):
            assert rates[f"{name}AtOnce"] >= rates[name], stage


def test_tiers_are_three_plans_each_wider_than_the_one_before() -> None:
    assert list(PLANS) == list(TIERS.values())
    tiers = [
        (plan["Throttle"]["RateLimit"], plan["Throttle"]["BurstLimit"], plan["Quota"]["Limit"])
        for plan in PLANS.values()
    ]
    for narrow, wide in pairwise(tiers):
        assert all(less < more for less, more in zip(narrow, wide, strict=True))
    for name, plan in PLANS.items():
        assert plan["ApiStages"] == [{"ApiId": {"Ref": "Api"}, "Stage": {"Ref": "Api.Stage"}}]
        assert TEMPLATE["Outputs"][name]["Value"] == {"Ref": name}
        assert plan["Throttle"]["RateLimit"] <= RATES["prod"]["All"]


def test_no_gateway_key_is_in_the_template() -> None:
    """One is made for each tenant, by whoever adds the tenant."""
    assert not {"AWS::ApiGateway::ApiKey", "AWS::ApiGateway::UsagePlanKey"} & {
        resource["Type"] for resource in RESOURCES.values()
    }
