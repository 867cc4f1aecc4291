"""Requests that Schemathesis thinks of from the API's document, and what answers have to be."""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any, Final

import schemathesis
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

CHECKS: Final = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]


def examples(number: int) -> settings:
    """So many of an operation. What Schemathesis thinks of is not ours to make cheaper."""
    return settings(deadline=None, max_examples=number, suppress_health_check=list(HealthCheck))


def modes(operation: Any) -> list[GenerationMode]:
    """Requests as the document allows them; and others, where there is anything to get wrong."""
    if operation.body or list(operation.iter_parameters()):
        return list(GenerationMode)
    return [GenerationMode.POSITIVE]


def schema_of(document: dict[str, Any]) -> Any:
    return schemathesis.openapi.from_dict(deepcopy(document))  # it writes into its own


def blended(
    case: Any,
    data: st.DataObject,
    *,
    path: Mapping[str, str],
    query: Mapping[str, str],
    body: Mapping[str, Any],
) -> Any:
    """A request in which some values, mostly all, are those of a call that succeeds: made up ones
    alone would seldom get past the first check.
    """
    for part, values in ((case.path_parameters, path), (case.query, query), (case.body, body)):
        if not isinstance(part, dict):
            continue
        for name, value in values.items():
            if data.draw(st.sampled_from([True, True, True, False]), label=f"good {name}"):
                part[name] = value
    return case
