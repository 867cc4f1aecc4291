"""What makes a request the same request again."""

import msgspec

from florin.edge.http import Request
from florin.edge.pepper import fingerprint
from florin.handle import Once


def once(request: Request, key: str, body: msgspec.Struct, pepper: bytes) -> Once:
    """A request by its tenant's key, the route with what it names, and its fields' hashes."""
    return Once(
        tenant_id=request.tenant_id,
        key=key,
        route=request.route.format_map(request.path),
        fingerprint=fingerprint(pepper, msgspec.to_builtins(body)),
    )
