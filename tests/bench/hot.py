"""One hot merchant against many, with other people's transactions injected at random.

The emulator never lets two transactions meet, so DynamoDB's answer to who met another one is given
here to a share of all transactions, by the same dice for both.
"""

import random
import time
from statistics import median
from typing import Any, Final

from tests.bench.aws import Invocation, Json
from tests.bench.flows import TOGETHER, Bench

SHARE: Final = 0.1
CONFLICT: Final = "TransactionConflict"
READERS: Final = frozenset({"ProjectorFunction", "PublisherFunction", "AnalyticsFunction"})


def compared(bench: Bench, payments: int, rounds: int) -> dict[str, Any]:
    """Write units and conflicts per payment until it is captured, and what the readers add; and how
    much longer one takes than the other, with what the same thing twice differs by.
    """
    sellers = [bench.stack.account() for _ in range(TOGETHER)]
    bench.stack.settle()
    hot = [_run(bench, [bench.seller], payments) for _ in range(rounds)]
    again = [_run(bench, [bench.seller], payments) for _ in range(rounds)]
    many = [_run(bench, sellers, payments) for _ in range(rounds)]
    times = [median(one["cpu_s"] for one in runs) for runs in (hot, again, many)]
    return {
        "payments": payments,
        "conflicts_injected": SHARE,
        "hot": hot[0] | {"cpu_s": round(times[0], 3)},
        "many": many[0] | {"cpu_s": round(times[2], 3)},
        "throughput_ratio": round(times[2] / times[0], 3),
        "same_twice_ratio": round(times[1] / times[0], 3),
    }


def _run(bench: Bench, sellers: list[str], payments: int) -> dict[str, Any]:
    dice = random.Random(7)  # noqa: S311  # no secret

    def refuse(operation: str, asked: Json) -> Json | None:
        if operation != "TransactWriteItems" or dice.random() > SHARE:
            return None
        reasons = [{"Code": "None"} for _ in asked["TransactItems"]]
        reasons[0] = {"Code": CONFLICT, "Message": "Transaction is ongoing for the item"}
        return {
            "__type": "com.amazonaws.dynamodb.v20120810#TransactionCanceledException",
            "Message": "Transaction cancelled",
            "CancellationReasons": reasons,
        }

    stack = bench.stack
    stack.settle()
    stack.meter.refuse = refuse
    began = time.process_time()
    for number in range(payments):
        bench.pay(recipient=sellers[number % len(sellers)])
    stack.run()
    taken = time.process_time() - began
    before = stack.meter.take()
    stack.deliver(100)
    stack.meter.refuse = lambda operation, asked: None
    after = [one for one in stack.meter.take() if one.function in READERS]
    stack.executions.clear()
    return {
        "writes_until_captured": _units(before, payments),
        "conflicts_until_captured": _conflicts(before, payments),
        "items_shared_until_captured": _shared(before),
        "writes_of_readers": _units(after, payments),
        "conflicts_of_readers": _conflicts(after, payments),
        "cpu_s": taken,
    }


def _units(invocations: list[Invocation], payments: int) -> float:
    """What was written, without what was turned away and came again."""
    done = [call for one in invocations for call in one.calls if call.status == 200]
    return round(sum(call.write_units for call in done) / payments, 3)


def _conflicts(invocations: list[Invocation], payments: int) -> float:
    return round(sum(call.status != 200 for one in invocations for call in one.calls) / payments, 3)


def _shared(invocations: list[Invocation]) -> int:
    """How many items were written more than once on the way to the capture."""
    seen: dict[str, int] = {}
    for one in invocations:
        for call in one.calls:
            for key in call.written:
                seen[key] = seen.get(key, 0) + 1
    return sum(times > 1 for times in seen.values())
