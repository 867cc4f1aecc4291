"""The document that readers get: valid OpenAPI 3.1, complete, and no less than the source says."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from florin.domain.refusals import Refusal
from florin.edge.http import ERROR_TYPES, RETRY_AFTER_S, STATUS
from infra.api_document import (
    OF_THE_KEY,
    DocumentError,
    codes_in,
    gateway_codes,
    operations,
    schema_31,
    served,
)
from tests.functions.document import DOCUMENT, SERVED, Schema, of_served

OPERATIONS = {f"{method} {path}": operation for method, path, operation in operations(SERVED)}
SOURCE = {f"{method} {path}": operation for method, path, operation in operations(DOCUMENT)}


def responses() -> Iterator[Any]:
    for call, operation in OPERATIONS.items():
        for status, response in operation["responses"].items():
            yield pytest.param(call, int(status), response, id=f"{call} {status}")


ERRORS = [found for found in responses() if found.values[1] >= 400]
SUCCESSES = [found for found in responses() if found.values[1] < 400]


def test_it_is_openapi_3_1() -> None:
    # Imported here: it is slow, and nothing else needs it.
    from openapi_spec_validator import OpenAPIV31SpecValidator  # noqa: PLC0415

    assert SERVED["openapi"].startswith("3.1.")
    OpenAPIV31SpecValidator(SERVED).validate()


def test_every_schema_is_json_schema() -> None:
    for schema in SERVED["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)


def test_nothing_of_the_gateways_is_in_it() -> None:
    text = json.dumps(SERVED)
    assert "x-amazon" not in text
    assert "nullable" not in text
    assert "Fn::Sub" not in text


def test_every_call_is_in_it_as_the_source_has_it() -> None:
    assert list(OPERATIONS) == list(SOURCE)
    for call, operation in OPERATIONS.items():
        for word in ("operationId", "summary", "description", "tags"):
            assert operation.get(word) == SOURCE[call].get(word)
        public = SOURCE[call].get("security") == []
        assert operation.get("security", SERVED["security"]) == ([] if public else [{"ApiKey": []}])
        assert operation["responses"].keys() >= SOURCE[call]["responses"].keys()
        assert ("requestBody" in operation) == ("requestBody" in SOURCE[call])


@pytest.mark.parametrize(("call", "status", "response"), ERRORS)
def test_an_error_has_its_codes_and_an_example_of_each(
    call: str, status: int, response: Schema
) -> None:
    codes = set(codes_in(response["description"]))
    content = response["content"]["application/json"]
    error = of_served(content["schema"])
    assert content["examples"].keys() == codes
    for code, example in content["examples"].items():
        value = told(example)
        error.validate(value)
        refusal = Refusal.named(code)
        assert int(STATUS[refusal]) == status
        details = value["error"]
        assert (details["code"], details["message"]) == (code, refusal.sentence)
        assert (details["type"], details["transient"]) == (
            ERROR_TYPES[STATUS[refusal]],
            refusal.transient,
        )
    for other in set(Refusal) - codes:
        example = told(SERVED["components"]["examples"][other])
        assert not error.is_valid(example), "only what the description names"


def told(example: Schema) -> Any:
    if "$ref" in example:
        example = SERVED["components"]["examples"][example["$ref"].rpartition("/")[2]]
    return example["value"]


@pytest.mark.parametrize(("call", "status", "response"), list(responses()))
def test_an_answer_has_its_headers(call: str, status: int, response: Schema) -> None:
    for name, header in response["headers"].items():
        assert header == {"$ref": f"#/components/headers/{name}"}
        described = SERVED["components"]["headers"][name]
        assert described["description"]
        assert described["required"] == (name != "Idempotent-Replayed")
    assert "X-Request-Id" in response["headers"]
    assert ("Retry-After" in response["headers"]) == (status in RETRY_AFTER_S)
    if call.startswith("GET "):
        assert "Idempotent-Replayed" not in response["headers"]


@pytest.mark.parametrize("call", OPERATIONS)
def test_a_call_has_every_error_that_the_gateway_gives_to_all(call: str) -> None:
    operation = OPERATIONS[call]
    wanted = gateway_codes(DOCUMENT)
    assert {"rate_limited", "internal", "unavailable", "body_too_large"} < wanted
    if operation.get("security") == []:
        wanted -= OF_THE_KEY
    if "{" in call:
        wanted |= {Refusal.ROUTE_NOT_FOUND}  # where an id is empty
    documented = {
        code
        for response in operation["responses"].values()
        for code in response["content"].get("application/json", {}).get("examples", ())
    }
    assert wanted <= documented
    assert (operation.get("security") == []) == ("401" not in operation["responses"])


@pytest.mark.parametrize(("call", "status", "response"), SUCCESSES)
def test_a_success_has_an_example_that_is_valid(call: str, status: int, response: Schema) -> None:
    content = response["content"].get("application/json")
    if content is None or "example" not in content:
        assert call in {"GET /openapi.json", "GET /docs"}, "which show themselves"
        return
    of_served(content["schema"]).validate(content["example"])


@pytest.mark.parametrize("call", OPERATIONS)
def test_what_is_sent_has_examples_that_are_valid(call: str) -> None:
    operation = OPERATIONS[call]
    for parameter in operation.get("parameters", ()):
        of_served(parameter["schema"]).validate(parameter["example"])
    if "requestBody" in operation:
        content = operation["requestBody"]["content"]["application/json"]
        of_served(content["schema"]).validate(content["example"])


def test_a_link_names_a_call_and_what_its_path_takes() -> None:
    calls = {operation["operationId"]: call for call, operation in OPERATIONS.items()}
    links = {
        (operation["operationId"], name): link
        for operation in OPERATIONS.values()
        for response in operation["responses"].values()
        for name, link in response.get("links", {}).items()
    }
    assert ("createPayment", "getPayment") in links
    assert ("createHold", "captureHold") in links
    for link in links.values():
        assert link["parameters"].keys() == {*re.findall(r"{(\w+)}", calls[link["operationId"]])}


def test_what_only_the_gateway_sees_is_asked_of_nobody() -> None:
    source = copy.deepcopy(DOCUMENT)
    source["components"]["securitySchemes"]["Counted"] = {"type": "apiKey", "name": "x-api-key"}
    source["paths"]["/payments"]["get"]["security"] = [{"ApiKey": [], "Counted": []}]
    document = served(yaml.safe_dump(source))
    assert document["components"]["securitySchemes"].keys() == {"ApiKey"}
    assert document["paths"]["/payments"]["get"]["security"] == [{"ApiKey": []}]


def test_a_key_is_a_bearer_token() -> None:
    (scheme,) = SERVED["components"]["securitySchemes"].values()
    assert (scheme["type"], scheme["scheme"]) == ("http", "bearer")


def test_the_keys_of_a_map_are_described_where_3_0_has_no_word_for_it() -> None:
    metadata = SERVED["components"]["schemas"]["PaymentRequest"]["properties"]["metadata"]
    assert metadata["propertyNames"] == {"minLength": 1, "maxLength": 40}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ({"type": "string", "nullable": True}, {"type": ["string", "null"]}),
        (
            {"type": "string", "nullable": True, "enum": ["a"]},
            {"type": ["string", "null"], "enum": ["a", None]},
        ),
        ({"type": "string", "example": "a"}, {"type": "string", "examples": ["a"]}),
        (
            {"properties": {"nullable": {"type": "string", "nullable": True}}},
            {"properties": {"nullable": {"type": ["string", "null"]}}},
        ),
        (
            {"type": "array", "items": {"type": "integer", "nullable": True}},
            {"type": "array", "items": {"type": ["integer", "null"]}},
        ),
    ],
)
def test_a_schema_says_the_same_in_3_1(old: Schema, new: Schema) -> None:
    assert schema_31(old) == new


def test_a_keyword_that_changed_its_meaning_is_not_passed_on() -> None:
    with pytest.raises(DocumentError, match="exclusiveMinimum"):
        schema_31({"type": "integer", "minimum": 0, "exclusiveMinimum": True})
