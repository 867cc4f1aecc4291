"""Promise 9: card data is refused wherever it stands, by the name of its field alone."""

import pytest

from tests.functions.world import World, got, payment_body, posted

NUMBER = "4242424242424242"
SPACED = "4242 4242 4242 4242"


@pytest.fixture
def world() -> World:
    return World()


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"payment_method": NUMBER}, "payment_method"),
        ({"recipient": NUMBER}, "recipient"),
        ({"description": f"paid with {SPACED}"}, "description"),
        ({"customer": SPACED.replace(" ", "-")}, "customer"),
        ({"order_id": NUMBER}, "order_id"),
        ({"metadata": {"note": NUMBER}}, "metadata.note"),
        ({"metadata": {NUMBER: "x"}}, "metadata"),
        ({"metadata": {"cvc": "123"}}, "metadata.cvc"),
        ({"amount": int(NUMBER)}, "amount"),
        ({"amount": float(NUMBER)}, "amount"),
        ({"card": {"number": NUMBER}}, "card.number"),
        ({"cards": [NUMBER]}, "cards"),
        ({"cvv": "123"}, "cvv"),
        ({NUMBER: 1}, "body"),
    ],
)
def test_card_data_in_a_body_is_refused_by_name(
    world: World, capsys: pytest.CaptureFixture[str], fields: dict[str, object], param: str
) -> None:
    seller = world.account()
    writes = len(world.store.written)
    reply = world.post("/payments", payment_body(seller, **fields))
    assert reply.refusal == (400, "card_data", param)
    assert len(world.store.written) == writes
    told = reply.text + capsys.readouterr().out
    assert NUMBER not in told
    assert SPACED not in told


def test_card_data_in_an_idempotency_key_is_refused(world: World) -> None:
    reply = world.post("/payments", payment_body(world.account()), key=f"order {SPACED}")
    assert reply.refusal == (400, "card_data", "idempotency-key")
    assert NUMBER not in reply.text


def test_card_data_in_a_path_or_query_or_header_is_refused(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    path = world.get("/payments/{payment_id}", NUMBER)
    assert path.refusal == (400, "card_data", "payment_id")
    query = got("/ledger", "") | {"queryStringParameters": {"account_id": NUMBER}}
    assert world.send(query | {"pathParameters": None}).refusal == (400, "card_data", "account_id")
    header = posted("/payments", "{}")
    header["headers"]["X-Card"] = header["multiValueHeaders"]["X-Card"] = NUMBER
    header["multiValueHeaders"]["X-Card"] = [NUMBER]
    assert world.send(header).refusal == (400, "card_data", "x-card")
    assert NUMBER not in capsys.readouterr().out


def test_card_data_in_an_address_is_refused_whoever_decodes_it(world: World) -> None:
    path = world.get("/payments/{payment_id}", SPACED.replace(" ", "%20"))
    assert path.refusal == (400, "card_data", "payment_id")
    query = got("/ledger", "") | {"pathParameters": None}
    value = query | {"queryStringParameters": {"account_id": SPACED.replace(" ", "+")}}
    assert world.send(value).refusal == (400, "card_data", "account_id")
    name = query | {"queryStringParameters": {SPACED.replace(" ", "%2d"): "1"}}
    assert world.send(name).refusal == (400, "card_data", "query")


def test_numbers_that_are_no_cards_pass(world: World) -> None:
    body = payment_body(world.account(), order_id="4242424242424241", customer="+49 89 1234567")
    assert world.post("/payments", body).status == 201
