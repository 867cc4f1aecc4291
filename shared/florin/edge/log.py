"""One line of JSON for each thing worth telling, on standard output, where Lambda collects it.

A line never carries what a client sent: no body, no header, no key. That is also why an
unexpected exception is told by its type and the places it came through, not by its message,
which may quote the very state that it is about. What AWS answered is quoted: it is about us.
Should a card number stand in a line in spite of all that, it is struck out.
"""

import json
import os
from types import TracebackType

from florin.domain.cards import holds_card_number, redacted

QUIET = "ERROR"
"""The LOG_LEVEL at which only what went wrong is told."""


def line(kind: str, /, **fields: object) -> None:
    """Tell what was done."""
    if os.environ.get("LOG_LEVEL") != QUIET:
        _write("INFO", kind, fields)


def error(kind: str, /, **fields: object) -> None:
    """Tell what went wrong and was dealt with."""
    _write("ERROR", kind, fields)


def always(level: str, kind: str, /, **fields: object) -> None:
    """Tell what others count on, at every LOG_LEVEL."""
    _write(level, kind, fields)


def failure(kind: str, cause: BaseException, /, **fields: object) -> None:
    """Tell of an exception that nobody expected: what it was, and where."""
    said = str(cause) if type(cause).__module__.startswith("botocore") else None
    _write("ERROR", kind, fields | {"cause": _chain(cause), "said": said, "at": _places(cause)})


def _chain(cause: BaseException) -> str:
    """The types of an exception and of those that it came from, last first."""
    names = []
    link: BaseException | None = cause
    while link is not None:
        names.append(type(link).__name__)
        link = link.__cause__ or link.__context__
    return " from ".join(names)


def _places(cause: BaseException) -> list[str]:
    places = []
    step: TracebackType | None = cause.__traceback__
    while step is not None:
        module = step.tb_frame.f_globals.get("__name__", "?")
        places.append(f"{module}.{step.tb_frame.f_code.co_name}:{step.tb_lineno}")
        step = step.tb_next
    return places


def _write(level: str, kind: str, fields: dict[str, object]) -> None:
    text = json.dumps({"level": level, "kind": kind, **fields}, default=str)
    if "\\u" in text or holds_card_number(text):  # digits of other scripts are escaped
        text = json.dumps(_redacted(json.loads(text)))
    print(text, flush=True)


def _redacted(value: object) -> object:
    match value:
        case dict():
            return {redacted(name): _redacted(inner) for name, inner in value.items()}
        case list():
            return [_redacted(inner) for inner in value]
        case str():
            return redacted(value)
        case None | bool():
            return value
        case _:
            return redacted(text) if holds_card_number(text := str(value)) else value
