"""The provider simulator with a table of its own, called as API Gateway calls it, or over HTTP."""

import json
import re
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote, urlsplit

from florin.adapters.clock import ManualClock, SystemClock
from florin.adapters.http import Answer, Endpoint, Timeouts
from florin.adapters.simulator import SimulatorProvider
from florin.ports import PaymentProvider, ProviderRoute
from simulator.books import Books, Charge, Done, Operation, Refusal, State
from simulator.handler import ROUTES, Simulator
from simulator.service import Service
from tests.support.tables import make_table

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

SECRET = "lapis-philosophorum"


def make_simulator(client: "DynamoDBClient", clock: ManualClock | None = None) -> Simulator:
    """A simulator on the template's table, which is empty. It takes its time by this clock only."""
    table = make_table(client, "SimulatorTable", uuid.uuid4().hex[:8])
    return _simulator(Books(client, table, pause=lambda _: None), clock)


def memory_simulator(clock: ManualClock | None = None) -> Simulator:
    """A simulator with its books in memory, likewise."""
    return _simulator(MemoryBooks(), clock)


def _simulator(books: Books, clock: ManualClock | None) -> Simulator:
    if clock is None:
        return Simulator(Service(books, SystemClock(), pause=lambda _: None), SECRET)
    service = Service(books, clock, pause=lambda seconds: clock.advance(timedelta(seconds=seconds)))
    return Simulator(service, SECRET)


class MemoryBooks(Books):
    """The simulator's books in memory, by the rules of those in its table."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._charges: dict[str, Charge] = {}
        self._done: dict[str, Operation] = {}
        self._turned_away: dict[str, int] = {}

    def charge(self, charge_id: str) -> Charge | None:
        return self._charges.get(charge_id)

    def operations(self, order: str) -> tuple[Operation, ...]:
        return tuple(done for done in self._done.values() if done.order == order)

    def authorize(self, operation: Operation, charge: Charge | None) -> Done | Refusal:
        return self._kept(operation, lambda _: charge)

    def capture(self, operation: Operation, *, final: bool = True) -> Done | Refusal:
        amount = operation.amount

        def captured(charge: Charge) -> Charge | Refusal:
            match charge.state:
                case State.VOIDED:
                    return Refusal.CHARGE_VOIDED
                case State.CAPTURED:
                    return Refusal.CHARGE_CAPTURED
            if charge.captured + amount > charge.authorized:
                return Refusal.AMOUNT_EXCEEDS_AUTHORIZATION
            state = State.CAPTURED if final else State.AUTHORIZED
            return replace(charge, captured=charge.captured + amount, state=state)

        return self._changed(operation, captured)

    def refund(self, operation: Operation) -> Done | Refusal:
        amount = operation.amount

        def refunded(charge: Charge) -> Charge | Refusal:
            if charge.refunded + amount > charge.captured:
                return Refusal.AMOUNT_EXCEEDS_CAPTURED
            return replace(charge, refunded=charge.refunded + amount)

        return self._changed(operation, refunded)

    def void(self, operation: Operation) -> Done | Refusal:
        def voided(charge: Charge) -> Charge | Refusal:
            if charge.state is State.VOIDED:
                return Refusal.CHARGE_VOIDED
            if charge.state is State.CAPTURED or charge.captured:
                return Refusal.CHARGE_CAPTURED
            return replace(charge, state=State.VOIDED)

        return self._changed(operation, voided)

    def turn_away(self, reference: str, times: int) -> bool:
        with self._lock:
            before = self._turned_away.get(reference, 0)
            if before >= times:
                return False
            self._turned_away[reference] = before + 1
        return True

    def _changed(
        self, operation: Operation, change: Callable[[Charge], Charge | Refusal]
    ) -> Done | Refusal:
        """Change a charge; for a decline, only make sure that it could have been changed."""

        def changed(charge: Charge | None) -> Charge | Refusal | None:
            if charge is None:
                return Refusal.CHARGE_NOT_FOUND
            after = change(charge)
            return after if isinstance(after, Refusal) or not operation.decline else charge

        return self._kept(operation, changed)

    def _kept(
        self, operation: Operation, change: Callable[[Charge | None], Charge | Refusal | None]
    ) -> Done | Refusal:
        with self._lock:
            before = self._done.get(operation.idempotency_key)
            if before is not None:
                if before.fingerprint != operation.fingerprint:
                    return Refusal.IDEMPOTENCY_KEY_REUSED
                return Done(before, replayed=True)
            after = change(self._charges.get(operation.charge or ""))
            if isinstance(after, Refusal):
                return after
            if after is not None:
                self._charges[after.charge_id] = after
            self._done[operation.idempotency_key] = operation
        return Done(operation, replayed=False)


class InProcess(Endpoint):
    """A provider's API that is a function away."""

    def __init__(self, simulator: Simulator, headers: Mapping[str, str]) -> None:
        self._simulator, self._common = simulator, headers

    def send(
        self,
        method: str,
        path: str,
        body: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        text = None if body is None else json.dumps(body)
        event = gateway_event(method, path, text, {**self._common, **(headers or {})})
        answer = self._simulator(event)
        return Answer(status=answer["statusCode"], body=answer["body"].encode())


def in_process(simulator: Simulator) -> PaymentProvider:
    """The simulator as the engine calls it, without a network in between."""

    def endpoint(url: str, headers: Mapping[str, str], timeouts: Timeouts | None) -> Endpoint:
        return InProcess(simulator, headers)

    route = ProviderRoute(name="simulator", url="http://simulator.invalid")
    return SimulatorProvider(route, SECRET, endpoint=endpoint)


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
