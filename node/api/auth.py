# SPDX-License-Identifier: Apache-2.0
"""Who may call what: every route says which roles it lets in, or that it is open to all; one that says nothing is refused.

Tokens themselves: node.service.tokens.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from fastapi.security.utils import get_authorization_scheme_param

from node.api.problems import ROLE
from node.errors import NodeError
from node.service.tokens import ROLES, Caller, TokenEntry, check_token

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from fastapi.routing import APIRoute

    from node.core.clock import Clock

_BEARER = HTTPBearer(auto_error=False, description="A token of this node, `ict_…`")


class TokenGate:
    """Checks tokens.

    Args:
        current: Gives the tokens as they are now; raises ``Unavailable`` when it cannot.
        clock: The clock.
    """

    def __init__(self, current: Callable[[], Sequence[TokenEntry]], clock: Clock) -> None:
        self._current = current
        self._clock = clock

    def check(self, text: str | None, roles: Sequence[str]) -> Caller:
        """Let a caller in.

        Raises:
            AccessDenied: See ``check_token``.
            Unavailable: ``tokens-unreadable``.
        """
        return check_token(self._current(), text, roles, self._clock.now_seconds())


class _Declared:
    """What a route says about its callers."""

    roles: tuple[str, ...] | None


class _OpenToAll(_Declared):
    roles = None

    async def __call__(self) -> None:
        """Let everybody in."""


class _Roles(_Declared):
    def __init__(self, roles: tuple[str, ...]) -> None:
        self.roles = roles

    async def __call__(
        self, request: Request, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_BEARER)]
    ) -> Caller:
        """Let in callers with one of the roles."""
        gate: TokenGate = request.app.state.gate
        caller = gate.check(credentials.credentials if credentials else None, self.roles or ())
        # For the line of this call in the node's log, which names no account.
        request.scope[ROLE] = caller.role
        return caller


class _OpenToAllKnowingStaff(_Declared):
    roles = None

    async def __call__(self, request: Request) -> bool:
        """Let everybody in, and tell whether the caller has a token of this node."""
        gate: TokenGate = request.app.state.gate
        try:
            request.scope[ROLE] = gate.check(bearer_of(request), ROLES).role
        except NodeError:
            return False
        return True


def roles_of(route: APIRoute) -> tuple[str, ...] | None:
    """Give the roles that a route lets in beside administrators, None for all the world.

    Raises:
        LookupError: The route does not say; a program with such a route does not start.
    """
    for dependency in route.dependant.dependencies:
        if isinstance(dependency.call, _Declared):
            return dependency.call.roles
    raise LookupError(f"{route.path_format} does not say who may call it")


def bearer_of(request: Request) -> str | None:
    """Read the bearer token of a request, where no dependency can: before its body."""
    scheme, token = get_authorization_scheme_param(request.headers.get("authorization"))
    return token if scheme.lower() == "bearer" and token else None


def require(*roles: str) -> Any:
    """Make the dependency that lets in callers with one of some roles."""
    return Depends(_Roles(roles))


OPEN: Final = Depends(_OpenToAll())
IsStaff = Annotated[bool, Depends(_OpenToAllKnowingStaff())]
"""Of a route that is open to all and tells the node's own staff more."""
Officer = Annotated[Caller, require("officer", "operator")]
Operator = Annotated[Caller, require("operator")]
Auditor = Annotated[Caller, require("auditor")]
Staff = Annotated[Caller, require("officer", "operator", "auditor")]
Administrator = Annotated[Caller, require("administrator")]
