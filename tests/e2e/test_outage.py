"""Provider and bus are away for a while: what was accepted goes on afterwards; nothing is lost.

Everything else works meanwhile. What the engine gave up is listed with its cause, redriven by
class, twice, and then everything is as if nothing had happened.
"""

import json
import time
from typing import Any, Final

import pytest

from analytics.witness import TOLD, CountedEvents
from florin.adapters.dynamodb import Dynamo, Tables
from infra.client import Client, Json
from infra.local import Stack
from infra.verify import verified
from tests.e2e.test_chaos_deployed import provider_through
from tests.e2e.test_recovery import sweep
from tests.e2e.test_wallets import funded
from tests.support.fault_proxy import BREAK, PASS, Answer, Fate, FaultProxy, Request
from tests.support.load import Load
from tests.support.tenants import with_tenant

pytestmark = pytest.mark.fails_on_purpose

PAYMENTS, AT_ONCE = 16, 4
AWAY_FOR_S: Final = 60.0
PATIENCE_S: Final = 120.0
SWEEP_AHEAD_S: Final = 300
WALLET_MINOR: Final = 5_000


@pytest.fixture(scope="module")
def stack(stack: Stack) -> Stack:
    """With a tenant whose dead letters are all of this outage."""
    return with_tenant(stack, "Siena Storm")


@pytest.fixture
def client(stack: Stack) -> Client:
    return Client.of(stack)


class Outage:
    """Nobody gets through to the provider or the bus."""

    def __init__(self, stack: Stack) -> None:
        self._simulator = stack.simulator_url.partition("/_aws/")[2]

    def __call__(self, request: Request) -> Fate:
        if request.service == "execute-api" and self._simulator in request.operation:
            return BREAK
        return refused(request) if request.operation == "PutEvents" else PASS


def refused(request: Request) -> Answer:
    """What the bus answers while it takes nothing."""
    entries = request.document["Entries"]
    told = {"ErrorCode": "InternalFailure", "ErrorMessage": "The bus is away."}
    body = {"FailedEntryCount": len(entries), "Entries": [told for _ in entries]}
    return Answer(
        name="refused",
        status=200,
        headers={"Content-Type": "application/x-amz-json-1.1"},
        body=json.dumps(body).encode(),
    )


def public_events(stack: Stack, ids: list[str]) -> list[str]:
    """The ids of the events of payments that analytics is told of."""
    tables = {name: stack.tables[name] for name in ("events", "idempotency", "accounts", "views")}
    store = Dynamo(stack.client("dynamodb"), Tables(**tables))
    return [
        recorded.event_id
        for payment_id in ids
        for recorded in store.read(payment_id).events
        if recorded.type in TOLD
    ]


def unheard(stack: Stack, events: list[str]) -> set[str]:
    witness = CountedEvents(stack.client("dynamodb"), stack.tables["analytics"])
    chunks = [events[start : start + 100] for start in range(0, len(events), 100)]
    return set(events) - {one for chunk in chunks for one in witness.heard_of(chunk)}


def open_letters(client: Client) -> list[Json]:
    data: list[Json] = client.get("/dead-letters?state=open&limit=100").body["data"]
    return data


def redriven(client: Client) -> None:
    """Redrive everything that was given up, in one request after the other."""
    while client.created("/dead-letters/redrive", {"hop": "publisher"})["has_more"]:
        pass


@pytest.mark.parametrize("stack", ["busy"], indirect=True)
def test_chaos_an_outage_of_provider_and_bus_leaves_nothing_behind(
    stack: Stack, client: Client, proxy: FaultProxy, request: Any
) -> None:
    load = Load(client, client.seller(), funded(client, WALLET_MINOR), PAYMENTS)
    usual = proxy.rule
    with provider_through(stack, proxy):
        proxy.rule = Outage(stack)
        began = time.monotonic()
        try:
            ids = load.accepted(AT_ONCE)
            assert len(set(ids)) == PAYMENTS, "payments are accepted all the same"
            while time.monotonic() - began < AWAY_FOR_S:
                time.sleep(1.0)
            letters = open_letters(client)
        finally:
            proxy.rule = usual
        assert {letter["hop"] for letter in letters} == {"publisher"}
        assert all("refused" in letter["cause"] for letter in letters), letters[0]
        payments = load.ended(ids, lambda: sweep(stack, SWEEP_AHEAD_S))

    assert {payment["status"] for payment in payments.values()} <= {"succeeded", "failed"}
    for _ in range(2):
        redriven(client)
    deadline = time.monotonic() + PATIENCE_S
    while missing := unheard(stack, public_events(stack, ids)):
        assert time.monotonic() < deadline, (missing, json.dumps(open_letters(client)))
        time.sleep(1.0)
    assert open_letters(client) == []
    run = verified(client)
    assert (run["findings"], run["balanced"]) == ([], True)
