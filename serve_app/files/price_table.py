"""Prices from tables."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

from optimization import find_field, is_cash
from serve_app.files.columns import Columns, Currencies
from serve_app.files.faults import Faults, Place
from serve_app.files.table import Row, Table

ONE: Final = Decimal(1)
IS_CASH: Final = (
    "this line is read as cash, whose price is 1: write the security as its ISIN, for example"
)


@dataclass(slots=True)
class Prices:
    """Prices by security, with the place of each."""

    values: dict[str, Decimal] = field(default_factory=dict[str, Decimal])
    places: dict[str, Place] = field(default_factory=dict[str, Place])


def read_prices(tables: Sequence[Table], faults: Faults, currencies: Currencies) -> Prices:
    """Read the prices of all tables; in a table of holdings a price may be repeated."""
    prices = Prices()
    for table in tables:
        columns = Columns.find(table, ("security", "price"), ("currency",), faults, currencies)
        if columns is None:
            continue
        columns.require_units()
        may_repeat = "quantity" in map(find_field, table.headers)
        for row in table.rows:
            _read_row(prices, columns, row, may_repeat=may_repeat)
    return prices


def _read_row(prices: Prices, columns: Columns, row: Row, *, may_repeat: bool) -> None:
    if may_repeat and columns.cell(row, "security") is None:
        return  # a line of holdings with nothing but cash
    security = columns.read_identifier(row, "security")
    if security is None:
        return
    if is_cash(security):
        if columns.cell(row, "price") is not None and _read_price(columns, row) not in (None, ONE):
            columns.add_fault(row, "price", IS_CASH)
        return
    price = _read_price(columns, row)
    if price is None:
        return
    columns.note_currency(row)
    known = prices.values.setdefault(security, price)
    place = prices.places.setdefault(security, columns.place(row, "price"))
    if place != columns.place(row, "price") and (known != price or not may_repeat):
        columns.add_fault(row, "price", f"{security} has a price already: {known:f} in {place}")


def _read_price(columns: Columns, row: Row) -> Decimal | None:
    return columns.read_amount(row, columns.places["price"], least=0)
