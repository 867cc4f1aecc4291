"""Find and end the processes of a stack, which are one process group.

MiniStack starts a process per Lambda worker, and a worker outlives the SIGTERM that ends its
parent. The stack is therefore started as a group of its own, and ended as a group: by id,
after a look that the group still is a stack's and not a stranger's with a recycled number.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

MARKS = ("infra.local.server", "ministack-lambda-")
PATIENCE_S = 3.0
POLL_S = 0.02


class Process(NamedTuple):
    pid: int
    group: int
    command: str


def stack_processes(group: int) -> list[Process]:
    """The living members of `group`; none if nothing in it looks like a stack."""
    members = [process for process in _all_processes() if process.group == group]
    ours = any(mark in process.command for process in members for mark in MARKS)
    return members if ours else []


def end_group(group: int) -> None:
    """End every process of a stack: the workers first, then the server."""
    members = stack_processes(group)
    for process in sorted(members, key=lambda process: process.pid == group):
        _signal(process.pid, signal.SIGTERM)
    deadline = time.monotonic() + PATIENCE_S
    while stack_processes(group) and time.monotonic() < deadline:
        time.sleep(POLL_S)
    # Whoever is left: a worker in the middle of a call, or one started while we looked.
    while members := stack_processes(group):
        for process in members:
            _signal(process.pid, signal.SIGKILL)
        time.sleep(POLL_S)


def _signal(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):  # it ended on its own
        os.kill(pid, number)


def _all_processes() -> Iterator[Process]:
    if Path("/proc/self/stat").exists():
        return _from_proc()
    return _from_ps()


def _from_proc() -> Iterator[Process]:
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            stat = (folder / "stat").read_text()
            command = (folder / "cmdline").read_bytes()
        except OSError:
            continue  # ended while we looked
        # The name in parentheses may hold anything; the fields after it are plain.
        state, _parent, group = stat.rpartition(")")[2].split()[:3]
        if state not in "ZX":  # a zombie runs no more, whether or not somebody reaps it
            yield Process(int(folder.name), int(group), command.replace(b"\0", b" ").decode())


def _from_ps() -> Iterator[Process]:
    columns = ["ps", "-A", "-ww", "-o", "pid=,pgid=,stat=,command="]
    listing = subprocess.run(columns, capture_output=True, text=True, check=True).stdout
    for line in listing.splitlines():
        pid, group, state, command = line.split(None, 3)
        if not state.startswith("Z"):
            yield Process(int(pid), int(group), command)
