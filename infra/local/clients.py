"""Clients for the local stack: its address, its region, nothing of your AWS settings."""

from __future__ import annotations

import os
from typing import Any, Protocol

import boto3
import botocore.session
from botocore.config import Config

# Where botocore would look for each, and the default: a profile of yours could name a real
# account, and one that does not exist would fail every call.
NO_SETTINGS = {
    "profile": (None, None, None, None),
    "config_file": (None, None, os.devnull, None),
    "credentials_file": (None, None, os.devnull, None),
}


class ClientFactory(Protocol):
    """Makes a boto3 client by the service's name."""

    def __call__(self, service: str, /) -> Any: ...


def client_factory(endpoint_url: str, region: str) -> ClientFactory:
    session = boto3.session.Session(
        aws_access_key_id="test",
        aws_secret_access_key="test",  # noqa: S106  # the local stack takes any
        region_name=region,
        botocore_session=botocore.session.Session(NO_SETTINGS),
    )
    # A bucket in the path, not in the host name: no resolver knows bucket.127.0.0.1.
    config = Config(
        s3={"addressing_style": "path"}, retries={"mode": "standard", "total_max_attempts": 2}
    )

    def make(service: str, /) -> Any:
        return session.client(service, endpoint_url=endpoint_url, config=config)  # type: ignore[call-overload]  # the name is not a literal here

    return make
