"""Write down what the version that is being worked on stores: its stories, and what it can read."""

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Final, Protocol, cast

from florin.adapters.codec import Row
from florin.adapters.dynamodb import _event_item
from florin.domain.keys import Scope
from florin.domain.payment import Failed, Step
from florin.domain.provider import Unknown
from florin.saga import fold_history
from tests.chaos.deployment import Deployment
from tests.chaos.flows import FLOWS, Client, top_up
from tests.chaos.recovery import Recovery
from tests.functions.world import World
from tests.history import CURRENT, FOLDER, RELEASED, Json, comes_to, reads_today
from tests.support.simulator import in_process


class Store(Protocol):
    def streams(self) -> tuple[str, ...]: ...

    def rows(self, stream: str) -> tuple[Row, ...]: ...


Story = Callable[[Client], object]


def rest_of_a_wallet_payment(client: Client) -> None:
    top_up(client)
    payment_id = client.pay_from_wallet(capture_method="manual")
    client.change(payment_id, "capture", amount=300, final=False)
    client.change(payment_id, "cancel")


def account_that_changes_and_closes(client: Client) -> None:
    account_id = client.deployment.buyer
    client.ask("/accounts/{account_id}", {"min_balance": -500}, account_id=account_id)
    client.ask("/accounts/{account_id}/close", {}, account_id=account_id)


def found_after_the_end(client: Client) -> None:
    """Money that the provider takes after all, when the payment has failed."""
    payment_id = client.pay("tok_timeout_then_nothing")
    deployment = client.deployment
    while not isinstance(payment := fold_history(deployment.store.read(payment_id)), Failed):
        Recovery(deployment).round()
    late = replace(payment.terms, payment_method="tok_visa")
    in_process(deployment.simulator).authorize(payment.doubts[-1].call, late)


def resolved() -> Store:
    """An answer that never came, and an operator who knows it."""
    world = World(scopes=frozenset(Scope))
    payment_id = world.answering(authorization=Unknown(reason="timeout")).payment()
    world.run(payment_id, Step.ASSESS_RISK, Step.AUTHORIZE)
    world.answering()
    word = {"operation_id": "authorization", "verdict": "succeeded", "provider_reference": "ch_9"}
    word |= {"evidence": "Settlement report, line 17", "reason": "The provider lost the answer"}
    world.change(payment_id, "resolve", word, "op")
    world.run(payment_id, Step.CAPTURE)
    return cast("Store", world.store)


def forgotten() -> Store:
    """A refund without an answer, that nobody asked about for longer than its key is known."""
    world = World()
    payment_id = world.payment()
    world.run(payment_id, Step.ASSESS_RISK, Step.AUTHORIZE, Step.CAPTURE)
    world.answering(refund=Unknown(reason="timeout"))
    world.change(payment_id, "refund", {}, "r")
    world.follow_up(payment_id)
    world.clock.advance(2 * world.provider.key_retention)
    for _ in range(2):
        world.follow_up(payment_id)
    return cast("Store", world.store)


def _played(story: Story) -> Store:
    deployment = Deployment()
    story(Client(deployment))
    Recovery(deployment).until_at_rest()
    return deployment.store


def _flow(number: int) -> Story:
    def story(client: Client) -> None:
        FLOWS[number].before(client)
        FLOWS[number].story(client)

    return story


MORE: Final[dict[str, Story]] = {
    "rest of a wallet payment": rest_of_a_wallet_payment,
    "account that changes and closes": account_that_changes_and_closes,
    "found after the end": found_after_the_end,
}


def stores() -> Iterator[tuple[str, Store]]:
    for number, flow in enumerate(FLOWS):
        yield flow.name, _played(_flow(number))
    for name, story in MORE.items():
        yield name, _played(story)
    yield "resolved by an operator", resolved()
    yield "forgotten by its provider", forgotten()


def main() -> None:
    assert CURRENT not in RELEASED, f"{CURRENT} is released; name the version after it"
    folder = FOLDER / CURRENT
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name, store in stores():
        told: Json = {}
        for stream in store.streams():
            rows = store.rows(stream)
            told[stream] = {"items": [_event_item(row) for row in rows], "comes_to": comes_to(rows)}
        _write(name.replace(",", "").replace(" ", "_"), told)
    _write("reads", reads_today())


def _write(name: str, value: object) -> None:
    text = json.dumps(value, indent=1, ensure_ascii=False) + "\n"
    (FOLDER / CURRENT / f"{name}.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
