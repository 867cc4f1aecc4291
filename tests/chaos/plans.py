"""Which runs the suite makes of a flow, once its points are known from a clean run.

The short form is for every change, the long one for `make chaos`; they differ in how many of what
is too much to do in full, and take their samples by the same seeds.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Final

from tests.chaos.faults import Kind, Meanwhile, Other, Plan, Point
from tests.chaos.flows import FLOWS, Flow
from tests.chaos.runs import Run, clean_run, run

SEED: Final = 1252  # when the florin was first struck

EFFECTS: Final = frozenset({Kind.WRITE, Kind.CALL})
"""Points after which something is so, or may be."""


PAIRED: Final = frozenset({"timeout, then success", "timeout, then nothing"})
"""The flows that are broken twice in one run."""


@dataclass(frozen=True, slots=True)
class Form:
    """How much is done of what cannot be done in full every time.

    Of those who come in between every so-many-th does, `pairs` is for each flow that is broken
    twice, and `on_dynamodb` for all flows together.
    """

    name: str
    meanwhile_share: int
    pairs: int
    on_dynamodb: int


SHORT: Final = Form(name="short", meanwhile_share=12, pairs=50, on_dynamodb=8)
LONG: Final = Form(name="long", meanwhile_share=1, pairs=2_000, on_dynamodb=200)


def singles(clean: Run) -> list[Plan]:
    """Each fault at each point."""
    return [{point.index: fault} for point in clean.points for fault in point.faults]


def executions(clean: Run) -> list[Plan]:
    """A second execution of the same payment, run from start to end at each point of the first."""
    return [*_meanwhile(clean.points, Other.EXECUTION)]


def intrusions(clean: Run, form: Form) -> list[Plan]:
    """Everybody else at each point, or a sample of it."""
    others = [other for other in Other if other is not Other.EXECUTION]
    plans = [plan for other in others for plan in _meanwhile(clean.points, other)]
    return plans[:: form.meanwhile_share]


def _meanwhile(points: tuple[Point, ...], other: Other) -> Iterator[Plan]:
    for point in points:
        # Who stands still inside a provider's call does so for as long as its adapter allows.
        if not (other is Other.LATER and point.kind is Kind.CALL):
            yield {point.index: Meanwhile(other)}
        if point.kind in EFFECTS:
            yield {point.index: Meanwhile(other, after=True)}


def pairs(flow: Flow, form: Form) -> Iterator[Plan]:
    """Two faults in one run: the second at a point that the run has after the first."""
    random = Random(SEED)  # noqa: S311  # a sample, not a secret
    firsts = singles(clean_run(flow))
    made = 0
    while made < form.pairs:
        first = random.choice(firsts)
        (index,) = first
        later = run(flow, first).points[index + 1 :]
        if later:
            made += 1
            second = random.choice(later)
            yield {**first, second.index: random.choice(second.faults)}


def on_dynamodb(form: Form) -> list[tuple[Flow, Plan]]:
    """What is done over the adapter for DynamoDB: a sample of everything, always the same one."""
    everything = [
        (flow, plan)
        for flow in FLOWS
        for plan in [*singles(clean_run(flow)), *executions(clean_run(flow))]
    ]
    return Random(SEED).sample(everything, form.on_dynamodb)  # noqa: S311  # likewise
