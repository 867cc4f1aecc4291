"""The function that API Gateway asks who is calling. Its world is made while the sandbox starts."""

from typing import Any

from authorizer.keys import Authorizer
from florin.adapters.clock import SystemClock
from florin.edge import wiring
from florin.edge.cache import CachedConfig

AUTHORIZER = Authorizer(
    keys=wiring.api_keys(),
    config=CachedConfig(wiring.config()),
    peppers=wiring.peppers(),
    clock=SystemClock(),
)


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    return AUTHORIZER.authorize(event)
