"""Ids that could be ours, and those that cannot."""

import pytest

from florin.adapters.clock import UlidIds
from florin.edge.ids import is_account_id, is_payment_id
from tests.support.examples import NOON


def test_the_ids_that_we_give_are_ours() -> None:
    payment_id, account_id = UlidIds().new("pay", NOON), UlidIds().new("acct", NOON)
    assert is_payment_id(payment_id)
    assert is_account_id(account_id)
    assert not is_payment_id(account_id)
    assert not is_account_id(payment_id)


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        "pay_",
        "pay_01JZ8QB2S5E0GZ4Y1KXAM9V7T",
        "pay_01JZ8QB2S5E0GZ4Y1KXAM9V7TDD",
        "pay_01JZ8QB2S5E0GZ4Y1KXAM9V7TD\n",
        "pay_01jz8qb2s5e0gz4y1kxam9v7td",
        "pay_0IJZ8QB2S5E0GZ4Y1KXAM9V7TD",
        "PAY_01JZ8QB2S5E0GZ4Y1KXAM9V7TD",
        " pay_01JZ8QB2S5E0GZ4Y1KXAM9V7TD",
        "pay_\u0660\u0661JZ8QB2S5E0GZ4Y1KXAM9V7TD",
    ],
)
def test_anything_else_is_not(wrong: str) -> None:
    assert not is_payment_id(wrong)
    assert not is_account_id(wrong.replace("pay", "acct").replace("PAY", "ACCT"))
