"""Deploy a template with CloudFormation, and say why if it fails."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from botocore.exceptions import ClientError

# boto3's waiters look every 30 seconds; the local stack is done in one.
POLL_S = 0.2
TIMEOUT_S = 180.0


class DeployError(Exception):
    """CloudFormation did not take the template; the message names resource and reason."""


def deploy(
    cloudformation: Any, name: str, template_url: str, parameters: Mapping[str, str]
) -> dict[str, str]:
    """Create or update the stack; return its outputs."""
    request = {
        "StackName": name,
        "TemplateURL": template_url,
        "Parameters": [
            {"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()
        ],
        "Capabilities": ["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"],
    }
    try:
        if _status(cloudformation, name) is None:
            cloudformation.create_stack(**request)
        else:
            cloudformation.update_stack(**request)
    except ClientError as error:
        message = error.response["Error"].get("Message", "")
        if "No updates are to be performed" not in message:
            raise DeployError(f"the template was refused: {message}") from error
    return _outputs(_finished(cloudformation, name))


def _status(cloudformation: Any, name: str) -> str | None:
    try:
        status: str = _describe(cloudformation, name)["StackStatus"]
    except ClientError:
        return None
    return None if status == "DELETE_COMPLETE" else status


def _finished(cloudformation: Any, name: str) -> dict[str, Any]:
    deadline = time.monotonic() + TIMEOUT_S
    while (stack := _describe(cloudformation, name))["StackStatus"].endswith("_IN_PROGRESS"):
        if time.monotonic() > deadline:
            raise DeployError(f"still {stack['StackStatus']} after {TIMEOUT_S:.0f} s")
        time.sleep(POLL_S)
    if stack["StackStatus"] not in ("CREATE_COMPLETE", "UPDATE_COMPLETE"):
        raise DeployError(_why(cloudformation, stack))
    return stack


def _why(cloudformation: Any, stack: dict[str, Any]) -> str:
    events = cloudformation.describe_stack_events(StackName=stack["StackId"])["StackEvents"]
    failures = [
        f"  {event['LogicalResourceId']} ({event['ResourceType']}): "
        f"{event.get('ResourceStatusReason', 'no reason given')}"
        for event in reversed(events)
        if event["ResourceStatus"].endswith("_FAILED")
    ]
    reasons = failures or [f"  {stack.get('StackStatusReason', 'no reason given')}"]
    return "\n".join([f"the stack is {stack['StackStatus']}:", *dict.fromkeys(reasons)])


def _describe(cloudformation: Any, name: str) -> dict[str, Any]:
    stack: dict[str, Any] = cloudformation.describe_stacks(StackName=name)["Stacks"][0]
    return stack


def _outputs(stack: dict[str, Any]) -> dict[str, str]:
    return {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}
