"""What a payment may cost, and whether it does. Counted budgets fail the bench when they break.

CPU and imports are measured on a machine that others use too, so they are judged and told, and do
not fail.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

Results = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """A number that is to be at most (or, where `least`, at least) so much."""

    what: str
    limit: float
    measured: Callable[[Results], float]
    counted: bool = True
    least: bool = False

    def is_met(self, results: Results) -> bool:
        value = self.measured(results)
        return value >= self.limit if self.least else value <= self.limit


def _flow(name: str, what: str) -> Callable[[Results], float]:
    return lambda results: float(results["flows"][name][what])


def _dollars(machine: str) -> Callable[[Results], float]:
    return lambda results: float(results["flows"]["happy"]["dollars"][machine])


def _steps(results: Results) -> float:
    invocations = results["flows"]["happy"]["invocations"]
    ours = {"ApiFunction", "ProjectorFunction", "PublisherFunction"}
    return sum(float(times) for name, times in invocations.items() if name not in ours)


def _grows(results: Results) -> float:
    """By how much a payment costs more with most stored than with fewest, in per cent."""
    costs = [float(one["dollars"]["EXPRESS"]) for one in results["stored"].values()]
    return (max(costs) / min(costs) - 1) * 100


def _hot(what: str) -> Callable[[Results], float]:
    """How much more of something one hot merchant takes than many."""
    return lambda results: float(results["hot"]["hot"][what] - results["hot"]["many"][what])


def _largest(results: Results) -> float:
    return max(float(one["largest_item_bytes"]) for one in results["flows"].values())


BUDGETS: Final = (
    Budget(
        what="accept: round trips to DynamoDB",
        limit=1,
        measured=lambda r: r["accept"]["round_trips"],
    ),
    Budget(what="accept: reads before it", limit=0, measured=lambda r: r["accept"]["reads"]),
    Budget(
        what="replay: round trips to DynamoDB",
        limit=1,
        measured=lambda r: r["replay"]["round_trips"],
    ),
    Budget(
        what="happy payment: transitions, the start included",
        limit=6,
        measured=_flow("happy", "transitions"),
    ),
    Budget(what="happy payment: invocations of steps", limit=3, measured=_steps),
    Budget(
        what="happy payment: write units, ten payments in a batch",
        limit=20,
        measured=_flow("happy", "writes"),
    ),
    Budget(what="happy payment: public events", limit=3, measured=_flow("happy", "bus_entries")),
    Budget(what="largest item, in bytes", limit=1024, measured=_largest),
    Budget(
        what="happy payment on EXPRESS, in dollars per million",
        limit=25,
        measured=_dollars("EXPRESS"),
    ),
    Budget(
        what="happy payment on STANDARD, in dollars per million",
        limit=175,
        measured=_dollars("STANDARD"),
    ),
    Budget(
        what="one hot merchant: write units until captured, more than many",
        limit=0,
        measured=_hot("writes_until_captured"),
    ),
    Budget(
        what="one hot merchant: conflicts until captured, more than many",
        limit=0,
        measured=_hot("conflicts_until_captured"),
    ),
    Budget(
        what="one hot merchant: items that payments share until captured",
        limit=0,
        measured=lambda r: r["hot"]["hot"]["items_shared_until_captured"],
    ),
    Budget(what="many stored payments: dearer by per cent", limit=1, measured=_grows),
    Budget(
        what="engine: happy payments per core-second",
        limit=2000,
        least=True,
        counted=False,
        measured=lambda r: r["cpu"]["payments_per_core_s"],
    ),
    Budget(
        what="import of a step: times botocore with one client",
        limit=1.3,
        counted=False,
        measured=lambda r: r["imports"]["saga.authorize"]["ratio"],
    ),
)


def judged(results: Results) -> Iterator[tuple[Budget, float, bool]]:
    """Each budget with what was measured, and whether it is met."""
    for budget in BUDGETS:
        yield budget, budget.measured(results), budget.is_met(results)


def breaks(results: Results) -> list[Budget]:
    """The counted budgets that are not met."""
    return [budget for budget, _, met in judged(results) if budget.counted and not met]
