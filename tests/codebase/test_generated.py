"""Files that are written by a program are as it would write them now."""

from florin.domain.currencies import EXPONENTS
from infra import currencies, refusals_doc


def test_the_table_of_currencies_is_that_of_iso_4217() -> None:
    assert currencies.exponents() == EXPONENTS
    assert currencies.TABLE.read_text(encoding="utf-8") == currencies.rendered()


def test_currencies_have_the_minor_units_that_one_expects() -> None:
    expected = {"EUR": 2, "USD": 2, "GBP": 2, "JPY": 0, "KWD": 3, "CLF": 4}
    assert {code: EXPONENTS[code] for code in expected} == expected
    assert not EXPONENTS.keys() & {"XAU", "XAG", "XDR", "XTS", "XXX"}


def test_the_page_of_refusals_is_current() -> None:
    assert refusals_doc.DOCUMENT.read_text(encoding="utf-8") == refusals_doc.rendered(), (
        "run `PYTHONPATH=shared python -m infra.refusals_doc`"
    )
