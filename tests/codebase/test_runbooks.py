"""Whoever is woken at night finds what the pages promise: links lead somewhere, commands exist."""

import re
from pathlib import Path

import pytest

from florin.edge.metrics import Metric
from infra.paths import ROOT

FOLDER = ROOT / "docs" / "runbooks"
PAGES = sorted(FOLDER.rglob("*.md"))
PARTS = ("**Rings when** ", "**What it means.** ", "**Look.** ", "**Do.** ", "**It is over when** ")


def anchors(text: str) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(FOLDER)))
def test_every_link_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if "://" in target:
            continue
        name, _, anchor = target.partition("#")
        found = (page.parent / name).resolve() if name else page
        assert found.exists(), target
        if anchor:
            assert anchor in anchors(found.read_text(encoding="utf-8")), target


@pytest.mark.parametrize("page", sorted((FOLDER / "alarms").glob("*.md")), ids=lambda p: p.stem)
def test_a_page_of_an_alarm_says_all_that_one_wants_to_know(page: Path) -> None:
    paragraphs = page.read_text(encoding="utf-8").strip().split("\n\n")[1:]
    assert len(paragraphs) == len(PARTS)
    for paragraph, part in zip(paragraphs, PARTS, strict=True):
        assert paragraph.startswith(part)
        assert len(paragraph) > len(part) + 20


def test_every_page_is_found_from_the_first() -> None:
    first = (FOLDER / "README.md").read_text(encoding="utf-8")
    for page in FOLDER.glob("*.md"):
        assert page.name == "README.md" or f"]({page.name})" in first, page.name


def test_every_metric_is_explained() -> None:
    first = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `(\w+)`", first, re.MULTILINE)) == set(Metric)


def test_the_commands_of_the_pages_are_those_of_the_makefile() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for page in PAGES:
        for target in re.findall(
            r"(?:^|`)make ([a-z-]+)", page.read_text(encoding="utf-8"), re.MULTILINE
        ):
            assert re.search(rf"^{target}:", makefile, re.MULTILINE), f"{page.name}: {target}"
