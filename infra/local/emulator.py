"""Start and stop the embedded AWS stack (MiniStack)."""

from __future__ import annotations

import http.client
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.parse
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

from infra.local.processes import end_group, stack_processes
from infra.paths import ROOT

HOST = "127.0.0.1"
REGION = "us-east-1"
LOG_NAME = "stack.log"
START_TIMEOUT_S = 30.0
POLL_S = 0.05

# What the stack inherits. Anything else of the caller's environment, first of all AWS
# settings, would reach the Lambda workers and point them at a real account.
INHERITED = ("HOME", "LANG", "LC_ALL", "PATH", "TZ")


class StackError(Exception):
    """The local stack cannot do what was asked; the message says why."""


@dataclass(frozen=True)
class Emulator:
    """A running MiniStack. Its life hangs on ours by `leash`, until it is released."""

    process: subprocess.Popen[bytes]
    endpoint_url: str
    leash: int
    """Our end of the pipe that the server watches (see infra.local.server)."""

    @property
    def group(self) -> int:
        """The id of its process group, which is that of the first process in it."""
        return self.process.pid

    def release(self) -> None:
        """Let it stay when this process ends."""
        os.write(self.leash, b"!")
        os.close(self.leash)
        self.process.returncode = 0  # or Popen complains that it still runs, which is the point

    def stop(self) -> None:
        """End the server and its Lambda workers; return when none is left."""
        end_group(self.group)
        self.process.wait()
        os.close(self.leash)


def start(directory: Path, port: int | None, functions_endpoint_url: str | None = None) -> Emulator:
    """Start MiniStack with all its files under `directory`, and wait until it answers.

    Its functions call AWS at `functions_endpoint_url`, or else at MiniStack itself: a test may
    put something in between.
    """
    port = port or free_port()
    _refuse_taken(port)
    directory.mkdir(parents=True, exist_ok=True)
    log = directory / LOG_NAME
    log.unlink(missing_ok=True)
    watched, leash = os.pipe()
    with log.open("ab") as output:  # at its end, whoever else has written to it
        process = subprocess.Popen(
            [sys.executable, "-m", "infra.local.server", str(watched)],
            cwd=ROOT,
            env=_environment(directory, port, functions_endpoint_url),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            pass_fds=(watched,),
        )
    os.close(watched)
    emulator = Emulator(process, f"http://{HOST}:{port}", leash)
    try:
        _wait_until_ready(emulator, log)
    except BaseException:
        emulator.stop()
        raise
    return emulator


def _environment(directory: Path, port: int, functions_endpoint_url: str | None) -> dict[str, str]:
    temporary = directory / "tmp"
    shutil.rmtree(temporary, ignore_errors=True)  # workers' folders of a stack that was killed
    temporary.mkdir()
    # Lambda workers inherit it; without it they are given MiniStack's own address.
    functions = {"AWS_ENDPOINT_URL": functions_endpoint_url} if functions_endpoint_url else {}
    return {
        **{name: os.environ[name] for name in INHERITED if name in os.environ},
        **functions,
        "AUTH": "true",  # each function may do what its role allows; this key may do everything
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "BIND_HOST": HOST,
        "GATEWAY_PORT": str(port),
        "IOT_MTLS_ENABLED": "0",
        "LAMBDA_EXECUTOR": "local",
        "MINISTACK_REGION": REGION,
        "PYTHONUNBUFFERED": "1",
        "S3_DATA_DIR": str(directory / "s3"),
        "SFTP_ENABLED": "0",
        "STATE_DIR": str(directory / "state"),
        "TMPDIR": str(temporary),
    }


def is_running(group: int) -> bool:
    return any(process.pid == group for process in stack_processes(group))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def _refuse_taken(port: int) -> None:
    with socket.socket() as probe:
        if probe.connect_ex((HOST, port)) == 0:
            raise StackError(f"port {port} is taken; choose another one: make up PORT=…")


def _wait_until_ready(emulator: Emulator, log: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        if emulator.process.poll() is not None:
            raise StackError(f"MiniStack ended at once:\n{tail(log)}")
        if _answers(emulator.endpoint_url):
            return
        time.sleep(POLL_S)
    raise StackError(f"MiniStack did not answer within {START_TIMEOUT_S:.0f} s:\n{tail(log)}")


def _answers(endpoint_url: str) -> bool:
    address = urllib.parse.urlsplit(endpoint_url)
    connection = http.client.HTTPConnection(address.netloc, timeout=5)
    try:
        connection.request("GET", "/_ministack/ready")
        return connection.getresponse().status == HTTPStatus.OK
    except OSError:
        return False
    finally:
        connection.close()


def tail(log: Path, lines: int = 15) -> str:
    return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])
