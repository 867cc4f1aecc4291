"""The API's document for its readers: OpenAPI 3.1, made from the 3.0 that API Gateway imports.

    PYTHONPATH=.:shared python -m infra.api_document DIRECTORY

writes `openapi.json`, and the same as a page to read: `docs.html`, with `docs.csp`, the policy that
it is served under. The build of the layer does so.

infra/openapi.yaml is the source, in what API Gateway understands. Here it gets what follows from
it: an example and the exact list of codes for each error, the errors that the gateway itself gives
on every call, references where the gateway wants repetition, and links between calls.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

import msgspec
import yaml

from florin.domain.refusals import Refusal
from florin.edge import requests
from florin.edge.http import ERROR_TYPES, RETRY_AFTER_S, STATUS
from infra import api_page
from infra.paths import OPENAPI

Json = dict[str, Any]

VERSION: Final = "3.1.1"
METHODS: Final = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
GATEWAY_RESPONSES: Final = "x-amazon-apigateway-gateway-responses"
OTHER_PATHS: Final = frozenset({Refusal.ROUTE_NOT_FOUND})
"""What the gateway says where no call is, also to a caller whose id is empty or has a slash."""
SOMETIMES: Final = frozenset({"Idempotent-Replayed"})
"""The headers that an answer may be without; all others are always there where they are told."""
OF_THE_KEY: Final = frozenset({Refusal.UNAUTHENTICATED, Refusal.FORBIDDEN})
REQUEST_ID: Final = "c6af9ac6-7b61-11e6-9a41-93e8deadbeef"

SAME: Final = frozenset(
    {
        *("$ref", "type", "format", "description", "title", "default", "enum", "required"),
        *("minimum", "maximum", "minLength", "maxLength", "pattern"),
        *("minItems", "maxItems", "maxProperties"),
    }
)
"""The keywords of a schema that mean the same in both versions."""


class DocumentError(Exception):
    """The source says what cannot be said in 3.1 without a thought."""


def served(source: str) -> Json:
    """The document that readers get."""
    document = yaml.safe_load(source)
    gateway = gateway_codes(document)
    schemes = caller_schemes(document)
    document = without_gateway_keys(document)
    document["security"] = _asked_of_callers(document["security"], schemes)
    for _, _, operation in operations(document):
        if "security" in operation:
            operation["security"] = _asked_of_callers(operation["security"], schemes)
    schemas = document["components"]["schemas"]
    return {
        "openapi": VERSION,
        "info": document["info"],
        "servers": [{"url": "/v1", "description": "The stage, on the host that served this."}],
        "security": document["security"],
        "tags": document["tags"],
        "paths": {
            path: {
                method: _operation(operation, gateway, document)
                for method, operation in item.items()
            }
            for path, item in document["paths"].items()
        },
        "components": {
            "securitySchemes": {
                name: {
                    "type": "http",
                    "scheme": "bearer",
                    "description": scheme["description"],
                }
                for name, scheme in document["components"]["securitySchemes"].items()
                if name in schemes
            },
            "headers": _headers(document),
            "examples": {refusal.value: _example(refusal) for refusal in sorted(Refusal)},
            "schemas": {
                name: _with_property_names(name, schema_31(schema))
                for name, schema in schemas.items()
            },
        },
    }


def without_gateway_keys(node: Any) -> Any:
    if isinstance(node, dict):
        return {
            key: without_gateway_keys(value)
            for key, value in node.items()
            if not str(key).startswith("x-amazon-")
        }
    if isinstance(node, list):
        return [without_gateway_keys(value) for value in node]
    return node


def caller_schemes(document: Json) -> frozenset[str]:
    """The security schemes that are about callers: an authorizer looks at what they send. Others
    are between the gateway and its authorizer.
    """
    return frozenset(
        name
        for name, scheme in document["components"]["securitySchemes"].items()
        if "x-amazon-apigateway-authorizer" in scheme
    )


def _asked_of_callers(security: list[Json], schemes: frozenset[str]) -> list[Json]:
    return [
        {name: scopes for name, scopes in either.items() if name in schemes} for either in security
    ]


def operations(document: Json) -> Iterator[tuple[str, str, Json]]:
    """Method, path and operation of every call."""
    for path, item in document["paths"].items():
        for method in METHODS:
            if method in item:
                yield method.upper(), path, item[method]


# Schemas.


def schema_31(schema: Json) -> Json:
    """A schema of OpenAPI 3.0 in the words of JSON Schema 2020-12, which are those of 3.1."""
    new: Json = {}
    for key, value in schema.items():
        match key, value:
            case "properties", dict():
                new[key] = {name: schema_31(inner) for name, inner in value.items()}
            case (("items" | "additionalProperties"), dict()):
                new[key] = schema_31(value)
            case "additionalProperties", bool():
                new[key] = value
            case "anyOf", list():
                new[key] = [schema_31(inner) for inner in value]
            case "example", _:
                new["examples"] = [value]
            case "nullable", bool():
                pass
            case _ if key in SAME:
                new[key] = value
            case _:
                raise DocumentError(f"whether {key} means the same in 3.1 is not known here")
    if schema.get("nullable"):
        new["type"] = [new["type"], "null"]
        if "enum" in new and None not in new["enum"]:
            new["enum"] = [*new["enum"], None]
    return new


def _with_property_names(name: str, schema: Json) -> Json:
    """What is asked of the keys of a map, for which 3.0 has no word; the struct knows it."""
    struct = getattr(requests, name, None)
    if not (isinstance(struct, type) and issubclass(struct, msgspec.Struct)):
        return schema
    made = msgspec.json.schema(struct)["$defs"][name].get("properties", {})
    for field, wanted in made.items():
        if "propertyNames" in wanted:
            schema["properties"][field]["propertyNames"] = wanted["propertyNames"]
    return schema


# Operations.


def _operation(operation: Json, gateway: frozenset[Refusal], document: Json) -> Json:
    new = {
        key: value
        for key, value in operation.items()
        if key not in ("parameters", "requestBody", "responses")
    }
    if "parameters" in operation:
        new["parameters"] = [
            parameter | {"schema": schema_31(parameter["schema"])}
            for parameter in operation["parameters"]
        ]
    if "requestBody" in operation:
        body = operation["requestBody"]
        new["requestBody"] = body | {"content": _content(body["content"])}
    own = gateway if _needs_a_key(operation, document) else gateway - OF_THE_KEY
    if any(parameter["in"] == "path" for parameter in operation.get("parameters", ())):
        own |= OTHER_PATHS
    new["responses"] = dict(sorted(_responses(operation, own, document)))
    return new


def _needs_a_key(operation: Json, document: Json) -> bool:
    return bool(operation.get("security", document["security"]))


def _content(content: Json) -> Json:
    return {
        kind: medium | {"schema": schema_31(medium["schema"])} for kind, medium in content.items()
    }


def _responses(
    operation: Json, gateway: frozenset[Refusal], document: Json
) -> Iterator[tuple[str, Json]]:
    added: dict[HTTPStatus, list[Refusal]] = {}
    for refusal in sorted(gateway):
        added.setdefault(STATUS[refusal], []).append(refusal)
    for status, response in operation["responses"].items():
        if int(status) < HTTPStatus.BAD_REQUEST:
            success = response | {
                "headers": _references(response["headers"]),
                "content": _content(response["content"]),
            }
            links = dict(_links(response, document))
            yield status, success | ({"links": links} if links else {})
            continue
        codes = codes_in(response["description"])
        more = [
            refusal for refusal in added.pop(HTTPStatus(int(status)), ()) if refusal not in codes
        ]
        description = response["description"].rstrip()
        if more:
            description += f" Or {_told(more)}"
        yield status, _error(operation, description, [*codes, *more], response["headers"])
    for status_added, refusals in added.items():
        headers = ["X-Request-Id"]
        if status_added in RETRY_AFTER_S:
            headers.append("Retry-After")
        yield str(int(status_added)), _error(operation, _told(refusals), refusals, headers)


def codes_in(description: str) -> list[Refusal]:
    """The codes that an error's description names."""
    return [Refusal.named(code) for code in re.findall(r"`(\w+)`", description)]


def gateway_codes(document: Json) -> frozenset[Refusal]:
    """What API Gateway answers to any call before a function is asked, or instead of it."""
    bodies = (
        json.loads(response["responseTemplates"]["application/json"])
        for response in document[GATEWAY_RESPONSES].values()
    )
    return frozenset(Refusal.named(body["error"]["code"]) for body in bodies) - OTHER_PATHS


def _told(refusals: list[Refusal]) -> str:
    return "; ".join(f"`{refusal}`: {refusal.sentence}" for refusal in refusals)


def _error(
    operation: Json,
    description: str,
    refusals: list[Refusal],
    headers: Mapping[str, Any] | list[str],
) -> Json:
    types = {ERROR_TYPES[STATUS[refusal]] for refusal in refusals}
    narrowed = {
        "type": {"enum": sorted(types)},
        "code": {"enum": sorted(refusals)},
    }
    return {
        "description": description,
        "headers": _references(headers),
        "content": {
            "application/json": {
                "schema": {
                    "allOf": [
                        {"$ref": "#/components/schemas/Error"},
                        {"properties": {"error": {"properties": narrowed}}},
                    ]
                },
                "examples": {
                    refusal.value: _example_in(operation, refusal) for refusal in refusals
                },
            }
        },
    }


def _references(headers: Mapping[str, Any] | list[str]) -> Json:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in headers}


def _headers(document: Json) -> Json:
    """Every header once. The gateway's copies of it have to be equal."""
    found: Json = {}
    for _, _, operation in operations(document):
        for response in operation["responses"].values():
            for name, told in response["headers"].items():
                header = told | {"required": name not in SOMETIMES}
                if found.setdefault(name, header) != header:
                    raise DocumentError(f"{name} is described in two ways")
    return found


def _links(response: Json, document: Json) -> Iterator[tuple[str, Json]]:
    """The calls that take an id out of this answer in their path."""
    reference = response["content"].get("application/json", {}).get("schema", {}).get("$ref", "")
    schema = document["components"]["schemas"].get(reference.rpartition("/")[2], {})
    for _, _, target in operations(document):
        for parameter in target.get("parameters", ()):
            name = parameter["name"]
            if parameter["in"] == "path" and name in schema.get("required", ()):
                yield (
                    target["operationId"],
                    {
                        "operationId": target["operationId"],
                        "parameters": {name: f"$response.body#/{name}"},
                        "description": target["summary"],
                    },
                )


# Examples of errors.


def _example(refusal: Refusal, param: str | None = None) -> Json:
    status = STATUS[refusal]
    details = {
        "type": ERROR_TYPES[status].value,
        "code": refusal.value,
        "message": refusal.sentence,
        "param": param,
        "transient": refusal.transient,
        "request_id": REQUEST_ID,
    }
    return {"summary": refusal.sentence, "value": {"error": details}}


def _example_in(operation: Json, refusal: Refusal) -> Json:
    """The example that all calls share, or one that names a parameter of this call."""
    param = _param(operation, refusal)
    if param is None:
        return {"$ref": f"#/components/examples/{refusal.value}"}
    return _example(refusal, param)


def _param(operation: Json, refusal: Refusal) -> str | None:
    parameters = [
        parameter["name"]
        for parameter in operation.get("parameters", ())
        if parameter["in"] == "query"
    ]
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
    names: list[str] = [*body.get("example", {}), *parameters]
    match refusal:
        case Refusal.PARAMETER_UNKNOWN:
            return "colour"
        case Refusal.PARAMETER_MISSING | Refusal.PARAMETER_INVALID if names:
            return names[0]
        case Refusal.CARD_DATA:
            return "x-note" if not names else names[-1]
        case Refusal.CURRENCY_UNKNOWN | Refusal.CURRENCY_DIFFERS:
            return "currency"
        case _:
            return None


def write(out: Path) -> None:
    """Write the document, its page and the page's policy into a directory."""
    document = served(OPENAPI.read_text(encoding="utf-8"))
    page = api_page.rendered(document)
    out.mkdir(parents=True, exist_ok=True)
    (out / "openapi.json").write_text(json.dumps(document) + "\n", encoding="utf-8")
    (out / "docs.html").write_text(page.html, encoding="utf-8")
    (out / "docs.csp").write_text(page.policy, encoding="utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
