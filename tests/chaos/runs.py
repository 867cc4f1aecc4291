"""One flow, with a plan of what goes wrong, to its end."""

from dataclasses import dataclass
from functools import cache

from tests.chaos.deployment import Deployment, Engine
from tests.chaos.faults import Meanwhile, Other, Plan, Point
from tests.chaos.flows import Client, ClientGoneError, Flow
from tests.chaos.promises import Ending, broken_promises, ending
from tests.chaos.recovery import NoRestError, Recovery


@dataclass(frozen=True, slots=True)
class Run:
    """What came of it.

    `points` are the calls that crossed a port until all was at rest, `transitions` the states that
    executions came to, `happened` how many of the planned faults did; `gone` says that the client
    did not come back.
    """

    flow: Flow
    plan: Plan
    points: tuple[Point, ...]
    transitions: int
    happened: int
    gone: bool
    broken: tuple[str, ...]
    ending: Ending | None

    @property
    def tells_the_story(self) -> bool:
        """Whether everything that the story asks for was asked for, and nothing else was."""
        others = {one.other for one in self.plan.values() if isinstance(one, Meanwhile)}
        return not (self.gone or others & {Other.CANCEL, Other.REFUND})

    @property
    def faults(self) -> tuple[str, ...]:
        """What of it should not be: what is broken, and what came out otherwise than when nothing
        goes wrong.
        """
        found = list(self.broken)
        clean = self if not self.plan else clean_run(self.flow)
        if self.happened < len(self.plan):
            found.append(f"only {self.happened} of it happened")
        if self.tells_the_story and not self.broken and self.ending != clean.ending:
            found.append(f"ending: {self.ending} and not {clean.ending}")
        planned = ", ".join(
            f"{what} at {clean.points[index] if index < len(clean.points) else index}"
            for index, what in self.plan.items()
        )
        return tuple(f"{self.flow.name}, {planned or 'untouched'}: {one}" for one in found)


@cache
def clean_run(flow: Flow) -> Run:
    """A run of the engine as it is, in which nothing goes wrong."""
    return run(flow)


def run(
    flow: Flow,
    plan: Plan | None = None,
    engine: Engine | None = None,
    ends_before: int | None = None,
) -> Run:
    """Play a flow with this plan, let everything come to rest, and see what holds.

    The execution that comes to the state with the number `ends_before`, counted over all of them,
    ends there for good.
    """
    deployment = Deployment(engine, plan, ends_before)
    client, chaos = Client(deployment), deployment.chaos
    chaos.undisturbed(lambda: flow.before(client))
    deployment.answers.clear()  # what was asked for before the story is not part of it
    gone, restless = False, []
    try:
        try:
            flow.story(client)
        except ClientGoneError:
            gone = True
        Recovery(deployment).until_at_rest()
    except (NoRestError, AssertionError) as error:  # an assertion is a history that cannot be
        restless = [f"rest: {error}"]
    points, happened, chaos.quiet = tuple(chaos.met), len(chaos.happened), True
    came_to = None if restless else ending(deployment)
    broken = tuple(restless or broken_promises(deployment))
    return Run(flow, chaos.plan, points, deployment.transitions, happened, gone, broken, came_to)
