"""What API Gateway takes from the API's document and MiniStack does not: its own answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from infra.local.package import includes, load_template
from infra.local.stack import EXECUTE_API

RESPONSES = "x-amazon-apigateway-gateway-responses"


def answer_as_documented(apigateway: Any, template_file: Path, api_url: str) -> None:
    """Have the gateway answer in the words of the document that the template includes, if any."""
    match = EXECUTE_API.match(api_url)
    words = _words(template_file)
    if match is None or not words:
        return
    for kind, answer in words.items():
        apigateway.put_gateway_response(
            restApiId=match[1],
            responseType=kind,
            statusCode=answer["statusCode"],
            responseParameters=answer["responseParameters"],
            responseTemplates=answer["responseTemplates"],
        )
    # They are a deployment's: this one has them.
    apigateway.create_deployment(restApiId=match[1], stageName=match[2])


def _words(template_file: Path) -> dict[str, Any]:
    for parameters in includes(load_template(template_file)):
        source = (template_file.parent / parameters["Location"]).read_text(encoding="utf-8")
        document = yaml.safe_load(source)
        if RESPONSES in document:
            words: dict[str, Any] = document[RESPONSES]
            return words
    return {}
