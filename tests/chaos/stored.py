"""The same engine over the adapter that it has on AWS, with tables under moto."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import boto3
from moto import mock_aws

from florin.adapters.dynamodb import Dynamo
from tests.chaos.deployment import Engine
from tests.support.tables import make_tables


class Stored(Dynamo):
    """The adapter, and which streams there are: something that the engine never asks."""

    def streams(self) -> tuple[str, ...]:
        pages = self._client.get_paginator("scan").paginate(TableName=self._tables.events)
        found = {item["stream"]["S"] for page in pages for item in page["Items"]}
        # By their ids without the prefix, which is the order in which they were begun.
        return tuple(sorted(found, key=lambda stream: stream.partition("_")[2]))


@contextmanager
def on_dynamodb() -> Iterator[Engine]:
    """An engine of which each deployment has empty tables of its own."""
    with mock_aws():
        client = boto3.client("dynamodb", region_name="us-east-1")
        yield Engine(
            store=lambda codec: Stored(
                client, make_tables(client, uuid.uuid4().hex[:8]), codec, pause=lambda _: None
            )
        )
