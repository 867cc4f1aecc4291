"""The deployed functions in one process: their real handlers, wired as the template wires them.

What AWS does between them is done here: an execution walks the real definition of its state
machine, a batch of the events table's stream goes to its two readers, and what the publisher put on
the bus goes through a queue to analytics. Many payments run at the same time, step by step.
"""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from typing import Any, Final

import botocore.session
from samtranslator.yaml_helper import yaml_parse

from florin.adapters.clock import ManualClock
from infra.paths import ROOT
from infra.seed import Tenant, config_items, put_items
from simulator.handler import Simulator
from tests.bench.aws import PEPPER, Json, Meter
from tests.chaos.deployment import FOLLOW_UP, PAYMENT
from tests.chaos.machine import Execution, Machine, definition
from tests.functions.world import posted
from tests.support.engine import queue_record
from tests.support.examples import NOON, TENANT
from tests.support.simulator import memory_simulator, serving
from tests.support.tables import make_table

TABLES: Final = (
    "EventsTable",
    "IdempotencyTable",
    "AccountsTable",
    "ViewsTable",
    "ConfigTable",
    "VerificationsTable",
    "DeadLettersTable",
    "AnalyticsTable",
)
STEPS: Final = {
    "AssessRisk": "saga.assess_risk",
    "Authorize": "saga.authorize",
    "Capture": "saga.capture",
    "Void": "saga.void",
    "Finish": "saga.finish",
    "FollowUp": "saga.follow_up",
}
"""States of the machines, and the modules of the functions that they call."""
SUFFIX: Final = "bench"
KEY: Final = f"sk_test_{'0' * 26}_{'b' * 32}"


@cache
def template() -> Json:
    """The template's resources, and under `Globals` what holds for all functions."""
    read: Json = yaml_parse((ROOT / "template.yaml").read_text(encoding="utf-8"))
    return {**read["Resources"], "Globals": read["Globals"]["Function"]}


def memory_mb(function: str) -> int:
    """How much memory a function has, by its logical id."""
    resources = template()
    properties = resources[function]["Properties"]
    return int(properties.get("MemorySize", resources["Globals"]["MemorySize"]))


@dataclass
class Stack:
    """One stack. `new_records` are those that the stream's readers have not been given yet."""

    meter: Meter
    clock: ManualClock = field(default_factory=lambda: ManualClock(NOON))
    new_records: list[Json] = field(default_factory=list)
    executions: list[Execution] = field(default_factory=list)
    requests: int = 0
    _read_from_bus: int = 0

    def __post_init__(self) -> None:
        self.meter.stored = self._stored
        tasks = {f"${{{state}Function}}": self._step(state) for state in STEPS}
        parked: dict[str, Callable[[Json], object]] = {"${ParkedQueueUrl}": _nothing_is_parked}
        self._machines = {
            "payment": Machine(definition(PAYMENT), tasks, parked, self.clock),
            "follow_up": Machine(definition(FOLLOW_UP), tasks, parked, self.clock),
        }

    def _stored(self, table: str, item: Json) -> None:
        if table.startswith("EventsTable"):
            keys = {"stream": item["stream"], "version": item["version"]}
            image = {"Keys": keys, "NewImage": item}
            self.new_records.append({"eventName": "INSERT", "dynamodb": image})

    # Who is called.

    def call(self, function: str, module: str, event: Json) -> Any:
        """Invoke a function's real handler."""
        with self.meter.invoked(function):
            return import_module(module).handler(event, None)

    def _step(self, state: str) -> Callable[[Json], object]:
        return lambda payload: self.call(f"{state}Function", STEPS[state], payload)

    def ask(self, resource: str, body: object, key: str | None = None, **named: str) -> Json:
        """Send a request and hear what it was answered, which has to be yes."""
        self.requests += 1
        event = posted(resource, json.dumps(body), key or f"key-{self.requests:012}")
        event |= {"path": resource.format(**named), "pathParameters": named or None}
        answer = self.call("ApiFunction", "api.handler", event)
        assert answer["statusCode"] < 300, answer
        answered: Json = json.loads(answer["body"])
        return answered

    def authorize(self) -> None:
        """Have the authorizer look at a key, as it does when it knows nothing yet."""
        event = {
            "headers": {"Authorization": f"Bearer {KEY}"},
            "methodArn": "arn:aws:execute-api:us-east-1:000000000000:api/v1/POST/payments",
            "requestContext": {"requestId": "r"},
        }
        self.call("AuthorizerFunction", "authorizer.handler", event)

    # What goes on by itself.

    def run(self, between: Callable[[], None] = lambda: None) -> None:
        """Walk all executions that were started at the same time, and do something after each of
        their states.
        """
        running: list[Iterator[str]] = []
        for asked in self.meter.started:
            machine = asked["stateMachineArn"]
            execution = Execution(asked["name"], json.loads(asked["input"])["payment_id"])
            self.executions.append(execution)
            running.append(self._machines[machine].steps(execution))
        self.meter.started.clear()
        while running:
            running = [steps for steps in running if next(steps, None) is not None]
            between()
        failed = [one for one in self.executions if one.status not in {"SUCCEEDED", "RUNNING"}]
        assert not failed, failed

    def deliver(self, records_at_once: int) -> None:
        """Give the readers of the stream what is new, so many records at a time."""
        new, self.new_records = self.new_records, []
        for start in range(0, len(new), records_at_once):
            batch = {"Records": new[start : start + records_at_once]}
            self.call("ProjectorFunction", "projector.handler", batch)
            self.call("PublisherFunction", "publisher.handler", batch)

    def listen(self, messages_at_once: int = 10) -> None:
        """Give analytics what was put on the bus and its rule picks."""
        new = self.meter.published[self._read_from_bus :]
        self._read_from_bus = len(self.meter.published)
        told = [entry for entry in new if entry["DetailType"].startswith("payment.")]
        for start in range(0, len(told), messages_at_once):
            records = [
                queue_record(
                    json.dumps({"detail": json.loads(entry["Detail"])}),
                    str(number),
                    "arn:analytics",
                )
                for number, entry in enumerate(told[start : start + messages_at_once])
            ]
            self.call("AnalyticsFunction", "analytics.handler", {"Records": records})

    def account(self, kind: str = "seller") -> str:
        """The id of a new account."""
        return str(self.ask("/accounts", {"currency": "EUR", "kind": kind})["account_id"])

    def settle(self) -> None:
        """Let everything happen, and forget what it cost."""
        self.run()
        self.deliver(100)
        self.listen()
        self.meter.take()
        self.executions.clear()


@dataclass(frozen=True, slots=True)
class _Counted(Simulator):
    """The provider, which tells the meter of every call."""

    meter: Meter

    def __call__(self, event: Json) -> Json:
        self.meter.provider_called()
        return Simulator.__call__(self, event)


def _nothing_is_parked(message: Json) -> object:
    raise AssertionError(f"parked: {message}")


def table_name(logical_id: str) -> str:
    return f"{logical_id}-{SUFFIX}"


@contextmanager
def running() -> Iterator[Stack]:
    """A stack with empty tables and one tenant. There is one in a process: its functions, once
    imported, have the tables that they were imported with.
    """
    with ExitStack() as stack:
        meter = stack.enter_context(Meter().listening())
        plain = memory_simulator()
        url = stack.enter_context(serving(_Counted(plain.service, plain.secret, meter)))
        os.environ |= environment()
        client: Any = botocore.session.get_session().create_client("dynamodb")
        for table in TABLES:
            make_table(client, table, SUFFIX)
        tenant = Tenant(TENANT, "Florence Silks", KEY)
        put_items(client, table_name("ConfigTable"), config_items((tenant,), PEPPER, url))
        yield Stack(meter)


def environment() -> dict[str, str]:
    """What the functions read from theirs."""
    tables = {
        "EVENTS_TABLE": "EventsTable",
        "IDEMPOTENCY_TABLE": "IdempotencyTable",
        "ACCOUNTS_TABLE": "AccountsTable",
        "VIEWS_TABLE": "ViewsTable",
        "CONFIG_TABLE": "ConfigTable",
        "VERIFICATIONS_TABLE": "VerificationsTable",
        "DEAD_LETTERS_TABLE": "DeadLettersTable",
        "ANALYTICS_TABLE": "AnalyticsTable",
    }
    return {name: table_name(table) for name, table in tables.items()} | {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "LOG_LEVEL": "ERROR",
        "PEPPER_SECRET_ID": "pepper",
        "FIELD_PEPPER_SECRET_ID": "field pepper",
        "SIMULATOR_SECRET_ID": "simulator",
        "PAYMENT_MACHINE_ARN": "payment",
        "FOLLOW_UP_MACHINE_ARN": "follow_up",
        "VERIFIER_QUEUE_URL": "http://queue.invalid/verifier",
        "LOOKUPS_QUEUE_URL": "http://queue.invalid/lookups",
        "ANALYTICS_QUEUE_URL": "http://queue.invalid/analytics",
        "QUEUE_URL": "http://queue.invalid/own",
        "PARKED_QUEUE_URL": "http://queue.invalid/parked",
        "PROJECTOR_FUNCTION": "projector",
        "PUBLISHER_FUNCTION": "publisher",
        "BUS_NAME": "bus",
    }
