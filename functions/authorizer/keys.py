"""From the Authorization header of a request to a policy that API Gateway understands.

The gateway remembers the policy and what is said with it for as long as the stack's
`KeyCacheSeconds`: so long a key may be used after it was revoked. Nothing is remembered here, so
that it is not longer.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from florin.domain.keys import ApiKey, KeyStatus
from florin.edge import log
from florin.edge.callers import context_of
from florin.edge.headers import headers_of
from florin.edge.pepper import Peppers, key_hash
from florin.ports import LAST_USE_KEPT_EVERY, ApiKeys, Clock, Config

_BEARER: Final = re.compile(
    r"(?i:bearer) (sk_(?:test|live)_([0-9A-HJKMNP-TV-Z]{26})_[A-Za-z0-9_-]{32,200})"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Authorizer:
    """Knows keys by the id in them, recognizes them by their keyed hash, and never tells one to
    anybody, the log included.
    """

    keys: ApiKeys
    config: Config
    peppers: Peppers
    clock: Clock

    def authorize(self, event: Mapping[str, Any]) -> dict[str, Any]:
        """The policy for a request with a key that is active.

        Raises:
            Exception: "Unauthorized", the word for which API Gateway answers 401.
        """
        found = self._find(headers_of(event).get("authorization", ()))
        log.line(
            "authorizer",
            request_id=(event.get("requestContext") or {}).get("requestId"),
            tenant_id=found.tenant_id if found else None,
            key_id=found.key_id if found else None,
            allowed=found is not None,
        )
        if found is None:
            raise Exception("Unauthorized")  # noqa: TRY002  # this very type and text: the contract
        return _policy(found, self.config.gateway_key(found.tenant_id), event["methodArn"])

    def _find(self, values: tuple[str, ...]) -> ApiKey | None:
        match values:
            case (value,) if given := _BEARER.fullmatch(value):
                return self._opened_by(*given.groups())
            case _:
                return None

    def _opened_by(self, given: str, ulid: str) -> ApiKey | None:
        key = self.keys.api_key(f"key_{ulid}")
        if key is None:
            return None
        pepper = self.peppers.matching(given, key.secret_hash)
        now = self.clock.now()
        if pepper is None or key.status(now) is not KeyStatus.ACTIVE:
            return None
        if key.last_used_at is None or key.last_used_at <= now - LAST_USE_KEPT_EVERY:
            self._say_used(key, given)
        return key

    def _say_used(self, key: ApiKey, given: str) -> None:
        """Keep that the key was used, and its hash under the current pepper: so every key in use
        outlives a pepper. Nobody's request fails when this does.
        """
        try:
            self.keys.used(key, self.clock.now(), key_hash(self.peppers.current, given))
        except Exception as error:  # noqa: BLE001  # it is said the next time
            log.failure("use of a key not kept", error, key_id=key.key_id)


def _policy(key: ApiKey, gateway_key: str | None, method_arn: str) -> dict[str, Any]:
    """Leave to call any route of the stage, for the policy is cached for all of them: what of it
    the key may really call is judged behind the gateway.

    `method_arn` is `arn:…:{api}/{stage}/{method}/{path}`. The gateway counts the calls of one
    tenant under `usageIdentifierKey`, whichever of its keys they come with.
    """
    api, stage, *_ = method_arn.split("/")
    counted = {"usageIdentifierKey": gateway_key} if gateway_key else {}
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
        "context": context_of(key),
        **counted,
    }
