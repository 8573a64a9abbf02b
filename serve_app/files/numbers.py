"""Numbers as people write them: decimal marks, thousands, percent, currency, brackets for minus.

A text is read in one way or refused, never guessed: ``1,234`` is a thousand or a little more than
one, and only the other numbers of its table can tell.
"""

import re
from decimal import Decimal
from enum import Enum
from functools import lru_cache
from typing import Final, NamedTuple

from optimization import EXACT
from serve_app.files.table import Number

BLANKS: Final = " \u00a0\u2007\u2009\u202f"
_SIGNS: Final = {"$": "USD", "€": "EUR", "£": "GBP", "¥": "JPY", "₹": "INR", "₩": "KRW"}
_CURRENCY: Final = rf"[{''.join(_SIGNS)}]|(?:US|CA|AU|C|A|HK|S|NZ)\$|[A-Z]{{3}}"
_PARTS: Final = re.compile(
    rf"(?P<sign>[-+\u2212]?)(?P<before>{_CURRENCY})?[{BLANKS}]*(?P<inner>[-\u2212]?)"
    rf"(?P<digits>[0-9.,'\u2019{BLANKS}]*[0-9][.,]?)"
    rf"(?P<exponent>[eE][-+]?[0-9]{{1,3}})?"
    rf"[{BLANKS}]*(?P<after>{_CURRENCY})?[{BLANKS}]*(?P<percent>%?)"
)
_SHORTENED: Final = re.compile(r"E[-+][0-9]{2,}")  # a form that spreadsheets save numbers in


class Mark(Enum):
    """Decimal mark."""

    POINT = "."
    COMMA = ","


def _compile_pattern(mark: Mark) -> re.Pattern[str]:
    groups = "," if mark is Mark.POINT else "."
    grouped = (
        rf"[1-9][0-9]{{0,2}}(?P<group>[{groups}'\u2019{BLANKS}])[0-9]{{3}}(?:(?P=group)[0-9]{{3}})*"
    )
    return re.compile(rf"(?P<whole>[0-9]+|{grouped}|)(?:\{mark.value}(?P<part>[0-9]*))?")


_BY_MARK: Final = {mark: _compile_pattern(mark) for mark in Mark}
_NO_DIGITS: Final = re.compile(r"[^0-9]")
NOT_A_NUMBER: Final = "a number is expected here, such as 1234.50, 1,234.50 or 1.234,50"
SHORTENED: Final = (
    "a spreadsheet shortened this number when it was saved: give the column the format of a number"
)


class WrittenNumber(NamedTuple):
    """A text as a number, read with each decimal mark that fits."""

    readings: dict[Mark, Decimal]
    is_percent: bool
    currency: str

    @property
    def mark(self) -> Mark | None:
        """The decimal mark that the text shows beyond doubt."""
        return next(iter(self.readings)) if len(self.readings) == 1 else None

    def read(self, mark: Mark | None) -> Number:
        """Read by the mark of the table; raise ValueError if the number stays ambiguous."""
        values = [*self.readings.values()]
        if all(value == values[0] for value in values):
            value = values[0]
        elif mark is not None:
            value = self.readings[mark]
        else:
            point, comma = self.readings[Mark.POINT], self.readings[Mark.COMMA]
            raise ValueError(
                f"the number can be {point:f} or {comma:f}, and no other number of the table tells "
                "which: write it without thousands marks and with other than three decimals"
            )
        return Number(value, self.is_percent, self.currency)


@lru_cache(maxsize=16_384)  # because a book repeats prices and quantities
def parse_number(text: str) -> WrittenNumber:
    """Read a text as a number; ValueError says why it is none.

    >>> parse_number("1.234,50").read(None).value, parse_number("(1,234.50)").read(None).value
    (Decimal('1234.50'), Decimal('-1234.50'))
    >>> parse_number("33.3%").read(None).value, parse_number("1,234").read(Mark.COMMA).value
    (Decimal('0.333'), Decimal('1.234'))
    """
    in_brackets = text.startswith("(") and text.endswith(")")
    parts = _PARTS.fullmatch(text[1:-1].strip() if in_brackets else text)
    if parts is None:
        raise ValueError(NOT_A_NUMBER)
    if parts["exponent"] and _SHORTENED.fullmatch(parts["exponent"]):
        raise ValueError(SHORTENED)
    signs = [sign for sign in (parts["sign"], parts["inner"], in_brackets and "-") if sign]
    currencies = [currency for currency in (parts["before"], parts["after"]) if currency]
    if len(signs) > 1 or len(currencies) > 1 or (parts["percent"] and currencies):
        raise ValueError(NOT_A_NUMBER)
    readings = _parse_digits(parts["digits"], parts["exponent"] or "")
    if not readings:
        raise ValueError(NOT_A_NUMBER)
    is_negative, is_percent = bool(signs) and signs[0] != "+", bool(parts["percent"])
    scaled = {
        mark: _scale(value, is_negative=is_negative, is_percent=is_percent)
        for mark, value in readings.items()
    }
    return WrittenNumber(scaled, is_percent, parse_currency(currencies[0]) if currencies else "")


def _parse_digits(digits: str, exponent: str) -> dict[Mark, Decimal]:
    readings: dict[Mark, Decimal] = {}
    for mark, pattern in _BY_MARK.items():
        matched = pattern.fullmatch(digits)
        if matched is not None:
            whole, part = _NO_DIGITS.sub("", matched["whole"]), matched["part"] or ""
            readings[mark] = Decimal(f"{whole or '0'}.{part or '0'}{exponent}")
            if not part:  # otherwise a whole number would have a decimal
                readings[mark] = Decimal(f"{whole or '0'}{exponent}")
    return readings


def _scale(value: Decimal, *, is_negative: bool, is_percent: bool) -> Decimal:
    signed = value.copy_negate() if is_negative and value else value
    return EXACT.scaleb(signed, -2) if is_percent else signed


def parse_currency(sign: str) -> str:
    """Return the code of a currency sign, or the text itself.

    >>> parse_currency("€"), parse_currency("CHF")
    ('EUR', 'CHF')
    """
    return _SIGNS.get(sign, sign)
