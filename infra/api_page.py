"""The API's document as a page for people: one file that asks nobody for anything.

The page is text and works without its few lines of script; its policy lets in that script and its
style by their hashes, and nothing else.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from html import escape
from http import HTTPStatus
from typing import Any, Final

from florin.domain.refusals import Refusal
from florin.edge.http import STATUS
from infra.paths import ROOT

Json = dict[str, Any]

SOURCES: Final = ROOT / "infra" / "page"
KEY: Final = "$KEY"
API: Final = "$API"
CODES_MANY: Final = 40
"""A list of more is that of all errors, which has a table of its own."""
RANGES: Final = (
    ("minimum", "maximum", "{}"),
    ("minLength", "maxLength", "{} characters"),
    ("minItems", "maxItems", "{} entries"),
    ("minProperties", "maxProperties", "{} entries"),
)
"""The keywords of least and most, and how what is between them is told."""


@dataclass(frozen=True, slots=True)
class Page:
    """The HTML, and the value of its Content-Security-Policy."""

    html: str
    policy: str


def rendered(document: Json) -> Page:
    style = (SOURCES / "style.css").read_text(encoding="utf-8")
    script = (SOURCES / "script.js").read_text(encoding="utf-8")
    policy = "; ".join(
        (
            "default-src 'none'",
            f"style-src '{_hash(style)}'",
            f"script-src '{_hash(script)}'",
            "img-src data:",  # the icon, which is empty so that nobody is asked for one
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        )
    )
    return Page(html=_Renderer(document).page(style, script), policy=policy)


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode()}"


class _Renderer:
    def __init__(self, document: Json) -> None:
        self._document = document
        self._schemas = document["components"]["schemas"]
        self._operations = [
            (method, path, item[method])
            for path, item in document["paths"].items()
            for method in item
        ]

    def page(self, style: str, script: str) -> str:
        info = self._document["info"]
        sections = "\n".join(self._tag(tag) for tag in self._document["tags"])
        return f"""\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(info["title"])} API</title>
<link rel="icon" href="data:,">
<style>{style}</style>
</head>
<body>
<a class="skip" href="#top">Skip the list of calls</a>
{self._calls()}
<main id="top">
<header class="intro">
<h1>{escape(info["title"])} API</h1>
<p class="lead">Version {escape(info["version"])}. The same for programs:
<a href="openapi.json">openapi.json</a> (OpenAPI {escape(self._document["openapi"])}).</p>
{_prose(info["description"])}
{self._first_steps()}
</header>
{sections}
{self._errors()}
</main>
<script>{script}</script>
</body>
</html>
"""

    # The list of calls.

    def _calls(self) -> str:
        groups = "\n".join(
            f'<h2><a href="#tag-{_slug(tag["name"])}">{escape(tag["name"])}</a></h2>\n<ul>'
            + "".join(
                f'<li><a href="#{operation["operationId"]}">{_method(method)}'
                f"<span>{escape(operation['summary'])}</span></a></li>"
                for method, _, operation in self._of_tag(tag["name"])
            )
            + "</ul>"
            for tag in self._document["tags"]
        )
        return f"""\
<nav class="calls" aria-label="Calls">
<a class="name" href="#top">{escape(self._document["info"]["title"])}</a>
<h2><a href="#first-steps">First steps</a></h2>
{groups}
<h2><a href="#errors">Errors</a></h2>
</nav>"""

    def _of_tag(self, tag: str) -> Iterator[tuple[str, str, Json]]:
        for method, path, operation in self._operations:
            if tag in operation["tags"]:
                yield method, path, operation

    def _first_steps(self) -> str:
        text = f"{API}/accounts"
        command = f"""\
{API[1:]}=https://…/v1    # the output ApiUrl of your stack
{KEY[1:]}=sk_test_…       # a secret key of your tenant

curl "{text}" \\
  -H "Authorization: Bearer {KEY}" \\
  -H "Idempotency-Key: seller-1" \\
  -d '{{"currency": "EUR", "kind": "seller"}}'"""
        return f"""\
<h2 id="first-steps">First steps</h2>
<p>A key opens everything but this page and its document: send it as
<code>Authorization: Bearer …</code>. The samples take it, and the address of your stack, from the
variables <code>KEY</code> and <code>API</code>.</p>
{_figure("Shell", command)}"""

    # Calls.

    def _tag(self, tag: Json) -> str:
        calls = "\n".join(self._operation(*found) for found in self._of_tag(tag["name"]))
        return f"""\
<section class="tag" id="tag-{_slug(tag["name"])}">
<h2>{escape(tag["name"])}</h2>
{_prose(tag["description"])}
{calls}
</section>"""

    def _operation(self, method: str, path: str, operation: Json) -> str:
        name = operation["operationId"]
        status, success = _success(operation)
        is_public = operation.get("security") == []
        return f"""\
<article class="operation" id="{name}">
<h3>{escape(operation["summary"])}\
<a class="anchor" href="#{name}" aria-label="Link to this call">#</a></h3>
<p class="route">{_method(method)}<code>{escape(path)}</code>\
{'<span class="public">needs no key</span>' if is_public else ""}</p>
<div class="columns">
<div class="told">
{_prose(operation["description"])}
{self._parameters(operation)}
{self._body(operation)}
{self._answer(status, success)}
{self._refusals(operation)}
</div>
<div class="samples">
{_figure("Request", _curl(method, path, operation))}
{self._sample_answer(status, success)}
</div>
</div>
</article>"""

    def _parameters(self, operation: Json) -> str:
        found = operation.get("parameters", ())
        if not found:
            return ""
        fields = "".join(
            self._field(
                parameter["name"],
                parameter["schema"],
                required=parameter["required"],
                description=parameter["description"],
                place="" if parameter["in"] == "query" else f"in the {parameter['in']}",
            )
            for parameter in found
        )
        return f'<h4>Parameters</h4>\n<dl class="fields">{fields}</dl>'

    def _body(self, operation: Json) -> str:
        if "requestBody" not in operation:
            return ""
        body = operation["requestBody"]
        schema = self._resolved(body["content"]["application/json"]["schema"])
        fields = self._fields(schema, asked=True) or "<p>An empty object, or nothing.</p>"
        optional = "" if body.get("required") else " (may be left out)"
        return f"<h4>Body{optional}</h4>\n{fields}"

    def _answer(self, status: str, success: Json) -> str:
        content = success["content"].get("application/json")
        fields = self._fields(self._resolved(content["schema"])) if content else ""
        heads = "".join(
            f"<code>{escape(name)}</code>: {_inline(self._header(name)['description'])} "
            for name in success["headers"]
        )
        if fields:
            fields = f"<details><summary>Its fields</summary>{fields}</details>"
        return f"""\
<h4>Answer {status}</h4>
{_prose(success["description"])}
{fields}
<p class="limits">{heads}</p>"""

    def _header(self, name: str) -> Json:
        header: Json = self._document["components"]["headers"][name]
        return header

    def _sample_answer(self, status: str, success: Json) -> str:
        content = success["content"].get("application/json", {})
        if "example" not in content:
            return ""
        return _figure(f"Answer {status}", json.dumps(content["example"], indent=2))

    def _refusals(self, operation: Json) -> str:
        rows = "".join(
            f'<tr><td class="status">{status}</td><td>{_prose(response["description"])}</td></tr>'
            for status, response in operation["responses"].items()
            if int(status) >= HTTPStatus.BAD_REQUEST
        )
        return (
            "<h4>Errors</h4>\n<details><summary>What may be refused, and why</summary>"
            '<div class="wide"><table><tr><th>Status</th><th>Codes</th></tr>'
            f"{rows}</table></div></details>"
        )

    # Schemas.

    def _resolved(self, schema: Json) -> Json:
        if "$ref" not in schema:
            return schema
        target: Json = self._schemas[schema["$ref"].rpartition("/")[2]]
        return target | {key: value for key, value in schema.items() if key != "$ref"}

    def _fields(self, schema: Json, *, asked: bool = False) -> str:
        """What is in an object. Only of what is asked for it is said what has to be there; what is
        answered is there.
        """
        required = schema.get("required", ()) if asked else ()
        fields = "".join(
            self._field(name, inner, required=name in required, asked=asked)
            for name, inner in schema.get("properties", {}).items()
        )
        return f'<dl class="fields">{fields}</dl>' if fields else ""

    def _field(
        self,
        name: str,
        schema: Json,
        *,
        required: bool,
        asked: bool = True,
        description: str = "",
        place: str = "",
    ) -> str:
        schema = self._resolved(schema)
        items = self._resolved(schema.get("items", {}))
        below = self._fields(schema, asked=asked) or self._fields(items, asked=asked)
        if below:
            below = f"<details><summary>Its fields</summary>{below}</details>"
        about = description or schema.get("description", "")
        marks = f'<span class="type">{escape(self._type(schema))}</span>'
        if place:
            marks += f'<span class="type">{escape(place)}</span>'
        if required:
            marks += '<span class="required">required</span>'
        return f"""
<div><dt><code>{escape(name)}</code>{marks}</dt>
<dd>{_prose(about)}{self._limits(schema, items)}{below}</dd></div>"""

    def _type(self, schema: Json) -> str:
        kinds = schema.get("type", "any")
        kinds = kinds if isinstance(kinds, list) else [kinds]
        words = []
        for kind in kinds:
            if kind == "array":
                words.append(f"list of {self._plural(self._resolved(schema['items']))}")
            elif kind == "string" and "format" in schema:
                words.append(schema["format"])
            elif kind == "object" and isinstance(schema.get("additionalProperties"), dict):
                words.append("map of strings")
            else:
                words.append(kind)
        return " or ".join(words)

    def _plural(self, schema: Json) -> str:
        return f"{self._type(schema)}s"

    def _limits(self, *schemas: Json) -> str:
        told = [line for schema in schemas for line in _limits_of(schema)]
        return f'<p class="limits">{" · ".join(told)}</p>' if told else ""

    # All errors.

    def _errors(self) -> str:
        rows = "".join(
            f'<tr id="error-{refusal}"><td><code>{refusal}</code></td>'
            f'<td class="status">{int(STATUS[refusal])}</td>'
            f"<td>{escape(refusal.sentence)}</td>"
            f"<td>{'yes' if refusal.transient else ''}</td></tr>"
            for refusal in sorted(Refusal, key=lambda refusal: (STATUS[refusal], refusal))
        )
        example = self._document["components"]["examples"][Refusal.CURRENCY_DIFFERS]["value"]
        fields = self._fields(self._resolved(self._schemas["Error"]["properties"]["error"]))
        return f"""\
<section class="tag" id="errors">
<h2>Errors</h2>
<p>Every error has the same body, also where no call is (<code>route_not_found</code>). Each code
has one status. What may pass <em>later</em> may succeed when the same request is repeated, with the
same <code>Idempotency-Key</code>; a 429 and a 503 say in <code>Retry-After</code> after how many
seconds.</p>
<div class="columns">
<div class="told">{fields}</div>
<div class="samples">{_figure("An error", json.dumps(example, indent=2))}</div>
</div>
<div class="wide">
<table><tr><th>Code</th><th>Status</th><th>What it means</th><th>Later?</th></tr>{rows}</table>
</div>
</section>"""


def _success(operation: Json) -> tuple[str, Json]:
    status = min(operation["responses"])
    return status, operation["responses"][status]


def _curl(method: str, path: str, operation: Json) -> str:
    """The call with the values of its examples."""
    query = []
    parts = []
    if operation.get("security") != []:
        parts.append(f'-H "Authorization: Bearer {KEY}"')
    for parameter in operation.get("parameters", ()):
        match parameter["in"]:
            case "path":
                path = path.replace(f"{{{parameter['name']}}}", parameter["example"])
            case "query":
                query.append(f"{parameter['name']}={parameter['example']}")
            case "header":
                parts.append(f'-H "{parameter["name"]}: {parameter["example"]}"')
    if "requestBody" in operation:
        body = operation["requestBody"]["content"]["application/json"]["example"]
        text = json.dumps(body, indent=2) if len(body) > 2 else json.dumps(body)
        parts.append(f"-d '{text}'")
    # One filter is enough to see how it is done.
    asked = f"?{query[0]}" if query else ""
    verb = "-X POST " if method == "post" and "requestBody" not in operation else ""
    return " \\\n  ".join([f'curl {verb}"{API}{path}{asked}"', *parts])


def _limits_of(schema: Json) -> Iterator[str]:
    if len(schema.get("enum", ())) > CODES_MANY:
        yield "One of the codes below."
    elif "enum" in schema:
        values = (value for value in schema["enum"] if value is not None)
        yield "One of " + ", ".join(f"<code>{escape(str(value))}</code>" for value in values)
    for least, most, words in RANGES:
        match schema.get(least), schema.get(most):
            case None, None:
                continue
            case None, high:
                told = f"at most {high}"
            case low, None:
                told = f"at least {low}"
            case low, high:
                told = f"{low} to {high}"
        yield escape(words.format(told))
    if "default" in schema:
        yield f"{escape(str(schema['default']))} unless given"
    if "pattern" in schema:
        yield f"Matches <code>{escape(schema['pattern'])}</code>"


def _figure(caption: str, text: str) -> str:
    return (
        f"<figure><figcaption>{escape(caption)}</figcaption>"
        f"<pre><code>{escape(text, quote=False)}</code></pre></figure>"
    )


def _method(method: str) -> str:
    return f'<span class="method {method}">{method.upper()}</span>'


def _slug(name: str) -> str:
    return name.lower().replace(" ", "-")


def _prose(text: str) -> str:
    """Paragraphs, and what stands between backticks as code."""
    paragraphs: Iterable[str] = re.split(r"\n\s*\n", text.strip())
    return "".join(f"<p>{_inline(paragraph)}</p>" for paragraph in paragraphs if paragraph)


def _inline(text: str) -> str:
    parts = re.split(r"`([^`]+)`", text)
    return "".join(
        _code(part) if number % 2 else escape(part, quote=False)
        for number, part in enumerate(parts)
    )


def _code(text: str) -> str:
    shown = f"<code>{escape(text)}</code>"
    return f'<a href="#error-{text}">{shown}</a>' if text in set(Refusal) else shown
