"""Ids of securities and portfolios: tickers, ISINs, account numbers."""

import re
from functools import lru_cache

from optimization.errors import RuleError

MAX_IDENTIFIER_LENGTH = 64
IDENTIFIER_RULE = (
    f"an id has 1 to {MAX_IDENTIFIER_LENGTH} printable characters, without blanks at its ends"
)
# Listed because str.isprintable accepts them although they are invisible: joiners, fillers,
# variation selectors.
INVISIBLE = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164"
    "\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)


def is_visible(text: str) -> bool:
    r"""Whether a text has no control, bidi, zero-width or otherwise invisible character.

    The space is the only blank allowed.

    >>> is_visible("Müller & Söhne"), is_visible("VTI\u200b")
    (True, False)
    """
    return text.isprintable() and INVISIBLE.search(text) is None


def require_visible(field: tuple[str | int, ...], name: str) -> None:
    """Refuse a name that contains an invisible character."""
    if not is_visible(name):
        rule = "a name has no control, bidi, zero-width or otherwise invisible characters"
        raise RuleError(field, name, rule)


def visible(text: str) -> str:
    r"""Replace every invisible character of a text.

    >>> visible("Growth\x1b[2J")
    'Growth�[2J'
    """
    return "".join(each if is_visible(each) else "\ufffd" for each in text)


@lru_cache(maxsize=16_384)  # a request names the same securities portfolio after portfolio
def is_identifier(value: str) -> bool:
    """Return whether a text can be the id of a security or a portfolio.

    >>> is_identifier("BRK.B"), is_identifier(" VTI")
    (True, False)
    """
    fits = 1 <= len(value) <= MAX_IDENTIFIER_LENGTH and value == value.strip()
    return fits and is_visible(value)


def require_identifier(field: tuple[str | int, ...], value: str) -> None:
    """Refuse what is not a security or portfolio id."""
    if not is_identifier(value):
        raise RuleError(field, value, IDENTIFIER_RULE)
