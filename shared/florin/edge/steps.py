"""The Lambda handlers of the saga's steps: ids in, outcome out."""

import uuid
from collections.abc import Callable
from typing import Any

from florin.adapters.clock import SystemClock
from florin.adapters.risk import PassingRisk
from florin.domain.deadlines import LOOKUPS_AFTER
from florin.domain.payment import Call, Outcome, Step
from florin.domain.provider import Unknown
from florin.edge import log, metrics, wiring
from florin.edge.cache import CachedAccounts
from florin.edge.metrics import Metric
from florin.edge.providers import provider
from florin.saga import Saga

Handler = Callable[[dict[str, Any], object], dict[str, str]]


def step_handler(step: Step, saga: Saga | None = None) -> Handler:
    """The handler for one state of the state machine `payment`, on AWS unless told otherwise."""
    saga = saga or _saga()
    return _handler(step, lambda payment_id, execution: saga.run(step, payment_id, execution))


def follow_up_handler(saga: Saga | None = None) -> Handler:
    """The handler for the one state of the state machine `follow_up`, likewise."""
    return _handler("FollowUp", (saga or _saga()).follow_up)


def _saga() -> Saga:
    return Saga(
        store=wiring.dynamo(),
        accounts=CachedAccounts(wiring.dynamo()),
        clock=SystemClock(),
        risk=PassingRisk(),
        provider=provider,
        new_owner=lambda: uuid.uuid4().hex,
        unanswered=_unanswered,
        inconclusive=_inconclusive,
    )


def _unanswered(payment_id: str, call: Call) -> None:
    """Have it looked up soon. If that cannot be arranged now, the sweeper will come by."""
    log.error("unanswered", payment_id=payment_id, reference=call.reference, attempt=call.attempt)
    delay = call.deadline + LOOKUPS_AFTER[0] - SystemClock().now()
    try:
        wiring.wakeups().wake(payment_id, 0, delay)
    except Exception as error:  # noqa: BLE001  # what happened is recorded; that is what counts
        log.failure("no wakeup", error, payment_id=payment_id)


def _inconclusive(call: Call, answer: Unknown) -> None:
    log.error(
        "look_up",
        reference=call.reference,
        idempotency_key=call.idempotency_key,
        reason=answer.reason,
    )


def _handler(name: str, work: Callable[[str, str], Outcome]) -> Handler:
    """It takes `{"payment_id", "execution"}` and answers `{"outcome"}`, the outcome of the state
    that the payment is in afterwards. It raises only for what nobody expected.
    """

    def handler(event: dict[str, Any], context: object) -> dict[str, str]:
        payment_id, execution = event["payment_id"], event["execution"]
        outcome = work(payment_id, execution)
        told = {"step": name, "payment_id": payment_id, "execution": execution, "outcome": outcome}
        if outcome is Outcome.PARK:
            metrics.tell(Metric.NEEDS_OPERATOR, 1, "step", **told)
        else:
            log.line("step", **told)
        return {"outcome": outcome}

    return handler
