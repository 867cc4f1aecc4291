"""The Lambda handlers of the saga's steps: ids in, outcome out."""

import uuid
from collections.abc import Callable
from typing import Any

from florin.adapters.clock import SystemClock
from florin.adapters.risk import PassingRisk
from florin.domain.payment import Outcome, Step
from florin.edge import log, wiring
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
        clock=SystemClock(),
        risk=PassingRisk(),
        provider=provider,
        new_owner=lambda: uuid.uuid4().hex,
    )


def _handler(name: str, work: Callable[[str, str], Outcome]) -> Handler:
    """It takes `{"payment_id", "execution"}` and answers `{"outcome"}`, the outcome of the state
    that the payment is in afterwards. It raises only for what nobody expected.
    """

    def handler(event: dict[str, Any], context: object) -> dict[str, str]:
        payment_id, execution = event["payment_id"], event["execution"]
        outcome = work(payment_id, execution)
        log.line("step", step=name, payment_id=payment_id, execution=execution, outcome=outcome)
        return {"outcome": outcome}

    return handler
