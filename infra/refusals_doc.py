"""Write docs/refusals.md: every reason for which a request is refused, from the code itself.

Run it as `PYTHONPATH=shared python -m infra.refusals_doc`.
"""

from typing import Final

from florin.domain.refusals import Refusal
from florin.edge.http import ERROR_TYPES, STATUS
from infra.paths import ROOT

DOCUMENT: Final = ROOT / "docs" / "refusals.md"

_HEAD = """\
# Refusals

Every reason for which a request changes nothing. This page is written from
`florin.domain.refusals` by `python -m infra.refusals_doc`; a test sees to it that it is current.

An error's body is the same everywhere:

```json
{
  "error": {
    "type": "rule",
    "code": "currency_differs",
    "message": "The account has another currency.",
    "param": "currency",
    "transient": false,
    "request_id": "c6af9ac6-7b61-11e6-9a41-93e8deadbeef"
  }
}
```

`code` is one of the list below and has one HTTP status; codes are added, never renamed. `param`
names the fields that the error is about, by their paths and with commas between them, or is null.
What is *transient* may not come again when the same request is repeated later. `message` is for
people and may be worded better one day.

| code | status | type | transient | message |
|---|---|---|---|---|
"""


def rendered() -> str:
    """The page as it should be."""
    rows = (
        f"| `{refusal}` | {STATUS[refusal]} | {ERROR_TYPES[STATUS[refusal]]} "
        f"| {'yes' if refusal.transient else 'no'} | {refusal.sentence} |\n"
        for refusal in sorted(Refusal, key=lambda refusal: (STATUS[refusal], refusal))
    )
    return _HEAD + "".join(rows)


if __name__ == "__main__":
    DOCUMENT.write_text(rendered(), encoding="utf-8")
