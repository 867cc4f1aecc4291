"""Payments on the deployed stack while everything they rest on fails: writes, calls, processes.

Nothing is told to anybody. Clients repeat their requests under the same keys, the sweeper comes by,
and then every payment must have ended once, as if nothing had happened.
"""

import json
import os
import random
import signal
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from http import HTTPStatus
from typing import Final

import pytest

from analytics.witness import TOLD, CountedEvents
from infra.client import Client, Json
from infra.local import Stack
from infra.local.processes import stack_processes
from infra.verify import verified
from tests.e2e.test_dead_letters import catch_up, eventually, letters
from tests.e2e.test_recovery import sweep
from tests.e2e.test_wallets import funded
from tests.support.fault_proxy import BREAK, PASS, Answer, Done, Fate, FaultProxy, Request, Rule
from tests.support.load import AMOUNT_MINOR, WALLET, Load
from tests.support.tenants import with_tenant

pytestmark = pytest.mark.fails_on_purpose

PAYMENTS, AT_ONCE, KILLS = 200, 12, 50
FAULTY_PAYMENTS, ONE_IN, FAULTY_FOR_S = 60, 12, 5.0
OUTAGE_PAYMENTS, OUTAGE_S = 24, 60.0
SWEEP_AHEAD_S: Final = 300
WALLET_MINOR: Final = 60 * AMOUNT_MINOR
WRITES: Final = frozenset({"PutItem", "UpdateItem", "TransactWriteItems"})


@pytest.fixture
def client(stack: Stack) -> Client:
    return Client.of(stack)


@contextmanager
def killing(stack: Stack) -> Iterator[threading.Event]:
    """Kill workers at random times; the event says that there were enough."""
    assert stack.pid is not None
    group, over, enough = stack.pid, threading.Event(), threading.Event()
    chance = random.Random(50)  # noqa: S311  # no secret

    def kill() -> None:
        killed = 0
        while killed < KILLS and not over.wait(chance.uniform(0.05, 0.4)):
            workers = [
                process.pid
                for process in stack_processes(group)
                if process.pid != group and "ministack-lambda-" in process.command
            ]
            if workers:
                with suppress(ProcessLookupError):
                    os.kill(chance.choice(workers), signal.SIGKILL)
                    killed += 1
        enough.set()

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        yield enough
    finally:
        over.set()
        killer.join()


@pytest.mark.parametrize("stack", ["plain"], indirect=True)
def test_chaos_killed_workers_lose_nothing(stack: Stack, client: Client) -> None:
    load = Load(client, client.seller(), funded(client, WALLET_MINOR), PAYMENTS)
    with killing(stack) as enough:
        ids = load.accepted(AT_ONCE)
        while not enough.wait(0.5):
            load.shown(ids[0])
    assert len(set(ids)) == PAYMENTS
    assert load.accepted(AT_ONCE) == ids, "every key is one payment"
    payments = load.ended(ids, lambda: sweep(stack, SWEEP_AHEAD_S))
    load.check(stack, payments, WALLET_MINOR)
    assert verified(client)["findings"] == []


def simulator_path(stack: Stack) -> str:
    return stack.simulator_url.partition("/_aws/")[2]


def is_call(request: Request, simulator: str) -> bool:
    """Whether the engine asks its provider."""
    return request.service == "execute-api" and simulator in request.operation


class Faults:
    """One in so many writes and calls fails before or after it was done, with no answer at all."""

    def __init__(self, stack: Stack) -> None:
        self._chance = random.Random(7)  # noqa: S311  # no secret
        self._lock = threading.Lock()
        self._simulator = simulator_path(stack)

    def __call__(self, request: Request) -> Fate:
        write = request.service == "dynamodb" and request.operation in WRITES
        call = is_call(request, self._simulator)
        start = request.operation == "StartExecution"
        with self._lock:
            if not (write or call or start) or self._chance.randrange(ONE_IN):
                return PASS
            fates: list[Fate] = [BREAK, Done(then=BREAK)]
            return self._chance.choice(fates)


@contextmanager
def provider_through(stack: Stack, proxy: FaultProxy) -> Iterator[None]:
    """While the engine reaches its provider through the proxy too."""
    key = {"id": {"S": "provider#simulator"}}
    dynamodb, table = stack.client("dynamodb"), stack.tables["config"]
    before = dynamodb.get_item(TableName=table, Key=key)["Item"]
    url = before["url"]["S"].replace(stack.endpoint_url, proxy.url)
    assert url.startswith(proxy.url)
    dynamodb.put_item(TableName=table, Item=before | {"url": {"S": url}})
    try:
        yield
    finally:
        dynamodb.put_item(TableName=table, Item=before)


@pytest.mark.parametrize("stack", ["busy"], indirect=True)
def test_chaos_writes_and_calls_fail_before_and_after(
    stack: Stack, client: Client, proxy: FaultProxy
) -> None:
    load = Load(client, client.seller(), funded(client, WALLET_MINOR), FAULTY_PAYMENTS)
    usual, before = proxy.rule, proxy.injected.copy()
    with provider_through(stack, proxy):
        proxy.rule = Faults(stack)
        try:
            ids = load.accepted(AT_ONCE)
            time.sleep(FAULTY_FOR_S)  # their sagas are under way
        finally:
            proxy.rule = usual
        assert len(set(ids)) == FAULTY_PAYMENTS
        payments = load.ended(ids, lambda: sweep(stack, SWEEP_AHEAD_S))
    assert sum((proxy.injected - before).values()) >= FAULTY_PAYMENTS / 2
    load.check(stack, payments, WALLET_MINOR)
    assert verified(client)["findings"] == []


def refused(request: Request) -> Answer:
    """A bus that takes nothing. One that is not even there is waited for by the stream itself."""
    entry = {"ErrorCode": "InternalFailure", "ErrorMessage": "There is an internal failure."}
    count = len(request.document["Entries"])
    body = json.dumps({"FailedEntryCount": count, "Entries": [entry] * count}).encode()
    headers = {"Content-Type": "application/x-amz-json-1.1"}
    return Answer(name="InternalFailure", status=HTTPStatus.OK, headers=headers, body=body)


def gone(stack: Stack, usual: Rule) -> Rule:
    """The bus takes nothing and the provider does not answer; the rest is as it was."""
    simulator = simulator_path(stack)

    def rule(request: Request) -> Fate:
        if request.operation == "PutEvents":
            return refused(request)
        return BREAK if is_call(request, simulator) else usual(request)

    return rule


def untold(stack: Stack, client: Client, payments: Mapping[str, Json]) -> set[str]:
    """The events of payments that analytics should have heard of and has not."""
    public = {
        event["event_id"]
        for payment_id in payments
        for event in client.get(f"/payments/{payment_id}/events").body["data"]
        if event["type"] in TOLD
    }
    witness = CountedEvents(stack.client("dynamodb"), stack.tables["analytics"])
    ids = sorted(public)
    heard = (witness.heard_of(ids[start : start + 100]) for start in range(0, len(ids), 100))
    return public.difference(*heard)


@pytest.mark.parametrize("stack", ["busy"], indirect=True)
def test_chaos_bus_and_provider_are_gone_for_a_minute(stack: Stack, proxy: FaultProxy) -> None:
    stack = with_tenant(stack, "Pisa Outages")
    client = Client.of(stack)
    load = Load(client, client.seller(), funded(client, WALLET_MINOR), OUTAGE_PAYMENTS)
    usual = proxy.rule
    with provider_through(stack, proxy):
        proxy.rule = gone(stack, usual)
        try:
            back_at = time.monotonic() + OUTAGE_S
            ids = load.accepted(AT_ONCE)
            for payment_id, (kind, _, _) in zip(ids, load.wanted, strict=True):
                if kind == WALLET:
                    assert client.ended(payment_id)["status"] == "succeeded", "the rest flows on"
            time.sleep(max(0.0, back_at - time.monotonic()))
        finally:
            proxy.rule = usual
        payments = load.ended(ids, lambda: sweep(stack, SWEEP_AHEAD_S))
    load.check(stack, payments, WALLET_MINOR)

    parked = eventually(lambda: letters(client, hop="publisher", state="open"))
    assert {one["cause"] for one in parked} == {"BusRefusedError('refused 4 times')"}
    assert untold(stack, client, payments), "they are what nobody was told of"

    def redriven() -> int:
        return len(client.created("/dead-letters/redrive", {"hop": "publisher"})["data"])

    assert redriven() >= len(parked)
    eventually(lambda: not redriven())
    assert redriven() == 0, "the second time there is nothing to do"
    eventually(lambda: not untold(stack, client, payments))
    assert catch_up(stack).run().made_good == 0
    assert verified(client)["findings"] == []
