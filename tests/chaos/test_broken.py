"""The suite finds engines that are broken on purpose, each by the promise that it breaks."""

import pytest

from tests.chaos import plans
from tests.chaos.broken import BROKEN, Broken
from tests.chaos.flows import FLOWS
from tests.chaos.runs import clean_run, run


@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_engine_is_found(broken: Broken) -> None:
    (flow,) = (flow for flow in FLOWS if flow.name == broken.flow)
    clean = clean_run(flow)
    tried = [{}, *plans.singles(clean), *plans.executions(clean)]
    found = (fault for plan in tried for fault in run(flow, plan, broken.engine).broken)
    assert any(fault.startswith(f"{broken.breaks}: ") for fault in found)
