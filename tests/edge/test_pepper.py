"""Keyed hashes."""

import hashlib
import hmac
from base64 import urlsafe_b64encode

from hypothesis import given, settings
from hypothesis import strategies as st

from florin.edge.pepper import fingerprint, key_hash

BODY = {"amount": 1_000, "currency": "EUR", "metadata": {"a": "1", "b.c": "2"}}


def test_each_leaf_has_a_hash_under_its_path() -> None:
    hashes = fingerprint(b"pepper", BODY)
    assert list(hashes) == ["amount", "currency", "metadata.a", "metadata.b.c"]
    expected = hmac.new(b"pepper", b'field:["amount",1000]', hashlib.sha256).digest()[:9]
    assert hashes["amount"] == urlsafe_b64encode(expected).decode()


def test_a_key_is_hashed_under_its_own_label() -> None:
    expected = hmac.new(b"pepper", b"api-key:sk_test_1", hashlib.sha256).hexdigest()
    assert key_hash(b"pepper", "sk_test_1") == expected


def test_equal_values_of_two_fields_have_two_hashes() -> None:
    hashes = fingerprint(b"pepper", {"customer": "7", "order_id": "7"})
    assert hashes["customer"] != hashes["order_id"]


def test_a_number_is_not_its_text() -> None:
    assert fingerprint(b"pepper", {"a": 1}) != fingerprint(b"pepper", {"a": "1"})


def test_another_pepper_gives_other_hashes() -> None:
    mine, theirs = fingerprint(b"pepper", BODY), fingerprint(b"salt", BODY)
    assert mine.keys() == theirs.keys()
    assert not set(mine.values()) & set(theirs.values())


@settings(deadline=None)
@given(st.dictionaries(st.text(), st.text()), st.dictionaries(st.text(), st.text()))
def test_fingerprints_are_equal_for_equal_fields_only(
    one: dict[str, str], other: dict[str, str]
) -> None:
    assert (fingerprint(b"p", one) == fingerprint(b"p", other)) == (one == other)
