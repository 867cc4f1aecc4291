"""API Gateway, as far as an HTTP client in the same process needs it: a WSGI application that finds
the route, asks who calls, and makes the event that the function behind the API gets.
"""

import base64
import json
import re
from collections.abc import Callable, Iterable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import parse_qsl, unquote

from api.routes import handle
from florin.domain.keys import Scope
from tests.functions.document import DOCUMENT
from tests.functions.world import GET, Json, World

STAGE: Final = "/v1"
KEY: Final = "sk_test_bm90LWEtcmVhbC1rZXktYXQtYWxs"
REQUEST_ID: Final = "6d0ba2d8-1f9c-4f3e-9a0c-5a5e8c1b7f10"
RESPONSES: Final[Json] = DOCUMENT["x-amazon-apigateway-gateway-responses"]

StartResponse = Callable[[str, list[tuple[str, str]]], object]


@dataclass(frozen=True, slots=True)
class Gateway:
    """`KEY` is the key of the world's tenant, which may do everything; no other key is known."""

    world: World

    def __call__(self, environ: Mapping[str, Any], start: StartResponse) -> Iterable[bytes]:
        answer = self._answer(environ)
        status = HTTPStatus(answer["statusCode"])
        start(f"{int(status)} {status.phrase}", list(answer["headers"].items()))
        return [answer["body"].encode()]

    def _answer(self, environ: Mapping[str, Any]) -> Json:
        method, path = environ["REQUEST_METHOD"], _path(environ)
        found = _matched(method, path)
        if found is None:
            return _own("MISSING_AUTHENTICATION_TOKEN")
        resource, parameters = found
        operation = DOCUMENT["paths"][resource][method.lower()]
        context = None
        if operation.get("security", DOCUMENT["security"]):
            if environ.get("HTTP_AUTHORIZATION") != f"Bearer {KEY}":
                return _own("UNAUTHORIZED")
            context = GET["requestContext"]["authorizer"] | {"scopes": " ".join(Scope)}
        event = _event(environ, method, path, resource, parameters)
        event["requestContext"]["authorizer"] = context
        return handle(event, self.world.app)


def _path(environ: Mapping[str, Any]) -> str:
    """The path below the stage, as WSGI hands it over: bytes as Latin-1."""
    path: str = environ["PATH_INFO"].encode("latin-1").decode("utf-8", "replace")
    return path.removeprefix(STAGE)


def _matched(method: str, path: str) -> tuple[str, dict[str, str]] | None:
    """The path as the document spells it, and its parameters. What is spelled out goes first."""
    for resource in sorted(DOCUMENT["paths"], key=lambda resource: resource.count("{")):
        pattern = re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^/]+)", re.escape(resource))
        found = re.fullmatch(pattern, path)
        if found and method.lower() in DOCUMENT["paths"][resource]:
            return resource, found.groupdict()
    return None


def _event(
    environ: Mapping[str, Any], method: str, path: str, resource: str, parameters: dict[str, str]
) -> Json:
    headers = {
        name.removeprefix("HTTP_").replace("_", "-").title(): value
        for name, value in environ.items()
        if name.startswith("HTTP_") or name == "CONTENT_TYPE"
    }
    values: dict[str, list[str]] = {}
    for name, value in parse_qsl(environ.get("QUERY_STRING", ""), keep_blank_values=True):
        values.setdefault(name, []).append(value)
    body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    text, is_base64 = _text(body)
    event = deepcopy(GET) | {
        "resource": resource,
        "path": path,
        "httpMethod": method,
        "headers": headers,
        "multiValueHeaders": {name: [value] for name, value in headers.items()},
        "queryStringParameters": {name: given[-1] for name, given in values.items()} or None,
        "multiValueQueryStringParameters": values or None,
        "pathParameters": {name: unquote(value) for name, value in parameters.items()} or None,
        "body": text or None,
        "isBase64Encoded": is_base64,
    }
    event["requestContext"]["requestId"] = REQUEST_ID
    return event


def _text(body: bytes) -> tuple[str, bool]:
    try:
        return body.decode(), False
    except ValueError:
        return base64.b64encode(body).decode(), True


def _own(kind: str) -> Json:
    """What the gateway says itself, by its templates."""
    response = RESPONSES[kind]
    body = response["responseTemplates"]["application/json"]
    body = body.replace("$context.requestId", REQUEST_ID)
    headers = {
        name.removeprefix("gatewayresponse.header."): (
            REQUEST_ID if value == "context.requestId" else value.strip("'")
        )
        for name, value in response["responseParameters"].items()
    }
    assert json.loads(body)
    return {
        "statusCode": int(response["statusCode"]),
        "headers": {"Content-Type": "application/json"} | headers,
        "body": body,
    }
