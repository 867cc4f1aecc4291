"""Nothing outside the engine writes down what a client sent, for it may be card data (ADR 36)."""

import ast
import json
import re
from typing import Any, Final

import pytest
from samtranslator.yaml_helper import yaml_parse

from infra.paths import ROOT

RESOURCES: Final[dict[str, Any]] = yaml_parse((ROOT / "template.yaml").read_text())["Resources"]

HARMLESS: Final = {
    "authorizer.latency",
    "authorizer.tenant_id",
    "error.responseType",
    "httpMethod",
    "identity.sourceIp",
    "integration.latency",
    "requestId",
    "requestTimeEpoch",
    "resourcePath",  # as the document spells it: path is what the client sent
    "responseLatency",
    "responseLength",
    "status",
}
"""What an access log may hold: nothing that a client chose, apart from where it calls from."""


def of_type(*kinds: str) -> dict[str, dict[str, Any]]:
    return {
        name: resource["Properties"]
        for name, resource in RESOURCES.items()
        if resource["Type"] in kinds
    }


APIS: Final = of_type("AWS::Serverless::Api", "AWS::Serverless::HttpApi")


@pytest.mark.parametrize("api", APIS)
def test_an_api_is_not_traced_for_traces_hold_addresses(api: str) -> None:
    assert not APIS[api].get("TracingEnabled")


@pytest.mark.parametrize("api", APIS)
def test_an_api_writes_no_execution_log(api: str) -> None:
    for settings in APIS[api].get("MethodSettings", []):
        assert settings.get("LoggingLevel", "OFF") == "OFF"
        assert settings.get("DataTraceEnabled", False) is False


def test_the_access_log_has_fixed_fields() -> None:
    access = RESOURCES["Api"]["Properties"]["AccessLogSetting"]
    assert set(json.loads(access["Format"]).values()) <= {f"$context.{name}" for name in HARMLESS}
    assert "\n" not in access["Format"], "API Gateway wants one line"
    assert access["DestinationArn"] == {"Fn::GetAtt": ["ApiLogs", "Arn"]}
    others = [api for api in APIS.values() if "AccessLogSetting" in api]
    assert others == [RESOURCES["Api"]["Properties"]]


def test_state_machines_log_no_data() -> None:
    for name, machine in of_type("AWS::Serverless::StateMachine").items():
        assert machine.get("Logging", {}).get("IncludeExecutionData", False) is False, name


def test_one_module_writes_to_the_log() -> None:
    """So that nothing gets past what it leaves out and strikes out."""
    log = ROOT / "shared/florin/edge/log.py"
    speaking = []
    for folder in ("shared", "functions"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            if path != log and any(map(speaks, ast.walk(tree))):
                speaking.append(path.relative_to(ROOT).as_posix())
    assert speaking == []
    assert any(map(speaks, ast.walk(ast.parse(log.read_text(encoding="utf-8")))))


def speaks(node: ast.AST) -> bool:
    match node:
        case ast.Call(func=ast.Name(id="print")):
            return True
        case ast.Import(names=names):
            return any(re.match(r"(logging|warnings)\b", name.name) for name in names)
        case ast.ImportFrom(module="logging" | "warnings"):
            return True
        case ast.Attribute(value=ast.Name(id="sys"), attr="stdout" | "stderr"):
            return True
        case _:
            return False
