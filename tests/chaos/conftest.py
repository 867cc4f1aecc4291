"""What the chaos suite shares: silence while it runs, and a table of what it did."""

import pytest

from tests.chaos import report
from tests.chaos.flows import FLOWS

SUITE = "tests/chaos/test_chaos.py"


@pytest.fixture(autouse=True)
def _silence(monkeypatch: pytest.MonkeyPatch) -> None:
    """Thousands of runs need not tell of each of their requests."""
    monkeypatch.setenv("LOG_LEVEL", "ERROR")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Flows, points and faults, when every flow was tried and nothing was broken."""
    passed, failed = (
        [test for test in terminalreporter.stats.get(outcome, []) if SUITE in test.nodeid]
        for outcome in ("passed", "failed")
    )
    if len(passed) > len(FLOWS) and not failed:
        terminalreporter.section("chaos")
        for row in report.table():
            terminalreporter.line(row)
