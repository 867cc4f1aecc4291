"""Each function's role is matched with the calls that its function made in this run.

The stacks enforce the roles, so what is missing shows as a failure where it is needed. Here it is
told by its name, and so is what no test needs.
"""

from collections.abc import Mapping
from itertools import chain
from pathlib import Path
from typing import Final

import pytest

from tests.support.permissions import LEFT_OUT, RECORDED, Permission, Recorder, Role, Roles

Recorded = list[tuple[Roles, Recorder]]

Held = tuple[str, Permission]
"""A function and what it may do."""

FOR_AWS: Final = {
    "AWSLambdaBasicExecutionRole": "Lambda writes the log",
    "AWSLambdaDynamoDBExecutionRole": "Lambda reads the stream",
    "AWSLambdaSQSQueueExecutionRole": "Lambda takes the messages from the queue",
    "AWSXrayWriteOnlyAccess": "Lambda writes the traces",
    "UseDataKey": "DynamoDB decrypts tables and streams",
}
"""What AWS does in a function's name, which nobody sees here: the first four are SAM's choice."""


def each(functions: str, action: str, *resources: str) -> tuple[Held, ...]:
    return tuple(
        (f"{function}Function", Permission(action, resource))
        for function in functions.split()
        for resource in resources
    )


UNUSED: Final[Mapping[str, tuple[Held, ...]]] = {
    "Lambda puts batches there that a reader of the stream gave up; the local stack does not": (
        *each("Projector Publisher", "s3:PutObject", "FailedBatches/*"),
        *each("Projector Publisher", "s3:ListBucket", "FailedBatches"),
        *each("DeadLetters", "s3:GetObject", "FailedBatches/*"),
    ),
    "what the bus lost or a reader left out is found after a quarter of an hour": (
        *each("Walk", "dynamodb:BatchGetItem", "table/AnalyticsTable"),
        *each("Walk", "dynamodb:GetItem", "table/DeadLettersTable"),
        *each("Walk", "dynamodb:UpdateItem", "table/DeadLettersTable"),
        *each("Walk", "lambda:InvokeFunction", "function:ProjectorFunction:live"),
        *each("Walk", "lambda:InvokeFunction", "function:PublisherFunction:live"),
    ),
    "a provider's answer is lost in this step; tests lose that to an authorization": (
        *each("Capture FollowUp Void", "sqs:SendMessage*", "LookupsQueue"),
        *each("Lookups Sweeper", "states:StartExecution", "stateMachine:FollowUpStandard"),
    ),
    "steps share what they may do; in these, money comes to a wallet only in tests of the core": (
        *each("Authorize Finish Void", "dynamodb:GetItem", "table/AccountsTable"),
    ),
    "two redrives of one payment at once, or of an event that could not be published": (
        *each("Api", "states:DescribeExecution", "execution:PaymentStandard:*"),
        *each("Api", "states:DescribeExecution", "execution:FollowUpStandard:*"),
        *each("Api", "lambda:InvokeFunction", "function:PublisherFunction:live"),
    ),
    "the eighth vain try to go on with a payment": (
        *each("Sweeper", "sqs:SendMessage*", "SagaParked"),
    ),
    "a run of verification that takes more than one call": (
        *each("Verifier", "dynamodb:UpdateItem", "table/VerificationsTable"),
    ),
}
"""Why a function may do what tests need not make it do."""


WIDE: Final = {
    "sqs:SendMessage*": "SAM's policy, for single messages and batches",
    "s3:GetObject on FailedBatches/*": "Lambda chooses the names",
    "s3:PutObject on FailedBatches/*": "Lambda chooses the names",
    "states:DescribeExecution on execution:FollowUpStandard:*": "named by their payment",
    "states:DescribeExecution on execution:PaymentStandard:*": "named by their payment",
}
"""Why an action or a resource is a pattern."""


@pytest.fixture(autouse=True)
def no_failures() -> None:
    """These tests need no stack: what they judge is over."""


@pytest.fixture
def recorded(request: pytest.FixtureRequest) -> Recorded:
    return request.config.stash.get(RECORDED, [])


@pytest.fixture
def roles(recorded: Recorded) -> Mapping[str, Role]:
    """The roles, which are the same on every stack."""
    if not recorded:
        pytest.skip("no stack was there")
    (first, _), *others = recorded
    for other, _ in others:
        assert {name: role.own for name, role in other.roles.items()} == {
            name: role.own for name, role in first.roles.items()
        }
    return first.roles


def calls(recorded: Recorded) -> set[Held]:
    return set(
        chain.from_iterable(roles.by_function(recorder.calls) for roles, recorder in recorded)
    )


def test_nothing_was_called_that_the_role_does_not_allow(
    recorded: Recorded, roles: Mapping[str, Role]
) -> None:
    missing = [
        f"{function}: {permission}"
        for function, permission in sorted(calls(recorded))
        if not roles[function].allows(permission)
    ]
    assert not missing


def test_nothing_is_allowed_that_nobody_needs(
    recorded: Recorded, roles: Mapping[str, Role], request: pytest.FixtureRequest
) -> None:
    if reason := incomplete(request.session):
        pytest.skip(reason)
    made = calls(recorded)
    held = {(role.function, one) for role in roles.values() for one in role.own}
    unused = {
        (function, permission)
        for function, permission in held
        if not any(caller == function and permission.covers(needed) for caller, needed in made)
    }
    with_reason = set(chain.from_iterable(UNUSED.values()))
    assert told(unused - with_reason) == []
    assert told(with_reason - held) == [], "there is no such permission any more"


def test_what_roles_share_is_for_what_aws_does_itself(roles: Mapping[str, Role]) -> None:
    assert {policy for role in roles.values() for policy in role.attached} == FOR_AWS.keys()


def test_what_stands_for_more_than_one_thing_is_known(roles: Mapping[str, Role]) -> None:
    held = {permission for role in roles.values() for permission in role.own}
    wide = {one.action for one in held if "*" in one.action}
    wide |= {str(one) for one in held if "*" in one.resource}
    assert wide == WIDE.keys()


def told(permissions: set[Held]) -> list[str]:
    return [f"{function}: {permission}" for function, permission in sorted(permissions)]


def incomplete(session: pytest.Session) -> str | None:
    """Why this run does not show what functions need, if it does not."""
    folder = Path(__file__).parent
    left_out = session.config.stash.get(LEFT_OUT, [])
    known = {item.path for item in [*session.items, *left_out]}
    if set(folder.glob("test_*.py")) - known or any(
        item.path.parent == folder and not item.get_closest_marker("fails_on_purpose")
        for item in left_out
    ):
        return "not all end-to-end tests were chosen"
    if any("::" in argument for argument in session.config.args):
        return "single tests were chosen"
    if session.testsfailed:
        return "what failed may not have come to its calls"
    return None
