"""The proxy that fails on purpose, as botocore sees it: before the local stack, and on its own."""

import http.client
import json
import threading
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

import botocore.session
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionClosedError

from florin.adapters.aws import error_code
from infra.local import emulator
from tests.support import dynamodb_faults as faults
from tests.support.dynamodb_faults import WAYS, Busy
from tests.support.fault_proxy import (
    BREAK,
    PASS,
    Answer,
    Done,
    Fate,
    FaultProxy,
    Late,
    Request,
    Rule,
    fault_proxy,
)

KEY = {"id": {"S": "ell"}}
SILK = KEY | {"of": {"S": "silk"}}
WRITE_CODES = ("ProvisionedThroughputExceededException", "TransactionConflictException")

Operation = Callable[[Any], Any]


@pytest.fixture(scope="module")
def upstream(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, int]]:
    server = emulator.start(tmp_path_factory.mktemp("emulator"), None)
    address = urlsplit(server.endpoint_url)
    assert address.hostname
    assert address.port
    client("dynamodb", server.endpoint_url).create_table(
        TableName="cloth",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
    )
    yield address.hostname, address.port
    server.stop()


@pytest.fixture
def proxy(upstream: tuple[str, int]) -> Iterator[FaultProxy]:
    """A proxy before an empty table, which lets everything pass until a test says otherwise."""
    with fault_proxy(upstream) as running:
        client("dynamodb", running.url).delete_item(TableName="cloth", Key=KEY)
        running.asked.clear()
        running.answered.clear()
        yield running


def client(service: str, url: str, tries: int = 1) -> Any:
    """A client as the engine has them, with so many tries."""
    return botocore.session.get_session().create_client(
        service,
        endpoint_url=url,
        config=Config(
            retries={"mode": "standard", "total_max_attempts": tries},
            read_timeout=5,
            s3={"addressing_style": "path"},
        ),
    )


def put(dynamodb: Any) -> Any:
    return dynamodb.put_item(TableName="cloth", Item=SILK)


def get(dynamodb: Any) -> Any:
    return dynamodb.get_item(TableName="cloth", Key=KEY, ConsistentRead=True)


def query(dynamodb: Any) -> Any:
    return dynamodb.query(
        TableName="cloth",
        KeyConditionExpression="id = :id",
        ExpressionAttributeValues={":id": KEY["id"]},
    )


def update(dynamodb: Any) -> Any:
    return dynamodb.update_item(
        TableName="cloth",
        Key=KEY,
        UpdateExpression="ADD ells :one",
        ExpressionAttributeValues={":one": {"N": "1"}},
    )


def delete(dynamodb: Any) -> Any:
    return dynamodb.delete_item(TableName="cloth", Key=KEY)


def transact(dynamodb: Any) -> Any:
    puts = [{"Put": {"TableName": "cloth", "Item": {"id": {"S": name}}}} for name in "abc"]
    return dynamodb.transact_write_items(TransactItems=puts)


CALLS: dict[str, Operation] = {
    "GetItem": get,
    "Query": query,
    "PutItem": put,
    "UpdateItem": update,
    "DeleteItem": delete,
    "TransactWriteItems": transact,
}


def always(fate: Fate) -> Rule:
    return lambda request: fate


class Once:
    """A rule: the first request of an operation has this fate, every other one passes."""

    def __init__(self, operation: str, fate: Fate) -> None:
        self._operation = operation
        self._fates = iter([fate])
        self._lock = threading.Lock()

    def __call__(self, request: Request) -> Fate:
        with self._lock:
            return next(self._fates, PASS) if request.operation == self._operation else PASS


# What passes.


def test_a_signature_holds_on_the_way_and_its_key_is_told(proxy: FaultProxy) -> None:
    """The stack checks the signatures of roles, which cover the address that was called."""
    trusted = {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}
    allowed = {"Effect": "Allow", "Action": "dynamodb:GetItem", "Resource": "*"}
    iam, sts = client("iam", proxy.url), client("sts", proxy.url)
    trust = json.dumps({"Statement": [trusted]})
    role = iam.create_role(RoleName="clerk", AssumeRolePolicyDocument=trust)["Role"]["Arn"]
    reads = json.dumps({"Statement": [allowed]})
    iam.put_role_policy(RoleName="clerk", PolicyName="reads", PolicyDocument=reads)
    key = sts.assume_role(RoleArn=role, RoleSessionName="clerk")["Credentials"]
    clerk = botocore.session.get_session().create_client(
        "dynamodb",
        endpoint_url=proxy.url,
        aws_access_key_id=key["AccessKeyId"],
        aws_secret_access_key=key["SecretAccessKey"],
        aws_session_token=key["SessionToken"],
    )
    keys = []

    def note(request: Request) -> Fate:
        keys.append(request.access_key)
        return PASS

    proxy.rule = note
    assert "Item" not in get(clerk)
    assert keys == [key["AccessKeyId"]]


def test_what_passes_is_the_answer_of_the_stack(proxy: FaultProxy) -> None:
    dynamodb = client("dynamodb", proxy.url)
    put(dynamodb)
    assert get(dynamodb)["Item"] == SILK
    with pytest.raises(ClientError) as refused:
        dynamodb.put_item(
            TableName="cloth", Item=SILK, ConditionExpression="attribute_not_exists(id)"
        )
    assert error_code(refused.value) == "ConditionalCheckFailedException"
    assert proxy.asked == {("dynamodb", "PutItem"): 2, ("dynamodb", "GetItem"): 1}
    assert proxy.answered == {("dynamodb", 200): 2, ("dynamodb", 400): 1}
    assert not proxy.injected


def test_services_and_operations_have_their_names(proxy: FaultProxy) -> None:
    objects = client("s3", proxy.url)
    objects.create_bucket(Bucket="hall")
    objects.put_object(Bucket="hall", Key="bale", Body=b"silk" * 10_000)
    assert objects.head_object(Bucket="hall", Key="bale")["ContentLength"] == 40_000
    assert objects.get_object(Bucket="hall", Key="bale")["Body"].read() == b"silk" * 10_000
    client("sqs", proxy.url).list_queues()
    client("sns", proxy.url).list_topics()
    connection = http.client.HTTPConnection(urlsplit(proxy.url).netloc)
    connection.request("GET", "/_aws/execute-api/nobody/v1/health?of=silk")
    answer = connection.getresponse()
    answer.read()
    connection.close()
    api = ("execute-api", "GET /_aws/execute-api/nobody/v1/health")
    assert proxy.asked == {
        ("s3", "PUT /hall"): 1,
        ("s3", "PUT /hall/bale"): 1,
        ("s3", "HEAD /hall/bale"): 1,
        ("s3", "GET /hall/bale"): 1,
        ("sqs", "ListQueues"): 1,
        ("sns", "ListTopics"): 1,
        api: 1,
    }
    assert proxy.answered["execute-api", answer.status] == 1


def test_many_clients_at_once(proxy: FaultProxy) -> None:
    dynamodb = client("dynamodb", proxy.url)
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda _: update(dynamodb), range(200)))
    assert get(dynamodb)["Item"]["ells"] == {"N": "200"}


class Crowd(BaseHTTPRequestHandler):
    """An API that counts how many it has to serve at once."""

    now, most = 0, 0
    lock, two = threading.Lock(), threading.Event()

    def do_GET(self) -> None:  # the name that http.server looks for
        with Crowd.lock:
            Crowd.now += 1
            Crowd.most = max(Crowd.most, Crowd.now)
            if Crowd.now > 1:
                Crowd.two.set()
        Crowd.two.wait(5)
        time.sleep(0.01)  # time for a third to come
        with Crowd.lock:
            Crowd.now -= 1
        self.send_response(HTTPStatus.NO_CONTENT)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # its own name
        pass


def test_an_api_is_let_through_to_a_few_at_a_time() -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), Crowd) as server, ThreadPoolExecutor(9) as pool:
        pool.submit(server.serve_forever, 0.02)
        with fault_proxy(("127.0.0.1", server.server_port), api_at_once=2) as proxy:

            def call(number: int) -> int:
                connection = http.client.HTTPConnection(urlsplit(proxy.url).netloc)
                connection.request("GET", f"/_aws/execute-api/crowd/v1/{number}")
                status = connection.getresponse().status
                connection.close()
                return status

            assert set(pool.map(call, range(8))) == {HTTPStatus.NO_CONTENT}
        server.shutdown()
    assert Crowd.most == 2


# What DynamoDB says when it is busy.


@pytest.mark.parametrize(
    ("operation", "way"), [(operation, way) for operation, ways in WAYS.items() for way in ways]
)
def test_the_client_knows_every_answer(proxy: FaultProxy, operation: str, way: faults.Way) -> None:
    proxy.rule = lambda request: way(request, 1)
    dynamodb = client("dynamodb", proxy.url)
    with pytest.raises(ClientError) as refused:
        CALLS[operation](dynamodb)
    answer: Any = refused.value.response
    known = dynamodb.meta.service_model.operation_model(operation).error_shapes
    assert error_code(refused.value) in {shape.name for shape in known}
    assert answer["Error"]["Message"]
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 400
    assert len(answer["ResponseMetadata"]["RequestId"]) == 52
    assert proxy.injected == {(operation, error_code(refused.value)): 1}


@pytest.mark.parametrize("code", faults.REASONS)
def test_a_transaction_is_canceled_at_one_item_after_the_other(
    proxy: FaultProxy, code: str
) -> None:
    dynamodb = client("dynamodb", proxy.url)
    at = []
    for turn in range(4):
        proxy.rule = partial(faults.canceled, code, turn=turn)
        with pytest.raises(dynamodb.exceptions.TransactionCanceledException) as refused:
            transact(dynamodb)
        reasons = refused.value.response["CancellationReasons"]
        assert Counter(reason["Code"] for reason in reasons) == {"None": 2, code: 1}
        (stopped,) = [reason for reason in reasons if reason["Code"] != "None"]
        assert stopped["Message"]
        at.append(reasons.index(stopped))
        codes = ", ".join(reason["Code"] for reason in reasons)
        assert refused.value.response["Error"]["Message"].endswith(f"[{codes}]")
    assert at == [0, 1, 2, 0]


def test_the_checksum_is_compared(proxy: FaultProxy) -> None:
    """Else a wrong one would go unnoticed."""
    right = faults.error("a#ResourceInUseException", {"message": "no"})
    wrong = Answer(
        name="wrong",
        status=right.status,
        headers=right.headers | {"x-amz-crc32": str(zlib.crc32(b"other"))},
        body=right.body,
    )
    for answer, tries in ((right, 1), (wrong, 2)):
        proxy.rule = always(answer)
        proxy.asked.clear()
        with pytest.raises(ClientError):
            get(client("dynamodb", proxy.url, tries=2))
        assert proxy.asked["dynamodb", "GetItem"] == tries


@pytest.mark.parametrize(
    ("operation", "way", "tries"),
    [
        ("GetItem", faults.throttled, 2),
        ("Query", faults.throughput_exceeded, 2),
        ("PutItem", faults.throughput_exceeded, 2),
        ("TransactWriteItems", faults.in_progress, 2),
        # What the SDK leaves to its caller.
        ("PutItem", faults.conflict, 1),
        ("TransactWriteItems", WAYS["TransactWriteItems"][0], 1),
    ],
)
def test_what_the_sdk_tries_again(
    proxy: FaultProxy, operation: str, way: faults.Way, tries: int
) -> None:
    proxy.rule = lambda request: way(request, 0)
    with pytest.raises(ClientError):
        CALLS[operation](client("dynamodb", proxy.url, tries=2))
    assert proxy.asked["dynamodb", operation] == tries


# The rule that is always busy.


def asked(operation: str, body: bytes = b'{"TransactItems": [{}, {}]}') -> Request:
    return Request(service="dynamodb", operation=operation, body=body)


def refusals(rule: Busy, request: Request) -> int:
    """How often a request is refused until it passes."""
    return next(tries for tries in range(10) if rule(request) == PASS)


def test_busy_refuses_one_in_so_many_once_and_twice_in_turn() -> None:
    rule = Busy({"PutItem": 3})
    counted = [refusals(rule, asked("PutItem", b'{"n": %d}' % number)) for number in range(12)]
    assert counted == [1, 0, 0, 2, 0, 0, 1, 0, 0, 2, 0, 0]


def test_busy_takes_every_way_in_turn() -> None:
    rule = Busy(dict.fromkeys(WAYS, 1))
    for operation, ways in WAYS.items():
        given: list[str] = []
        while len(given) < 2 * len(ways):
            if isinstance(fate := rule(asked(operation)), Answer):
                given.append(fate.name)
        expected = [way(asked(operation), 0).name for way in ways]
        assert given == expected * 2


def test_busy_knows_a_request_that_is_tried_again() -> None:
    """The SDK gives every try of its caller another token."""
    rule = Busy({"TransactWriteItems": 1})
    body = b'{"TransactItems": [{}], "ClientRequestToken": "%d"}'
    fates = [rule(asked("TransactWriteItems", body % number)) for number in range(5)]
    assert [fate == PASS for fate in fates] == [False, True, False, False, True]


def test_busy_leaves_everything_else_alone() -> None:
    rule = Busy({"PutItem": 1})
    assert rule(asked("GetItem")) == PASS
    assert rule(Request(service="kinesis", operation="PutItem", body=b"{}")) == PASS


def test_a_busy_table_does_everything_once(proxy: FaultProxy) -> None:
    """Whoever tries again as often as it should gets there, and nothing is done twice."""
    proxy.rule = Busy({"UpdateItem": 2})
    dynamodb, tries = client("dynamodb", proxy.url), 0
    while proxy.answered["dynamodb", 200] < 10:
        tries += 1
        with suppress(*(getattr(dynamodb.exceptions, code) for code in WRITE_CODES)):
            update(dynamodb)
    assert get(dynamodb)["Item"]["ells"] == {"N": "10"}
    assert tries == 10 + proxy.injected.total() > 12


# Broken connections and lost answers.


def test_a_connection_that_breaks_before_the_call(proxy: FaultProxy) -> None:
    proxy.rule = always(BREAK)
    with pytest.raises(ConnectionClosedError):
        put(client("dynamodb", proxy.url))
    proxy.rule = always(PASS)
    assert "Item" not in get(client("dynamodb", proxy.url))
    assert proxy.injected == {("PutItem", "break"): 1}


def test_a_connection_that_breaks_after_the_call_was_done(proxy: FaultProxy) -> None:
    proxy.rule = Once("PutItem", Done())
    dynamodb = client("dynamodb", proxy.url)
    with pytest.raises(ConnectionClosedError):
        put(dynamodb)
    assert get(dynamodb)["Item"] == SILK
    assert proxy.injected == {("PutItem", "done"): 1, ("PutItem", "break"): 1}


def test_an_error_after_the_call_was_done(proxy: FaultProxy) -> None:
    lost = faults.error("x#InternalServerError", {"message": "lost"})
    proxy.rule = Once("UpdateItem", Done(then=lost))
    dynamodb = client("dynamodb", proxy.url)
    with pytest.raises(ClientError):
        update(dynamodb)
    assert get(dynamodb)["Item"]["ells"] == {"N": "1"}


def test_the_sdk_sends_again_what_was_done_already(proxy: FaultProxy) -> None:
    """So the engine has to recognise its own first try: here is one that does not."""
    proxy.rule = Once("UpdateItem", Done())
    dynamodb = client("dynamodb", proxy.url, tries=2)
    update(dynamodb)
    assert get(dynamodb)["Item"]["ells"] == {"N": "2"}


def test_what_is_late_comes(proxy: FaultProxy) -> None:
    proxy.rule = Once("PutItem", Late(0.2))
    dynamodb = client("dynamodb", proxy.url)
    began = time.monotonic()
    put(dynamodb)
    assert time.monotonic() - began >= 0.2
    assert get(dynamodb)["Item"] == SILK


# Its end.


def test_nothing_is_left_when_it_stops(upstream: tuple[str, int]) -> None:
    """Neither idle connections nor a request that waits keep it, and nobody listens any more."""
    before, waiting = threading.active_count(), threading.Event()

    def rule(request: Request) -> Fate:
        waiting.set()
        return Late(3600, BREAK)

    with ThreadPoolExecutor(1) as pool:
        with fault_proxy(upstream) as proxy:
            url, idle = proxy.url, client("dynamodb", proxy.url)
            get(idle)
            proxy.rule = rule
            late = pool.submit(get, client("dynamodb", url))
            assert waiting.wait(5)
        assert isinstance(late.exception(5), ConnectionClosedError)
    assert threading.active_count() == before
    with pytest.raises(ConnectionRefusedError):
        http.client.HTTPConnection(urlsplit(url).netloc).connect()
