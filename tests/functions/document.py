"""The API's document as tests use it: its schemas as JSON Schema, and the answers it allows."""

import json
from functools import cache
from typing import Any, Final

import yaml
from jsonschema import Draft202012Validator

from infra.paths import OPENAPI

Schema = dict[str, Any]

DOCUMENT: Final[Schema] = yaml.safe_load(OPENAPI.read_text(encoding="utf-8"))
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


@cache
def _validator(resource: str, method: str, status: int) -> Draft202012Validator:
    operation = DOCUMENT["paths"][resource][method]
    assert str(status) in operation["responses"], f"{method} {resource}: {status} is undocumented"
    content = operation["responses"][str(status)]["content"]
    return Draft202012Validator(resolved(content["application/json"]["schema"]))


def check_answer(method: str, resource: str, status: int, text: str) -> None:
    """Demand that the document allows this answer."""
    if resource in DOCUMENT["paths"]:
        _validator(resource, method.lower(), status).validate(json.loads(text))
