"""Usual names of cash and of the columns of holdings, prices and models; search among headers.

Headers are compared without case, blanks, marks and a unit in brackets, so ``Target Weight (%)`` is
found as ``target``. The field's own name wins over its synonyms, because renaming a column to it
must settle an ambiguity.
"""

import re
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import Final

from optimization.errors import ColumnsError

USUAL_NAMES: Final[Mapping[str, tuple[str, ...]]] = {
    "portfolio": (
        *("portfolio id", "portfolio number", "portfolio no", "portfolio code", "account"),
        *("account id", "account number", "account no", "account code", "acct", "acct id"),
        *("client", "client id", "depot"),
    ),
    "security": (
        *("security id", "ticker", "ticker symbol", "symbol", "isin", "cusip", "sedol", "figi"),
        *("wkn", "instrument", "instrument id", "asset", "asset id", "fund", "stock"),
    ),
    "quantity": (
        *("qty", "shares", "units", "number of shares", "no of shares", "number of units"),
        *("share quantity", "shares held", "units held", "holding", "position", "nominal"),
    ),
    "cash": ("cash balance", "cash amount", "cash position", "cash value"),
    "price": (
        *("last", "last price", "close", "close price", "closing price", "market price"),
        *("current price", "unit price", "share price", "px", "px last", "nav", "quote"),
    ),
    "target": (
        *("target weight", "target allocation", "target percent", "target percentage"),
        *("target pct", "weight", "weight percent", "weight pct", "allocation", "percent"),
        *("percentage", "pct", "%", "model weight"),
    ),
    "low": (
        *("lower", "low weight", "lower weight", "min", "minimum", "min weight"),
        *("minimum weight", "lower bound", "lower limit", "lower edge"),
    ),
    "high": (
        *("upper", "high weight", "upper weight", "max", "maximum", "max weight"),
        *("maximum weight", "upper bound", "upper limit", "upper edge"),
    ),
    "low_drift": ("lower drift", "drift low", "drift below", "down", "below"),
    "high_drift": ("upper drift", "drift high", "drift above", "up", "above"),
    "band": (
        *("drift", "drift band", "absolute band", "tolerance", "tolerance band", "threshold"),
        *("corridor", "rebalance band", "rebalancing band", "+/-", "±"),
    ),
    "relative_drift": ("relative band", "relative tolerance", "relative threshold"),
    "absolute_drift": ("max band", "maximum band", "band limit"),
    "currency": ("ccy", "currency code", "cur"),
}
CASH_IDS: Final = frozenset({"cash", "$cash", "cash balance"})
_UNIT: Final = re.compile(r"\([^()]*\)|\[[^\[\]]*\]")
_MARKS: Final = re.compile(r"[\W_]+")


def normalize_name(header: str) -> str:
    """Reduce a header to its letters and digits, without a unit in brackets.

    >>> normalize_name(" Target_Weight (%)"), normalize_name("%")
    ('targetweight', '%')
    """
    text = header.strip().casefold()
    # The header itself if nothing remains, because `%` and `±` are names too.
    return _MARKS.sub("", _UNIT.sub("", text)) or text


_FIELDS: Final = {
    normalize_name(name): field
    for field, synonyms in USUAL_NAMES.items()
    for name in (field, *synonyms)
}


def find_field(header: str) -> str | None:
    """Return the field for which a header is a usual name; None if there is none.

    >>> find_field("Account No."), find_field("VTI")
    ('portfolio', None)
    """
    return _FIELDS.get(normalize_name(header))


def is_cash(security_id: str) -> bool:
    """Whether the row of a table with this security holds cash.

    >>> is_cash("Cash"), is_cash("$CASH"), is_cash("CASHX")
    (True, True, False)
    """
    return security_id.casefold() in CASH_IDS


def find_columns(
    headers: Sequence[str], required: Collection[str], optional: Collection[str] = ()
) -> dict[str, int]:
    """Find the places of fields among headers; an optional field may be absent.

    The fields are the keys of ``USUAL_NAMES``; other headers are ignored. Raises ColumnsError,
    which lists every field that is missing or has several columns.

    >>> find_columns(["Account", "Ticker", "Name", "Shares"], ("portfolio", "security", "quantity"))
    {'portfolio': 0, 'security': 1, 'quantity': 3}
    >>> find_columns(["Ticker", "ISIN"], ("security", "price"))
    Traceback (most recent call last):
    optimization.errors.ColumnsError: 'Ticker' and 'ISIN' can both be the security: name the one \
that is meant 'security'; no column is the price (price, last, last price, close, ...)
    """
    places: dict[str, list[int]] = defaultdict(list)
    for place, header in enumerate(headers):
        field = find_field(header)
        if field is not None and (field in required or field in optional):
            places[field].append(place)
    candidates = {
        field: _prefer_own_name(field, headers, several) for field, several in places.items()
    }
    ambiguous = {
        field: tuple(headers[place] for place in several)
        for field, several in candidates.items()
        if len(several) > 1
    }
    missing = tuple(field for field in required if field not in candidates)
    if ambiguous or missing:
        raise ColumnsError(ambiguous, {field: USUAL_NAMES[field] for field in missing})
    return {field: candidates[field][0] for field in (*required, *optional) if field in candidates}


def _prefer_own_name(field: str, headers: Sequence[str], places: list[int]) -> list[int]:
    own = [place for place in places if normalize_name(headers[place]) == normalize_name(field)]
    return own or places
