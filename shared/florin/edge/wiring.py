"""The engine's ports on AWS, as a function's environment variables name them.

Each is made once for the life of a function's sandbox, when it is first asked for. Its adapter is
imported then too: a function that does without it starts sooner (pyproject.toml lets this be).
"""

import os
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from florin.adapters import aws
from florin.adapters.dynamodb_config import DynamoConfig

if TYPE_CHECKING:
    from florin.adapters.dynamodb import Dynamo, Tables
    from florin.adapters.dynamodb_dead_letters import DynamoDeadLetters
    from florin.adapters.dynamodb_keys import DynamoKeys
    from florin.adapters.dynamodb_verification import DynamoVerification
    from florin.adapters.hops import StoredEvents
    from florin.adapters.wakeups import SqsWakeups
    from florin.edge.pepper import Peppers
    from florin.ports import Hop


READER_TIME_S: Final = 8.0
"""What a redrive waits for a reader of the stream: it is one record, or its hop is not well."""


def setting(name: str) -> str:
    """The environment variable `name`, which the template sets. Raises KeyError if it does not."""
    return os.environ[name]


@cache
def _client(service: str) -> Any:
    return aws.client(service)


@cache
def dynamo() -> "Dynamo":
    """Event store, accounts and books."""
    from florin.adapters.dynamodb import Dynamo

    return Dynamo(_client("dynamodb"), _tables())


@cache
def verification() -> "DynamoVerification":
    """What verification reads, and its runs."""
    from florin.adapters.dynamodb_verification import DynamoVerification

    return DynamoVerification(_client("dynamodb"), _tables(), setting("VERIFICATIONS_TABLE"))


@cache
def verifier_wakeups() -> "SqsWakeups":
    """How the verifier is called."""
    from florin.adapters.wakeups import SqsWakeups

    return SqsWakeups(_client("sqs"), setting("VERIFIER_QUEUE_URL"))


def _tables() -> "Tables":
    from florin.adapters.dynamodb import Tables

    return Tables(
        events=setting("EVENTS_TABLE"),
        idempotency=setting("IDEMPOTENCY_TABLE"),
        accounts=setting("ACCOUNTS_TABLE"),
        views=setting("VIEWS_TABLE"),
    )


@cache
def config() -> DynamoConfig:
    return DynamoConfig(_client("dynamodb"), setting("CONFIG_TABLE"))


@cache
def api_keys() -> "DynamoKeys":
    from florin.adapters.dynamodb_keys import DynamoKeys

    return DynamoKeys(_client("dynamodb"), setting("CONFIG_TABLE"))


@cache
def peppers() -> "Peppers":
    """What keys the hashes of API keys."""
    from florin.edge.pepper import Peppers

    def read(label: str) -> bytes | None:
        found = aws.labeled_secret(_client("secretsmanager"), setting("PEPPER_SECRET_ID"), label)
        return None if found is None else found.encode()

    return Peppers(read)


@cache
def field_pepper() -> bytes:
    """What keys the hashes of requests' fields."""
    return aws.secret(_client("secretsmanager"), setting("FIELD_PEPPER_SECRET_ID")).encode()


@cache
def sagas() -> aws.StepFunctionsSagas:
    # One try: the payment is accepted by then, and its client waits for the answer.
    states = aws.client("stepfunctions", tries_max=1)
    return aws.StepFunctionsSagas(
        states, setting("PAYMENT_MACHINE_ARN"), setting("FOLLOW_UP_MACHINE_ARN")
    )


@cache
def wakeups() -> aws.SqsWakeups:
    return aws.SqsWakeups(_client("sqs"), setting("LOOKUPS_QUEUE_URL"))


@cache
def bus() -> aws.EventBridgeBus:
    return aws.EventBridgeBus(_client("events"), setting("BUS_NAME"))


@cache
def parking() -> aws.SqsParking:
    """Where the function's hop puts what it cannot work on."""
    return aws.SqsParking(_client("sqs"), setting("PARKED_QUEUE_URL"))


@cache
def retries() -> aws.SqsRetries:
    """The queue that the function listens to."""
    return aws.SqsRetries(_client("sqs"), setting("QUEUE_URL"))


@cache
def dead_letters() -> "DynamoDeadLetters":
    from florin.adapters.dynamodb_dead_letters import DynamoDeadLetters

    return DynamoDeadLetters(_client("dynamodb"), setting("DEAD_LETTERS_TABLE"))


@cache
def stored_events() -> "StoredEvents":
    from florin.adapters.hops import StoredEvents

    return StoredEvents(_client("dynamodb"), setting("EVENTS_TABLE"))


@cache
def readers() -> "Mapping[str, Hop]":
    """The hops that read the stream of events."""
    from florin.adapters.hops import ReaderHop

    functions = aws.client("lambda", tries_max=1, read_timeout_s=READER_TIME_S)
    return {
        name: ReaderHop(stored_events(), functions, setting(f"{name.upper()}_FUNCTION"))
        for name in ("projector", "publisher")
    }


@cache
def hops() -> "Mapping[str, Hop]":
    """Every hop that dead letters come from, by its name, made when the first one is redriven."""
    from florin.adapters.hops import MachineHop, QueueHop, ReaderHop

    # One try, waited for: a reader called twice would not know of the first call.
    functions = aws.client("lambda", tries_max=1, read_timeout_s=READER_TIME_S)
    states, events = _client("stepfunctions"), stored_events()
    return {
        "projector": ReaderHop(events, functions, setting("PROJECTOR_FUNCTION")),
        "publisher": ReaderHop(events, functions, setting("PUBLISHER_FUNCTION")),
        "analytics": QueueHop(_client("sqs"), setting("ANALYTICS_QUEUE_URL")),
        "lookups": QueueHop(_client("sqs"), setting("LOOKUPS_QUEUE_URL")),
        "verifier": QueueHop(_client("sqs"), setting("VERIFIER_QUEUE_URL")),
        "payment": MachineHop(events, states, setting("PAYMENT_MACHINE_ARN")),
        "follow_up": MachineHop(events, states, setting("FOLLOW_UP_MACHINE_ARN")),
    }
