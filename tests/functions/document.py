"""The API's document as tests use it: as API Gateway gets it, as readers get it, its schemas as
JSON Schema, and the answers it allows.
"""

import json
from collections.abc import Mapping
from functools import cache
from typing import Any, Final

import yaml
from jsonschema import Draft202012Validator

from infra.api_document import served
from infra.paths import OPENAPI

Schema = dict[str, Any]

DOCUMENT: Final[Schema] = yaml.safe_load(OPENAPI.read_text(encoding="utf-8"))
SERVED: Final[Schema] = served(OPENAPI.read_text(encoding="utf-8"))
SCHEMAS: Final[dict[str, Schema]] = DOCUMENT["components"]["schemas"]

FOR_PEOPLE: Final = frozenset({"description", "example", "title"})


def resolved(schema: Schema, schemas: dict[str, Schema] | None = None) -> Schema:
    """A schema with what it refers to in its place, without what is for people.

    OpenAPI 3.0's `nullable` becomes JSON Schema's null.
    """
    schemas = SCHEMAS if schemas is None else schemas
    if "$ref" in schema:
        return resolved(schemas[schema["$ref"].rpartition("/")[2]], schemas)
    plain: Schema = {}
    for key, value in schema.items():
        match key, value:
            case "properties", dict():
                plain[key] = {name: resolved(inner, schemas) for name, inner in value.items()}
            case (("items" | "additionalProperties"), dict()):
                plain[key] = resolved(value, schemas)
            case "anyOf", list():
                plain[key] = [resolved(inner, schemas) for inner in value]
            case (("required" | "enum"), list()):
                plain[key] = sorted(value, key=str)
            case _ if key not in FOR_PEOPLE | {"nullable"}:
                plain[key] = value
    if not schema.get("nullable"):
        return plain
    if "enum" in plain:
        plain["enum"] = [value for value in plain["enum"] if value is not None]
    return {"anyOf": [plain, {"type": "null"}]}


def of_served(schema: Schema) -> Draft202012Validator:
    """What checks against a schema that stands in the served document."""
    return Draft202012Validator({**schema, "components": SERVED["components"]})


def served_response(resource: str, method: str, status: int) -> Schema:
    """What the served document says of an answer."""
    operation = SERVED["paths"][resource][method.lower()]
    assert str(status) in operation["responses"], f"{method} {resource}: {status} is undocumented"
    response: Schema = operation["responses"][str(status)]
    return response


@cache
def _validator(resource: str, method: str, status: int) -> Draft202012Validator:
    response = served_response(resource, method, status)
    return of_served(response["content"]["application/json"]["schema"])


def check_answer(
    method: str, resource: str, status: int, headers: Mapping[str, str], text: str
) -> None:
    """Demand that the document as it is served allows this answer."""
    if resource not in SERVED["paths"]:
        return
    _validator(resource, method, status).validate(json.loads(text))
    documented = served_response(resource, method, status)["headers"].keys()
    assert headers.keys() - {"Content-Type"} <= documented
    assert "X-Request-Id" in headers
    assert ("Retry-After" in documented) == ("Retry-After" in headers)
