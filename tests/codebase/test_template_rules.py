"""The rules hold of our template, and each notices a fault that is put into a copy of it."""

import ast
import copy
import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from samtranslator.translator.transform import transform
from samtranslator.yaml_helper import yaml_parse

from florin.edge.metrics import NAMESPACE, Metric
from infra.paths import ROOT
from tests.support import template_rules as rules
from tests.support.template_rules import RULES, Rule, Template

TEXT = (ROOT / "template.yaml").read_text(encoding="utf-8")
TEMPLATE: Template = yaml_parse(TEXT)
DASHBOARD: Template = yaml_parse((ROOT / "infra" / "dashboard.yaml").read_text(encoding="utf-8"))


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_rule_holds(rule: Rule) -> None:
    assert rule(TEMPLATE) == []


# Seeded faults: what somebody may do to the template, the rule that notices, and what it names.


def properties(template: Template, name: str) -> dict[str, Any]:
    found: dict[str, Any] = template["Resources"][name]["Properties"]
    return found


def slow_step(template: Template) -> None:
    properties(template, "AuthorizeFunction")["Timeout"] = 300


def slow_api(template: Template) -> None:
    properties(template, "ApiFunction")["Timeout"] = 29


def no_timeout(template: Template) -> None:
    del template["Globals"]["Function"]["Timeout"]


def stream_without_a_place(template: Template) -> None:
    events = properties(template, "ProjectorFunction")["Events"]
    del events["Facts"]["Properties"]["DestinationConfig"]


def stream_for_ever(template: Template) -> None:
    events = properties(template, "PublisherFunction")["Events"]
    events["Facts"]["Properties"]["MaximumRetryAttempts"] = -1


def queue_without_an_end(template: Template) -> None:
    del properties(template, "AnalyticsQueue")["RedrivePolicy"]


def target_without_dead_letters(template: Template) -> None:
    del properties(template, "AnalyticsRule")["Targets"][0]["DeadLetterConfig"]


def schedule_that_fails_unheard(template: Template) -> None:
    del template["Resources"]["WalkFailed"]


def logs_for_ever(template: Template) -> None:
    del properties(template, "Logs")["RetentionInDays"]


def a_log_of_its_own(template: Template) -> None:
    properties(template, "LookupsFunction")["LoggingConfig"] = {"LogGroup": "elsewhere"}


def no_alias(template: Template) -> None:
    del template["Globals"]["Function"]["AutoPublishAlias"]


def a_step_past_its_alias(template: Template) -> None:
    machine = properties(template, "PaymentStandard")
    machine["DefinitionSubstitutions"]["CaptureFunction"] = {
        "Fn::GetAtt": ["CaptureFunction", "Arn"]
    }


def a_layer_nobody_runs(template: Template) -> None:
    del properties(template, "FlorinLayer")["PublishLambdaVersion"]


def all_at_once(template: Template) -> None:
    template["Globals"]["Function"]["DeploymentPreference"]["Type"] = "AllAtOnce"


def no_way_back(template: Template) -> None:
    del properties(template, "CaptureFunction")["DeploymentPreference"]


def another_ones_alarm(template: Template) -> None:
    watched = properties(template, "WalkFunction")["DeploymentPreference"]
    watched["Alarms"]["Fn::If"][1] = [{"Ref": "SweeperFailed"}]


def any_action(template: Template) -> None:
    statement = properties(template, "FinishFunction")["Policies"][1]["Statement"][0]
    statement["Action"] = "dynamodb:*"


def any_resource(template: Template) -> None:
    statement = properties(template, "AuthorizerFunction")["Policies"][2]["Statement"][0]
    statement["Resource"] = "*"


def anybody(template: Template) -> None:
    document = properties(template, "BusMaySendToAnalytics")["PolicyDocument"]
    document["Statement"][0]["Principal"] = "*"


def unfinished(template: Template) -> None:
    document = properties(template, "EventsTable")["ResourcePolicy"]["PolicyDocument"]
    document["Statement"][0]["Sid"] = "TODOalsoForBackups"


def messages_that_come_too_soon(template: Template) -> None:
    properties(template, "VerifierQueue")["VisibilityTimeout"] = 719


def readable_messages(template: Template) -> None:
    del properties(template, "LookupsQueue")["SqsManagedSseEnabled"]


def an_alarm_without_a_runbook(template: Template) -> None:
    template["Resources"]["Fire"] = template["Resources"]["BooksDiffer"]


def a_runbook_without_its_alarm(template: Template) -> None:
    del template["Resources"]["BooksDiffer"]


def a_silent_alarm(template: Template) -> None:
    properties(template, "BooksDiffer")["AlarmActions"] = []


def silence_without_a_meaning(template: Template) -> None:
    del properties(template, "BooksNotVerified")["TreatMissingData"]


def a_table_with_another_key(template: Template) -> None:
    del properties(template, "ViewsTable")["SSESpecification"]["KMSMasterKeyId"]


def a_table_that_goes_with_its_stack(template: Template) -> None:
    del template["Resources"]["EventsTable"]["DeletionPolicy"]


def a_table_that_may_be_deleted(template: Template) -> None:
    properties(template, "AccountsTable")["DeletionProtectionEnabled"] = False


def a_table_without_yesterday(template: Template) -> None:
    del properties(template, "ConfigTable")["PointInTimeRecoverySpecification"]


def a_key_that_goes_with_its_stack(template: Template) -> None:
    del template["Resources"]["DataKey"]["DeletionPolicy"]


def a_named_table(template: Template) -> None:
    properties(template, "IdempotencyTable")["TableName"] = "florin-idempotency"


def a_named_queue(template: Template) -> None:
    properties(template, "SagaParked")["QueueName"] = "parked"


def an_untraced_machine(template: Template) -> None:
    properties(template, "FollowUpExpress")["Tracing"]["Enabled"] = False


FAULTS: list[tuple[Callable[[Template], None], Rule, str]] = [
    (slow_step, rules.functions_end_before_their_callers, "AuthorizeFunction"),
    (slow_api, rules.functions_end_before_their_callers, "ApiFunction"),
    (no_timeout, rules.functions_end_before_their_callers, "CaptureFunction"),
    (stream_without_a_place, rules.failures_have_a_place, "ProjectorFunction"),
    (stream_for_ever, rules.failures_have_a_place, "PublisherFunction"),
    (queue_without_an_end, rules.failures_have_a_place, "AnalyticsQueue"),
    (target_without_dead_letters, rules.failures_have_a_place, "AnalyticsRule"),
    (schedule_that_fails_unheard, rules.failures_have_a_place, "WalkFunction"),
    (logs_for_ever, rules.logs_end, "Logs"),
    (a_log_of_its_own, rules.logs_end, "LookupsFunction"),
    (no_alias, rules.everybody_calls_the_alias, "ApiFunction"),
    (a_step_past_its_alias, rules.everybody_calls_the_alias, "CaptureFunction"),
    (a_layer_nobody_runs, rules.everybody_calls_the_alias, "FlorinLayer"),
    (all_at_once, rules.releases_can_go_back, "VoidFunction"),
    (no_way_back, rules.releases_can_go_back, "CaptureFunction"),
    (another_ones_alarm, rules.releases_can_go_back, "WalkFunction"),
    (any_action, rules.wildcards_have_reasons, "FinishFunction"),
    (any_resource, rules.wildcards_have_reasons, "AuthorizerFunction"),
    (anybody, rules.wildcards_have_reasons, "BusMaySendToAnalytics"),
    (unfinished, rules.policies_are_finished, "EventsTable"),
    (messages_that_come_too_soon, rules.queues_outlast_their_readers, "VerifierQueue"),
    (readable_messages, rules.queues_are_encrypted, "LookupsQueue"),
    (an_alarm_without_a_runbook, rules.alarms_have_runbooks, "Fire"),
    (a_runbook_without_its_alarm, rules.alarms_have_runbooks, "BooksDiffer"),
    (a_silent_alarm, rules.alarms_reach_somebody, "BooksDiffer"),
    (silence_without_a_meaning, rules.alarms_reach_somebody, "BooksNotVerified"),
    (a_table_with_another_key, rules.tables_are_kept, "ViewsTable"),
    (a_table_that_goes_with_its_stack, rules.tables_are_kept, "EventsTable"),
    (a_table_that_may_be_deleted, rules.tables_are_kept, "AccountsTable"),
    (a_table_without_yesterday, rules.tables_are_kept, "ConfigTable"),
    (a_key_that_goes_with_its_stack, rules.tables_are_kept, "DataKey"),
    (a_named_table, rules.nothing_has_a_name, "IdempotencyTable"),
    (a_named_queue, rules.nothing_has_a_name, "SagaParked"),
    (
        an_untraced_machine,
        rules.functions_and_machines_are_traced_and_nothing_else,
        "FollowUpExpress",
    ),
]


@pytest.mark.parametrize(
    ("fault", "rule", "culprit"), FAULTS, ids=[fault.__name__ for fault, _, _ in FAULTS]
)
def test_a_seeded_fault_is_noticed_and_named(
    fault: Callable[[Template], None], rule: Rule, culprit: str
) -> None:
    # Copied by its text: what stands there once and is used twice is two things then.
    template = json.loads(json.dumps(TEMPLATE))
    fault(template)
    assert any(culprit in said for said in rule(template)), rule(template)


def test_every_rule_has_a_fault_that_it_notices() -> None:
    assert {rule for _, rule, _ in FAULTS} == set(RULES)


def test_no_rule_changes_what_it_looks_at() -> None:
    before = copy.deepcopy(TEMPLATE)
    for rule in RULES:
        rule(TEMPLATE)
    assert before == TEMPLATE


def test_nothing_in_the_template_is_left_to_do() -> None:
    """Comments too, which no rule sees."""
    assert not re.search(r"TODO|FIXME|XXX", TEXT)


# Metrics: what code tells, what rings for it, and what is shown.


def test_every_metric_rings_and_nothing_rings_that_nobody_tells() -> None:
    assert rules.own_metrics(TEMPLATE) == set(Metric)


def test_the_dashboard_shows_what_is_told() -> None:
    body = DASHBOARD["Resources"]["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"]
    widgets = json.loads(re.sub(r"\$\{[\w:]+\}", "name", body))["widgets"]
    shown = {name for name in Metric if f'"{name}"' in json.dumps(widgets).replace("\\", "")}
    assert shown == set(Metric)
    assert NAMESPACE in body
    declared = set(re.findall(r"\$\{(\w+)\}", body))
    assert declared == DASHBOARD["Parameters"].keys()
    given = TEMPLATE["Resources"]["Dashboard"]["Properties"]["Parameters"]
    assert given.keys() == DASHBOARD["Parameters"].keys()


def told_in_code() -> Iterator[str]:
    """The metrics for which a line of deployed code calls `metrics.tell`."""
    for folder in ("shared/florin", "functions"):
        for file in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                match node:
                    case ast.Call(
                        func=ast.Attribute(value=ast.Name(id="metrics"), attr="tell"),
                        args=[ast.Attribute(value=ast.Name(id="Metric"), attr=name), *_],
                    ):
                        yield name


def test_every_metric_is_told_somewhere() -> None:
    assert {Metric[name] for name in told_in_code()} == set(Metric)


# Releases: what SAM makes of the template.


class Managed:
    """Managed policies by name, without asking AWS."""

    def load(self) -> dict[str, str]:
        names = ("AWSLambdaBasicExecutionRole", "AWSXRayDaemonWriteAccess")
        return {name: f"arn:aws:iam::aws:policy/{name}" for name in names}


def made_of(stage: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    template = json.loads(json.dumps(TEMPLATE))
    template["Transform"] = "AWS::Serverless-2016-10-31"
    resources = template["Resources"]
    # What `sam package` does, as far as it matters here.
    resources["FlorinLayer"]["Properties"]["ContentUri"] = "s3://bucket/layer"
    for name in rules.functions(template):
        resources[name]["Properties"]["CodeUri"] = "s3://bucket/code"
    for name, _ in rules.of_type(template, "AWS::Serverless::StateMachine"):
        resources[name]["Properties"]["DefinitionUri"] = "s3://bucket/machine"
    resources["Api"]["Properties"]["DefinitionBody"] = yaml_parse(
        (ROOT / "infra" / "openapi.yaml").read_text(encoding="utf-8")
    )
    made: dict[str, Any] = transform(template, {"Stage": stage}, Managed())
    return made


def awaited(node: Any, names: set[str]) -> set[str]:
    """The resources that one waits for, by whatever reference."""
    waits = [*rules.found(node, "Ref"), *rules.found(node, "DependsOn")]
    waits += [parts[0] for parts in rules.found(node, "Fn::GetAtt")]
    for text in rules.found(node, "Fn::Sub"):
        waits += re.findall(r"\$\{(\w+)", text if isinstance(text, str) else text[0])
    return {one for several in waits for one in rules.listed(several)} & names


@pytest.mark.parametrize("stage", ["dev", "stage", "prod"])
def test_no_resource_waits_for_itself(stage: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An alias waits for alarms, these for functions, and those for machines that call aliases."""
    resources = made_of(stage, monkeypatch)["Resources"]
    waits = {name: awaited(resource, set(resources)) for name, resource in resources.items()}
    while ready := {name for name, others in waits.items() if not others}:
        waits = {name: others - ready for name, others in waits.items() if name not in ready}
    assert waits == {}


def test_prod_is_released_by_parts_and_other_stages_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    groups = {
        stage: {
            name
            for name, resource in made_of(stage, monkeypatch)["Resources"].items()
            if resource["Type"] == "AWS::CodeDeploy::DeploymentGroup"
        }
        for stage in ("dev", "prod")
    }
    assert groups["dev"] == set()
    assert groups["prod"] >= {
        f"{name}DeploymentGroup"
        for name, _ in rules.of_type(TEMPLATE, "AWS::Serverless::Function")
        if name != "SimulatorFunction"
    }
