"""One HTTP request to a payment provider, and what is certain when no answer comes.

    connect ────▶ send ────▶ read ────▶ Answer, for the provider's adapter to understand
       │            └──────────┴──────▶ Unknown: the provider may have acted
       └──────────────────────────────▶ NotAttempted: no byte of the request has left

The two failures are told apart by where they happen, not by their type: a TLS error, for one, can
be a refused handshake or a torn answer. So a connection is made first and used after, nothing is
sent twice, and every request has a connection of its own: one that was kept may have died while
its function was frozen, and a request into it would be unknown for no reason.
"""

import json
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import (
    ConnectTimeoutError,
    NameResolutionError,
    NewConnectionError,
)

from florin.domain.provider import NotAttempted, Unknown

CONNECT_TIMEOUT_S: Final = 2.0
"""For each address of the provider, until its connection stands. How long its name takes to be
resolved, and all its addresses together, only the total limits."""
TOTAL_TIMEOUT_S: Final = 6.0
"""For everything, to the answer's last byte. Less than the timeout of a function that calls."""
ANSWER_BYTES_MAX: Final = 256 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    connect_s: float = CONNECT_TIMEOUT_S
    total_s: float = TOTAL_TIMEOUT_S


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back, whole."""

    status: int
    body: bytes

    @property
    def fields(self) -> Mapping[str, Any]:
        """The JSON object in the body; empty when there is something else in it."""
        try:
            parsed = json.loads(self.body)
        except (ValueError, RecursionError):
            return {}
        return parsed if isinstance(parsed, dict) else {}


class Endpoint:
    """A provider's API under one URL."""

    def __init__(
        self,
        url: str,
        headers: Mapping[str, str],
        timeouts: Timeouts | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError(f"not the address of an HTTP API: {url}")
        self._host, self._port = parts.hostname, parts.port
        self._path = parts.path.rstrip("/")
        self._headers = {"Accept": "application/json", "Connection": "close", **headers}
        self._timeouts = timeouts or Timeouts()
        self._tls = (tls or ssl.create_default_context()) if parts.scheme == "https" else None

    def send(
        self,
        method: str,
        path: str,
        body: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer | NotAttempted | Unknown:
        """Send one request, once."""
        headers = {**self._headers, **(headers or {})}
        payload = None
        if body is not None:
            payload = json.dumps(body).encode()
            headers["Content-Type"] = "application/json"
        deadline = time.monotonic() + self._timeouts.total_s
        connection = self._connection()
        try:
            not_connected = _connect(connection, self._timeouts.total_s)
            if not_connected is not None:
                return not_connected
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                return NotAttempted(reason="connect_timeout")
            # From here on bytes may have left.
            return _exchange(connection, left_s, method, self._path + path, payload, headers)
        finally:
            connection.close()

    def _connection(self) -> HTTPConnection:
        connect_s = self._timeouts.connect_s
        if self._tls is None:
            return HTTPConnection(self._host, self._port, timeout=connect_s)
        return HTTPSConnection(self._host, self._port, timeout=connect_s, ssl_context=self._tls)


def _connect(connection: HTTPConnection, within_s: float) -> NotAttempted | None:
    """Connect in a thread of its own, because nothing else limits how long a name is resolved.

    A connection that is too late says nothing to the provider: its thread only closes it.
    """
    failed: list[NotAttempted] = []
    given_up = threading.Event()

    def connect() -> None:
        try:
            connection.connect()
        except Exception as error:  # noqa: BLE001  # whatever it was, no byte of the request has left
            failed.append(NotAttempted(reason=_why_not_connected(error)))
        if given_up.is_set():
            connection.close()

    connecting = threading.Thread(target=connect, name="connect", daemon=True)
    connecting.start()
    connecting.join(within_s)
    if connecting.is_alive():
        given_up.set()  # and whoever looks last, we or the thread, closes what stands by then
        return NotAttempted(reason="connect_timeout")
    return failed[0] if failed else None


def _exchange(
    connection: HTTPConnection,
    left_s: float,
    method: str,
    target: str,
    payload: bytes | None,
    headers: Mapping[str, str],
) -> Answer | Unknown:
    connection.timeout = left_s  # per read; the watch limits their sum
    with _watch(connection.sock, left_s) as watch:
        try:
            connection.request(method, target, payload, headers, preload_content=False)
            with closing(connection.getresponse()) as response:
                body = response.read(ANSWER_BYTES_MAX + 1)
        except Exception as error:  # noqa: BLE001  # whatever it was, the provider may have acted
            timed_out = watch.expired or isinstance(error, TimeoutError)
            return Unknown(reason="timeout" if timed_out else f"no_answer: {type(error).__name__}")
    if watch.expired:  # an answer without a length ends where its connection does
        return Unknown(reason="timeout")
    if len(body) > ANSWER_BYTES_MAX:
        return Unknown(reason="answer_too_long")
    return Answer(status=response.status, body=body)


@dataclass(slots=True)
class _Watch:
    sock: socket.socket = field(repr=False)
    expired: bool = False

    def expire(self) -> None:
        self.expired = True
        with suppress(OSError):  # it was closed meanwhile
            # Past a TLS socket's own method, which would change what is being read from.
            socket.socket.shutdown(self.sock, socket.SHUT_RDWR)


@contextmanager
def _watch(sock: socket.socket, seconds: float) -> Iterator[_Watch]:
    """End a connection when its time is up, also one that answers a byte now and then."""
    watch = _Watch(sock)
    timer = threading.Timer(seconds, watch.expire)
    timer.daemon = True
    timer.start()
    try:
        yield watch
    finally:
        timer.cancel()


def _why_not_connected(error: Exception) -> str:
    match error:
        case NameResolutionError():
            return "name_not_resolved"
        case NewConnectionError():  # in urllib3 a kind of the next
            return "not_connected"
        case ConnectTimeoutError():
            return "connect_timeout"
        case ssl.SSLError():
            return "tls_handshake_failed"
        case _:
            return f"not_connected: {type(error).__name__}"
