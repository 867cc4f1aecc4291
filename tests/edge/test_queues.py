"""The listeners with a queue: when a message comes again, and when it is a dead letter."""

import json

import pytest

from florin.adapters.memory import MemoryParking, MemoryRetries
from florin.edge.queues import PAUSE_MAX_S, PAUSE_S, RECEIVES_MAX, QueueHandler
from tests.support.engine import queue_record

ARN = "arn:queue"


class Listener:
    def __init__(self, *poison: str) -> None:
        self.poison = poison
        self.got: list[str] = []
        self.parking = MemoryParking()
        self.retries = MemoryRetries()
        self.handler = QueueHandler(
            "listener", self.work, lambda: self.parking, lambda: self.retries
        )

    def work(self, body: str) -> None:
        if body in self.poison:
            raise LookupError(body)
        self.got.append(body)

    def hear(self, *bodies: str, received: int = 1) -> list[str]:
        """What stays in the queue."""
        records = [queue_record(body, body, ARN, received) for body in bodies]
        failures = self.handler({"Records": records}, None)["batchItemFailures"]
        return [failure["itemIdentifier"] for failure in failures]


def test_dlq_what_fails_comes_again_and_the_rest_goes_on() -> None:
    listener = Listener("two")
    assert listener.hear("one", "two", "three") == ["two"]
    assert listener.got == ["one", "three"]
    assert listener.parking.parked == []


def test_dlq_pauses_double_with_full_jitter_up_to_a_limit() -> None:
    for received in range(1, RECEIVES_MAX):
        delays = set()
        for _ in range(200):
            listener = Listener("two")
            listener.hear("two", received=received)
            ((receipt, delay_s),) = listener.retries.delays_s
            assert receipt == "receipt of two"
            delays.add(delay_s)
        longest_s = min(PAUSE_MAX_S, PAUSE_S * 2 ** (received - 1))
        assert delays <= set(range(longest_s + 1))
        assert len(delays) > longest_s // 2, "they are spread"


def test_dlq_after_the_last_try_it_is_parked_with_its_cause() -> None:
    listener = Listener("two")
    assert listener.hear("one", "two", received=RECEIVES_MAX) == []
    assert listener.parking.parked == [("listener", "LookupError('two')", {"message": "two"})]
    assert listener.retries.delays_s == []


def test_dlq_what_cannot_be_parked_stays_in_the_queue(
    capsys: pytest.CaptureFixture[str],
) -> None:
    class Full:
        def park(self, hop: str, cause: str, payload: object) -> None:
            raise ConnectionError("no queue")

    listener = Listener("two")
    handler = QueueHandler("listener", listener.work, Full, lambda: listener.retries)
    record = queue_record("two", "two", ARN, RECEIVES_MAX)
    assert handler({"Records": [record]}, None)["batchItemFailures"] == [{"itemIdentifier": "two"}]
    kinds = [json.loads(line)["kind"] for line in capsys.readouterr().out.splitlines()]
    assert kinds == ["not worked on", "not parked", "listener"]


def test_a_pause_that_cannot_be_set_is_the_queues_own(capsys: pytest.CaptureFixture[str]) -> None:
    class Deaf:
        def later(self, receipt: str, delay_s: int) -> None:
            raise ConnectionError("no queue")

    listener = Listener("two")
    handler = QueueHandler("listener", listener.work, lambda: listener.parking, Deaf)
    record = queue_record("two", "two", ARN)
    assert handler({"Records": [record]}, None)["batchItemFailures"] == [{"itemIdentifier": "two"}]
    assert "not paced" in capsys.readouterr().out
