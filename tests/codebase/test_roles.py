"""The roles that no local stack enforces, compared with the definitions that need them."""

import json
import re
from typing import Any, Final

from samtranslator.yaml_helper import yaml_parse

from infra.paths import ROOT

RESOURCES: Final[dict[str, Any]] = yaml_parse((ROOT / "template.yaml").read_text())["Resources"]
FOR_ALL: Final = {
    "logs:CreateLogDelivery",
    "logs:DeleteLogDelivery",
    "logs:DescribeLogGroups",
    "logs:DescribeResourcePolicies",
    "logs:GetLogDelivery",
    "logs:ListLogDeliveries",
    "logs:PutResourcePolicy",
    "logs:UpdateLogDelivery",
    "xray:GetSamplingRules",
    "xray:GetSamplingTargets",
    "xray:PutTelemetryRecords",
    "xray:PutTraceSegments",
}
"""What AWS asks for so that a machine may log and be traced; none of it has a resource."""


def machines() -> dict[str, dict[str, Any]]:
    return {
        name: resource["Properties"]
        for name, resource in RESOURCES.items()
        if resource["Type"] == "AWS::Serverless::StateMachine"
    }


def needed() -> set[tuple[str, str]]:
    """What the states of all machines do, and with what."""
    found = set()
    for machine in machines().values():
        names = machine["DefinitionSubstitutions"]
        definition = (ROOT / machine["DefinitionUri"]).read_text(encoding="utf-8")
        for state in states(json.loads(definition)):
            target = json.dumps(state)
            match state.get("Resource"):
                case "arn:aws:states:::lambda:invoke":
                    found |= {("lambda:InvokeFunction", arn) for arn in used(names, target)}
                case (
                    "arn:aws:states:::aws-sdk:sqs:sendMessage" | "arn:aws:states:::sqs:sendMessage"
                ):
                    found |= {("sqs:SendMessage", arn) for arn in used(names, target)}
                case None:
                    assert state["Type"] != "Task"
                case other:
                    raise AssertionError(f"what does {other} need?")
    return found


def used(names: dict[str, Any], text: str) -> set[str]:
    """The logical ids behind the substitutions in a text."""
    references = (names[name] for name in re.findall(r"\$\{(\w+)\}", text))
    return {named(one) for one in references}


def named(reference: dict[str, Any]) -> str:
    """The logical id behind a reference; that of a function's alias is made of the function's."""
    return str(reference.get("Ref") or reference["Fn::GetAtt"][0])


def states(definition: dict[str, Any]) -> list[dict[str, Any]]:
    found = list(definition["States"].values())
    for state in definition["States"].values():
        for inner in [*state.get("Branches", []), *filter(None, [state.get("ItemProcessor")])]:
            found += states(inner)
    return found


def test_the_machines_may_do_what_their_states_do_and_nothing_else() -> None:
    (policy,) = RESOURCES["SagaRole"]["Properties"]["Policies"]
    allowed, everywhere = set(), set()
    for statement in policy["PolicyDocument"]["Statement"]:
        for action in listed(statement["Action"]):
            for resource in listed(statement["Resource"]):
                if resource == "*":
                    everywhere.add(action)
                else:
                    allowed.add((action, named(resource)))
    assert allowed == needed()
    assert everywhere == FOR_ALL
    assert all(
        machine["Role"] == {"Fn::GetAtt": ["SagaRole", "Arn"]} for machine in machines().values()
    )


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
