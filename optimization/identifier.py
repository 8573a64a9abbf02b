"""Ids of securities and portfolios."""

import re

from optimization.errors import RuleError

IDENTIFIER = re.compile(r"[A-Za-z0-9]{24}")


def require_identifier(field: tuple[str | int, ...], value: str) -> None:
    """Refuse what is not a security or portfolio id."""
    if not IDENTIFIER.fullmatch(value):
        raise RuleError(field, value, "an id has exactly 24 characters of A-Z, a-z and 0-9")
