"""The function behind the verifier's queue: a message is a run to go on with, or a day's runs to
begin. It only reads the books, so a message that comes twice, or again from the dead-letter
queue, does nothing that was not done.
"""

import json
import time
from typing import Any, Final

from florin.adapters.clock import SystemClock, UlidIds
from florin.edge import log, metrics, wiring
from florin.edge.metrics import Metric
from florin.edge.queues import QueueHandler
from florin.verification import VerificationDesk, Verifier

WORK_S: Final = 45.0
"""How long a message is worked on; its last piece may take a few seconds more."""

ALL_TENANTS: Final = {"tenants": "all"}
"""What the schedule says."""


def work(message: dict[str, Any], work_s: float = WORK_S) -> None:
    """Go on with a run, and call for its next part; or begin a run for every tenant."""
    if message == ALL_TENANTS:
        _begin_all()
        return
    tenant_id, run_id = message["tenant_id"], message["run_id"]
    store, until = wiring.verification(), time.monotonic() + work_s
    verifier = Verifier(audit=store, books=store, runs=store, clock=SystemClock())
    run = verifier.work(tenant_id, run_id, lambda: time.monotonic() < until)
    if run is not None:
        wiring.verifier_wakeups().wake(tenant_id, run_id, run.wait_s)
    kept = store.run(tenant_id, run_id)
    if kept is not None:
        tally = kept.tally
        metrics.tell(
            Metric.VERIFICATION_FINDINGS,
            tally.found,
            "verification",
            level="ERROR" if tally.found else "INFO",
            tenant_id=tenant_id,
            run_id=run_id,
            phase=kept.phase,
            streams=tally.streams,
            findings=tally.found,
            unsettled=tally.unsettled,
        )


def _begin_all() -> None:
    store = wiring.verification()
    desk = VerificationDesk(
        store=store,
        runs=store,
        wakeups=wiring.verifier_wakeups(),
        clock=SystemClock(),
        ids=UlidIds(),
    )
    tenants = 0
    for tenant_id in wiring.config().tenant_ids():
        desk.schedule(tenant_id)
        tenants += 1
    log.line("verification", begun=tenants)


def read(body: str) -> None:
    work(json.loads(body))


handler = QueueHandler(hop="verifier", work=read, parking=wiring.parking, retries=wiring.retries)
