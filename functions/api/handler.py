"""The function behind the HTTP API. Its world is made while the sandbox starts."""

import secrets
from typing import Any, Final

from api.app import App
from api.routes import handle
from florin.adapters.clock import SystemClock, UlidIds
from florin.edge import wiring
from florin.edge.cache import CachedAccounts, CachedConfig
from florin.edge.document import document, page
from florin.edge.pause import pause
from florin.edge.pepper import key_hash

SECRET_BYTES: Final = 24
"""192 bits, 32 characters."""

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
    pepper=wiring.field_pepper,
    document=document,
    page=page,
    letters=wiring.dead_letters(),
    hops=wiring.hops,
    api_keys=wiring.api_keys(),
    keyed=lambda api_key: key_hash(wiring.peppers().current, api_key),
    new_secret=lambda: secrets.token_urlsafe(SECRET_BYTES),
    pause=pause,
)


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    return handle(event, APP)
