# SPDX-License-Identifier: Apache-2.0
"""The tree of errors that our own code raises.

Every error has a stable ``code`` (kebab-case, documented in docs/errors.md), an HTTP status of its class and
a message of the form *what is wrong: got X, want Y*. Messages carry ids, places, rules and classes of values,
never personal data and never secrets. Adapters translate third-party exceptions; none crosses a package.

    NodeError
    ├── InvalidInput 400   the caller sent something that is not what the format or rule says
    ├── AccessDenied 403   the caller may not do this
    ├── NotFound     404   there is no such thing here
    ├── Conflict     409   it contradicts what is already there
    ├── Verification 422   a proof, signature or digest does not hold
    ├── Unavailable  503   not now; the same call may succeed later
    └── Fatal        500   our own state is unknown: stop, recover at restart
"""

from __future__ import annotations

from typing import ClassVar


class NodeError(Exception):
    """Base of all our errors.

    Args:
        code: Stable kebab-case identifier, e.g. ``uscc-check-digit``.
        message: One sentence for a person: what is wrong, what was got, what was wanted. No personal data.
    """

    status: ClassVar[int] = 500

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message

    def __reduce__(self) -> tuple[type[NodeError], tuple[str, str]]:
        """Survive a process boundary (workers report errors to the parent)."""
        return type(self), (self.code, self.message)


class InvalidInput(NodeError):
    """The input is not what its format or rule says."""

    status = 400


class AccessDenied(NodeError):
    """The caller may not do this."""

    status = 403


class NotFound(NodeError):
    """There is no such thing here."""

    status = 404


class Conflict(NodeError):
    """It contradicts what is already there."""

    status = 409


class Verification(NodeError):
    """A proof, signature or digest does not hold."""

    status = 422


class Unavailable(NodeError):
    """Not now; the same call may succeed later."""

    status = 503


class Fatal(NodeError):
    """Our own state is unknown: stop and recover at restart."""

    status = 500
