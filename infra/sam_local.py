"""`make sam-local`: call the built functions with the events of tests/events, in containers.

The SAM CLI runs a function as Lambda would, in Lambda's own image, so it needs Docker; where there
is none, `make sam-deploy` gives the same events to the same code on the local stack. The functions
work on the tables of the stack that is up: STACK=localstack make up, then this.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import yaml
from samtranslator.yaml_helper import yaml_parse

from infra.local import Stack, lifecycle
from infra.paths import BUILT, ROOT, STATE

Json = dict[str, Any]
Invoke = Callable[[str, Json], Json]
"""Calls a function, by its logical id, with an event; its answer."""

EVENTS = ROOT / "tests" / "events"
FUNCTIONS = {
    "authorize_request": "AuthorizerFunction",
    "get_payment": "ApiFunction",
    "post_payment": "ApiFunction",
}
KEY = "sk_test_01JZ8S2M4N6P8Q0R2T4V6W8X0Y_bm90LWEtcmVhbC1rZXktYXQtYWxsLXJl"
TENANT = "tn_florence"
CONTAINER_TIMEOUT_S = 600


class EventsError(Exception):
    """An event was not answered as it should be; the message says which and how."""


def events(stack: Stack) -> Iterator[tuple[str, Json]]:
    """The events by name, as the first tenant of the stack would cause them."""
    tenant = stack.tenants[0]
    for file in sorted(EVENTS.glob("*.json")):
        text = file.read_text(encoding="utf-8")
        text = text.replace(KEY, tenant.api_key).replace(TENANT, tenant.tenant_id)
        yield file.stem, json.loads(text)


def check(stack: Stack, invoke: Invoke) -> None:
    """Give each event to its function. Raises EventsError if one is not answered as it should."""
    for name, event in events(stack):
        answer = invoke(FUNCTIONS[name], event)
        if fault := fault_of(name, answer):
            raise EventsError(f"{name}: {fault}")
        print(f"{name}: {answer.get('statusCode', 'allowed')}")


def fault_of(name: str, answer: Json) -> str | None:
    """What is wrong with an answer, if anything; the payment and recipient named are nobody's."""
    if name == "authorize_request":
        statements = answer.get("policyDocument", {}).get("Statement", [])
        allowed = [statement.get("Effect") for statement in statements] == ["Allow"]
        return None if allowed else f"not let in: {answer}"
    told = json.loads(answer.get("body") or "{}").get("error", {})
    if answer.get("statusCode") in (404, 422) and told.get("code"):
        return None
    return f"answered {answer}"


def deployed(stack: Stack) -> Invoke:
    """Calls the functions of a stack, by the alias that everybody calls."""
    functions = stack.client("lambda")
    names = by_logical_id(stack)

    def invoke(function: str, event: Json) -> Json:
        answer = functions.invoke(
            FunctionName=names[function], Qualifier="live", Payload=json.dumps(event).encode()
        )
        said: Json = json.loads(answer["Payload"].read())
        return said

    return invoke


def by_logical_id(stack: Stack) -> dict[str, str]:
    """The stack's functions, by their names in the template."""
    pages = stack.client("cloudformation").get_paginator("list_stack_resources")
    return {
        resource["LogicalResourceId"]: resource["PhysicalResourceId"]
        for page in pages.paginate(StackName=lifecycle.STACK_NAME)
        for resource in page["StackResourceSummaries"]
        if resource["ResourceType"] == "AWS::Lambda::Function"
    }


def template_for(stack: Stack, built: Path) -> Json:
    """The built template with the variables that its functions have on the stack.

    They are written into it because the SAM CLI passes on only those that a template declares,
    and the address of the stack is none of them.
    """
    template: Json = yaml_parse((built / "template.yaml").read_text(encoding="utf-8"))
    functions = stack.client("lambda")
    for name, physical in by_logical_id(stack).items():
        found = functions.get_function_configuration(FunctionName=physical)
        variables = found["Environment"]["Variables"] | {"AWS_ENDPOINT_URL": stack.endpoint_url}
        template["Resources"][name]["Properties"]["Environment"] = {"Variables": variables}
    return template


def in_containers(template: Path) -> Invoke:
    """Calls the functions of a built template with `sam local invoke`."""

    def invoke(function: str, event: Json) -> Json:
        said = subprocess.run(
            [
                *(str(ROOT / ".venv-sam" / "bin" / "sam"), "local", "invoke", function),
                *("--template", str(template), "--event", "-", "--docker-network", "host"),
            ],
            input=json.dumps(event),
            stdout=subprocess.PIPE,
            text=True,
            check=True,
            timeout=CONTAINER_TIMEOUT_S,
            env=os.environ | {"SAM_CLI_TELEMETRY": "0"},
        )
        answer: Json = json.loads(said.stdout)
        return answer

    return invoke


def main() -> None:
    stack = lifecycle.running(STATE)
    if stack is None:
        raise EventsError("there is no stack up: STACK=localstack make up")
    template = BUILT / "local.yaml"  # beside the template, whose paths are relative
    template.write_text(yaml.safe_dump(template_for(stack, BUILT)), encoding="utf-8")
    check(stack, in_containers(template))


if __name__ == "__main__":
    try:
        main()
    except EventsError as error:
        sys.exit(str(error))
