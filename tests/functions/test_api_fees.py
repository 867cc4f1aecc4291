"""What a tenant's schedule of fees makes of payments and their refunds, to the last minor unit."""

from dataclasses import replace

import pytest

from florin.adapters.memory import MemoryConfig
from florin.domain.chart import PLATFORM_FEES
from florin.domain.fees import FeeOnRefund, FeeSchedule
from florin.domain.payment import Step
from florin.ports import AccountKey
from tests.functions.world import Reply, World, payment_body, tenant
from tests.support.examples import TENANT

FORWARD = (Step.ASSESS_RISK, Step.AUTHORIZE, Step.CAPTURE)

# 2.5 per cent, and what some currencies have of their own: yen have no decimals, dinars three.
SCHEDULE = FeeSchedule(
    basis_points=250,
    basis_points_in={"JPY": 360, "USD": 290},
    fixed_minor={"JPY": 40, "USD": 30, "KWD": 100},
)
KEEP = replace(SCHEDULE, on_refund=FeeOnRefund.KEEP)


class Shop:
    """A seller of a tenant with this schedule, in one currency."""

    def __init__(self, schedule: FeeSchedule, currency: str) -> None:
        self.world, self.currency, self.asked = World(), currency, 0
        self.agree(schedule)
        self.seller = self.world.account(currency)

    def agree(self, schedule: FeeSchedule) -> None:
        """Have this schedule from now on."""
        self.world.use(config=MemoryConfig(tenants={TENANT: replace(tenant(), fees=schedule)}))

    def key(self) -> str:
        self.asked += 1
        return f"shop-{self.asked}"

    def accepted(self, amount: int, **fields: object) -> str:
        body = payment_body(self.seller, amount=amount, currency=self.currency, **fields)
        reply = self.world.post("/payments", body, self.key())
        assert reply.status == 201, reply
        return str(reply.body["payment_id"])

    def paid(self, amount: int, **fields: object) -> str:
        payment_id = self.accepted(amount, **fields)
        self.world.run(payment_id, *FORWARD)
        return payment_id

    def refund(self, payment_id: str, amount: int) -> Reply:
        reply = self.world.change(payment_id, "refund", {"amount": amount}, self.key())
        if reply.status == 201:
            self.world.follow_up(payment_id)
        return reply

    def capture(self, payment_id: str, amount: int) -> None:
        body = {"amount": amount, "final": False}
        assert self.world.change(payment_id, "capture", body, self.key()).status == 201
        self.world.follow_up(payment_id)

    def fees_of(self, payment_id: str) -> int:
        fees: int = self.world.get("/payments/{payment_id}", payment_id).body["fees"]
        return fees

    @property
    def money(self) -> tuple[int, int]:
        """What the seller has, and what the platform keeps."""
        wallet = self.world.get("/wallets/{account_id}", self.seller).body
        assert wallet["available"] == wallet["balance"]
        account = AccountKey(tenant_id=TENANT, account=PLATFORM_FEES, currency=self.currency)
        debits, credits_ = self.world.store.total(account)
        return wallet["balance"], credits_ - debits


PROPORTIONAL_ROWS = [
    # 2.9 % of 1000 and 30. Back are 19.647, 39.294 and 59 of the 59, rounded one after the other.
    ("USD", 1_000, 59, [(333, (628, 39)), (333, (314, 20)), (334, (0, 0))]),
    # 3.6 % of 1050 are 37.8, and 40. Back are 37.14, 74.29 and 78 of the 78.
    ("JPY", 1_050, 78, [(500, (509, 41)), (500, (46, 4)), (50, (0, 0))]),
    # 2.5 % of 10500 are 262.5, and 100. Of the 363 hardly anything is back with 1 of 10500.
    ("KWD", 10_500, 363, [(1, (10_136, 363)), (10_498, (1, 0)), (1, (0, 0))]),
    # No fixed part.
    ("EUR", 1_000, 25, [(600, (390, 10)), (400, (0, 0))]),
]


@pytest.mark.parametrize(("currency", "amount", "fee", "refunds"), PROPORTIONAL_ROWS)
def test_refunds_give_back_their_share_of_the_fee(
    currency: str, amount: int, fee: int, refunds: list[tuple[int, tuple[int, int]]]
) -> None:
    shop = Shop(SCHEDULE, currency)
    payment_id = shop.paid(amount)
    assert (shop.fees_of(payment_id), shop.money) == (fee, (amount - fee, fee))
    for refunded, left in refunds:
        assert shop.refund(payment_id, refunded).status == 201
        assert shop.money == left
    assert shop.refund(payment_id, 1).refusal == (409, "amount_exceeds_refundable", None)


KEEP_ROWS = [
    ("USD", 1_000, 59, [333, 333, 275]),
    ("JPY", 1_050, 78, [500, 472]),
    ("KWD", 10_500, 363, [1, 10_136]),
]


@pytest.mark.parametrize(("currency", "amount", "fee", "refunds"), KEEP_ROWS)
def test_who_keeps_the_fee_gives_nothing_of_it_back(
    currency: str, amount: int, fee: int, refunds: list[int]
) -> None:
    """Refunds cost the seller all of their amount, so the last of them needs other money."""
    shop = Shop(KEEP, currency)
    payment_id = shop.paid(amount)
    for refunded in refunds:
        left, _ = shop.money
        assert shop.refund(payment_id, refunded).status == 201
        assert shop.money == (left - refunded, fee)
    assert shop.money == (0, fee)
    assert shop.refund(payment_id, fee).refusal == (402, "insufficient_funds", None)
    shop.paid(amount)
    assert shop.refund(payment_id, fee).status == 201
    assert shop.money == (amount - 2 * fee, 2 * fee)
    assert shop.refund(payment_id, 1).refusal == (409, "amount_exceeds_refundable", None)


def test_the_fixed_part_is_taken_once_and_never_more_than_was_captured() -> None:
    shop = Shop(SCHEDULE, "USD")
    payment_id = shop.paid(1_000, capture_method="manual")
    for amount, money in ((20, (0, 20)), (480, (455, 45)), (500, (941, 59))):
        shop.capture(payment_id, amount)
        assert shop.money == money


def test_a_payment_keeps_the_terms_under_which_it_was_accepted() -> None:
    shop = Shop(KEEP, "USD")
    before = shop.accepted(1_000)
    shop.agree(FeeSchedule(basis_points=0))
    after = shop.accepted(1_000)
    for payment_id, fee in ((before, 59), (after, 0)):
        shop.world.run(payment_id, *FORWARD)
        assert shop.fees_of(payment_id) == fee
    assert shop.refund(before, 1_000).status == 201
    assert shop.money == (1_000 - 59, 59)
