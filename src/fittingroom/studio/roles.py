"""Who may do what: the owner everything, guests look and try."""

from __future__ import annotations

from fastapi import Request

from fittingroom.serving.gate import ROLE, Role
from fittingroom.serving.limits import RefusedError


def role_of(request: Request) -> Role:
    """Who asks. The gate has found it out; without a gate in front nobody is the owner."""
    role: Role = request.scope.get(ROLE, "guest")
    return role


def owner(request: Request) -> None:
    """For `dependencies=[Depends(owner)]` of every route that changes anything.

    Raises:
        RefusedError: 403 for a guest.
    """
    if role_of(request) != "owner":
        raise RefusedError(
            403,
            "owner_only",
            "With this link one looks and tries. Training, changing, deleting and opening test sets need the owner's "
            "link, which was printed when the studio started.",
        )
