"""The stores that every contract holds for: in memory, under moto, on the local stack."""

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, cast

import boto3
import pytest
from moto import mock_aws

from florin.adapters.dynamodb_verification import DynamoVerification
from florin.adapters.memory import Memory
from infra.local import emulator
from infra.local.clients import client_factory
from tests.support.busy import BusyClient
from tests.support.tables import make_table, make_tables

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

Store = Memory | DynamoVerification
MakeStore = Callable[[], Store]


def on_dynamodb(
    client: "DynamoDBClient", maker: "DynamoDBClient | None" = None
) -> DynamoVerification:
    """A store over new tables, which `maker` makes where the client should not."""
    suffix = uuid.uuid4().hex[:8]
    tables = make_tables(maker or client, suffix)
    runs_table = make_table(maker or client, "VerificationsTable", suffix)
    # Pages that end inside streams.
    return DynamoVerification(client, tables, runs_table, pause=lambda _: None, page_rows=4)


@pytest.fixture(scope="session")
def local_dynamodb(tmp_path_factory: pytest.TempPathFactory) -> Iterator["DynamoDBClient"]:
    directory: Path = tmp_path_factory.mktemp("emulator")
    server = emulator.start(directory, None)
    yield client_factory(server.endpoint_url, emulator.REGION)("dynamodb")
    server.stop()


@pytest.fixture(params=["memory", "moto", "local_stack", "busy_local_stack"])
def make_store(request: pytest.FixtureRequest) -> Iterator[MakeStore]:
    """Makes empty stores of one kind; a property test takes one for each example."""
    match request.param:
        case "memory":
            yield Memory
        case "moto":
            with mock_aws():
                yield lambda: on_dynamodb(boto3.client("dynamodb", region_name="us-east-1"))
        case "local_stack":
            yield lambda: on_dynamodb(request.getfixturevalue("local_dynamodb"))
        case _:
            yield lambda: on_dynamodb(
                cast("DynamoDBClient", BusyClient(request.getfixturevalue("local_dynamodb"))),
                request.getfixturevalue("local_dynamodb"),
            )


@pytest.fixture
def store(make_store: MakeStore) -> Store:
    return make_store()


@pytest.fixture
def atomic(request: pytest.FixtureRequest) -> None:
    """For tests with threads: moto's transactions are not atomic between threads."""
    if request.node.callspec.params["make_store"] == "moto":
        pytest.skip("moto's transactions are not atomic between threads")
