"""What must hold of the template, as rules that can be asked of any template.

A rule gets a parsed template and names what breaks it; nothing said is all well. They are asked
of our own template, and of copies with a fault put into them, to see that each is noticed.
"""

import json
import re
from collections.abc import Callable, Iterator
from typing import Any, Final

from infra.paths import ROOT

Template = dict[str, Any]
Properties = dict[str, Any]
Rule = Callable[[Template], list[str]]

GATEWAY_WAITS_S: Final = 29
"""So long API Gateway waits for an integration, and for an authorizer."""

RETRIED_WITHOUT_A_QUEUE: Final = 0
"""What a schedule calls comes again by itself; a retry would run beside the next call."""

RUNBOOKS: Final = ROOT / "docs" / "runbooks" / "alarms"

WILDCARDS: Final = {
    ("DataKey", "kms:*"): "the account administers its key, as every key policy says",
    ("DataKey", "Resource *"): "in a key's policy it means this key",
    ("UseDataKey", "kms:GenerateDataKey*"): "with or without its plain text, as DynamoDB asks",
    ("UseDataKey", "kms:ReEncrypt*"): "from and to, as DynamoDB asks",
    ("SagaRole", "Resource *"): "log delivery and tracing have no resources to name",
}
"""Every wildcard that grants something, and its reason. A denial may be as wide as it can."""

NAMED: Final = {
    "Bus": "a bus cannot be without a name",
    "Api": "its metrics are told apart by it, and it holds nothing",
}
"""Resources with a name of their own, which keeps a stack from being replaced, and the reason."""

NAMES: Final = re.compile(
    r"^(Table|Queue|Bucket|Function|Topic|StateMachine|LogGroup|Role|Alarm)?Name$"
)


def of_type(template: Template, kind: str) -> Iterator[tuple[str, Properties]]:
    for name, resource in template["Resources"].items():
        if resource["Type"] == kind:
            yield name, resource.get("Properties", {})


def functions(template: Template) -> dict[str, Properties]:
    """The functions as they are deployed: with what stands under Globals."""
    shared: Properties = template.get("Globals", {}).get("Function", {})
    return {
        name: _over(shared, properties)
        for name, properties in of_type(template, "AWS::Serverless::Function")
    }


def _over(below: Properties, above: Properties) -> Properties:
    merged = below | above
    for key in below.keys() & above.keys():
        if isinstance(below[key], dict) and isinstance(above[key], dict):
            merged[key] = _over(below[key], above[key])
    return merged


def sources(template: Template, kind: str) -> Iterator[tuple[str, Properties]]:
    """Every event source of a kind, with the function that it calls."""
    for function, properties in functions(template).items():
        for source in properties.get("Events", {}).values():
            if source["Type"] == kind:
                yield function, source["Properties"]


def named(reference: Any) -> str:
    """The logical id behind a Ref, an ARN or an alias; what is none of them names nothing."""
    match reference:
        case {"Ref": str(name)} | {"Fn::GetAtt": [str(name), *_]}:
            return name.removesuffix(".Alias")
        case _:
            return ""


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def found(node: Any, key: str) -> Iterator[Any]:
    """Every value that stands under a key, anywhere below."""
    if isinstance(node, dict):
        for name, value in node.items():
            if name == key:
                yield value
            yield from found(value, key)
    elif isinstance(node, list):
        for value in node:
            yield from found(value, key)


def machine(definition_uri: str) -> dict[str, Any]:
    states: dict[str, Any] = json.loads((ROOT / definition_uri).read_text(encoding="utf-8"))
    return states["States"]  # type: ignore[no-any-return]


def seconds(rate: str) -> int:
    """How long a schedule `rate(1 minute)` waits."""
    number, unit = rate.removeprefix("rate(").removesuffix(")").split()
    return int(number) * {"minute": 60, "hour": 3600, "day": 86400}[unit.removesuffix("s")]


def functions_end_before_their_callers(template: Template) -> list[str]:
    """Or who called has gone while the work goes on, and does it once more."""
    wrong = []
    timeouts = {name: properties.get("Timeout") for name, properties in functions(template).items()}
    for name, timeout_s in timeouts.items():
        if not isinstance(timeout_s, int):
            wrong.append(f"{name} has no timeout")
    callers: list[tuple[str, str, float]] = [
        (name, "API Gateway", GATEWAY_WAITS_S)
        for name in ("ApiFunction", "AuthorizerFunction", *(n for n, _ in sources(template, "Api")))
    ]
    for name, source in sources(template, "Schedule"):
        callers.append((name, "its schedule", seconds(source["Schedule"])))
    for name, properties in of_type(template, "AWS::Serverless::StateMachine"):
        states = machine(properties["DefinitionUri"])
        callers += [
            (named(function), f"{name}.{state}", states[state]["TimeoutSeconds"])
            for placeholder, function in properties["DefinitionSubstitutions"].items()
            if (state := placeholder.removesuffix("Function")) in states
        ]
    for name, caller, waits_s in callers:
        if isinstance(timeout_s := timeouts.get(name), int) and timeout_s >= waits_s:
            wrong.append(f"{name} runs {timeout_s} s, {caller} waits {waits_s} s")
    return wrong


def failures_have_a_place(template: Template) -> list[str]:
    """Nothing is dropped: what fails goes to a queue, or comes again by itself and rings."""
    wrong = []
    queues = dict(of_type(template, "AWS::SQS::Queue"))
    ends = {
        named(queue.get("RedrivePolicy", {}).get("deadLetterTargetArn"))
        for queue in queues.values()
    }
    for name, reader in sources(template, "DynamoDB"):
        if not named(reader.get("DestinationConfig", {}).get("OnFailure", {}).get("Destination")):
            wrong.append(f"{name} reads a stream and has no place for what it fails on")
        if not 0 < reader.get("MaximumRetryAttempts", -1) < 100:
            wrong.append(f"{name} tries a batch of a stream for as long as it lives")
    for name, source in sources(template, "SQS"):
        queue = named(source["Queue"])
        if "RedrivePolicy" not in queues[queue] and not queue.endswith(("Parked", "DeadLetters")):
            wrong.append(f"{queue}, which {name} reads, gives up into nothing")
    wrong += [
        f"{dead} does not keep what it is for as long as it could"
        for dead in ends - {""}
        if queues[dead].get("MessageRetentionPeriod") != 14 * 86400
    ]
    for name, _ in sources(template, "Schedule"):
        retries = functions(template)[name].get("EventInvokeConfig", {}).get("MaximumRetryAttempts")
        rings = any(
            (alarm.get("MetricName"), named(alarm.get("Dimensions", [{}])[0].get("Value")))
            == ("Errors", name)
            for _, alarm in of_type(template, "AWS::CloudWatch::Alarm")
        )
        if retries != RETRIED_WITHOUT_A_QUEUE or not rings:
            wrong.append(f"{name} is called by a schedule, and nobody hears when it fails")
    for name, rule in of_type(template, "AWS::Events::Rule"):
        wrong += [
            f"{name} has no dead letters for {target['Id']}"
            for target in rule["Targets"]
            if not named(target.get("DeadLetterConfig", {}).get("Arn"))
        ]
    for name, properties in of_type(template, "AWS::Serverless::StateMachine"):
        if not named(properties["DefinitionSubstitutions"].get("ParkedQueueUrl")):
            wrong.append(f"{name} has nowhere to park a payment")
    return wrong


def logs_end(template: Template) -> list[str]:
    """A group that Lambda makes by itself keeps everything for ever."""
    groups = dict(of_type(template, "AWS::Logs::LogGroup"))
    return [
        f"{name} logs into a group that is not ours"
        for name, properties in functions(template).items()
        if named(properties.get("LoggingConfig", {}).get("LogGroup")) not in groups
    ] + [
        f"{name} keeps for ever" for name, group in groups.items() if "RetentionInDays" not in group
    ]


def everybody_calls_the_alias(template: Template) -> list[str]:
    """Who calls a function itself gets a release all at once, and keeps what is rolled back."""
    wrong = []
    for name, properties in functions(template).items():
        if properties.get("AutoPublishAlias") != "live":
            wrong.append(f"{name} has no alias live")
        if properties.get("AutoPublishAliasAllProperties") is not True:
            wrong.append(f"{name} gets no version for a change of anything but its code")
    for name, layer in of_type(template, "AWS::Serverless::LayerVersion"):
        if layer.get("PublishLambdaVersion") is not True:
            wrong.append(f"a change of {name} gives no function a new version")
    for name, properties in of_type(template, "AWS::Serverless::StateMachine"):
        wrong += [
            f"{name} calls {named(target)} past its alias"
            for placeholder, target in properties["DefinitionSubstitutions"].items()
            if placeholder.endswith("Function") and not str(target.get("Ref")).endswith(".Alias")
        ]
    for name, permission in of_type(template, "AWS::Lambda::Permission"):
        if not str(permission["FunctionName"].get("Ref")).endswith(".Alias"):
            wrong.append(f"{name} is not for the alias")
    for name, statement in statements(template):
        if "lambda:InvokeFunction" in listed(statement["Action"]):
            wrong += [
                f"{name} may call {named(target)} past its alias"
                for target in listed(statement["Resource"])
                if not str(target.get("Ref")).endswith(".Alias")
            ]
    for name, properties in functions(template).items():
        for variable, value in properties["Environment"]["Variables"].items():
            if variable.endswith("_FUNCTION") and not str(value.get("Ref")).endswith(".Alias"):
                wrong.append(f"{name} calls {named(value)} past its alias")
    return wrong


def releases_can_go_back(template: Template) -> list[str]:
    """In prod a release begins with a part of the calls, and an alarm takes it back."""
    wrong = []
    stages = template["Mappings"]["Stages"]
    if stages["prod"]["Canary"] != "true":
        wrong.append("prod is released all at once")
    alarms = dict(of_type(template, "AWS::CloudWatch::Alarm"))
    for name, properties in functions(template).items():
        if template["Resources"][name].get("Condition") == "HasSimulator":
            continue  # no prod stack has it
        preference = properties.get("DeploymentPreference", {})
        if preference.get("Enabled") != {"Fn::FindInMap": ["Stages", {"Ref": "Stage"}, "Canary"]}:
            wrong.append(f"{name} is not released as its stage says")
        if not str(preference.get("Type", "")).startswith(("Canary", "Linear")):
            wrong.append(f"{name} is released all at once")
        watched = preference.get("Alarms", {}).get("Fn::If", ["", [], []])[1]
        if not watched or any(named(alarm) not in alarms for alarm in watched):
            wrong.append(f"{name} is released and no alarm takes it back")
        elif not any(name in json.dumps(alarms[named(alarm)]) for alarm in watched):
            wrong.append(f"{name} is released and its alarms are about others")
    return wrong


def statements(template: Template) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every statement of every policy, with the resource that it stands in."""
    for name, resource in template["Resources"].items():
        for several in found(resource, "Statement"):
            for statement in listed(several):
                for one in statement["Fn::If"][1:] if "Fn::If" in statement else [statement]:
                    if "Action" in one:
                        yield name, one


def wildcards_have_reasons(template: Template) -> list[str]:
    wrong = []
    for name, statement in statements(template):
        if statement["Effect"] != "Allow":
            continue
        wrong += [
            f"{name} allows {action}"
            for action in listed(statement["Action"])
            if "*" in action and (name, action) not in WILDCARDS
        ]
        if "*" in listed(statement.get("Resource", [])) and (name, "Resource *") not in WILDCARDS:
            wrong.append(f"{name} allows {statement['Action']} on everything")
        if statement.get("Principal") in ("*", {"AWS": "*"}):
            wrong.append(f"{name} allows everybody")
    return wrong


def policies_are_finished(template: Template) -> list[str]:
    return [
        f"{name} says: {json.dumps(statement)}"
        for name, statement in statements(template)
        if re.search(r"TODO|FIXME|XXX", json.dumps(statement))
    ]


def queues_outlast_their_readers(template: Template) -> list[str]:
    """AWS asks for six times the function's timeout, or messages come while they are worked on."""
    queues, readers = dict(of_type(template, "AWS::SQS::Queue")), functions(template)
    return [
        f"{named(source['Queue'])} hides for {hidden_s} s what {function} may take "
        f"{readers[function]['Timeout']} s for"
        for function, source in sources(template, "SQS")
        if (hidden_s := queues[named(source["Queue"])].get("VisibilityTimeout", 30))
        < 6 * readers[function]["Timeout"]
    ]


def queues_are_encrypted(template: Template) -> list[str]:
    return [
        name
        for name, queue in of_type(template, "AWS::SQS::Queue")
        if not (queue.get("SqsManagedSseEnabled") is True or "KmsMasterKeyId" in queue)
    ]


def alarms_have_runbooks(template: Template) -> list[str]:
    alarms = dict(of_type(template, "AWS::CloudWatch::Alarm"))
    pages = {page.stem: page for page in RUNBOOKS.glob("*.md")}
    return [
        *(f"{name} has no runbook" for name in alarms.keys() - pages.keys()),
        *(f"{name} is a runbook for nothing" for name in pages.keys() - alarms.keys()),
        *(
            f"the runbook {name} has another title"
            for name, page in pages.items()
            if not page.read_text(encoding="utf-8").startswith(f"# {name}\n")
        ),
    ]


def alarms_reach_somebody(template: Template) -> list[str]:
    ring = {"Fn::If": ["HasAlarmTopic", [{"Ref": "AlarmTopicArn"}], []]}
    wrong = []
    for name, alarm in of_type(template, "AWS::CloudWatch::Alarm"):
        if alarm.get("AlarmActions") != ring:
            wrong.append(f"{name} tells nobody")
        if not alarm.get("AlarmDescription"):
            wrong.append(f"{name} does not say what is wrong")
        if "TreatMissingData" not in alarm:
            wrong.append(f"{name} leaves open what silence means")
    return wrong


def tables_are_kept(template: Template) -> list[str]:
    """Encrypted with our key, recoverable, kept of a prod stack, and named by nobody."""
    wrong = []
    kept = {"Fn::If": ["IsProd", "Retain", "Delete"]}
    for name, table in of_type(template, "AWS::DynamoDB::Table"):
        resource = template["Resources"][name]
        if not named(table.get("SSESpecification", {}).get("KMSMasterKeyId")):
            wrong.append(f"{name} is not encrypted with our key")
        recovery = table.get("PointInTimeRecoverySpecification", {})
        if recovery.get("PointInTimeRecoveryEnabled") is not True:
            wrong.append(f"{name} cannot be brought back to a point in time")
        if resource.get("UpdateReplacePolicy") != "Retain":
            wrong.append(f"{name} is lost when it is replaced")
        if resource.get("Condition") == "HasSimulator":
            continue  # no prod stack has it
        if resource.get("DeletionPolicy") != kept:
            wrong.append(f"{name} goes with its stack in prod")
        if table.get("DeletionProtectionEnabled") != {"Fn::If": ["IsProd", True, False]}:
            wrong.append(f"{name} may be deleted in prod")
    return wrong + [
        f"{name} goes with its stack in prod, and what it opens with it"
        for name in ("DataKey", "PepperSecret")
        if template["Resources"][name].get("DeletionPolicy") != kept
    ]


def nothing_has_a_name(template: Template) -> list[str]:
    return [
        f"{name} is named by {key}"
        for name, resource in template["Resources"].items()
        for key in resource.get("Properties", {})
        if NAMES.match(key) and name not in NAMED and resource["Type"] not in NAMED_BY_REFERENCE
    ]


NAMED_BY_REFERENCE: Final = {"AWS::CloudWatch::Alarm", "AWS::Lambda::Permission"}
"""Their `MetricName` and `FunctionName` are of others."""


def functions_and_machines_are_traced_and_nothing_else(template: Template) -> list[str]:
    wrong = [
        name
        for name, properties in functions(template).items()
        if properties.get("Tracing") != "Active"
    ]
    wrong += [
        name
        for name, properties in of_type(template, "AWS::Serverless::StateMachine")
        if properties.get("Tracing", {}).get("Enabled") is not True
    ]
    # A gateway's trace holds the address of a request, which may be card data (docs/adr/0036).
    return wrong + [
        name
        for name, properties in of_type(template, "AWS::Serverless::Api")
        if properties.get("TracingEnabled", False) is not False
    ]


def own_metrics(template: Template) -> set[str]:
    """The metrics of ours that alarms ring for."""
    return {
        alarm["MetricName"]
        for _, alarm in of_type(template, "AWS::CloudWatch::Alarm")
        if alarm.get("Namespace") == "Florin"
    }


RULES: Final[tuple[Rule, ...]] = (
    functions_end_before_their_callers,
    failures_have_a_place,
    logs_end,
    everybody_calls_the_alias,
    releases_can_go_back,
    wildcards_have_reasons,
    policies_are_finished,
    queues_outlast_their_readers,
    queues_are_encrypted,
    alarms_have_runbooks,
    alarms_reach_somebody,
    tables_are_kept,
    nothing_has_a_name,
    functions_and_machines_are_traced_and_nothing_else,
)
