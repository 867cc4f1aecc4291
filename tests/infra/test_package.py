"""The packager: everything local goes to S3 by its content, everything else stays."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from infra.local.package import PackageError, Packager

LAYER = b"the layer"


class Bucket:
    """S3 as far as the packager needs it."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.puts = 0

    def put_object(self, *, Bucket: str, Key: str, Body: bytes) -> None:  # noqa: N803  # AWS names it so
        assert Bucket == "bucket"
        self.objects[Key] = Body
        self.puts += 1


@pytest.fixture
def bucket() -> Bucket:
    return Bucket()


def packaged(
    bucket: Bucket, folder: Path, resources: dict[str, Any], **more: Any
) -> dict[str, Any]:
    file = folder / "template.yaml"
    file.write_text(json.dumps({"Resources": resources, **more}))
    url = Packager(bucket, "bucket", "http://here", lambda: LAYER).package(file)
    assert url.startswith("http://here/bucket/")
    template: dict[str, Any] = json.loads(bucket.objects[url.rpartition("/")[2]])
    return template


def function(**properties: str) -> dict[str, Any]:
    return {"Type": "AWS::Serverless::Function", "Properties": properties}


def test_a_function_without_code_of_its_own_takes_the_globals_one(
    bucket: Bucket, tmp_path: Path
) -> None:
    for name in ("own", "shared"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "handler.py").write_text(name)
    template = packaged(
        bucket,
        tmp_path,
        {"Own": function(CodeUri="own/"), "One": function(), "Two": function()},
        Globals={"Function": {"CodeUri": "shared/"}},
    )
    places = {
        name: resource["Properties"]["CodeUri"] for name, resource in template["Resources"].items()
    }
    assert places["One"] == places["Two"] != places["Own"]
    assert all(place.startswith("s3://bucket/") for place in places.values())
    assert bucket.puts == 3  # two zips and the template: the same bytes go up once


def test_the_layer_is_built_and_not_copied(bucket: Bucket, tmp_path: Path) -> None:
    template = packaged(
        bucket,
        tmp_path,
        {"L": {"Type": "AWS::Serverless::LayerVersion", "Properties": {"ContentUri": "shared"}}},
    )
    place = template["Resources"]["L"]["Properties"]["ContentUri"]
    assert place == f"s3://bucket/{hashlib.sha256(LAYER).hexdigest()}.zip"


def test_code_written_in_the_template_stays_there(bucket: Bucket, tmp_path: Path) -> None:
    template = packaged(bucket, tmp_path, {"F": function(InlineCode="def handler(*_): ...")})
    assert template["Resources"]["F"]["Properties"] == {"InlineCode": "def handler(*_): ..."}


def test_what_is_in_s3_already_is_left_alone(bucket: Bucket, tmp_path: Path) -> None:
    include = {"Name": "AWS::Include", "Parameters": {"Location": "s3://elsewhere/api.yaml"}}
    template = packaged(
        bucket,
        tmp_path,
        {
            "Api": {
                "Type": "AWS::Serverless::Api",
                "Properties": {"DefinitionBody": {"Fn::Transform": include}},
            },
            "Nested": {
                "Type": "AWS::CloudFormation::Stack",
                "Properties": {"TemplateURL": "https://elsewhere/nested.yaml"},
            },
        },
    )
    resources = template["Resources"]
    assert resources["Api"]["Properties"]["DefinitionBody"]["Fn::Transform"] == include
    assert resources["Nested"]["Properties"]["TemplateURL"] == "https://elsewhere/nested.yaml"


@pytest.mark.parametrize(
    "resource",
    [
        function(CodeUri="gone/"),
        {"Type": "AWS::Serverless::StateMachine", "Properties": {"DefinitionUri": "gone/"}},
        {"Type": "AWS::Serverless::Application", "Properties": {"Location": "gone/"}},
        {"Type": "AWS::CloudFormation::Stack", "Properties": {"TemplateURL": "gone/"}},
    ],
    ids=lambda resource: resource["Type"],
)
def test_what_is_not_there_is_named(
    bucket: Bucket, tmp_path: Path, resource: dict[str, Any]
) -> None:
    with pytest.raises(PackageError, match="gone/"):
        packaged(bucket, tmp_path, {"R": resource})
