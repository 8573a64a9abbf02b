"""Options of single portfolios from a table: a row for each portfolio, a column for each option."""

import re
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from json import JSONDecodeError
from typing import Any, Final

from pydantic import ValidationError

from optimization import EXACT, OptionOverrides, RebalanceOptions
from optimization.column_names import normalize_name
from optimization.errors import OptionsConflictError, RuleError
from serve_app.api.schemas.options import AMOUNTS, RebalanceOptionsBody, build_options
from serve_app.files.columns import Columns, Currencies, read_identifier
from serve_app.files.faults import Faults, Place
from serve_app.files.holdings_table import NOTES, REPEATED_HEADER
from serve_app.files.table import Cell, Row, Table, Unreadable
from serve_app.json_text import AmbiguousTextError, decode
from serve_app.problems.pointers import json_pointer

ID_LISTS: Final = frozenset({"do_not_buy", "do_not_sell", "frozen"})
CHOICES: Final = frozenset({"direction", "scope", "bands"})
FLAGS: Final = frozenset({"costs_in_objective", "fewest_trades", "liquidate"})
AS_JSON: Final = frozenset({"lots", "groups", "volumes"})
PARTS: Final = frozenset({"cost_rate", "volume_share"})
NUMBERS: Final = frozenset(
    {"cash_flow", "minimum_shares", "maximum_trades", "cost_per_trade", "soft_band_price"}
)
COLUMN_OPTIONS: Final = AMOUNTS | ID_LISTS | CHOICES | FLAGS | AS_JSON | PARTS | NUMBERS
ORDERS: Final = "open_orders"
NO_ORDERS: Final = "files know no orders: include them in holdings and cash"
NOT_AN_OPTION: Final = (
    f"no option has this name; the options are {', '.join(sorted(COLUMN_OPTIONS))}"
)
YES_OR_NO: Final = {"true": True, "yes": True, "false": False, "no": False}
_NAMES: Final = {normalize_name(name): name for name in COLUMN_OPTIONS}
_SEPARATOR: Final = re.compile(r"\s*[;,]\s*")


@dataclass(frozen=True, slots=True)
class PortfolioOptions:
    """Options of one portfolio, with the place of each."""

    body: RebalanceOptionsBody
    places: Mapping[str, Place]


def is_option_header(header: str) -> bool:
    """Whether a header is the name of an option.

    >>> is_option_header("Do not sell"), is_option_header("VTI")
    (True, False)
    """
    return normalize_name(header) in _NAMES


def read_options(
    tables: Sequence[Table],
    portfolios: Container[str],
    common: RebalanceOptionsBody | None,
    faults: Faults,
    currencies: Currencies,
) -> dict[str, PortfolioOptions]:
    """Read the options of portfolios that holdings name; a blank cell leaves ``common`` in force.

    A rule that an option breaks, alone or together with ``common``, is noted as a fault.
    """
    reader = _Reader(portfolios, build_options(common), faults)
    for table in tables:
        columns = Columns.find(table, ("portfolio",), ("currency",), faults, currencies)
        if columns is not None:
            places = _find_options(columns)
            columns.places.update(places)
            numbers = {place for name, place in places.items() if name in AMOUNTS | PARTS | NUMBERS}
            columns.numeric = tuple(numbers)
            for row in table.rows:
                reader.read(columns, places, row)
    return reader.options


def _find_options(columns: Columns) -> dict[str, int]:
    """Find the columns of options; note other headers, otherwise a typo would be lost."""
    options: dict[str, int] = {}
    for place, header in enumerate(columns.table.headers):
        name = _NAMES.get(normalize_name(header))
        has_values = any(row.cells[place] is not None for row in columns.table.rows)
        if name in options:
            columns.faults.add(columns.table.header_place(place), header, REPEATED_HEADER)
        elif name is not None:
            options[name] = place
        elif has_values and place not in columns.places.values() and header.casefold() not in NOTES:
            rule = NO_ORDERS if normalize_name(header) == normalize_name(ORDERS) else NOT_AN_OPTION
            columns.faults.add(columns.table.header_place(place), header or None, rule)
    return options


@dataclass(slots=True)
class _Reader:
    """Reader of rows, which collects the options by portfolio."""

    portfolios: Container[str]
    common: OptionOverrides
    faults: Faults
    options: dict[str, PortfolioOptions] = field(default_factory=dict[str, PortfolioOptions])
    _rows: dict[str, Place] = field(default_factory=dict[str, Place])

    def read(self, columns: Columns, options: Mapping[str, int], row: Row) -> None:
        """Read a row; skip it after a fault."""
        portfolio = columns.read_identifier(row, "portfolio")
        columns.note_currency(row)
        if portfolio is None:
            return
        place = columns.place(row, "portfolio")
        first = self._rows.setdefault(portfolio, place)
        if first is not place:
            columns.add_fault(row, "portfolio", f"the options of this portfolio are in {first}")
        elif portfolio not in self.portfolios:
            columns.add_fault(row, "portfolio", "no table of holdings has this portfolio")
        else:
            self._read_options(portfolio, columns, options, row)

    def _read_options(
        self, portfolio: str, columns: Columns, options: Mapping[str, int], row: Row
    ) -> None:
        known = len(self.faults.entries) + self.faults.omitted
        values = dict(_read_cells(columns, options, row))
        try:
            # Validated in spite of faulty cells, because all faults are reported at once.
            body = RebalanceOptionsBody.model_validate(values)
            # Merged, because an option may conflict with an option of all portfolios.
            self.common.override_by(build_options(body)).apply_to(RebalanceOptions())
        except ValidationError as error:
            for entry in error.errors(include_url=False, include_context=False):
                name, *path = map(str, entry["loc"])
                at = f"{json_pointer(path)}: " if path else ""
                columns.add_fault(row, name, f"{at}{entry['msg']}")
        except RuleError as error:
            name = str(error.field[0])
            if name in values:  # otherwise the common options have the fault, and report it
                columns.add_fault(row, name, error.rule)
        except OptionsConflictError as error:
            self.faults.add(columns.place(row, "portfolio"), portfolio, str(error))
        else:
            places = {name: columns.place(row, name) for name in values}
            if places and len(self.faults.entries) + self.faults.omitted == known:
                self.options[portfolio] = PortfolioOptions(body, places)


def _read_cells(
    columns: Columns, options: Mapping[str, int], row: Row
) -> Iterator[tuple[str, object]]:
    """Yield the options of a row by name, as POST /optimize takes them."""
    for name in options:
        cell = columns.cell(row, name)
        if cell is None:
            continue
        try:
            yield name, _read_value(columns, row, name, cell)
        except ValueError as error:
            columns.add_fault(row, name, str(error))


def _read_value(columns: Columns, row: Row, name: str, cell: Cell) -> object:
    if isinstance(cell, str) and cell[0] in "[{":
        return _decode(cell)
    if name in FLAGS:
        return _read_flag(cell)
    if name in ID_LISTS:
        parts = _SEPARATOR.split(cell) if isinstance(cell, str) else [cell]
        return [read_identifier(part) for part in parts if part]
    if name in CHOICES and isinstance(cell, str):
        return re.sub(r"[\s-]+", "_", cell.upper())
    if isinstance(cell, Unreadable):
        raise ValueError(cell.rule)
    if name in AS_JSON or name in CHOICES:
        raise ValueError(f"write {name} as in JSON" if name in AS_JSON else "a word is expected")
    return _read_number(columns, row, name)


def _read_number(columns: Columns, row: Row, name: str) -> object:
    number = columns.read_number(row, name)
    value = number.value
    is_percent = number.is_percent
    if not is_percent and columns.is_percent(name):
        is_percent, value = True, EXACT.scaleb(value, -2)
    if is_percent and name in NUMBERS:
        raise ValueError("a plain number is expected here, not a percentage")
    if is_percent and name in AMOUNTS:
        return f"{EXACT.scaleb(value, 2).normalize(EXACT):f}%"
    if name == "maximum_trades" and value == value.to_integral_value():
        return int(value)
    return value


def _read_flag(cell: Cell) -> bool:
    # A workbook has TRUE and FALSE as cells that are neither texts nor numbers.
    text = cell.text if isinstance(cell, Unreadable) else cell
    known = YES_OR_NO.get(text.casefold()) if isinstance(text, str) else None
    if known is None:
        raise ValueError("TRUE or FALSE is expected here")
    return known


def _decode(text: str) -> Any:
    try:
        return decode(text.encode())
    except (JSONDecodeError, AmbiguousTextError) as error:
        raise ValueError(f"invalid JSON: {error}") from error
