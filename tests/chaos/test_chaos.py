"""Every flow, broken at every point; docs/chaos.md says how many runs that is.

Nothing here is listed by hand but the flows: their points are recorded from a run in which nothing
goes wrong, and what should hold at the end is the same for all of them.
"""

import json
from collections.abc import Iterable
from typing import Final

import pytest

from florin.domain.payment import ATTEMPTS_MAX, Pending
from florin.domain.status import Status, status_of
from florin.saga import fold_history
from tests.chaos import plans, report
from tests.chaos.deployment import Deployment
from tests.chaos.faults import Fault, Plan
from tests.chaos.flows import FLOWS, Client, Flow
from tests.chaos.promises import broken_promises, ending
from tests.chaos.recovery import Recovery
from tests.chaos.runs import clean_run, run
from tests.chaos.stored import on_dynamodb

POINTS: Final = json.loads(report.POINTS.read_text(encoding="utf-8"))
"""How many points each flow had when somebody last looked. They may only become more."""

KILLED: Final = frozenset(
    {Fault.CRASH_BEFORE, Fault.CRASH_AFTER, Fault.GONE_BEFORE, Fault.GONE_AFTER}
)

every_flow = pytest.mark.parametrize("flow", FLOWS, ids=lambda flow: flow.name)
flows_with_timeouts = pytest.mark.parametrize(
    "flow", [flow for flow in FLOWS if flow.name in plans.PAIRED], ids=lambda flow: flow.name
)


def faults(flow: Flow, tried: Iterable[Plan]) -> list[str]:
    """What these plans have broken."""
    return [fault for plan in tried for fault in run(flow, plan).faults]


@every_flow
def test_a_flow_in_which_nothing_goes_wrong(flow: Flow) -> None:
    clean = clean_run(flow)
    assert clean.faults == ()
    assert clean.ending is not None
    ends = [status for status, *_ in clean.ending.payments] + [*clean.ending.holds]
    assert tuple(ends[-len(flow.ends) :]) == flow.ends
    assert clean == run(flow), "the same run again is the same run"


def test_no_flow_has_fewer_points_than_it_had() -> None:
    """More of them are welcome, and are written down by `make chaos`."""
    found = {flow.name: len(clean_run(flow).points) for flow in FLOWS}
    fewer = {name for name, points in POINTS.items() if found.get(name, 0) < points}
    assert fewer == set()


def test_the_table_in_the_docs_is_current() -> None:
    assert report.DOCUMENT.read_text(encoding="utf-8") == report.document()


@every_flow
def test_chaos_kill_at_every_write(flow: Flow) -> None:
    killed = [plan for plan in plans.singles(clean_run(flow)) if KILLED & {*plan.values()}]
    assert faults(flow, killed) == []


@every_flow
def test_errors_repetitions_and_silence_at_every_point(flow: Flow) -> None:
    others = [plan for plan in plans.singles(clean_run(flow)) if not KILLED & {*plan.values()}]
    assert faults(flow, others) == []


@every_flow
def test_two_executions_of_one_payment(flow: Flow) -> None:
    assert faults(flow, plans.executions(clean_run(flow))) == []


@every_flow
def test_others_who_come_in_between(flow: Flow) -> None:
    assert faults(flow, plans.intrusions(clean_run(flow), plans.SHORT)) == []


@flows_with_timeouts
def test_two_faults_in_one_run(flow: Flow) -> None:
    assert faults(flow, plans.pairs(flow, plans.SHORT)) == []


@every_flow
def test_saga_resume_without_aws_redrive(flow: Flow) -> None:
    """An execution that ends anywhere is not redriven: another one goes on from the events."""
    for number in range(1, clean_run(flow).transitions + 1):
        came_to = run(flow, ends_before=number)
        assert came_to.broken == ()
        assert came_to.ending == clean_run(flow).ending, f"it ended before its state {number}"


def test_a_sample_over_the_adapter_for_dynamodb() -> None:
    with on_dynamodb() as engine:
        found = [
            fault
            for flow, plan in plans.on_dynamodb(plans.SHORT)
            for fault in run(flow, plan, engine).faults
        ]
    assert found == []


def test_psp_timeout_then_success() -> None:
    deployment = Deployment()
    payment_id = Client(deployment).pay("tok_timeout_then_success")
    waits(deployment, payment_id)
    Recovery(deployment).until_at_rest()
    came_to = ending(deployment)
    assert came_to.payments == ((Status.SUCCEEDED, 1_000, 30, 0),)
    assert keys(deployment) == [f"{payment_id}:authorization:1", f"{payment_id}:capture:1"]
    assert broken_promises(deployment) == []


def test_psp_timeout_then_nothing() -> None:
    deployment = Deployment()
    payment_id = Client(deployment).pay("tok_timeout_then_nothing")
    waits(deployment, payment_id)
    Recovery(deployment).until_at_rest()
    came_to = ending(deployment)
    assert came_to.payments == ((Status.FAILED, 0, 0, 0),)
    assert came_to.at_provider == ()
    assert keys(deployment) == [f"{payment_id}:authorization:1"] * ATTEMPTS_MAX, "one key for all"
    assert broken_promises(deployment) == []


def keys(deployment: Deployment) -> list[str]:
    """The keys under which the provider was asked, each time."""
    return [call.idempotency_key for call in deployment.chaos.asked]


def waits(deployment: Deployment, payment_id: str) -> None:
    """A payment waits for its provider's answer, and nobody asks again or gives up on it."""
    for _ in range(2):
        payment = fold_history(deployment.store.read(payment_id))
        assert isinstance(payment, Pending)
        assert status_of(payment) is Status.AWAITING_PROVIDER
        assert keys(deployment) == [f"{payment_id}:authorization:1"]
        deployment.resume(payment_id)
        deployment.settle()
