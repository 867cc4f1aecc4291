"""Ending a stack ends all of it, and never what only happens to have its number."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest

from infra.local import processes
from infra.local.processes import end_group, stack_processes

SLEEP = "import time; time.sleep(60)"
STUBBORN = (
    f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=True); {SLEEP}"
)


@pytest.fixture
def started() -> Iterator[list[subprocess.Popen[bytes]]]:
    running: list[subprocess.Popen[bytes]] = []
    yield running
    for process in running:
        process.kill()
        process.wait()
        if process.stdout:
            process.stdout.close()


def run(code: str, *marks: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", code, *marks], start_new_session=True, stdout=subprocess.PIPE
    )


def test_a_group_without_the_marks_of_a_stack_is_left_alone(
    started: list[subprocess.Popen[bytes]],
) -> None:
    stranger = run(SLEEP)
    started.append(stranger)
    assert stack_processes(stranger.pid) == []
    end_group(stranger.pid)
    assert stranger.poll() is None


def test_a_server_that_ignores_the_polite_signal_is_killed(
    started: list[subprocess.Popen[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "PATIENCE_S", 0.1)
    server = run(STUBBORN, "infra.local.server")
    started.append(server)
    assert server.stdout
    server.stdout.readline()  # it ignores the signal from here on
    end_group(server.pid)
    assert stack_processes(server.pid) == []


@pytest.mark.parametrize("source", ["_from_proc", "_from_ps"])
def test_both_ways_to_list_processes_see_the_same(
    started: list[subprocess.Popen[bytes]], monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    monkeypatch.setattr(processes, "_all_processes", getattr(processes, source))
    server = run(SLEEP, "infra.local.server")
    started.append(server)
    assert [process.pid for process in stack_processes(server.pid)] == [server.pid]
