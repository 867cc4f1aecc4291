"""The API's page: everything is on it, it is whole without a script, and it asks nobody."""

from __future__ import annotations

import base64
import hashlib
import re
from collections import Counter
from html.parser import HTMLParser

import pytest

from florin.domain.refusals import Refusal
from infra.api_document import operations
from infra.api_page import rendered
from tests.functions.document import SERVED

PAGE = rendered(SERVED)
EMPTY = {"meta", "link", "br"}
OPERATIONS = [operation for _, _, operation in operations(SERVED)]


class Reader(HTMLParser):
    """Reads a page strictly: what is opened is closed, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: Counter[str] = Counter()
        self.links: set[str] = set()
        self.attributes: set[tuple[str, str]] = set()
        self.inside: dict[str, str] = {}
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in EMPTY:
            self.open.append(tag)
        for name, value in attrs:
            self.attributes.add((tag, name))
            if name == "id":
                self.ids[value or ""] += 1
            if name in {"href", "src"}:
                self.links.add(value or "")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, self.getpos()

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] in {"style", "script"}:
            self.inside[self.open[-1]] = self.inside.get(self.open[-1], "") + data
        else:
            self.text += f" {data}"


@pytest.fixture(scope="module")
def read() -> Reader:
    reader = Reader()
    reader.feed(PAGE.html)
    reader.close()
    return reader


def test_the_page_is_well_formed(read: Reader) -> None:
    assert PAGE.html.startswith("<!DOCTYPE html>")
    assert read.open == []
    assert set(read.ids.values()) == {1}


def test_every_call_and_every_error_is_on_it(read: Reader) -> None:
    for operation in OPERATIONS:
        assert read.ids[operation["operationId"]]
        assert f"#{operation['operationId']}" in read.links
        assert operation["summary"] in read.text
        for parameter in operation.get("parameters", ()):
            assert parameter["name"] in read.text
    for refusal in Refusal:
        assert read.ids[f"error-{refusal}"]
        assert refusal.sentence in read.text


def test_every_field_is_on_it(read: Reader) -> None:
    words = set(re.findall(r"[\w-]+", read.text))
    for schema in SERVED["components"]["schemas"].values():
        assert schema.get("properties", {}).keys() <= words


def test_links_lead_somewhere_on_the_page_or_to_the_document(read: Reader) -> None:
    elsewhere = {link for link in read.links if not link.startswith("#")}
    assert elsewhere == {"openapi.json", "data:,"}
    assert {link[1:] for link in read.links if link.startswith("#")} <= read.ids.keys()


def test_the_policy_lets_in_what_is_on_the_page_and_nothing_else(read: Reader) -> None:
    directives = dict(part.split(" ", 1) for part in PAGE.policy.split("; "))
    assert directives == {
        "default-src": "'none'",
        "style-src": f"'{digest(read.inside['style'])}'",
        "script-src": f"'{digest(read.inside['script'])}'",
        "img-src": "data:",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }
    names = {name for _, name in read.attributes}
    assert "style" not in names, "a policy by hashes has no place for it"
    assert not {name for name in names if name.startswith("on")}
    assert not re.search(r"url\(|@import|://(?!…)", read.inside["style"])


def digest(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def test_nothing_needs_the_script(read: Reader) -> None:
    assert "hidden" not in {name for _, name in read.attributes}
    assert "button" not in {tag for tag, _ in read.attributes}, "the script makes its own"


def test_what_the_document_says_is_text() -> None:
    changed = SERVED | {"info": SERVED["info"] | {"description": "<script>alert(1)</script> `<b>`"}}
    html = rendered(changed).html
    assert "&lt;script&gt;alert(1)" in html
    assert "<code>&lt;b&gt;</code>" in html
