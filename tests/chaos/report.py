"""The table of the chaos suite: flows, their points, and what was broken at them."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final

from infra.paths import ROOT
from tests.chaos import plans
from tests.chaos.faults import FAULTS, Kind, Other
from tests.chaos.flows import FLOWS, Flow
from tests.chaos.plans import LONG, SHORT, Form
from tests.chaos.promises import PROMISES
from tests.chaos.runs import clean_run

DOCUMENT: Final = ROOT / "docs" / "chaos.md"
POINTS: Final = ROOT / "tests" / "chaos" / "points.json"

PAGE: Final = """# Chaos

<!-- Written by `make chaos`; a test compares it with what the suite does. -->

Every flow of the engine is played in one process: the API, the steps walked through the real state
machines, the readers of the stream, the sweeper and the look-ups, and the provider simulator with
books of its own; time goes from one moment at which somebody comes by to the next. A run in which
nothing goes wrong records its *points*, each call that crosses a port. Then the flow is played
again and again, and each time something else goes wrong at one of them:

{faults}

To *fail* is an error that the caller gets; to *repeat* is a call that the SDK sends twice; who
*crashes* dies and is called again; who is *gone* dies together with its execution or its client;
*late* is a call that the provider does after everybody has stopped waiting for it. *Belated* is one
that it does, and *hidden* one that it shows, only after it has said for long enough that it never
heard of it.

At each point a *second execution* of the same payment runs from start to end. Executions are
*ended* before each of their states, and never redriven. *Others* come in between: {others}. Flows
whose provider does not answer are broken by *two faults* in one run. When all has come to rest, the
run must have ended as if nothing had gone wrong, and what was promised must hold:

{promises}

{table}

The short form is part of `make test`: {short} runs, of which {short_stored} go over the adapter
for DynamoDB. The long form is `make chaos`: {long} runs, of which {long_stored} do. All others go
over the adapter in memory; both adapters pass the same contract.

No flow may lose points: `tests/chaos/points.json` holds how many there were. Engines that are
broken on purpose (`tests/chaos/broken.py`) must be found.
"""

HEAD: Final = (
    "flow",
    "ends",
    "points",
    "reads · writes · calls",
    "faults",
    "second executions",
    "ended executions",
    "others in between, short · long",
    "two faults, short · long",
)


def counts(flow: Flow, form: Form) -> dict[str, int]:
    """How many runs a form makes of a flow, by what goes wrong in them."""
    clean = clean_run(flow)
    return {
        "faults": len(plans.singles(clean)),
        "second executions": len(plans.executions(clean)),
        "ended executions": clean.transitions,
        "others": len(plans.intrusions(clean, form)),
        "pairs": form.pairs if flow.name in plans.PAIRED else 0,
    }


def runs(form: Form) -> int:
    """How many runs a form makes in all."""
    return sum(sum(counts(flow, form).values()) for flow in FLOWS) + form.on_dynamodb


def table() -> Iterator[str]:
    """The rows of the table, in Markdown."""
    yield _row(HEAD)
    yield _row(["---"] * len(HEAD))
    for flow in FLOWS:
        points = clean_run(flow).points
        kinds = Counter(point.kind for point in points)
        calls = kinds[Kind.CALL] + kinds[Kind.LOOK_UP]
        short, long = counts(flow, SHORT), counts(flow, LONG)
        yield _row(
            [
                flow.name,
                ", ".join(flow.ends),
                len(points),
                f"{kinds[Kind.READ]} · {kinds[Kind.WRITE]} · {calls}",
                short["faults"],
                short["second executions"],
                short["ended executions"],
                f"{short['others']} · {long['others']}",
                f"{short['pairs']} · {long['pairs']}" if short["pairs"] else "",
            ]
        )


def _row(cells: Sequence[object]) -> str:
    return f"| {' | '.join(str(cell) for cell in cells)} |"


def document() -> str:
    """The page in the docs."""
    faults = "\n".join(
        f"* {kind}: {', '.join(fault.value for fault in FAULTS[kind])}" for kind in Kind
    )
    promises = "\n".join(f"* **{name}**: {meaning}" for name, meaning in PROMISES.items())
    others = ", ".join(other.value for other in Other if other is not Other.EXECUTION)
    return PAGE.format(
        faults=faults,
        others=others,
        promises=promises,
        table="\n".join(table()),
        short=runs(SHORT),
        long=runs(LONG),
        short_stored=SHORT.on_dynamodb,
        long_stored=LONG.on_dynamodb,
    )
