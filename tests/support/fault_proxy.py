"""A reverse proxy that fails on purpose, between AWS clients and the local stack.

    with fault_proxy(("127.0.0.1", 4566), rule) as proxy:
        boto3.client("dynamodb", endpoint_url=proxy.url)

Neither side knows of it. A rule is shown every request, with its service, operation and body, and
says what becomes of it:

    PASS                  the stack does it and answers
    Answer(...)           this is the answer, and the stack never hears of the request
    BREAK                 the connection ends without an answer; the stack never hears of it
    Done(then=BREAK)      the stack does it, its answer is lost, and `then` is what the client sees
    Late(seconds, then)   nothing happens for a while, then `then`

What was asked, what was done about it and what was answered is counted. What comes to an API can be
let through a few at a time, so that fifty clients at once need no fifty Lambda workers, each of
which takes most of a second to start.
"""

import http.client
import json
import re
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final, TypeAlias
from urllib.parse import parse_qs, urlsplit

HOST: Final = "127.0.0.1"
STOP_POLL_S: Final = 0.02
CREDENTIAL: Final = re.compile(r"Credential=([^/]+)/\d+/[^/]+/([^/]+)/aws4_request")
EMULATED: Final = re.compile(r"/_aws/([^/]+)/")
"""Where the local stack serves what AWS serves under a host name of its own."""

HOP_BY_HOP: Final = frozenset({"connection", "keep-alive", "transfer-encoding"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request.

    The service is as signatures name it, or "execute-api" for what comes to an API. The operation
    is the API's name for it, as "PutItem", or method and path where there is none, as in S3.
    The access key is that of whoever signed it, or empty.
    """

    service: str
    operation: str
    body: bytes
    access_key: str = ""

    @property
    def document(self) -> Any:
        """The body of a JSON protocol, parsed."""
        return json.loads(self.body)


@dataclass(frozen=True, slots=True)
class Pass:
    pass


@dataclass(frozen=True, slots=True)
class Break:
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An answer, and the name under which it is counted."""

    name: str
    status: int
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Done:
    then: Answer | Break = Break()


@dataclass(frozen=True, slots=True)
class Late:
    seconds: float
    then: Pass | Answer | Break | Done = Pass()


Fate: TypeAlias = Pass | Answer | Break | Done | Late
Rule: TypeAlias = Callable[[Request], Fate]
"""Says what becomes of a request. It is called from many threads."""

PASS: Final = Pass()
BREAK: Final = Break()


def pass_all(request: Request) -> Fate:
    return PASS


class FaultProxy:
    """Its address, its rule (which may be replaced at any time), and what it has counted."""

    def __init__(
        self, upstream: tuple[str, int], rule: Rule, api_at_once: int | None = None
    ) -> None:
        self.upstream = upstream
        self.rule = rule
        self._api = threading.Semaphore(api_at_once) if api_at_once else nullcontext()
        self.asked: Counter[tuple[str, str]] = Counter()
        """Requests by service and operation."""
        self.injected: Counter[tuple[str, str]] = Counter()
        """Faults by operation and what it was: an answer's name, "break", "done" or "late"."""
        self.answered: Counter[tuple[str, int]] = Counter()
        """Answers by service and status, those of the rule included."""
        self.over = threading.Event()
        self._lock = threading.Lock()
        self._server = _Server(self)

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self._server.server_port}"

    def decide(self, request: Request) -> Fate:
        fate = self.rule(request)
        with self._lock:
            self.asked[request.service, request.operation] += 1
            for name in _names(fate):
                self.injected[request.operation, name] += 1
        return fate

    def count_answer(self, service: str, status: int) -> None:
        with self._lock:
            self.answered[service, status] += 1

    def failures(self, service: str) -> dict[int, int]:
        """How often a service answered with which 5xx."""
        with self._lock:
            return {
                status: count
                for (asked, status), count in self.answered.items()
                if asked == service and status >= HTTPStatus.INTERNAL_SERVER_ERROR
            }

    def door(self, service: str) -> AbstractContextManager[object]:
        """What a request of a service goes through."""
        return self._api if service == "execute-api" else nullcontext()

    def serve(self) -> None:
        self._server.serve_forever(poll_interval=STOP_POLL_S)

    def stop(self) -> None:
        """End every connection and every thread."""
        self.over.set()
        self._server.shutdown()
        self._server.end_connections()
        self._server.server_close()


@contextmanager
def fault_proxy(
    upstream: tuple[str, int], rule: Rule = pass_all, api_at_once: int | None = None
) -> Iterator[FaultProxy]:
    """A proxy on a free port, which need not have anybody behind it yet."""
    proxy = FaultProxy(upstream, rule, api_at_once)
    thread = threading.Thread(target=proxy.serve, name="fault-proxy")
    thread.start()
    try:
        yield proxy
    finally:
        proxy.stop()
        thread.join()


def _names(fate: Fate) -> Iterator[str]:
    match fate:
        case Pass():
            return
        case Answer(name=name):
            yield name
        case Break():
            yield "break"
        case Done(then=then):
            yield "done"
            yield from _names(then)
        case Late(then=then):
            yield "late"
            yield from _names(then)


class _Server(ThreadingHTTPServer):
    daemon_threads = False  # so that closing the server waits for them
    request_queue_size = 128  # workers of a cold stack all come at once

    def __init__(self, proxy: FaultProxy) -> None:
        super().__init__((HOST, 0), _Handler)
        self.proxy = proxy
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._lock:
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._lock:
            self._open.discard(request)
        super().shutdown_request(request)

    def end_connections(self) -> None:
        with self._lock:
            for connection in self._open:
                with suppress(OSError):  # the client was faster
                    connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Whoever went away has nobody to be told; any other error is one of ours."""
        with suppress(OSError):
            raise  # noqa: PLE0704  # socketserver calls this while it handles the error


class _Handler(BaseHTTPRequestHandler):
    """One connection of a client, with one of its own to the stack."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def setup(self) -> None:
        super().setup()
        self._upstream = http.client.HTTPConnection(*self.server.proxy.upstream)

    def finish(self) -> None:
        self._upstream.close()
        super().finish()

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        request = self._request(body)
        self._apply(self.server.proxy.decide(request), request)

    do_DELETE = do_GET = do_HEAD = do_PATCH = do_POST = do_PUT = _serve  # noqa: N815  # names that http.server looks for

    def _apply(self, fate: Fate, request: Request) -> None:
        match fate:
            case Pass():
                self._answer(request, *self._forwarded(request))
            case Answer(status=status, headers=headers, body=body):
                self._answer(request, status, list(headers.items()), body)
            case Break():
                self.close_connection = True
            case Done(then=then):
                self._forwarded(request)
                self._apply(then, request)
            case Late(seconds=seconds, then=then):
                self.server.proxy.over.wait(seconds)
                self._apply(then, request)

    def _request(self, body: bytes) -> Request:
        signed = CREDENTIAL.search(self.headers.get("Authorization", ""))
        service, operation = self._named(signed[2] if signed else None, body)
        access_key = signed[1] if signed else ""
        return Request(service=service, operation=operation, body=body, access_key=access_key)

    def _named(self, signed: str | None, body: bytes) -> tuple[str, str]:
        """The service and operation of a request, wherever its protocol says them."""
        path = urlsplit(self.path).path
        emulated = EMULATED.match(path)
        service = signed or (emulated[1] if emulated else "")
        if target := self.headers.get("X-Amz-Target"):
            return service, target.rpartition(".")[2]
        if self.headers.get("Content-Type", "").startswith("application/x-www-form-urlencoded"):
            return service, parse_qs(body.decode()).get("Action", [""])[0]
        return service, f"{self.command} {path}"

    def _forwarded(self, request: Request) -> tuple[int, list[tuple[str, str]], bytes]:
        """Have the stack do it; its answer."""
        # The client's own Host too: it is part of what was signed.
        headers = {
            name: text for name, text in self.headers.items() if name.lower() not in HOP_BY_HOP
        }
        if _has_ended(self._upstream):
            self._upstream.close()  # the next request opens it again
        with self.server.proxy.door(request.service):
            self._upstream.request(self.command, self.path, request.body, headers)
            answer = self._upstream.getresponse()
            return answer.status, answer.getheaders(), answer.read()

    def _answer(
        self, request: Request, status: int, headers: list[tuple[str, str]], body: bytes
    ) -> None:
        self.server.proxy.count_answer(request.service, status)
        given = {name.lower() for name, _ in headers}
        self.send_response_only(status)
        for name, text in headers:
            if name.lower() not in HOP_BY_HOP:
                self.send_header(name, text)
        if "content-length" not in given:
            self.send_header("Content-Length", str(len(body)))
        # In one piece with the head, which `end_headers` would send on its own.
        self._headers_buffer += [b"\r\n", body]  # type: ignore[attr-defined]  # not in the stubs
        self.flush_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # its own name
        pass


def _has_ended(connection: http.client.HTTPConnection) -> bool:
    """Whether the server has closed the connection, as it does when nothing comes for a while."""
    if connection.sock is None:
        return False
    try:
        connection.sock.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except BlockingIOError:
        return False
    except OSError:
        pass
    return True
