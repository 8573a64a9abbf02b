"""Author: the principal of a change, as versions of models and the audit log record it."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Author:
    """The principal that a change was made by, None if unknown, and the request that made it."""

    principal: str | None = None
    on_behalf_of: str | None = None
    correlation_id: str | None = None


UNKNOWN_AUTHOR = Author()
FindAuthor = Callable[[], Author]
"""Finds the author of the call that runs here."""


def find_no_author() -> Author:
    """Return the author of changes that no request makes."""
    return UNKNOWN_AUTHOR
