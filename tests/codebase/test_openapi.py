"""The API's document, the routes and the structs say the same."""

import json
import re
from collections.abc import Iterator
from typing import Any

import botocore.session
import msgspec
import pytest
import yaml
from jsonschema import Draft202012Validator

from api.routes import ROUTES
from florin.domain.refusals import Refusal
from florin.edge import answers, http, requests
from florin.edge.http import ERROR_TYPES, RETRY_AFTER_S, STATUS
from florin.edge.ids import is_account_id, is_payment_id
from infra.api_document import served
from infra.paths import OPENAPI, TEMPLATE
from tests.functions.document import DOCUMENT, SCHEMAS, Schema, resolved

METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
IDEMPOTENT_HEADER = "Idempotent-Replayed"
GATEWAY_KEY = "GatewayKey"
"""The document's name for what the authorizer says to the gateway, and no caller does."""

CODES = {str(refusal): refusal for refusal in Refusal}


def operations() -> Iterator[tuple[str, Schema]]:
    for path, item in DOCUMENT["paths"].items():
        for method in [method for method in METHODS if method in item]:
            yield f"{method.upper()} {path}", item[method]


OPERATIONS = dict(operations())


def structs() -> dict[str, type[msgspec.Struct]]:
    """Every struct that is a body or part of one."""
    return {
        name: value
        for module in (requests, answers, http)
        for name, value in vars(module).items()
        if isinstance(value, type)
        and issubclass(value, msgspec.Struct)
        and value is not msgspec.Struct
        and value.__module__ == module.__name__
        and value.__struct_fields__
    }


STRUCTS = structs()


# The document itself.


def test_the_document_is_openapi() -> None:
    # Imported here: it is slow, and nothing else needs it.
    from openapi_spec_validator import validate  # noqa: PLC0415

    validate(DOCUMENT)
    assert DOCUMENT["openapi"].startswith("3.0."), "what REST APIs import"


def test_the_document_can_be_included_and_imported() -> None:
    """What CloudFormation and API Gateway cannot read is not in it."""
    text = OPENAPI.read_text(encoding="utf-8")
    assert text.isascii()
    tokens = list(yaml.scan(text))
    assert not any(isinstance(token, yaml.AliasToken | yaml.TagToken) for token in tokens)
    assert len(DOCUMENT["info"]["description"]) <= 1_024
    for name in SCHEMAS:
        assert name.isalnum(), "the name of a model"
    references = re.findall(r'\$ref: "([^"]+)"', text)
    assert references
    for reference in references:
        assert reference.startswith("#/components/schemas/"), "only schemas are resolved"


def test_the_document_is_the_templates_api() -> None:
    assert "Location: infra/openapi.yaml" in TEMPLATE.read_text(encoding="utf-8")


# Routes.


def test_routes_and_paths_are_the_same() -> None:
    assert OPERATIONS.keys() == ROUTES.keys()


@pytest.mark.parametrize("route", ROUTES)
def test_a_route_is_as_public_as_its_operation(route: str) -> None:
    # Said by each operation, for the gateway need not know what the document says for all of them.
    counted: list[Schema] = [{"ApiKey": [], GATEWAY_KEY: []}]
    assert OPERATIONS[route]["security"] == ([] if ROUTES[route].public else counted)


@pytest.mark.parametrize("route", [route for route in ROUTES if not ROUTES[route].public])
def test_an_operation_says_which_scope_it_needs(route: str) -> None:
    said = OPERATIONS[route]["responses"]["403"]["description"]
    assert f"`scope_missing` (the key needs `{ROUTES[route].scope}`)" in said


def test_calls_are_counted_by_what_the_authorizer_says() -> None:
    """API Gateway knows a method that needs a gateway key by this very header."""
    scheme = DOCUMENT["components"]["securitySchemes"][GATEWAY_KEY]
    assert (scheme["type"], scheme["in"], scheme["name"]) == ("apiKey", "header", "x-api-key")
    assert GATEWAY_KEY not in json.dumps(served(OPENAPI.read_text(encoding="utf-8"))), (
        "no caller sends it"
    )


@pytest.mark.parametrize("route", ROUTES)
def test_an_operation_calls_the_api_function(route: str) -> None:
    integration = OPERATIONS[route]["x-amazon-apigateway-integration"]
    assert (integration["type"], integration["httpMethod"]) == ("aws_proxy", "POST")
    assert "/functions/${ApiFunctionAliaslive}/invocations" in integration["uri"]["Fn::Sub"]


def test_the_authorizer_is_asked_by_the_authorization_header() -> None:
    scheme = DOCUMENT["components"]["securitySchemes"]["ApiKey"]
    assert (scheme["type"], scheme["in"], scheme["name"]) == ("apiKey", "header", "Authorization")
    authorizer = scheme["x-amazon-apigateway-authorizer"]
    assert authorizer["type"] == "request"
    assert authorizer["identitySource"] == "method.request.header.Authorization"
    assert authorizer["authorizerResultTtlInSeconds"] == {"Ref": "KeyCacheSeconds"}
    called = authorizer["authorizerUri"]["Fn::Sub"]
    assert "/functions/${AuthorizerFunctionAliaslive}/invocations" in called


@pytest.mark.parametrize("route", ROUTES)
def test_an_operation_is_described(route: str) -> None:
    operation = OPERATIONS[route]
    assert operation["summary"]
    assert operation["description"]
    assert operation["operationId"]
    assert {*operation["tags"]} <= {tag["name"] for tag in DOCUMENT["tags"]}
    in_path = {p["name"] for p in operation.get("parameters", ()) if p["in"] == "path"}
    assert in_path == {*re.findall(r"{(\w+)}", route)}
    in_query = {p["name"] for p in operation.get("parameters", ()) if p["in"] == "query"}
    assert in_query == ROUTES[route].query
    assert all(parameter["example"] for parameter in operation.get("parameters", ()))


@pytest.mark.parametrize("route", ROUTES)
def test_a_post_needs_an_idempotency_key_and_may_be_replayed(route: str) -> None:
    operation = OPERATIONS[route]
    required = {p["name"] for p in operation.get("parameters", ()) if p["required"]}
    posts = route.startswith("POST ")
    assert ("Idempotency-Key" in required) == posts
    success = min(operation["responses"])
    assert (IDEMPOTENT_HEADER in operation["responses"][success]["headers"]) == posts


def responses() -> Iterator[Any]:
    for route, operation in OPERATIONS.items():
        for status, response in operation["responses"].items():
            yield pytest.param(int(status), response, id=f"{route} {status}")


@pytest.mark.parametrize(("status", "response"), list(responses()))
def test_a_response_has_its_headers_and_names_its_codes(status: int, response: Schema) -> None:
    headers = response["headers"].keys()
    assert "X-Request-Id" in headers
    assert ("Retry-After" in headers) == (status in RETRY_AFTER_S)
    if status < 400:
        return
    assert response["content"]["application/json"]["schema"] == {
        "$ref": "#/components/schemas/Error"
    }
    codes = re.findall(r"`(\w+)`", response["description"])
    assert codes
    assert {STATUS[CODES[code]] for code in codes} == {status}


# Schemas.


def as_in_the_document(schema: Schema, defined: dict[str, Schema]) -> Schema:
    """A schema of msgspec's in the words of OpenAPI 3.0."""
    plain = resolved(schema, defined)

    def reworded(node: Any) -> Any:
        if isinstance(node, list):
            return [reworded(inner) for inner in node]
        if not isinstance(node, dict):
            return node
        node = {key: reworded(value) for key, value in node.items()}
        node.pop("propertyNames", None)  # OpenAPI 3.0 has no word for it; it is in the text
        if isinstance(node.get("pattern"), str):
            node["pattern"] = node["pattern"].replace(r"\Z", "$")  # ECMA's end of a text
        if "enum" in node:
            node["type"] = "string"
        if node.get("required") == []:
            del node["required"]  # OpenAPI 3.0 wants a name in it
        return node

    result: Schema = reworded(plain)
    return result


def test_every_struct_has_a_schema() -> None:
    assert {"PaymentRequest", "PaymentDetails", "Error", "WalletBalances"} <= STRUCTS.keys()
    in_line = {
        "Failure",
        "Verification",
        "VerificationProgress",
    }  # OpenAPI 3.0 has no reference that may be null
    enums = {"Status", "AccountKind", "CaptureMethod", "LetterState", "Role", "Scope", "KeyStatus"}
    assert STRUCTS.keys() - in_line == SCHEMAS.keys() - enums


@pytest.mark.parametrize("name", sorted(STRUCTS.keys() & SCHEMAS.keys()))
def test_a_struct_and_its_schema_are_the_same(name: str) -> None:
    (reference,), defined = msgspec.json.schema_components([STRUCTS[name]])
    assert as_in_the_document(reference, defined) == resolved(SCHEMAS[name])


# Examples.


def examples() -> Iterator[Any]:
    for route, operation in OPERATIONS.items():
        bodies = {"request": operation["requestBody"]} if "requestBody" in operation else {}
        for place, body in (bodies | operation["responses"]).items():
            content = body["content"].get("application/json", {})
            if "example" in content:
                yield pytest.param(content["schema"], content["example"], id=f"{route} {place}")


@pytest.mark.parametrize(("schema", "example"), list(examples()))
def test_an_example_is_valid(schema: Schema, example: Any) -> None:
    Draft202012Validator(resolved(schema)).validate(example)


@pytest.mark.parametrize("route", [route for route in ROUTES if not ROUTES[route].public])
def test_every_success_and_every_body_has_an_example(route: str) -> None:
    operation = OPERATIONS[route]
    success = operation["responses"][min(operation["responses"])]
    assert "example" in success["content"]["application/json"]
    if "requestBody" in operation:
        assert "example" in operation["requestBody"]["content"]["application/json"]


def test_ids_in_the_document_could_be_ours() -> None:
    text = OPENAPI.read_text(encoding="utf-8")
    assert all(is_payment_id(found) for found in re.findall(r"pay_[0-9A-Z]+", text))
    assert all(is_account_id(found) for found in re.findall(r"acct_[0-9A-Z]+", text))


# What the gateway answers itself.

GATEWAY = DOCUMENT["x-amazon-apigateway-gateway-responses"]


@pytest.mark.parametrize("kind", GATEWAY)
def test_the_gateway_answers_in_our_words(kind: str) -> None:
    gateway = GATEWAY[kind]
    body = json.loads(gateway["responseTemplates"]["application/json"])
    Draft202012Validator(resolved(SCHEMAS["Error"])).validate(body)
    refusal = CODES[body["error"]["code"]]
    status = STATUS[refusal]
    assert gateway["statusCode"] == str(int(status))
    assert body["error"] == {
        "type": ERROR_TYPES[status],
        "code": refusal,
        "message": refusal.sentence,
        "param": None,
        "transient": refusal.transient,
        "request_id": "$context.requestId",
    }
    headers = {"gatewayresponse.header.X-Request-Id": "context.requestId"}
    if status in RETRY_AFTER_S:
        # A plan's quota is for a month: nothing is different a second later.
        wait_s = 3600 if kind == "QUOTA_EXCEEDED" else RETRY_AFTER_S[status]
        headers["gatewayresponse.header.Retry-After"] = f"'{wait_s}'"
    assert gateway["responseParameters"] == headers


ON_DEFAULT_4XX = {"BAD_REQUEST_BODY", "BAD_REQUEST_PARAMETERS", "UNSUPPORTED_MEDIA_TYPE"}
ON_DEFAULT_5XX = {"API_CONFIGURATION_ERROR", "AUTHORIZER_FAILURE"}
"""What is well told by a word for all: a request that is no use, and something wrong inside."""


def test_the_gateway_has_a_word_for_everything() -> None:
    """The status of a default goes for all that are not named, so a 403 must not fall to it."""
    model: Any = botocore.session.get_session().get_service_model("apigateway")
    known = {*model.shape_for("GatewayResponseType").enum}
    assert known == GATEWAY.keys() | ON_DEFAULT_4XX | ON_DEFAULT_5XX
    assert not GATEWAY.keys() & (ON_DEFAULT_4XX | ON_DEFAULT_5XX)
    assert GATEWAY["DEFAULT_4XX"]["statusCode"] == "400"
    assert GATEWAY["DEFAULT_5XX"]["statusCode"] == "500"


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        ("ACCESS_DENIED", "forbidden"),
        ("AUTHORIZER_CONFIGURATION_ERROR", "unavailable"),
        ("EXPIRED_TOKEN", "route_not_found"),
        ("INTEGRATION_FAILURE", "unavailable"),
        ("INTEGRATION_TIMEOUT", "unavailable"),
        ("INVALID_API_KEY", "forbidden"),
        ("INVALID_SIGNATURE", "route_not_found"),
        ("MISSING_AUTHENTICATION_TOKEN", "route_not_found"),
        ("QUOTA_EXCEEDED", "rate_limited"),
        ("REQUEST_TOO_LARGE", "body_too_large"),
        ("RESOURCE_NOT_FOUND", "route_not_found"),
        ("THROTTLED", "rate_limited"),
        ("UNAUTHORIZED", "unauthenticated"),
        ("WAF_FILTERED", "forbidden"),
    ],
)
def test_the_gateways_word_is_the_right_one(kind: str, code: str) -> None:
    body = json.loads(GATEWAY[kind]["responseTemplates"]["application/json"])
    assert body["error"]["code"] == code
