"""What every event store promises."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from florin.adapters.codec import CorruptEventError, verify
from florin.domain.account import AccountKind
from florin.domain.history import NO_EVENTS, Draft, Head, History
from florin.domain.payment import PaymentRiskAssessed, PaymentVoided, RiskDecision, decide, fold
from florin.ports import (
    AlreadyReceived,
    Appended,
    Batch,
    Profile,
    Receipt,
    StreamMoved,
)
from tests.contracts.conftest import Store
from tests.support.examples import (
    NOON,
    TEN,
    TENANT,
    accepted_payment,
    facts,
    initiate,
    opened_account,
)

ASSESSED = Draft(event=PaymentRiskAssessed(decision=RiskDecision.ALLOW, assessor="pass"))


def initiated() -> Draft:
    (event,) = facts(decide(initiate(), fold([])))
    return Draft(event=event)


def batch(*drafts: Draft, after: Head = NO_EVENTS, stream: str = "pay_1", **more: object) -> Batch:
    fields = {"tenant_id": TENANT, "at": NOON, **more}
    return Batch(stream=stream, after=after, drafts=drafts, **fields)  # type: ignore[arg-type]


def receipt(key: str, object_id: str) -> Receipt:
    return Receipt(
        tenant_id=TENANT,
        key=key,
        route="POST /payments",
        object_id=object_id,
        recorded_at=NOON,
        fingerprint={"amount": "hash", "metadata.loom": "other"},
    )


def test_an_unseen_stream_is_empty(store: Store) -> None:
    assert store.read("pay_unseen") == History()
    assert store.read("pay_unseen").head == NO_EVENTS


def test_facts_come_back_as_they_were_recorded(store: Store) -> None:
    appended = store.append(batch(initiated(), ASSESSED, execution="arn:one"))
    assert isinstance(appended, Appended)
    history = store.read("pay_1")
    assert history.events == appended.recorded
    assert [recorded.version for recorded in history.events] == [1, 2]
    assert [recorded.event for recorded in history.events] == [initiated().event, ASSESSED.event]
    assert {recorded.execution for recorded in history.events} == {"arn:one"}
    assert {recorded.recorded_at for recorded in history.events} == {NOON}


def test_a_stale_writer_changes_nothing(store: Store) -> None:
    store.append(batch(initiated()))
    head = store.read("pay_1").head
    assert isinstance(store.append(batch(ASSESSED, after=head)), Appended)
    before = store.read("pay_1")
    voided = Draft(event=PaymentVoided(amount=TEN))
    assert store.append(batch(voided, after=head)) == StreamMoved()
    assert store.append(batch(voided, voided, after=head)) == StreamMoved()
    assert store.read("pay_1") == before


def test_time_never_runs_backwards_in_a_stream(store: Store) -> None:
    store.append(batch(initiated()))
    head = store.read("pay_1").head
    store.append(batch(ASSESSED, after=head, at=NOON - timedelta(hours=1)))
    assert [recorded.recorded_at for recorded in store.read("pay_1").events] == [NOON, NOON]


@pytest.mark.usefixtures("atomic")
def test_of_many_writers_one_wins(store: Store) -> None:
    store.append(batch(initiated()))
    head = store.read("pay_1").head

    def write(number: int) -> object:
        fact = PaymentRiskAssessed(decision=RiskDecision.ALLOW, assessor=f"writer {number}")
        return store.append(batch(Draft(event=fact), after=head))

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(write, range(8)))
    assert sum(isinstance(answer, Appended) for answer in answers) == 1
    assert sum(isinstance(answer, StreamMoved) for answer in answers) == 7
    assert store.read("pay_1").head.version == 2


def test_a_receipt_is_written_with_its_effect_and_once(store: Store) -> None:
    first = receipt("key-1", "pay_1")
    assert isinstance(store.append(batch(initiated(), receipt=first)), Appended)
    again = store.append(batch(initiated(), stream="pay_2", receipt=receipt("key-1", "pay_2")))
    assert again == AlreadyReceived(first)
    assert store.read("pay_2") == History()


def test_a_receipt_is_not_written_without_its_effect(store: Store) -> None:
    store.append(batch(initiated()))
    refused = batch(initiated(), receipt=receipt("key-1", "pay_1"))
    assert store.append(refused) == StreamMoved()
    fresh = batch(initiated(), stream="pay_2", receipt=receipt("key-1", "pay_2"))
    assert isinstance(store.append(fresh), Appended)


def test_tenants_may_use_the_same_key(store: Store) -> None:
    accepted_payment(store, key="key-1")
    other = Receipt(
        tenant_id="tn_venice",
        key="key-1",
        route="POST /payments",
        object_id="pay_9",
        recorded_at=NOON,
        fingerprint={},
    )
    appended = store.append(
        batch(initiated(), stream="pay_9", tenant_id="tn_venice", receipt=other)
    )
    assert isinstance(appended, Appended)


def test_an_account_is_opened_with_its_wallet(store: Store) -> None:
    account_id = opened_account(store)
    profile = store.profile(TENANT, account_id)
    assert profile == Profile(
        tenant_id=TENANT,
        account_id=account_id,
        currency="EUR",
        kind=AccountKind.SELLER,
        opened_at=NOON,
    )
    assert profile is not None
    wallet = store.wallet(profile)
    assert (wallet.available_minor, wallet.held_minor, wallet.balance_minor) == (0, 0, 0)
    assert store.profile("tn_venice", account_id) is None


def test_every_event_is_chained_to_the_one_before(store: Store) -> None:
    store.append(batch(initiated(), ASSESSED))
    store.append(batch(Draft(event=PaymentVoided(amount=TEN)), after=store.read("pay_1").head))
    rows = store.rows("pay_1")
    verify(rows)
    assert [row.hash for row in rows] == [event.hash for event in store.read("pay_1").events]
    for broken in (rows[1:], (rows[0], rows[2]), (rows[1], rows[0], rows[2])):
        with pytest.raises(CorruptEventError, match="breaks at version"):
            verify(broken)
