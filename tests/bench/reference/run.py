"""Runs the reference designs beside ours, under the same meter."""

from typing import Any, Final

import botocore.session

from infra.paths import ROOT
from tests.bench import prices
from tests.bench.aws import Json, Meter
from tests.bench.counts import Counts, counted
from tests.bench.flows import TOGETHER
from tests.bench.prices import Line
from tests.bench.reference import functions
from tests.bench.stack import Stack
from tests.chaos.machine import Execution, Machine, definition

DEFINITION: Final = ROOT / "tests" / "bench" / "reference" / "saga.asl.json"


def both(stack: Stack) -> dict[str, tuple[Counts, tuple[Line, ...]]]:
    """The counts and bills of both designs. Neither calls a provider: they have no step that
    could."""
    meter = stack.meter
    dynamodb: Any = botocore.session.get_session().create_client("dynamodb")
    states = botocore.session.get_session().create_client("stepfunctions")
    keys = [("id", "HASH"), ("item", "RANGE")]
    dynamodb.create_table(
        TableName="reference",
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": name, "KeyType": kind} for name, kind in keys],
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name, _ in keys],
    )
    meter.take()
    saga = _saga(meter, dynamodb, states, stack)
    plain = _plain(meter, dynamodb)
    message = Line(name="message", quantity=1.0, unit="messages", price=prices.QUEUE_REQUEST)
    return {
        "saga": (saga, (*saga.bill("STANDARD"), message)),
        "plain": (plain, plain.bill("STANDARD", prices.HTTP_REQUEST)),
    }


def _saga(meter: Meter, dynamodb: Any, states: Any, stack: Stack) -> Counts:
    def task(name: str) -> Any:
        def run(payload: Json) -> object:
            with meter.invoked(name):
                functions.SAGA[name](dynamodb, payload)
            return {}

        return run

    tasks = {name: task(name) for name in functions.SAGA}
    sent: list[Json] = []
    machine = Machine(definition(DEFINITION), tasks, {"notifications": sent.append}, stack.clock)
    executions = []
    for number in range(TOGETHER):
        with meter.invoked("ApiFunction"):
            functions.start(states, f"saga-{number:08}")
        execution = Execution(f"saga-{number}", f"saga-{number:08}")
        machine.walk(execution)
        executions.append(execution)
    meter.started.clear()
    assert len(sent) == TOGETHER
    return counted("AWS's saga sample", TOGETHER, meter.take(), executions, memory=_small)


def _plain(meter: Meter, dynamodb: Any) -> Counts:
    for number in range(TOGETHER):
        with meter.invoked("ApiFunction"):
            functions.plain(dynamodb, f"plain-{number:08}")
    return counted("one function, one transaction", TOGETHER, meter.take(), memory=_small)


def _small(function: str) -> int:
    """The memory that the samples give a function, in MB."""
    return 128
