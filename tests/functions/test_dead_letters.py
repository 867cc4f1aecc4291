"""Outages and poison, from the first failure to the last redrive, with the real handlers.

Whatever goes wrong, the rest flows on; the dead letter says why; and after its redrive, however
often that is repeated, everything is as if nothing had happened.
"""

from dataclasses import replace
from typing import Any

import pytest

from florin.adapters.codec import CorruptEventError
from florin.adapters.memory import Memory
from florin.dead_letters import REDRIVE_TIME
from florin.domain.chart import PLATFORM_FEES
from florin.domain.history import Draft, Head
from florin.domain.keys import SCOPES, Role, Scope
from florin.domain.payment import Step
from florin.ports import (
    AccountKey,
    Appended,
    Batch,
    DeadLetter,
    HopUnavailableError,
    LetterFilter,
    LetterState,
)
from tests.functions.world import OTHER_TENANT, Counting, World
from tests.support.engine import Engine, stream_record
from tests.support.examples import NOON, TENANT

FORWARD = (Step.ASSESS_RISK, Step.AUTHORIZE, Step.CAPTURE)
PUBLIC_EVENTS_OF_A_PAYMENT = 3


class Poisonable(Counting):
    """A store in which some streams cannot be read for a while."""

    def __init__(self) -> None:
        super().__init__()
        self.poison: set[str] = set()

    def read(self, stream: str) -> Any:
        if stream in self.poison:
            raise CorruptEventError(f"{stream} is not understood")
        return super().read(stream)


@pytest.fixture
def store() -> Poisonable:
    return Poisonable()


@pytest.fixture
def engine(store: Poisonable) -> Engine:
    return Engine(store=store)


@pytest.fixture
def world(store: Poisonable, engine: Engine) -> World:
    made = World(store=store, letters=engine.letters)
    made.hops.update(engine.hops)
    return made


def paid(world: World) -> str:
    """A payment that the saga has finished, and that nobody has followed yet."""
    payment_id = world.payment()
    for step in FORWARD:
        world.saga.run(step, payment_id, "arn:execution:1")
    return payment_id


def listed(engine: Engine, **wanted: Any) -> list[DeadLetter]:
    return list(engine.letters.letters((TENANT, None), LetterFilter(**wanted), limit=1_000))


def fees(store: Memory) -> tuple[int, int]:
    return store.total(AccountKey(tenant_id=TENANT, account=PLATFORM_FEES, currency="EUR"))


def redrive_all(world: World, key: str, **wanted: str) -> Any:
    return world.post("/dead-letters/redrive", wanted, key)


def states(body: Any) -> set[str]:
    return {letter["state"] for letter in body["data"]}


def as_if_nothing_had_happened(store: Memory, engine: Engine, payments: int) -> None:
    told = [message.event_id for message in engine.bus.published if message.stream[:4] == "pay_"]
    assert len(set(told)) == PUBLIC_EVENTS_OF_A_PAYMENT * payments
    assert set(told) <= engine.counted.keys()
    assert fees(store) == (0, 30 * payments)
    assert engine.catch_up.run().made_good == 0
    assert listed(engine, state=LetterState.OPEN) == []


def test_dlq_poison_record(world: World, store: Poisonable, engine: Engine) -> None:
    bad, good = paid(world), paid(world)
    store.poison.add(bad)
    engine.flow()
    view = store.view(good)
    assert view is not None
    assert view.status == "succeeded", "the rest flows on"
    found = listed(engine)
    assert {(letter.hop, letter.stream, letter.seen) for letter in found} == {("projector", bad, 1)}
    assert all("is not understood" in letter.cause for letter in found)
    assert fees(store) == (0, 30)

    reply = redrive_all(world, "r-1", hop="projector", cause="CorruptEventError")
    engine.collect()
    assert {letter.state for letter in listed(engine)} == {LetterState.OPEN}, "it is poison still"
    assert {letter.seen for letter in listed(engine)} == {2}

    store.poison.clear()
    reply = redrive_all(world, "r-2", hop="projector", cause="CorruptEventError")
    assert (reply.status, states(reply.body), reply.body["has_more"]) == (201, {"redriven"}, False)
    assert redrive_all(world, "r-3", hop="projector").body["data"] == []
    for letter in listed(engine):
        assert redriven(world, letter, f"again-{letter.letter_id}") == "redriven"
    assert {letter.redrives for letter in listed(engine)} == {2}, "what is redriven is left alone"
    engine.flow()
    as_if_nothing_had_happened(store, engine, payments=2)


def redriven(world: World, letter: DeadLetter, key: str) -> str:
    path = "/dead-letters/{dead_letter_id}/redrive"
    return str(world.post_to(path, letter.letter_id, key).body["data"][0]["state"])


def test_dlq_poison_message(world: World, store: Poisonable, engine: Engine) -> None:
    bad, _ = paid(world), paid(world)
    event_id = f"evt_{bad.removeprefix('pay_')}_4"
    engine.poison.add(event_id)
    engine.flow()
    (letter,) = listed(engine)
    assert (letter.hop, letter.stream, letter.version) == ("analytics", bad, 4)
    assert "cannot be counted" in letter.cause
    assert len(engine.counted) == 2 * PUBLIC_EVENTS_OF_A_PAYMENT + 2 - 1, "the rest flows on"
    assert len(engine.pauses.delays_s) == 4, "four tries came again later, the fifth was the last"

    assert redriven(world, letter, "r-1") == "redriven"
    engine.collect()
    (letter,) = listed(engine)
    assert (letter.state, letter.seen, letter.redrives) == (LetterState.OPEN, 2, 1)

    engine.poison.clear()
    assert redriven(world, letter, "r-2") == "redriven"
    assert redriven(world, letter, "r-3") == "redriven"
    as_if_nothing_had_happened(store, engine, payments=2)


def test_dlq_bus_outage(world: World, store: Poisonable, engine: Engine) -> None:
    paid(world)
    engine.flow()
    engine.bus.down = True
    paid(world)
    paid(world)
    engine.flow()
    assert fees(store) == (0, 90), "the books follow, whatever becomes of the bus"
    found = listed(engine, hop="publisher")
    assert {letter.cause for letter in found} == {"BusRefusedError('refused 4 times')"}
    dead = {(letter.stream, letter.version) for letter in found if letter.stream}
    assert len(dead) == 2 * (PUBLIC_EVENTS_OF_A_PAYMENT + 1), "payments and their sellers"

    redrive_all(world, "r-1", hop="publisher")
    engine.collect()
    assert {letter.state for letter in listed(engine)} == {LetterState.OPEN}, (
        "the bus is down still"
    )

    engine.bus.down = False
    first = redrive_all(world, "r-2", hop="publisher")
    assert states(first.body) == {"redriven"}
    replay = redrive_all(world, "r-2", hop="publisher")
    assert (replay.text, replay.headers["Idempotent-Replayed"]) == (first.text, "true")
    assert redrive_all(world, "r-3", hop="publisher").body["data"] == []
    engine.flow()
    as_if_nothing_had_happened(store, engine, payments=3)
    assert len(engine.bus.published) == len({one.event_id for one in engine.bus.published})


def test_dlq_redrive_class(world: World, store: Poisonable, engine: Engine) -> None:
    """Only what is named goes, and it goes to its own hop."""
    one, two = paid(world), paid(world)
    store.poison |= {one, two}
    engine.bus.down = True
    engine.flow()
    store.poison.clear()
    engine.bus.down = False
    before = len(listed(engine, state=LetterState.OPEN))
    redrive_all(world, "r-1", hop="projector", payment_id=one)
    left = listed(engine, state=LetterState.OPEN)
    assert {letter.hop for letter in left if letter.stream == one} == {"publisher"}
    assert {letter.hop for letter in left if letter.stream == two} == {"projector", "publisher"}
    assert len(left) == before - 6
    assert engine.bus.published == []
    redrive_all(world, "r-2", cause="BusRefused")
    assert {letter.hop for letter in listed(engine, state=LetterState.OPEN)} == {"projector"}
    redrive_all(world, "r-3", payment_id=two)
    engine.flow()
    as_if_nothing_had_happened(store, engine, payments=2)


def test_dlq_a_redrive_must_name_something(world: World) -> None:
    reply = world.post("/dead-letters/redrive", {})
    assert reply.refusal == (400, "parameter_missing", "hop,cause,payment_id")


def test_dlq_a_redrive_goes_on_after_a_letter_that_is_there(world: World) -> None:
    reply = world.post("/dead-letters/redrive", {"hop": "analytics", "starting_after": "dl_1"})
    assert reply.refusal == (400, "parameter_invalid", "starting_after")


def test_dlq_one_key_is_one_redrive(world: World, store: Poisonable, engine: Engine) -> None:
    bad = paid(world)
    store.poison.add(bad)
    engine.flow()
    first = redrive_all(world, "r-1", hop="projector")
    engine.collect()
    replay = redrive_all(world, "r-1", hop="projector")
    assert (replay.text, replay.headers["Idempotent-Replayed"]) == (first.text, "true")
    assert {letter.redrives for letter in listed(engine)} == {1}
    assert redrive_all(world, "r-1", hop="publisher").refusal == (
        *(422, "idempotency_key_reused"),
        "hop",
    )
    letter = listed(engine)[0]
    path = "/dead-letters/{dead_letter_id}/redrive"
    assert world.post_to(path, letter.letter_id, "r-1").refusal == (
        *(422, "idempotency_key_reused"),
        "route",
    )


class Unavailable:
    def __init__(self) -> None:
        self.asked = 0

    def take(self, letter: DeadLetter) -> None:
        self.asked += 1
        raise HopUnavailableError("not now")


def test_dlq_a_hop_that_is_not_there_leaves_the_letters_open(
    world: World, store: Poisonable, engine: Engine
) -> None:
    bad = paid(world)
    store.poison.add(bad)
    engine.flow()
    hop = Unavailable()
    world.hops["projector"] = hop
    letter = listed(engine)[0]
    path = "/dead-letters/{dead_letter_id}/redrive"
    reply = world.post_to(path, letter.letter_id, "r-1")
    assert reply.refusal == (503, "hop_unavailable", None)
    assert reply.headers["Retry-After"] == "1"
    assert states(redrive_all(world, "r-2", hop="projector").body) == {"open"}
    assert hop.asked == 2, "of many letters it is asked for one"
    store.poison.clear()
    world.hops.update(engine.hops)
    assert redriven(world, letter, "r-1") == "redriven", "a refusal for now binds no key"


def test_dlq_evidence_is_not_redriven(world: World, store: Poisonable, engine: Engine) -> None:
    payment_id = world.payment()
    row = store.rows(payment_id)[0]
    engine.readers["publisher"]({"Records": [stream_record(row, "MODIFY")]}, None)
    engine.collect()
    (letter,) = listed(engine)
    assert (letter.cause, letter.stream) == ("tamper", payment_id)
    assert world.listed().body["data"] == [], "the event is in it, private fields and all"
    world.scopes = SCOPES[Role.ADMIN] | {Scope.STACK_OPERATE}
    assert world.listed().body["data"][0]["dead_letter_id"] == letter.letter_id
    path = "/dead-letters/{dead_letter_id}/redrive"
    assert world.post_to(path, letter.letter_id, "r-1").refusal == (422, "not_redrivable", None)
    assert states(redrive_all(world, "r-2", cause="tamper").body) == {"open"}
    assert engine.bus.published == []


def test_dlq_a_cause_quotes_no_payment_method(world: World, engine: Engine) -> None:
    """What cannot be folded is told with the state that it cannot follow."""
    payment_id = world.payment()
    first = world.store.read(payment_id).events[0]
    drafts = (Draft(event=first.event),)
    batch = Batch(
        stream=payment_id, tenant_id=TENANT, after=Head(version=1), drafts=drafts, at=NOON
    )
    assert isinstance(world.store.append(batch), Appended)
    engine.flow()
    causes = {letter.cause for letter in listed(engine, stream=payment_id)}
    assert len(causes) == 1
    assert "cannot follow" in str(causes)
    assert "tok_visa_secret" not in str(causes)


# Reading them.


def test_dlq_a_letter_is_listed_and_shown(world: World, engine: Engine) -> None:
    engine.enqueue("no json")
    engine.poison.add(f"evt_{(payment_id := paid(world)).removeprefix('pay_')}_1")
    engine.flow()
    mine = world.listed().body
    assert [letter["payment_id"] for letter in mine["data"]] == [payment_id]
    shown = world.get("/dead-letters/{dead_letter_id}", mine["data"][0]["dead_letter_id"]).body
    assert shown == mine["data"][0] | {"payload": shown["payload"]}
    assert payment_id in shown["payload"]
    world.scopes = SCOPES[Role.OPERATOR]
    assert {letter["payment_id"] for letter in world.listed().body["data"]} == {
        payment_id,
        None,
    }, "what is nobody's is the operators'"


def test_dlq_another_tenants_letter_is_not_there(world: World, engine: Engine) -> None:
    engine.poison.add(f"evt_{(payment_id := paid(world)).removeprefix('pay_')}_1")
    engine.flow()
    (letter,) = listed(engine, stream=payment_id)
    resource = "/dead-letters/{dead_letter_id}"
    reply = world.get(resource, letter.letter_id, OTHER_TENANT)
    assert reply.refusal == (404, "dead_letter_not_found", None)
    reply = world.post_to(f"{resource}/redrive", letter.letter_id, "r-1", OTHER_TENANT)
    assert reply.refusal == (404, "dead_letter_not_found", None)
    theirs = world.post("/dead-letters/redrive", {"hop": "analytics"}, "r-2", OTHER_TENANT)
    assert theirs.body["data"] == []
    assert world.listed(tenant_id=OTHER_TENANT).body == {"data": [], "has_more": False}
    unknown = "dl_00000000000000000000000000"
    assert world.get(resource, unknown).refusal == (404, "dead_letter_not_found", None)


def test_dlq_the_list_comes_in_pages(world: World, engine: Engine) -> None:
    engine.bus.down = True
    paid(world)
    engine.flow()
    every = [letter["dead_letter_id"] for letter in world.listed(limit="100").body["data"]]
    first = world.listed(limit="3").body
    second = world.listed(limit="3", starting_after=first["data"][-1]["dead_letter_id"]).body
    assert (first["has_more"], second["has_more"]) == (True, False)
    pages = [letter["dead_letter_id"] for letter in first["data"] + second["data"]]
    assert (pages, len(pages)) == (every, 4)


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ({"state": "closed"}, "state"),
        ({"limit": "0"}, "limit"),
        ({"starting_after": "dl_nobody"}, "starting_after"),
        ({"starting_after": "dl_00000000000000000000000000"}, "starting_after"),
    ],
)
def test_dlq_a_list_is_asked_for_properly(world: World, query: dict[str, str], param: str) -> None:
    assert world.listed(**query).refusal == (400, "parameter_invalid", param)


def test_dlq_what_arrives_while_it_is_redriven_is_open(engine: Engine, world: World) -> None:
    """The hop gives it back before the redrive is through: the news wins."""
    payment_id = paid(world)
    engine.poison.add(f"evt_{payment_id.removeprefix('pay_')}_1")
    engine.flow()
    (letter,) = listed(engine)

    class Slow:
        def take(self, again: DeadLetter) -> None:
            engine.hops["analytics"].take(again)
            engine.collect()

    driver = replace(engine.redriver, hops={"analytics": Slow()})
    current = engine.letters.letter(letter.letter_id)
    assert current is not None
    assert driver.redrive(current).state is LetterState.OPEN


def test_dlq_many_are_redriven_until_time_is_up(engine: Engine, world: World) -> None:
    engine.bus.down = True
    paid(world)
    engine.flow()
    engine.bus.down = False

    class Slow:
        def take(self, letter: DeadLetter) -> None:
            engine.clock.advance(REDRIVE_TIME * 0.6)
            engine.hops["publisher"].take(letter)

    driver = replace(engine.redriver, hops={"publisher": Slow()})
    results, has_more = driver.redrive_all((TENANT,), LetterFilter(state=LetterState.OPEN))
    assert ([state for _, state in results], has_more) == ([LetterState.REDRIVEN] * 2, True)
