"""One deployed stack for all end-to-end tests, and then another one whose DynamoDB is busy.

On the second, functions reach AWS through a proxy that refuses a part of their DynamoDB requests
as DynamoDB does under load: conflicts of transactions and throttling, which the local stack never
has of its own. Nothing else differs, and every answer has to be the same.

Both enforce each function's role, and what functions call is recorded for test_permissions.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest

from infra.local import Stack, emulator, running_stack
from infra.local.emulator import LOG_NAME, tail
from tests.support.dynamodb_faults import Busy
from tests.support.fault_proxy import FaultProxy, fault_proxy, pass_all
from tests.support.permissions import LEFT_OUT, RECORDED, Recorder, Roles

DIRECTORY = pytest.StashKey[Path]()
PROXY = pytest.StashKey[FaultProxy]()
RECORDER = pytest.StashKey[Recorder]()
JUDGE = "test_permissions.py"
"""Runs when all others have, for it judges what they did."""
LOG_LINES = 40
API_AT_ONCE: Final = 12
"""More clients than that wait for their turn, as they would for two cores."""

REFUSED_ONE_IN: Final = {
    "TransactWriteItems": 4,
    "PutItem": 6,
    "UpdateItem": 6,
    "GetItem": 50,
    "Query": 50,
}
"""Of so many requests of an operation one is refused, and tried again. Reads know no conflict,
only throttling, after which the SDK waits."""


@pytest.fixture(scope="session", params=["plain", "busy"])
def stack(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stack]:
    """The project's own template on a free port, with its tenants, gone after its last test.

    Pytest runs all tests on one before it makes the other.
    """
    busy = request.param == "busy"
    directory = request.config.stash[DIRECTORY] = tmp_path_factory.mktemp("stack")
    port = emulator.free_port()
    recorder = request.config.stash[RECORDER] = Recorder(Busy(REFUSED_ONE_IN) if busy else pass_all)
    with fault_proxy((emulator.HOST, port), recorder, API_AT_ONCE) as proxy:
        request.config.stash[PROXY] = proxy
        with running_stack(port, directory, functions_endpoint_url=proxy.url) as running:
            request.config.stash.setdefault(RECORDED, []).append((Roles.of(running), recorder))
            # The tests' own calls go the same way, so that their answers are counted.
            yield replace(running, api_url=running.api_url.replace(running.endpoint_url, proxy.url))


@pytest.fixture
def proxy(stack: Stack, request: pytest.FixtureRequest) -> FaultProxy:
    """What stands before the stack."""
    return request.config.stash[PROXY]


@pytest.fixture
def directory(stack: Stack, request: pytest.FixtureRequest) -> Path:
    """Where the stack keeps its files."""
    return request.config.stash[DIRECTORY]


@pytest.fixture
def recorder(stack: Stack, request: pytest.FixtureRequest) -> Recorder:
    """What notes the calls of the stack's functions."""
    return request.config.stash[RECORDER]


@pytest.fixture(autouse=True)
def no_failures(request: pytest.FixtureRequest, proxy: FaultProxy) -> Iterator[None]:
    """Whatever is asked of the API, it never answers with a 5xx, unless a test makes it fail."""
    if request.node.get_closest_marker("fails_on_purpose"):
        yield
        return
    before = proxy.failures("execute-api")
    yield
    assert proxy.failures("execute-api") == before


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.path.name == JUDGE)


def pytest_deselected(items: Sequence[pytest.Item]) -> None:
    for item in items:
        item.config.stash.setdefault(LEFT_OUT, []).append(item)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A failure comes with what the stack said last: the cause is often in a Lambda worker."""
    report = yield
    directory = item.config.stash.get(DIRECTORY, None)
    if report.failed and directory:
        report.sections.append(("the stack's log", tail(directory / LOG_NAME, LOG_LINES)))
    return report
