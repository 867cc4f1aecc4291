"""The API's document as its readers get it: programs as JSON, people as a page.

The build of the layer makes the files from infra/openapi.yaml. Where there is no built layer there
are no files, and asking for them raises FileNotFoundError.
"""

from dataclasses import dataclass
from functools import cache


@dataclass(frozen=True, slots=True)
class Page:
    """The document as HTML, and the Content-Security-Policy that fits it."""

    html: str
    policy: str


@cache
def document() -> str:
    """The document as JSON."""
    return _read("openapi.json")


@cache
def page() -> Page:
    return Page(html=_read("docs.html"), policy=_read("docs.csp"))


def _read(name: str) -> str:
    # Not at the top: hardly any request asks for the document.
    from importlib.resources import files  # noqa: PLC0415

    return files("florin.edge").joinpath(name).read_text(encoding="utf-8")
