"""Everything that a stack holds, to be searched for what must not be there.

A search that finds nothing proves nothing unless it is known to find: `planted` puts a text into
every place that is looked at, and takes it out again.
"""

import json
import re
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote_plus

from botocore.exceptions import ClientError

from infra.local import Stack
from infra.local.emulator import LOG_NAME

Text = tuple[str, str]
"""Where something lies, and what it is."""

DIGITS: Final = re.compile(r"[0-9](?:[^0-9A-Za-z]{0,3}[0-9]){12,}")
CODE: Final = frozenset({".py", ".pyc", ".so", ".zip"})
NO_DIGIT: Final = re.compile(r"[^0-9]+")


def found(numbers: Iterable[str], text: str) -> set[str]:
    """Those of the numbers that stand in a text, whatever stands between their digits."""
    wanted = set(numbers)
    runs = {NO_DIGIT.sub("", run) for run in DIGITS.findall(text)}
    if "%" in text:
        runs |= {NO_DIGIT.sub("", run) for run in DIGITS.findall(unquote_plus(text))}
    return {number for number in wanted if any(number in run for run in runs)}


def everything(stack: Stack, directory: Path, sent: Iterable[bytes]) -> Iterator[Text]:
    """All logs, files, items, messages, executions and objects of a stack, and what its functions
    have sent to AWS.
    """
    yield from _logs(stack)
    yield from _files(directory)
    yield from _items(stack)
    yield from _messages(stack)
    yield from _executions(stack)
    yield from _objects(stack)
    yield from _archives(stack)
    for body in sent:
        yield "sent by a function", body.decode(errors="replace")


def _logs(stack: Stack) -> Iterator[Text]:
    logs = stack.client("logs")
    for group in _groups(logs):
        for page in logs.get_paginator("filter_log_events").paginate(logGroupName=group):
            for event in page["events"]:
                yield f"log group {group}", event["message"]


def _groups(logs: Any) -> list[str]:
    pages = logs.get_paginator("describe_log_groups").paginate()
    return [group["logGroupName"] for page in pages for group in page["logGroups"]]


def _files(directory: Path) -> Iterator[Text]:
    """The emulator's log, with what its workers say, and whatever else it writes."""
    for path in sorted(directory.rglob("*")):
        if path.is_file() and path.suffix not in CODE:
            try:
                text = path.read_text(encoding="latin-1")
            except FileNotFoundError:
                continue  # a worker's, which has ended
            yield f"file {path.name}", text


def _items(stack: Stack) -> Iterator[Text]:
    dynamodb = stack.client("dynamodb")
    for table in _tables(dynamodb):
        for page in dynamodb.get_paginator("scan").paginate(TableName=table):
            for item in page["Items"]:
                yield f"table {table}", json.dumps(item, default=str)


def _tables(dynamodb: Any) -> list[str]:
    pages = dynamodb.get_paginator("list_tables").paginate()
    return [name for page in pages for name in page["TableNames"]]


def _messages(stack: Stack) -> Iterator[Text]:
    sqs = stack.client("sqs")
    for queue in _queues(sqs):
        for message in _waiting(sqs, queue):
            yield _queue(queue), json.dumps(message)


def _queue(url: str) -> str:
    return f"queue {url.rpartition('/')[2]}"


def _queues(sqs: Any) -> list[str]:
    return [
        url for page in sqs.get_paginator("list_queues").paginate() for url in page["QueueUrls"]
    ]


def _waiting(sqs: Any, queue: str) -> Iterator[dict[str, Any]]:
    """The messages that can be received, which stay where they are."""
    seen: set[str] = set()
    while True:
        messages = sqs.receive_message(
            QueueUrl=queue,
            MaxNumberOfMessages=10,
            VisibilityTimeout=0,
            AttributeNames=["All"],
            MessageAttributeNames=["All"],
        ).get("Messages", [])
        new = [message for message in messages if message["MessageId"] not in seen]
        if not new:
            return
        for message in new:
            seen.add(message["MessageId"])
            yield message


def _executions(stack: Stack) -> Iterator[Text]:
    states = stack.client("stepfunctions")
    for page in states.get_paginator("list_state_machines").paginate():
        for machine in page["stateMachines"]:
            yield from _history(states, machine["stateMachineArn"])


def _history(states: Any, machine: str) -> Iterator[Text]:
    try:
        pages = list(states.get_paginator("list_executions").paginate(stateMachineArn=machine))
    except ClientError:
        return  # an EXPRESS machine, which keeps none
    for execution in (one for page in pages for one in page["executions"]):
        arn = execution["executionArn"]
        yield (
            _machine(machine),
            json.dumps(states.describe_execution(executionArn=arn), default=str),
        )
        for page in states.get_paginator("get_execution_history").paginate(executionArn=arn):
            yield _machine(machine), json.dumps(page["events"], default=str)


def _machine(arn: str) -> str:
    return f"executions of {arn.rpartition(':')[2]}"


def _objects(stack: Stack) -> Iterator[Text]:
    s3 = stack.client("s3")
    for bucket in (one["Name"] for one in s3.list_buckets()["Buckets"]):
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket):
            for key in (one["Key"] for one in page.get("Contents", ())):
                body = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
                yield f"bucket {bucket}", f"{key}\n{body.decode('latin-1')}"


def _archives(stack: Stack) -> Iterator[Text]:
    archives = stack.client("events").list_archives()["Archives"]
    if archives:
        raise NotImplementedError("an archive of events is a place that is not searched yet")
    yield from ()


@contextmanager
def quiet(stack: Stack) -> Iterator[None]:
    """Nobody takes messages from the queues."""
    functions = stack.client("lambda")
    pages = functions.get_paginator("list_event_source_mappings").paginate()
    listeners = [
        mapping["UUID"]
        for page in pages
        for mapping in page["EventSourceMappings"]
        if ":sqs:" in mapping["EventSourceArn"]
    ]
    for listener in listeners:
        functions.update_event_source_mapping(UUID=listener, Enabled=False)
    try:
        yield
    finally:
        for listener in listeners:
            functions.update_event_source_mapping(UUID=listener, Enabled=True)


Later = Callable[..., object]
"""Has something done when the text is to be taken out."""


@contextmanager
def planted(stack: Stack, directory: Path, text: str, *, spared: str) -> Iterator[set[str]]:
    """A text in every place but one table; where it was put, in the words of `everything`. The
    queues have to be quiet.
    """
    with ExitStack() as removals:
        later = removals.callback
        yield {
            *_in_logs(stack, text, later),
            *_in_files(directory, text, later),
            *_in_tables(stack, text, spared, later),
            *_in_queues(stack, text, later),
            *_in_executions(stack, text, later),
            *_in_buckets(stack, text, later),
        }


def _in_logs(stack: Stack, text: str, later: Later) -> Iterator[str]:
    logs = stack.client("logs")
    for group in _groups(logs):
        where = {"logGroupName": group, "logStreamName": "planted"}
        logs.create_log_stream(**where)
        later(logs.delete_log_stream, **where)
        event = {"timestamp": int(time.time() * 1000), "message": text}
        logs.put_log_events(**where, logEvents=[event])
        yield f"log group {group}"


def _in_files(directory: Path, text: str, later: Later) -> Iterator[str]:
    with (directory / LOG_NAME).open("a") as log:  # the text stays in it
        log.write(f"{text}\n")
    yield f"file {LOG_NAME}"
    for folder in (directory, *(path for path in directory.iterdir() if path.is_dir())):
        file = folder / "planted.txt"
        file.write_text(text)
        later(file.unlink)
        yield f"file {file.name}"


def _in_tables(stack: Stack, text: str, spared: str, later: Later) -> Iterator[str]:
    dynamodb = stack.client("dynamodb")
    for table in set(_tables(dynamodb)) - {spared}:
        keys = dynamodb.describe_table(TableName=table)["Table"]["KeySchema"]
        key = {each["AttributeName"]: {"S": "planted"} for each in keys}
        item = {**key, "deep": {"M": {"down": {"L": [{"S": text}]}}}}
        dynamodb.put_item(TableName=table, Item=item)
        later(dynamodb.delete_item, TableName=table, Key=key)
        yield f"table {table}"


def _in_queues(stack: Stack, text: str, later: Later) -> Iterator[str]:
    sqs = stack.client("sqs")
    for queue in _queues(sqs):
        sqs.send_message(QueueUrl=queue, MessageBody=text)
        later(_take_out, sqs, queue, text)
        yield _queue(queue)


def _take_out(sqs: Any, queue: str, text: str) -> None:
    for message in _waiting(sqs, queue):  # deleted before the next look, which ends its receipt
        if message["Body"] == text:
            sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])


def _in_executions(stack: Stack, text: str, later: Later) -> Iterator[str]:
    """In a machine of its own, for ours would do something with it."""
    states = stack.client("stepfunctions")
    like = states.describe_state_machine(stateMachineArn=stack.state_machines["standard"])
    definition = {"StartAt": "Pass", "States": {"Pass": {"Type": "Pass", "End": True}}}
    machine = states.create_state_machine(
        name="planted", definition=json.dumps(definition), roleArn=like["roleArn"]
    )["stateMachineArn"]
    later(states.delete_state_machine, stateMachineArn=machine)
    states.start_execution(stateMachineArn=machine, input=json.dumps({"text": text}))
    yield _machine(machine)


def _in_buckets(stack: Stack, text: str, later: Later) -> Iterator[str]:
    """In a bucket of its own, for others tell of what is put into them."""
    s3, where = stack.client("s3"), {"Bucket": "planted", "Key": "planted"}
    s3.create_bucket(Bucket=where["Bucket"])
    later(s3.delete_bucket, Bucket=where["Bucket"])
    s3.put_object(**where, Body=text.encode())
    later(s3.delete_object, **where)
    yield f"bucket {where['Bucket']}"
