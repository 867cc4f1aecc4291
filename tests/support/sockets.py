"""Servers that misbehave: a real socket each, and one thing that goes wrong on it."""

import re
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

Behaviour = Callable[[socket.socket, threading.Event], None]


@dataclass
class Rogue:
    """What a server saw: the request on each of its connections."""

    port: int
    heard: list[bytes] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextmanager
def rogue(behaviour: Behaviour) -> Iterator[Rogue]:
    """A server that hears the request of each connection and then behaves like this.

    Its behaviour is given the connection, and an event that is set when the test is over.
    """
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:
        seen = Rogue(server.getsockname()[1])

        def serve() -> None:
            while True:
                connection, _ = server.accept()
                with connection:
                    if over.is_set():
                        return
                    seen.heard.append(whole_request(connection))
                    with suppress(OSError):  # the client may be gone
                        behaviour(connection, over)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield seen
        finally:
            over.set()
            with suppress(OSError), socket.create_connection(("127.0.0.1", seen.port), 1):
                pass
            thread.join()


def whole_request(connection: socket.socket) -> bytes:
    """A whole HTTP request, or what came first if it is something else."""
    heard = connection.recv(65536)
    while heard.startswith((b"POST ", b"GET ")):
        head, _, body = heard.partition(b"\r\n\r\n")
        length = re.search(rb"\r\nContent-Length: (\d+)", head)
        if b"\r\n\r\n" in heard and len(body) >= int(length[1] if length else 0):
            break
        heard += connection.recv(65536)
    return heard


def answer(
    status: int, body: bytes, length: int | None = None, extra: bytes = b""
) -> Callable[[socket.socket, threading.Event], None]:
    """Answers with this status and body, whatever was asked."""
    head = f"HTTP/1.1 {status} Whatever\r\nContent-Length: {length or len(body)}\r\n".encode()

    def behave(connection: socket.socket, over: threading.Event) -> None:
        connection.sendall(head + extra + b"\r\n" + body)

    return behave


def late(seconds: float, then: Behaviour) -> Behaviour:
    """Takes its time, then behaves."""

    def behave(connection: socket.socket, over: threading.Event) -> None:
        over.wait(seconds)
        then(connection, over)

    return behave


def raw(*pieces: bytes) -> Behaviour:
    """Sends these bytes and closes."""

    def behave(connection: socket.socket, over: threading.Event) -> None:
        for piece in pieces:
            connection.sendall(piece)

    return behave


def silent(connection: socket.socket, over: threading.Event) -> None:
    """Never answers."""
    over.wait(30)


def reset(connection: socket.socket, over: threading.Event) -> None:
    """Breaks the connection off instead of closing it."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def dripping(head: bytes) -> Behaviour:
    """Sends `head`, then a byte now and then, for ever: no single read ever times out."""

    def behave(connection: socket.socket, over: threading.Event) -> None:
        connection.sendall(head)
        while not over.wait(0.03):
            connection.sendall(b"a")

    return behave


@contextmanager
def full_house() -> Iterator[int]:
    """The port of a server that accepts nobody and has no room for more who wait."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        waiting = []
        try:
            for _ in range(8):
                client = socket.socket()
                client.setblocking(False)
                client.connect_ex(server.getsockname())
                waiting.append(client)
            yield server.getsockname()[1]
        finally:
            for client in waiting:
                client.close()


def closed_port() -> int:
    """A port on which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port
