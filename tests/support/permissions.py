"""What functions may do and what they do, so that the two can be compared.

A permission is an action and a resource, as IAM knows them. Those that a function has are read
from its role in the stack; those that it needs follow from its calls, which are recorded on their
way. Resources are told by the names that the template has for them, so that what is found on one
stack can be added to what is found on another.
"""

import hashlib
import json
import re
import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, Final
from urllib.parse import unquote

import pytest

from infra.local import Stack
from infra.local.lifecycle import STACK_NAME
from tests.support.fault_proxy import Fate, Request, Rule

ITEM_ACTIONS: Final = {
    "ConditionCheck": "dynamodb:ConditionCheckItem",
    "Delete": "dynamodb:DeleteItem",
    "Get": "dynamodb:GetItem",
    "Put": "dynamodb:PutItem",
    "Update": "dynamodb:UpdateItem",
}
"""A transaction is no action of IAM's: each item of it is one."""

INVOCATION: Final = re.compile(r"POST /2015-03-31/functions/([^/]+)/invocations")
OBJECT: Final = re.compile(r"(GET|PUT) /([^/]+/.+)")
OF_NO_ARN: Final = frozenset(
    {"AWS::Lambda::Alias", "AWS::Lambda::EventInvokeConfig", "AWS::Lambda::Permission"}
)
"""What has no name of its own in ARNs: an alias is called the same at every function."""

ARN: Final = re.compile(r"arn:[^:]*:[^:]*:[^:]*:[^:]*:(secret:.+(?=-\w{6}$)|.+)")


@dataclass(frozen=True, slots=True, order=True)
class Permission:
    """Leave to do something with something. In what a role has, `*` stands for any text."""

    action: str
    resource: str

    def covers(self, needed: "Permission") -> bool:
        return fnmatchcase(needed.action, self.action) and fnmatchcase(
            needed.resource, self.resource
        )

    def __str__(self) -> str:
        return f"{self.action} on {self.resource}"


def needed_for(request: Request) -> Iterator[Permission]:
    """What a caller must be allowed for a request, with resources by their physical names.

    Raises LookupError for a service of which nothing is known here.
    """
    match request.service:
        case "dynamodb":
            yield from _on_tables(request.operation, request.document)
        case "sqs":
            queue = request.document["QueueUrl"].rpartition("/")[2]
            yield Permission(f"sqs:{request.operation}", queue)
        case "events":
            for entry in request.document["Entries"]:
                bus = _named(entry["EventBusName"]).removeprefix("event-bus/")
                yield Permission(f"events:{request.operation}", f"event-bus/{bus}")
        case "states":
            document = request.document
            arn = document.get("stateMachineArn") or document["executionArn"]
            yield Permission(f"states:{request.operation}", _named(arn))
        case "secretsmanager":
            resource = _named(request.document["SecretId"])
            yield Permission(f"secretsmanager:{request.operation}", resource)
        case "lambda" if found := INVOCATION.fullmatch(unquote(request.operation)):
            function = _named(found[1]).removeprefix("function:")
            yield Permission("lambda:InvokeFunction", f"function:{function}")
        case "s3" if found := OBJECT.fullmatch(request.operation):
            yield Permission(f"s3:{found[1].title()}Object", unquote(found[2]))
        case _:
            raise LookupError(f"no permission known for {request.service} {request.operation}")


def _on_tables(operation: str, document: Mapping[str, Any]) -> Iterator[Permission]:
    if items := document.get("TransactItems"):
        for item in items:
            for kind, details in item.items():
                yield Permission(ITEM_ACTIONS[kind], f"table/{_table(details['TableName'])}")
    elif batch := document.get("RequestItems"):
        for name in batch:
            yield Permission(f"dynamodb:{operation}", f"table/{_table(name)}")
    else:
        index = f"/index/{document['IndexName']}" if "IndexName" in document else ""
        table = _table(document["TableName"])
        yield Permission(f"dynamodb:{operation}", f"table/{table}{index}")


def _table(name: str) -> str:
    return _named(name).removeprefix("table/")


def _named(arn: str) -> str:
    """What an ARN says after the account, without what AWS adds to a secret's name; anything else
    as it is."""
    found = ARN.match(arn)
    return found[1] if found else arn


@dataclass(slots=True)
class Recorder:
    """A rule for the proxy that notes what passes, and leaves the rest to another rule.

    Of a request it keeps whose key signed it and what it needs leave for. `bodies` is what
    functions sent, for whoever wants to search it, as long as somebody does.
    """

    rule: Rule
    calls: set[tuple[str, Permission]] = field(default_factory=set)
    bodies: list[bytes] | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, request: Request) -> Fate:
        if request.access_key and request.service != "execute-api":
            found = {(request.access_key, permission) for permission in needed_for(request)}
            with self.lock:
                self.calls |= found
                if self.bodies is not None:
                    self.bodies.append(request.body)
        return self.rule(request)


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """What one function is allowed: permissions of its own, and policies that many share."""

    function: str
    access_keys: frozenset[str]
    own: frozenset[Permission]
    attached: frozenset[str]

    def allows(self, needed: Permission) -> bool:
        return any(permission.covers(needed) for permission in self.own)


@dataclass(frozen=True, slots=True, kw_only=True)
class Roles:
    """The roles of a stack's functions, and what the template calls its resources."""

    roles: Mapping[str, Role]
    names: Mapping[str, str]

    @classmethod
    def of(cls, stack: Stack) -> "Roles":
        names = _logical_names(stack)
        iam = stack.client("iam")
        lambdas = stack.client("lambda")
        roles = (
            _role(iam, function, _versions(lambdas, function), names)
            for page in lambdas.get_paginator("list_functions").paginate()
            for function in page["Functions"]
        )
        return cls(roles={role.function: role for role in roles}, names=names)

    def by_function(
        self, calls: Iterable[tuple[str, Permission]]
    ) -> Iterator[tuple[str, Permission]]:
        """Recorded calls by who made them. Calls of others, as of the tests, are none of these."""
        functions = {key: role.function for role in self.roles.values() for key in role.access_keys}
        for access_key, permission in calls:
            if access_key.startswith("ASIA"):  # a key for a role, not for a person
                yield functions[access_key], _renamed(permission, self.names)


def _logical_names(stack: Stack) -> dict[str, str]:
    """Physical names by logical ones, as they stand in ARNs."""
    pages = stack.client("cloudformation").get_paginator("list_stack_resources")
    names = {}
    for page in pages.paginate(StackName=STACK_NAME):
        for resource in page["StackResourceSummaries"]:
            physical = _named(resource["PhysicalResourceId"])
            name = re.split(r"[/:|]", physical.removeprefix("stateMachine:"))[-1]
            if resource["ResourceType"] not in OF_NO_ARN:
                names[name] = resource["LogicalResourceId"]
    return names


def _renamed(permission: Permission, names: Mapping[str, str]) -> Permission:
    parts = re.split(r"([/:])", permission.resource)
    return Permission(permission.action, "".join(names.get(part, part) for part in parts))


def _versions(lambdas: Any, function: Mapping[str, Any]) -> list[str]:
    """The ARNs of a function and of all its versions; each signs with a key of its own."""
    pages = lambdas.get_paginator("list_versions_by_function")
    found = pages.paginate(FunctionName=function["FunctionName"])
    versions = [version["FunctionArn"] for page in found for version in page["Versions"]]
    return [function["FunctionArn"], *versions]


def _role(
    iam: Any, function: Mapping[str, Any], versions: list[str], names: Mapping[str, str]
) -> Role:
    role = function["Role"].rpartition("/")[2]
    documents = [
        iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]
        for name in iam.list_role_policies(RoleName=role)["PolicyNames"]
    ]
    attached = iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"]
    return Role(
        function=names[function["FunctionName"]],
        access_keys=frozenset(access_key(arn, function["Role"]) for arn in versions),
        own=frozenset(
            _renamed(permission, names)
            for document in documents
            for permission in permissions(document)
        ),
        attached=frozenset(
            names.get(policy["PolicyName"], policy["PolicyName"]) for policy in attached
        ),
    )


def permissions(document: str | Mapping[str, Any]) -> Iterator[Permission]:
    """Every action on every resource that a policy allows, one by one."""
    parsed = json.loads(document) if isinstance(document, str) else document
    for statement in parsed["Statement"]:
        for action in _listed(statement["Action"]):
            for resource in _listed(statement["Resource"]):
                yield Permission(action, _named(resource))


def _listed(value: str | list[str]) -> list[str]:
    return value if isinstance(value, list) else [value]


def access_key(function_arn: str, role_arn: str) -> str:
    """The key with which a function signs on the local stack, which makes it from its names."""
    return f"ASIA{hashlib.sha256(f'{function_arn}:{role_arn}'.encode()).hexdigest()[:16].upper()}"


RECORDED = pytest.StashKey[list[tuple[Roles, Recorder]]]()
"""For each stack that there was: its roles, and the calls that were made on it."""
LEFT_OUT = pytest.StashKey[list[pytest.Item]]()
"""Tests that were chosen not to run."""
