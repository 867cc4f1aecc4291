"""`make dead-letters`: list what was given up, look at one, redrive one or all that match.

    make dead-letters [HOP=…] [PAYMENT=…] [CAUSE=…] [STATE=open|redriven|all]
    make dead-letters ID=dl_…
    make dead-letters REDRIVE=1 (ID=dl_… | HOP=… and so on)

Without STATE the open ones are meant. It asks the stack of `make up`, or any other by
`API_URL=https://…/v1 API_KEY=sk_…`, and needs nothing but the HTTP API.
"""

import contextlib
import json
import os
import sys
import uuid
from collections.abc import Mapping
from urllib.parse import quote, urlencode

from infra.client import Answer, Client, Json
from infra.local import lifecycle
from infra.paths import STATE

FILTERS = {"HOP": "hop", "PAYMENT": "payment_id", "CAUSE": "cause"}
CAUSE_SHOWN = 60


class DeadLettersError(Exception):
    """It was not done; the message says why."""


def main(given: Mapping[str, str]) -> None:
    client = _client(given)
    filters = {name: given[word] for word, name in FILTERS.items() if given.get(word)}
    dead_letter_id = given.get("ID", "")
    match bool(given.get("REDRIVE")), bool(dead_letter_id):
        case True, True:
            _redrive(client, f"/dead-letters/{quote(dead_letter_id)}/redrive", {})
        case True, False:
            if not filters:
                raise DeadLettersError("Say what to redrive: ID=, or HOP=, PAYMENT=, CAUSE=.")
            _redrive(client, "/dead-letters/redrive", filters)
        case False, True:
            _show(client, dead_letter_id)
        case _:
            state = given.get("STATE") or "open"
            _list(client, filters if state == "all" else filters | {"state": state})


def _client(given: Mapping[str, str]) -> Client:
    if given.get("API_URL"):
        return Client(given["API_URL"].rstrip("/"), given.get("API_KEY", ""))
    stack = lifecycle.running(STATE)
    if stack is None:
        raise DeadLettersError("There is no stack running; make up, or give API_URL and API_KEY.")
    return Client.of(stack)


def _list(client: Client, filters: Mapping[str, str]) -> None:
    found, after = 0, ""
    while True:
        page = {**filters, "limit": "100", **({"starting_after": after} if after else {})}
        body = _ok(client.get(f"/dead-letters?{urlencode(page)}"))
        for letter in body["data"]:
            found += 1
            after = letter["dead_letter_id"]
            print(_line(letter))
        if not body["has_more"]:
            break
    print(f"{found or 'No'} dead letter{'' if found == 1 else 's'}.")


def _line(letter: Json) -> str:
    about = letter["stream"] or "nobody knows"
    if letter["version"] is not None:
        about += f" v{letter['version']}"
    return (
        f"{letter['dead_letter_id']}  {letter['last_seen_at']}  {letter['state']:<8}  "
        f"{letter['hop']:<9}  {about}  {letter['cause'][:CAUSE_SHOWN]}"
    )


def _show(client: Client, dead_letter_id: str) -> None:
    letter = _ok(client.get(f"/dead-letters/{quote(dead_letter_id)}"))
    payload = letter.pop("payload")
    for name, value in letter.items():
        print(f"{name:<15} {'-' if value is None else value}")
    with contextlib.suppress(ValueError):
        payload = json.dumps(json.loads(payload), indent=2)
    print(f"payload\n{payload}")


def _redrive(client: Client, path: str, filters: Json) -> None:
    """Redrive each letter that matches once."""
    states: dict[str, str] = {}
    asked = dict(filters)
    while True:
        body = _ok(client.post(path, asked, uuid.uuid4().hex))
        states |= {letter["dead_letter_id"]: letter["state"] for letter in body["data"]}
        if not body["has_more"]:
            break
        asked["starting_after"] = body["data"][-1]["dead_letter_id"]
    left = [dead_letter_id for dead_letter_id, state in states.items() if state == "open"]
    for dead_letter_id in left:
        print(f"still open: {dead_letter_id}")
    print(f"{len(states) - len(left)} redriven, {len(left)} still open.")


def _ok(answer: Answer) -> Json:
    if answer.status >= 400:
        error = answer.body.get("error", {})
        raise DeadLettersError(f"{answer.status} {error.get('code')}: {error.get('message')}")
    return answer.body


if __name__ == "__main__":
    try:
        main(os.environ)
    except DeadLettersError as error:
        sys.exit(str(error))
