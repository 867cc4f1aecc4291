"""What is told of a caller who had a key and got nothing."""

from florin.domain.refusals import Refusal
from florin.edge import log
from florin.edge.http import Request


def denied(request: Request, refusal: Refusal) -> None:
    """Tell who wanted what from where. The key's id says which key it was, and is no secret."""
    caller = request.caller
    log.error(
        "denied",
        request_id=request.request_id,
        tenant_id=request.tenant_id,
        key_id=caller.key_id if caller else None,
        address=request.address,
        route=request.route,
        code=refusal,
    )
