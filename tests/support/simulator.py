"""The provider simulator with a table of its own, called as API Gateway calls it, or over HTTP."""

import json
import re
import threading
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote, urlsplit

from florin.adapters.clock import ManualClock, SystemClock
from simulator.books import Books
from simulator.handler import ROUTES, Simulator
from simulator.service import Service
from tests.support.tables import make_table

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

SECRET = "lapis-philosophorum"


def make_simulator(client: "DynamoDBClient", clock: ManualClock | None = None) -> Simulator:
    """A simulator on the template's table, which is empty. It takes its time by this clock only."""
    table = make_table(client, "SimulatorTable", uuid.uuid4().hex[:8])
    books = Books(client, table, pause=lambda _: None)
    if clock is None:
        return Simulator(Service(books, SystemClock(), pause=lambda _: None), SECRET)
    service = Service(books, clock, pause=lambda seconds: clock.advance(timedelta(seconds=seconds)))
    return Simulator(service, SECRET)


def gateway_event(
    method: str, target: str, body: str | None = None, headers: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """What API Gateway makes of a request."""
    parts = urlsplit(target)
    resource, path = _resource(method, parts.path)
    return {
        "httpMethod": method,
        "resource": resource,
        "path": parts.path,
        "pathParameters": path or None,
        "queryStringParameters": dict(parse_qsl(parts.query)) or None,
        "headers": dict(headers) if headers else None,
        "body": body,
        "isBase64Encoded": False,
    }


def _resource(method: str, path: str) -> tuple[str, dict[str, str]]:
    for known, resource in ROUTES:
        pattern = re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", resource)
        if known == method and (match := re.fullmatch(pattern, path)):
            return resource, {name: unquote(text) for name, text in match.groupdict().items()}
    return path, {}


@contextmanager
def serving(simulator: Simulator) -> Iterator[str]:
    """The URL of a server that gives every request to the simulator."""

    class Gateway(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            length = int(self.headers.get("Content-Length", 0))
            body = self.rfile.read(length).decode() if length else None
            event = gateway_event(self.command, self.path, body, dict(self.headers.items()))
            answer = simulator(event)
            payload = answer["body"].encode()
            with suppress(OSError):  # who asked may be gone
                self.send_response(answer["statusCode"])
                for name, text in answer["headers"].items():
                    self.send_header(name, text)
                self.send_header("Content-Length", str(len(payload)))
                self.end_headers()
                self.wfile.write(payload)

        do_GET = do_POST = _answer  # noqa: N815  # names that http.server looks for

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # its own name
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = False  # so closing it waits for every request that it was given

    server = Server(("127.0.0.1", 0), Gateway)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def charges(simulator: Simulator, order: str) -> list[dict[str, Any]]:
    """All charges of an order, as the simulator tells of them."""
    headers = {"Authorization": f"Bearer {SECRET}"}
    answer = simulator(gateway_event("GET", f"/v1/charges?order={order}", headers=headers))
    assert answer["statusCode"] == 200, answer
    found: list[dict[str, Any]] = json.loads(answer["body"])["charges"]
    return found
