"""`make bench`: measure everything, keep the results, write the pages, and say which budgets
break."""

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from infra.paths import ROOT
from tests.bench import cpu, hot, imports, page, prices, scale, stored
from tests.bench.budgets import breaks, judged
from tests.bench.counts import Counts, as_json
from tests.bench.flows import Bench
from tests.bench.prices import Line
from tests.bench.reference import run as reference
from tests.bench.stack import running

RESULTS: Final = ROOT / "docs" / "bench.json"
LIBRARIES: Final = ("botocore", "msgspec", "urllib3", "ministack")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="fewer rounds and stored payments; keeps nothing"
    )
    parser.add_argument("--judge", type=Path, help="only judge these results")
    asked = parser.parse_args(arguments)
    if asked.judge:
        results: dict[str, Any] = json.loads(asked.judge.read_text(encoding="utf-8"))
    else:
        began = time.monotonic()
        results = measured(quick=asked.quick)
        print(f"Measured in {time.monotonic() - began:.0f} s.\n")
        if not asked.quick:
            RESULTS.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
            page.write(results)
            scale.write(results)
    return told(results)


def measured(*, quick: bool) -> dict[str, Any]:
    """Everything, as it is kept."""
    cpu_s = cpu.payments_per_core_s(rounds=3 if quick else 9, payments=300 if quick else 1_000)
    imported = imports.measured(rounds=2 if quick else 7)
    with running() as stack:
        bench = Bench(stack)
        flows = {name: as_json(counts) for name, counts in bench.all().items()}
        accepted, replayed = bench.accepting(), bench.replaying()
        designs = {name: _design(*found) for name, found in reference.both(stack).items()}
        compared = hot.compared(bench, payments=20 if quick else 50, rounds=1 if quick else 3)
        sizes = (100, 1_000) if quick else (1_000, 100_000)
        past = {size: as_json(counts) for size, counts in stored.counted_with(bench, sizes).items()}
    return {
        "machine": machine(),
        "prices": {"of": prices.PRICES_OF, "region": prices.REGION},
        "flows": flows,
        "accept": accepted,
        "replay": replayed,
        "reference": designs,
        "hot": compared,
        "stored": past,
        "cpu": cpu_s,
        "imports": imported,
    }


def _design(counts: Counts, bill: Sequence[Line]) -> dict[str, Any]:
    return {
        "name": counts.name,
        "writes": counts.writes,
        "transitions": counts.transitions,
        "invocations": sum(counts.invocations.values()),
        "bill": {line.name: round(line.dollars, 3) for line in bill},
        "dollars": round(sum(line.dollars for line in bill), 2),
    }


def machine() -> dict[str, Any]:
    """Where and of what this was measured. Counts do not depend on it; times do."""
    return {
        "at": datetime.now(UTC).date().isoformat(),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 1),
        "libraries": {name: version(name) for name in LIBRARIES},
    }


def told(results: dict[str, Any]) -> int:
    """Print the table and what became of the budgets; 1 if a counted one breaks."""
    print(page.table(results))
    for budget, value, met in judged(results):
        word = "met" if met else "BROKEN" if budget.counted else "missed (not counted)"
        sign = ">=" if budget.least else "<="
        print(f"  {budget.what:70} {value:10.2f}  {sign} {budget.limit:g}  {word}")
    return 1 if breaks(results) else 0


if __name__ == "__main__":
    os.environ["LOG_LEVEL"] = "ERROR"
    sys.exit(main())
