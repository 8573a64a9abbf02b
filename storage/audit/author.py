"""Author: the principal of a change, as versions of models and the audit log record it."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Author:
    """The principal that made a change, None if unknown, and the request."""

    principal: str | None = None
    on_behalf_of: str | None = None
    correlation_id: str | None = None


UNKNOWN_AUTHOR = Author()
FindAuthor = Callable[[], Author]
"""Finds the author of the current call."""


def find_no_author() -> Author:
    """Return the unknown author, for changes without a request."""
    return UNKNOWN_AUTHOR
