"""What holds for every test: no credentials of yours, no real account."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from xdist.scheduler import LoadScopeScheduling

# Set before any test module is imported: some make their clients at import.
for name in [name for name in os.environ if name.startswith("AWS_")]:
    del os.environ[name]
os.environ |= {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
}

# For those who have an hour: `pytest --hypothesis-profile=long tests/test_many_actors.py`
settings.register_profile("long", max_examples=5_000)

END_TO_END: Final = "tests/e2e/"
VERIFICATION: Final = "tests/e2e/test_verification.py"
CHAOS: Final = "tests/chaos/test_chaos.py"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The end-to-end tests take longest, so they come first; and of these verification, which reads
    all that others leave on the stack.
    """
    items.sort(
        key=lambda item: (
            not item.nodeid.startswith(END_TO_END),
            not item.nodeid.startswith(VERIFICATION),
        )
    )


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    """One process has all that is end to end, for each would start stacks of its own; every other
    test goes to whoever is free.
    """
    from xdist.scheduler import LoadScopeScheduling  # noqa: PLC0415  # not without -n

    class OneForTheStacks(LoadScopeScheduling):  # type: ignore[misc]  # untyped
        def _split_scope(self, nodeid: str) -> str:
            return END_TO_END if nodeid.startswith(END_TO_END) else nodeid

    return OneForTheStacks(config, log)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Flows, points and faults, when every flow was tried and nothing was broken.

    It stands here because the process that sums up has not seen the folders below.
    """
    passed, failed = (
        [test for test in terminalreporter.stats.get(outcome, []) if CHAOS in test.nodeid]
        for outcome in ("passed", "failed")
    )
    if passed and not failed:
        with pytest.MonkeyPatch.context() as environment:
            environment.setenv("LOG_LEVEL", "ERROR")
            from tests.chaos import report  # noqa: PLC0415  # only for who ran it
            from tests.chaos.flows import FLOWS  # noqa: PLC0415

            if len(passed) > len(FLOWS):
                terminalreporter.section("chaos")
                for row in report.table():
                    terminalreporter.line(row)
