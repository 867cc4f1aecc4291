"""One deployed stack for all end-to-end tests."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from infra.local import Stack, running_stack
from infra.local.emulator import LOG_NAME, tail

DIRECTORY = pytest.StashKey[Path]()
LOG_LINES = 40


@pytest.fixture(scope="session")
def stack(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stack]:
    """The project's own template on a free port, with two tenants, gone after the last test."""
    directory = tmp_path_factory.mktemp("stack")
    request.config.stash[DIRECTORY] = directory
    with running_stack(directory=directory) as running:
        yield running


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
