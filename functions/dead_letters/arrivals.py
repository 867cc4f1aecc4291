"""What lies in the queues of the dead, in each of the forms in which it comes there.

    parked by a hop          {"hop", "cause", "payload": {"stream", "version"} or {"message"}}
    parked by an execution   {"hop", "payment_id", "execution", "state", "error"}
    an execution that ended  Step Functions' own event, when nothing could be parked
    a failed batch           S3 tells of an object, which holds the records of a stream's reader
    moved by a queue or bus  the message as it was, perhaps with why in its attributes

Nothing here fails on content: what has no form that is known is kept as it is.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import unquote_plus

from florin.dead_letters import TAMPER, event_work, letter_id
from florin.ports import Arrival

CAUSE_LENGTH_MAX: Final = 1_000
NAME_LENGTH_MAX: Final = 255
STATUS_CHANGE: Final = "Step Functions Execution Status Change"
PARKED: Final = "PaymentParked"
"""The error of an execution that has parked its payment itself."""

Json = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrivals:
    """Reads the messages of the queues.

    `hops` names the hop behind a queue, function or state machine by its ARN. `owner` tells whose
    a stream is, and `stored` gets the text of an object from its bucket.
    """

    hops: Mapping[str, str]
    owner: Callable[[str], str | None]
    stored: Callable[[str, str], str]

    def of(self, record: Json) -> Iterator[Arrival]:
        """What one message of a queue is about."""
        message_id, body = record["messageId"], record["body"]
        found = _object(body)
        try:
            if found.get("Event") == "s3:TestEvent":  # S3 tries a notification once
                return
            if found.get("Records"):
                for number, (hop, cause, payload) in enumerate(self._batches(found)):
                    yield self._about(f"{message_id}/{number}", hop, cause, payload)
                return
            if found.get("detail-type") == STATUS_CHANGE:
                yield from self._ended(message_id, found["detail"])
                return
            if "cause" in found and "payload" in found:
                yield self._parked(message_id, found)
                return
            if "execution" in found:
                cause = _failure(found["state"], found["error"])
                yield self._about(message_id, found["hop"], cause, found)
                return
        except (KeyError, TypeError, ValueError, AttributeError):
            pass
        hop = self.hops.get(record["eventSourceARN"], "unknown")
        yield self._message(message_id, hop, _why(record), body)

    def _parked(self, message_id: str, found: Json) -> Arrival:
        payload = found["payload"]
        if "message" in payload:
            return self._message(message_id, found["hop"], found["cause"], payload["message"])
        return self._about(message_id, found["hop"], found["cause"], payload)

    def _ended(self, message_id: str, detail: Json) -> Iterator[Arrival]:
        if detail.get("error") == PARKED:
            return
        payload = {
            "payment_id": json.loads(detail["input"])["payment_id"],
            "execution": detail["executionArn"],
        }
        cause = f"the execution ended as {detail['status']}: {detail.get('cause') or 'no cause'}"
        yield self._about(message_id, self.hops[detail["stateMachineArn"]], cause, payload)

    def _batches(self, notification: Json) -> Iterator[tuple[str, str, Json]]:
        for told in notification["Records"]:
            place = told["s3"]
            key = unquote_plus(place["object"]["key"])
            batch = json.loads(self.stored(place["bucket"]["name"], key))
            context = batch["requestContext"]
            cause = f"{context['condition']}: {batch['responseContext'].get('functionError')}"
            payload = batch["payload"]
            records = (json.loads(payload) if isinstance(payload, str) else payload)["Records"]
            for record in records:
                yield self._hop(context["functionArn"]), cause, {"keys": record["dynamodb"]["Keys"]}

    def _hop(self, function_arn: str) -> str:
        """The hop of a function, whose ARN may name a version too."""
        return self.hops[":".join(function_arn.split(":")[:7])]

    def _about(self, message_id: str, hop: str, cause: str, payload: Json) -> Arrival:
        """Work on an event or a payment that we know the name of, or evidence about one."""
        keys = payload.get("keys") or {}
        named = payload.get("stream") or payload.get("payment_id") or _key(keys, "stream", "S")
        stream = _name(named)
        version = payload.get("version") or _key(keys, "version", "N")
        text = json.dumps(payload)
        work = event_work(stream, version) if stream else _hash(text)
        tenant_id = self.owner(stream) if stream else None
        if cause == TAMPER:
            # The event itself is in it, private fields and all: that is for operators.
            work, tenant_id = f"{TAMPER}:{work}:{_hash(text)}", None
        return Arrival(
            letter_id=letter_id(hop, work),
            message_id=message_id,
            hop=hop,
            cause=cause[:CAUSE_LENGTH_MAX],
            payload=text,
            tenant_id=tenant_id,
            stream=stream,
            version=int(version) if version is not None else None,
        )

    def _message(self, message_id: str, hop: str, cause: str, body: str) -> Arrival:
        """A message of a listener, which may be about an event of ours or anything at all."""
        found = _object(body)
        detail = found.get("detail")
        told = detail if isinstance(detail, dict) else {}
        stream, version, event_id = (
            _name(told.get("stream") or found.get("payment_id")),
            told.get("version"),
            told.get("event_id"),
        )
        tenant_id = self.owner(stream) if stream else None
        return Arrival(
            letter_id=letter_id(hop, event_id if isinstance(event_id, str) else _hash(body)),
            message_id=message_id,
            hop=hop,
            cause=cause[:CAUSE_LENGTH_MAX],
            payload=body,
            tenant_id=tenant_id,
            stream=stream if tenant_id else None,
            version=version if tenant_id and isinstance(version, int) else None,
        )


def _why(record: Json) -> str:
    """Why a message was moved: the bus says so in attributes, a queue does not say."""
    attributes = record.get("messageAttributes") or {}
    said = [
        attributes[name]["stringValue"]
        for name in ("ERROR_CODE", "ERROR_MESSAGE")
        if "stringValue" in attributes.get(name, {})
    ]
    return ": ".join(said) or "it was tried as often as it may be, and the tries ended unheard"


def _failure(state: str, error: Json) -> str:
    return f"{state} failed with {error.get('Error')}: {error.get('Cause')}"


def _key(keys: Json, name: str, kind: str) -> Any:
    return keys.get(name, {}).get(kind)


def _name(given: object) -> str | None:
    """What could be the name of a stream."""
    return given if isinstance(given, str) and 0 < len(given) <= NAME_LENGTH_MAX else None


def _object(text: str) -> Json:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
