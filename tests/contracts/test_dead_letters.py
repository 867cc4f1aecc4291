"""What every keeper of dead letters promises: one letter for one work, and no news is lost."""

import uuid
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import boto3
import pytest
from moto import mock_aws

from florin.adapters.dynamodb_dead_letters import DynamoDeadLetters
from florin.adapters.memory_dead_letters import MemoryDeadLetters
from florin.dead_letters import letter_id
from florin.ports import Arrival, DeadLetter, DeadLetters, LetterFilter, LetterState, RedriveRecord
from tests.support.busy import BusyClient
from tests.support.examples import NOON, TENANT
from tests.support.tables import make_table

VENICE = "tn_venice"
PAYMENT = "pay_01JZ8QB2S5E0GZ4Y1KXAM9V7TD"
ANY = LetterFilter()


@pytest.fixture(params=["memory", "moto", "busy", "local_stack"])
def letters(request: pytest.FixtureRequest) -> Iterator[DeadLetters]:
    name = uuid.uuid4().hex[:8]
    match request.param:
        case "memory":
            yield MemoryDeadLetters()
        case "moto":
            with mock_aws():
                client = boto3.client("dynamodb", region_name="us-east-1")
                yield DynamoDeadLetters(client, make_table(client, "DeadLettersTable", name))
        case "busy":
            with mock_aws():
                client = boto3.client("dynamodb", region_name="us-east-1")
                table = make_table(client, "DeadLettersTable", name)
                busy: Any = BusyClient(client)
                yield DynamoDeadLetters(busy, table, lambda seconds: None)
        case _:
            client = request.getfixturevalue("local_dynamodb")
            yield DynamoDeadLetters(client, make_table(client, "DeadLettersTable", name))


def arrival(work: str = "one", message_id: str = "m-1", hop: str = "projector") -> Arrival:
    return Arrival(
        letter_id=letter_id(hop, work),
        message_id=message_id,
        hop=hop,
        cause=f"LookupError('{work}')",
        payload=f'{{"stream": "{PAYMENT}"}}',
        tenant_id=TENANT,
        stream=PAYMENT,
        version=3,
    )


def kept(letters: DeadLetters, arrived: Arrival, after_s: int = 0) -> DeadLetter:
    letters.arrive(arrived, NOON + timedelta(seconds=after_s))
    letter = letters.letter(arrived.letter_id)
    assert letter is not None
    return letter


def test_dlq_what_arrives_is_an_open_letter(letters: DeadLetters) -> None:
    assert letters.letter(letter_id("projector", "one")) is None
    assert letters.arrive(arrival(), NOON)
    assert letters.letter(letter_id("projector", "one")) == DeadLetter(
        letter_id=letter_id("projector", "one"),
        hop="projector",
        cause="LookupError('one')",
        payload=f'{{"stream": "{PAYMENT}"}}',
        tenant_id=TENANT,
        stream=PAYMENT,
        version=3,
        first_seen=NOON,
        last_seen=NOON,
        seen=1,
        state=LetterState.OPEN,
        redrives=0,
        revision=1,
    )


def test_dlq_what_nobody_owns_has_no_owner(letters: DeadLetters) -> None:
    letter = kept(letters, replace(arrival(), tenant_id=None, stream=None, version=None))
    assert (letter.tenant_id, letter.stream, letter.version) == (None, None, None)
    assert letters.letters((TENANT,), ANY, limit=9) == ()
    assert [one.letter_id for one in letters.letters((None,), ANY, limit=9)] == [letter.letter_id]


def test_dlq_a_message_that_comes_twice_arrived_once(letters: DeadLetters) -> None:
    letter = kept(letters, arrival())
    assert not letters.arrive(arrival(), NOON + timedelta(hours=1))
    assert letters.letter(letter.letter_id) == letter


def test_dlq_what_fails_again_is_the_same_letter_open_once_more(letters: DeadLetters) -> None:
    counted = letters.count_redrive(kept(letters, arrival()))
    assert counted is not None
    assert letters.close(counted)
    closed = letters.letter(counted.letter_id)
    assert closed is not None
    assert (closed.state, closed.redrives) == (LetterState.REDRIVEN, 1)
    again = replace(arrival(message_id="m-2"), cause="KeyError('now')")
    letter = kept(letters, again, after_s=60)
    assert (letter.state, letter.seen, letter.redrives) == (LetterState.OPEN, 2, 1)
    assert (letter.first_seen, letter.last_seen) == (NOON, NOON + timedelta(seconds=60))
    assert letter.cause == "KeyError('now')"


def test_dlq_who_has_not_seen_the_news_changes_nothing(letters: DeadLetters) -> None:
    read = kept(letters, arrival())
    counted = letters.count_redrive(read)
    assert counted == replace(read, redrives=1, revision=2)
    assert letters.count_redrive(read) is None
    kept(letters, arrival(message_id="m-2"))
    assert not letters.close(counted), "it came back meanwhile"
    letter = letters.letter(read.letter_id)
    assert letter is not None
    assert letter.state is LetterState.OPEN


def test_dlq_letters_are_listed_by_time_in_pages(letters: DeadLetters) -> None:
    made = [kept(letters, arrival(str(number)), after_s=number) for number in range(5)]
    ids = [letter.letter_id for letter in made]
    first = letters.letters((TENANT,), ANY, limit=2)
    assert [letter.letter_id for letter in first] == ids[:2:-1]
    second = letters.letters((TENANT,), ANY, limit=9, after=first[-1])
    assert [letter.letter_id for letter in second] == ids[2::-1]
    oldest = letters.letters((TENANT,), ANY, limit=3, oldest_first=True)
    assert [letter.letter_id for letter in oldest] == ids[:3]
    rest = letters.letters((TENANT,), ANY, limit=9, after=oldest[-1], oldest_first=True)
    assert [letter.letter_id for letter in rest] == ids[3:]
    assert {letter.payload for letter in first} == {""}, "a list is without the payloads"
    assert replace(first[0], payload=made[4].payload) == made[4]


def test_dlq_letters_of_several_owners_are_one_list(letters: DeadLetters) -> None:
    for number, tenant_id in enumerate((TENANT, None, VENICE, TENANT, None)):
        kept(letters, replace(arrival(str(number)), tenant_id=tenant_id), after_s=number)
    found = letters.letters((TENANT, None), ANY, limit=9)
    assert [letter.tenant_id for letter in found] == [None, TENANT, None, TENANT]
    assert [one.tenant_id for one in letters.letters((VENICE,), ANY, limit=9)] == [VENICE]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (LetterFilter(hop="publisher"), {"c"}),
        (LetterFilter(state=LetterState.OPEN), {"b", "c", "d"}),
        (LetterFilter(state=LetterState.REDRIVEN), {"a"}),
        (LetterFilter(stream="pay_other"), {"d"}),
        (LetterFilter(cause="LookupError"), {"a", "b", "c", "d"}),
        (LetterFilter(cause="LookupError('b"), {"b"}),
        (LetterFilter(cause="Error"), set()),
        (LetterFilter(hop="projector", state=LetterState.OPEN, stream=PAYMENT), {"b"}),
    ],
)
def test_dlq_a_filter_takes_what_has_all_of_it(
    letters: DeadLetters, wanted: LetterFilter, found: set[str]
) -> None:
    counted = letters.count_redrive(kept(letters, arrival("a")))
    assert counted is not None
    letters.close(counted)
    kept(letters, arrival("b"))
    kept(letters, arrival("c", hop="publisher"))
    kept(letters, replace(arrival("d"), stream="pay_other"))
    causes = {letter.cause[-3:-2] for letter in letters.letters((TENANT,), wanted, limit=9)}
    assert causes == found
    one = letters.letters((TENANT,), wanted, limit=1)
    assert len(one) == min(1, len(found))


def test_dlq_a_record_of_a_redrive_is_kept_and_is_no_letter(letters: DeadLetters) -> None:
    record = RedriveRecord(
        redrive_id="rdr_1",
        tenant_id=TENANT,
        created_at=NOON,
        letters=(("dl_1", LetterState.REDRIVEN), ("dl_2", LetterState.OPEN)),
        has_more=True,
    )
    letters.keep(record)
    assert letters.record("rdr_1") == record
    assert letters.record("rdr_2") is None
    assert letters.letters((TENANT,), ANY, limit=9) == ()
