"""The kept results, their pages, and the judgement of the budgets."""

import json
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from tests.bench import page
from tests.bench.__main__ import RESULTS, main
from tests.bench.budgets import BUDGETS, breaks


@pytest.fixture
def results() -> dict[str, Any]:
    kept: dict[str, Any] = json.loads(RESULTS.read_text(encoding="utf-8"))
    return kept


def test_the_pages_are_what_the_results_say(results: dict[str, Any]) -> None:
    assert page.DOCUMENT.read_text(encoding="utf-8") == page.rendered(results), "run `make bench`"
    for name, drawn in page.charts(results).items():
        assert (page.CHARTS / name).read_text(encoding="utf-8") == drawn, name
    readme = page.README.read_text(encoding="utf-8")
    assert readme == page.in_readme(readme, results)


def test_the_kept_results_meet_every_counted_budget(results: dict[str, Any]) -> None:
    assert breaks(results) == []
    assert main(["--judge", str(RESULTS)]) == 0


def _happy(results: dict[str, Any]) -> dict[str, Any]:
    happy: dict[str, Any] = results["flows"]["happy"]
    return happy


BREACHES: dict[str, Callable[[dict[str, Any]], object]] = {
    "accept: round trips to DynamoDB": lambda r: r["accept"].update(round_trips=2),
    "accept: reads before it": lambda r: r["accept"].update(reads=1),
    "replay: round trips to DynamoDB": lambda r: r["replay"].update(round_trips=2),
    "happy payment: transitions, the start included": lambda r: _happy(r).update(transitions=7),
    "happy payment: invocations of steps": lambda r: _happy(r)["invocations"].update(
        VoidFunction=1
    ),
    "happy payment: write units, ten payments in a batch": lambda r: _happy(r).update(writes=20.1),
    "happy payment: public events": lambda r: _happy(r).update(bus_entries=4),
    "largest item, in bytes": lambda r: _happy(r).update(largest_item_bytes=1025),
    "happy payment on EXPRESS, in dollars per million": lambda r: _happy(r)["dollars"].update(
        EXPRESS=25.01
    ),
    "happy payment on STANDARD, in dollars per million": lambda r: _happy(r)["dollars"].update(
        STANDARD=175.01
    ),
    "one hot merchant: write units until captured, more than many": lambda r: r["hot"][
        "hot"
    ].update(writes_until_captured=99),
    "one hot merchant: conflicts until captured, more than many": lambda r: r["hot"]["hot"].update(
        conflicts_until_captured=99
    ),
    "one hot merchant: items that payments share until captured": lambda r: r["hot"]["hot"].update(
        items_shared_until_captured=1
    ),
    "many stored payments: dearer by per cent": lambda r: next(iter(r["stored"].values()))[
        "dollars"
    ].update(EXPRESS=1.0),
}
"""For each counted budget, results that break it."""


def test_every_counted_budget_can_break() -> None:
    assert BREACHES.keys() == {budget.what for budget in BUDGETS if budget.counted}


@pytest.mark.parametrize("what", BREACHES)
def test_a_breach_fails_the_bench(
    what: str, results: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = deepcopy(results)
    BREACHES[what](broken)
    assert [budget.what for budget in breaks(broken)] == [what]
    kept = tmp_path / "bench.json"
    kept.write_text(json.dumps(broken), encoding="utf-8")
    assert main(["--judge", str(kept)]) == 1
    (line,) = (line for line in capsys.readouterr().out.splitlines() if "BROKEN" in line)
    assert what in line


def test_what_is_measured_by_the_clock_does_not_fail_it(results: dict[str, Any]) -> None:
    slow = deepcopy(results)
    slow["cpu"]["payments_per_core_s"] = 1
    slow["imports"]["saga.authorize"]["ratio"] = 9.0
    assert breaks(slow) == []
