"""The single checks: each difference is one finding, and no difference is none."""

from florin.domain.ledger import Account, Leg, Side
from florin.domain.money import Money
from florin.domain.verification import (
    Fault,
    Finding,
    Standing,
    Total,
    check_entry,
    check_guard,
    check_leg,
    check_line,
    check_total,
)

SILK, WOOL = Account("wallet:acct_silk"), Account("wallet:acct_wool")


def leg(side: Side, minor: int, currency: str = "EUR", account: Account = SILK) -> Leg:
    return Leg(account=account, side=side, amount=Money(minor, currency))


def test_an_entry_sums_to_zero_in_each_currency() -> None:
    euros = [leg(Side.DEBIT, 10), leg(Side.CREDIT, 7), leg(Side.CREDIT, 3)]
    assert list(check_entry("pay_1:6", euros)) == []
    yen = [leg(Side.DEBIT, 10, "JPY"), leg(Side.CREDIT, 9, "JPY")]
    assert list(check_entry("pay_1:6", euros + yen)) == [
        Finding(fault=Fault.ENTRY_UNBALANCED, at="pay_1:6", expected="10 JPY", found="9 JPY")
    ]
    # What is missing in one currency is not there in another.
    assert len(list(check_entry("pay_1:6", [leg(Side.DEBIT, 5), leg(Side.CREDIT, 5, "JPY")]))) == 2


def test_a_leg_and_its_line() -> None:
    known = leg(Side.CREDIT, 97)
    assert list(check_leg("pay_1:6", known, known, booked=True)) == []
    assert list(check_leg("pay_1:6", known, None, booked=False)) == []
    (missing,) = check_leg("pay_1:6", known, None, booked=True)
    assert (missing.fault, missing.at) == (Fault.LINE_MISSING, f"{SILK} pay_1:6")
    for other in (leg(Side.DEBIT, 97), leg(Side.CREDIT, 98), leg(Side.CREDIT, 97, "JPY")):
        (differs,) = check_leg("pay_1:6", known, other, booked=False)
        assert differs.fault is Fault.LINE_DIFFERS


def test_a_line_and_its_entry() -> None:
    line = leg(Side.CREDIT, 97)
    assert list(check_line("pay_1:6", line, [leg(Side.DEBIT, 97, account=WOOL), line])) == []
    for legs in (None, [], [leg(Side.CREDIT, 97, account=WOOL)]):
        (finding,) = check_line("pay_1:6", line, legs)
        assert finding.fault is Fault.LINE_WITHOUT_ENTRY
    (finding,) = check_line("pay_1:6", line, [leg(Side.CREDIT, 98)])
    assert finding.fault is Fault.LINE_DIFFERS


def test_a_guard_lets_be_spent_what_is_there() -> None:
    standing = Standing(spendable_minor=60, balance_minor=100, number=3, min_balance_minor=10)
    assert list(check_guard(SILK, standing, 30)) == []
    assert not standing.is_at_rest
    assert list(check_guard(SILK, standing, 0)) == [
        Finding(fault=Fault.GUARD, at=SILK, expected="90", found="60")
    ]
    overdrawn = Standing(spendable_minor=600, balance_minor=100, number=3, min_balance_minor=-500)
    assert overdrawn.is_at_rest


def test_a_total_lies_between_its_readings() -> None:
    journal = Total(10, 20)
    assert list(check_total("fees EUR", journal, Total(10, 20), Total(10, 20))) == []
    assert list(check_total("fees EUR", journal, Total(9, 20), Total(11, 25))) == []
    (finding,) = check_total("fees EUR", journal, Total(10, 21), Total(10, 25))
    assert finding == Finding(
        fault=Fault.TOTAL_CREDITS, at="fees EUR", expected="20", found="21 to 25"
    )
    (finding,) = check_total("fees EUR", journal, Total(9, 20), Total(9, 20))
    assert (finding.fault, finding.found) == (Fault.TOTAL_DEBITS, "9")
