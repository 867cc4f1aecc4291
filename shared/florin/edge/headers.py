"""Headers of an event of API Gateway."""

from collections.abc import Mapping
from typing import Any


def headers_of(event: Mapping[str, Any]) -> Mapping[str, tuple[str, ...]]:
    """Each header's values by its name in lower case. An event may bring them once or twice."""
    found: dict[str, tuple[str, ...]] = {}
    for name, value in (event.get("headers") or {}).items():
        found[name.lower()] = (value,)
    for name, values in (event.get("multiValueHeaders") or {}).items():
        found[name.lower()] = tuple(values)
    return found
