"""From the Authorization header of a request to a policy that API Gateway understands."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from florin.edge import log
from florin.edge.headers import headers_of
from florin.edge.pepper import key_hash
from florin.ports import ApiKey, Config

_BEARER: Final = re.compile(r"(?i:bearer) (sk_(?:test|live)_[A-Za-z0-9_-]{1,200})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Authorizer:
    """Finds keys by their keyed hash. It never tells a key to anybody, the log included."""

    config: Config
    pepper: Callable[[], bytes]

    def authorize(self, event: Mapping[str, Any]) -> dict[str, Any]:
        """The policy for a request with a known key.

        Raises:
            Exception: "Unauthorized", the word for which API Gateway answers 401.
        """
        found = self._find(headers_of(event).get("authorization", ()))
        log.line(
            "authorizer",
            request_id=(event.get("requestContext") or {}).get("requestId"),
            tenant_id=found.tenant_id if found else None,
            allowed=found is not None,
        )
        if found is None:
            raise Exception("Unauthorized")  # noqa: TRY002  # this very type and text: the contract
        return _policy(found, event["methodArn"])

    def _find(self, values: tuple[str, ...]) -> ApiKey | None:
        match values:
            case (value,) if given := _BEARER.fullmatch(value):
                return self.config.api_key(key_hash(self.pepper(), given[1]))
            case _:
                return None


def _policy(key: ApiKey, method_arn: str) -> dict[str, Any]:
    """Leave to call any route of the stage: the policy is cached for all of them.

    `method_arn` is `arn:…:{api}/{stage}/{method}/{path}`.
    """
    api, stage, *_ = method_arn.split("/")
    return {
        "principalId": key.tenant_id,
        "policyDocument": {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Action": "execute-api:Invoke",
                    "Effect": "Allow",
                    "Resource": f"{api}/{stage}/*/*",
                }
            ],
        },
        "context": {"tenant_id": key.tenant_id, "mode": key.mode, "role": key.role},
    }
