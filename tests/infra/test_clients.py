"""A client for the local stack must never meet a real account."""

from __future__ import annotations

from pathlib import Path

import pytest

from infra.local.clients import client_factory

HERE = "http://127.0.0.1:4566"


@pytest.mark.parametrize("profile", ["work", "one-that-does-not-exist"])
def test_your_own_aws_settings_do_not_reach_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, profile: str
) -> None:
    config = tmp_path / "config"
    config.write_text(
        "[profile work]\nregion = eu-west-1\nendpoint_url = https://elsewhere\n"
        "aws_access_key_id = real\naws_secret_access_key = real\n"
    )
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    monkeypatch.setenv("AWS_PROFILE", profile)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "real")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "https://elsewhere")

    client = client_factory(HERE, "us-east-1")("dynamodb")

    assert (client.meta.endpoint_url, client.meta.region_name) == (HERE, "us-east-1")
    assert client._request_signer._credentials.access_key == "test"
