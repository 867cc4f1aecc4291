"""The function behind the HTTP API. Its world is made while the sandbox starts."""

from typing import Any

from api.app import App
from api.routes import handle
from florin.adapters.clock import SystemClock, UlidIds
from florin.edge import wiring
from florin.edge.cache import CachedAccounts, CachedConfig
from florin.edge.document import document, page
from florin.edge.pause import pause

APP = App(
    store=wiring.dynamo(),
    books=wiring.dynamo(),
    accounts=CachedAccounts(wiring.dynamo()),
    config=CachedConfig(wiring.config()),
    sagas=wiring.sagas(),
    runs=wiring.verification(),
    wakeups=wiring.verifier_wakeups(),
    clock=SystemClock(),
    ids=UlidIds(),
    pepper=wiring.pepper,
    document=document,
    page=page,
    letters=wiring.dead_letters(),
    hops=wiring.hops,
    operator_roles=frozenset(wiring.setting("OPERATOR_ROLES").split(",")),
    pause=pause,
)


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    return handle(event, APP)
