"""What a cold start has to import, function by function, in fresh processes with bytecode at
hand."""

import os
import subprocess
import sys
from statistics import median
from typing import Any, Final

from infra.paths import ROOT
from tests.bench.stack import environment

FLOOR: Final = "import botocore.session; botocore.session.get_session().create_client('dynamodb')"
FLOOR_NAME: Final = "botocore and one client"
STEP: Final = "saga.authorize"
MODULES: Final = (
    "saga.assess_risk",
    STEP,
    "saga.follow_up",
    "api.handler",
    "authorizer.handler",
    "projector.handler",
    "publisher.handler",
    "analytics.handler",
)
PROGRAM: Final = """
import sys, time
known, began = len(sys.modules), time.process_time()
{work}
print((time.process_time() - began) * 1000, len(sys.modules) - known)
"""


def measured(rounds: int) -> dict[str, Any]:
    """CPU time, the best of some rounds; its ratio to the floor, the median of the rounds, each
    against the floor of its own round; and the number of modules.
    """
    cases = {FLOOR_NAME: FLOOR} | {name: f"import {name}" for name in MODULES}
    found: dict[str, list[tuple[float, int]]] = {name: [] for name in cases}
    for _ in range(rounds + 1):  # the first one writes the bytecode
        for name, work in cases.items():
            found[name].append(_fresh(work))
    floors = [time_ms for time_ms, _ in found[FLOOR_NAME][1:]]
    return {
        name: {
            "cpu_ms": round(min(time_ms for time_ms, _ in runs[1:]), 1),
            "modules": runs[-1][1],
            "ratio": round(
                median(
                    time_ms / floor_ms
                    for (time_ms, _), floor_ms in zip(runs[1:], floors, strict=True)
                ),
                3,
            ),
        }
        for name, runs in found.items()
    }


def _fresh(work: str) -> tuple[float, int]:
    path = os.pathsep.join(str(ROOT / name) for name in ("shared", "functions"))
    env = environment() | {"PYTHONPATH": path, "PATH": os.environ.get("PATH", "")}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(work=work)],
        env=env,
        capture_output=True,
        text=True,
        check=True,
    )
    time_ms, modules = done.stdout.split()
    return float(time_ms), int(modules)
