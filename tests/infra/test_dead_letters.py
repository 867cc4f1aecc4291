"""`make dead-letters`, over the API in one process behind a real HTTP server."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import parse_qsl, urlsplit

import pytest

from florin.domain.keys import SCOPES, Role
from infra.dead_letters import DeadLettersError, main
from tests.functions.world import World, got, posted
from tests.support.engine import Engine

ONE = "/dead-letters/{dead_letter_id}"


@dataclass
class Served:
    world: World
    engine: Engine
    url: str

    def ask(self, **given: str) -> None:
        main({"API_URL": self.url, "API_KEY": "sk_test", **given})


@pytest.fixture
def served() -> Iterator[Served]:
    engine = Engine()
    world = World(letters=engine.letters, scopes=SCOPES[Role.OPERATOR])
    world.hops.update(engine.hops)

    class Gateway(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            listing = parts.path == "/dead-letters"
            event = got("/dead-letters" if listing else ONE, parts.path.rpartition("/")[2])
            event["queryStringParameters"] = dict(parse_qsl(parts.query))
            self._answer(event)

        def do_POST(self) -> None:
            text = self.rfile.read(int(self.headers["Content-Length"])).decode()
            resource, named = self.path, ""
            if resource != "/dead-letters/redrive":
                named, resource = self.path.split("/")[2], f"{ONE}/redrive"
            event = posted(resource, text, self.headers["Idempotency-Key"])
            event["pathParameters"] = {"dead_letter_id": named}
            self._answer(event)

        def _answer(self, event: dict[str, object]) -> None:
            reply = world.send(event)
            self.send_response(reply.status)
            self.end_headers()
            self.wfile.write(reply.text.encode())

        def log_message(self, *args: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Gateway)
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield Served(world, engine, f"http://127.0.0.1:{server.server_port}")
    server.shutdown()
    thread.join()
    server.server_close()


def give_up(served: Served, *messages: str) -> None:
    for message in messages:
        served.engine.enqueue(message)
    served.engine.collect()


def lines(capsys: pytest.CaptureFixture[str]) -> list[str]:
    """What was printed that is no line of the engine's log."""
    return [line for line in capsys.readouterr().out.splitlines() if not line.startswith("{")]


def test_dlq_what_is_open_is_listed(served: Served, capsys: pytest.CaptureFixture[str]) -> None:
    served.ask()
    assert lines(capsys) == ["No dead letters."]
    give_up(served, "no json")
    capsys.readouterr()
    served.ask(HOP="analytics")
    told, count = lines(capsys)
    assert told.startswith("dl_")
    assert "  analytics  nobody knows  JSONDecodeError(" in told
    assert count == "1 dead letter."
    served.ask(HOP="projector")
    assert lines(capsys) == ["No dead letters."]


def test_dlq_all_pages_are_listed(served: Served, capsys: pytest.CaptureFixture[str]) -> None:
    give_up(served, *(f"no json {number}" for number in range(101)))
    capsys.readouterr()
    served.ask()
    told = lines(capsys)
    assert (len(set(told)), told[-1]) == (102, "101 dead letters.")


def test_dlq_one_is_shown_and_redriven(served: Served, capsys: pytest.CaptureFixture[str]) -> None:
    payload = json.dumps({"detail": {"no": "id"}})
    give_up(served, payload, "no json")
    capsys.readouterr()
    served.ask()
    ids = [line.split()[0] for line in lines(capsys)[:-1]]
    for dead_letter_id in ids:
        served.ask(ID=dead_letter_id)
    text = capsys.readouterr().out
    assert "hop             analytics" in text
    assert 'payload\n{\n  "detail": {\n    "no": "id"\n' in text
    assert "payload\nno json\n" in text
    served.ask(ID=ids[0], REDRIVE="1")
    assert lines(capsys) == ["1 redriven, 0 still open."]
    served.ask(STATE="redriven")
    assert [line.split()[0] for line in lines(capsys)[:-1]] == [ids[0]]
    served.ask(STATE="all")
    assert lines(capsys)[-1] == "2 dead letters."


def test_dlq_a_class_of_them_is_redriven_to_its_end(
    served: Served, capsys: pytest.CaptureFixture[str]
) -> None:
    give_up(served, *(f"no json {number}" for number in range(101)))
    capsys.readouterr()
    served.ask(CAUSE="JSONDecodeError", REDRIVE="1")
    assert lines(capsys) == ["101 redriven, 0 still open."]
    served.engine.collect()  # none of them is any better
    served.world.hops.clear()
    dead = served.world.listed(limit="1").body["data"][0]["dead_letter_id"]
    capsys.readouterr()
    with pytest.raises(DeadLettersError, match="422 not_redrivable"):
        served.ask(ID=dead, REDRIVE="1")
    served.ask(HOP="analytics", REDRIVE="1")
    told = lines(capsys)
    assert (told[-1], len(set(told))) == ("0 redriven, 101 still open.", 102)
    served.ask(HOP="projector", REDRIVE="1")
    told = lines(capsys)
    assert told == ["0 redriven, 0 still open."]


def test_dlq_what_cannot_be_done_is_said(served: Served) -> None:
    with pytest.raises(DeadLettersError, match="Say what to redrive"):
        served.ask(REDRIVE="1")
    with pytest.raises(DeadLettersError, match="404 dead_letter_not_found"):
        served.ask(ID="dl_nobody")
    with pytest.raises(DeadLettersError, match="400 parameter_invalid"):
        served.ask(STATE="closed")
