"""The long form of the chaos suite, by hand: `make chaos`.

Prints what it does, exits with 1 if anything was broken, and writes the table in the docs if not.
"""

import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import redirect_stdout
from io import StringIO

from tests.chaos import plans, report
from tests.chaos.flows import FLOWS, Flow
from tests.chaos.plans import LONG
from tests.chaos.runs import Run, clean_run, run
from tests.chaos.stored import on_dynamodb


def main() -> int:
    os.environ |= {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "LOG_LEVEL": "ERROR",
    }
    began, found = time.monotonic(), 0
    for flow in FLOWS:
        found += _told(flow.name, _runs(flow))
    with on_dynamodb() as engine:
        sample = plans.on_dynamodb(LONG)
        found += _told("over DynamoDB", (run(flow, plan, engine) for flow, plan in sample))
    print(f"{report.runs(LONG)} runs in {time.monotonic() - began:.0f} s, {found} broken")
    if found:
        return 1
    points = {flow.name: len(clean_run(flow).points) for flow in FLOWS}
    report.POINTS.write_text(json.dumps(points, indent=2) + "\n", encoding="utf-8")
    report.DOCUMENT.write_text(report.document(), encoding="utf-8")
    return 0


def _runs(flow: Flow) -> Iterator[Run]:
    clean = clean_run(flow)
    planned = [*plans.singles(clean), *plans.executions(clean), *plans.intrusions(clean, LONG)]
    yield from (run(flow, plan) for plan in planned)
    yield from (run(flow, ends_before=number) for number in range(1, clean.transitions + 1))
    if flow.name in plans.PAIRED:
        yield from (run(flow, plan) for plan in plans.pairs(flow, LONG))


def _told(name: str, runs: Iterator[Run]) -> int:
    """Do these runs, and tell of them; how many were broken."""
    done = found = 0
    while True:
        with StringIO() as said, redirect_stdout(said):
            came_to = next(runs, None)
        if came_to is None:
            print(f"{name:24} {done:6} runs, {found} broken", flush=True)
            return found
        done += 1
        found += bool(came_to.faults)
        for fault in came_to.faults:
            print(f"  {fault}")


if __name__ == "__main__":
    sys.exit(main())
