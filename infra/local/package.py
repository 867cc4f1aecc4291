"""Put what a template names by local path into S3, and say so in the template.

This is what `sam package` does, for the local stack and in tenths of a second. Objects are
named by their content, so that an update uploads and changes only what is new.
"""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import yaml
from samtranslator.yaml_helper import yaml_parse

from infra.archive import zip_folder

Template = dict[str, Any]
COUNTED = b", GatewayKey: []"
"""What has a call counted by what the authorizer says: MiniStack would ask the caller for it."""
BuildLayer = Callable[[], bytes]
"""Makes the zip of the one layer there is."""


class PackageError(Exception):
    """The template names what cannot be packaged."""


class Packager:
    """Uploads a template's artefacts to one bucket."""

    def __init__(
        self, client: Any, bucket: str, endpoint_url: str, build_layer: BuildLayer
    ) -> None:
        self._client = client
        self._bucket = bucket
        self._endpoint_url = endpoint_url
        self._build_layer = build_layer
        self._stored: set[str] = set()

    def package(self, template_file: Path) -> str:
        """Upload the template with everything it names; return the template's URL."""
        template = load_template(template_file)
        folder = template_file.parent
        template = self._withincludes(template, folder)
        for resource in template["Resources"].values():
            self._place(resource, folder, template.get("Globals", {}))
        body = json.dumps(template).encode()
        return f"{self._endpoint_url}/{self._bucket}/{self._store(body, '.template')}"

    def _place(self, resource: dict[str, Any], folder: Path, shared: dict[str, Any]) -> None:
        properties = resource.setdefault("Properties", {})
        match resource["Type"]:
            case "AWS::Serverless::Function" if "InlineCode" not in properties:
                code = properties.get("CodeUri") or shared.get("Function", {}).get("CodeUri")
                properties["CodeUri"] = self._uri(zip_folder(_existing(folder, code)), ".zip")
            case "AWS::Serverless::LayerVersion":
                properties["ContentUri"] = self._uri(self._build_layer(), ".zip")
            case "AWS::Serverless::StateMachine" if "DefinitionUri" in properties:
                source = _existing(folder, properties["DefinitionUri"])
                definition = yaml.safe_load(source.read_text(encoding="utf-8"))
                # MiniStack reads definitions as JSON only; AWS takes YAML too.
                properties["DefinitionUri"] = self._uri(json.dumps(definition).encode(), ".json")
            case "AWS::Serverless::Application" if _is_local(properties.get("Location")):
                properties["Location"] = self.package(_existing(folder, properties["Location"]))
            case "AWS::CloudFormation::Stack" if _is_local(properties.get("TemplateURL")):
                properties["TemplateURL"] = self.package(
                    _existing(folder, properties["TemplateURL"])
                )

    def _withincludes(self, template: Template, folder: Path) -> Template:
        template = copy.deepcopy(template)
        for parameters in includes(template):
            if _is_local(parameters["Location"]):
                source = _existing(folder, parameters["Location"]).read_bytes()
                source = source.replace(COUNTED, b"")
                parameters["Location"] = self._uri(source, ".yaml")
        return template

    def _uri(self, body: bytes, ending: str) -> str:
        return f"s3://{self._bucket}/{self._store(body, ending)}"

    def _store(self, body: bytes, ending: str) -> str:
        key = hashlib.sha256(body).hexdigest() + ending
        if key not in self._stored:
            self._client.put_object(Bucket=self._bucket, Key=key, Body=body)
            self._stored.add(key)
        return key


def _existing(folder: Path, name: str) -> Path:
    path = folder / name
    if not path.exists():
        raise PackageError(f"the template names {name}, which is not there")
    return path


def load_template(file: Path) -> Template:
    template: Template = yaml_parse(file.read_text(encoding="utf-8"))
    return template


def includes(node: Any) -> Iterator[dict[str, Any]]:
    """The parameters of every AWS::Include below `node`."""
    if isinstance(node, dict):
        transform = node.get("Fn::Transform")
        if isinstance(transform, dict) and transform.get("Name") == "AWS::Include":
            yield transform["Parameters"]
        for value in node.values():
            yield from includes(value)
    elif isinstance(node, list):
        for value in node:
            yield from includes(value)


def _is_local(location: Any) -> bool:
    return isinstance(location, str) and "://" not in location
