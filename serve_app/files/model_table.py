"""Model from a table: a target for each security, and its band in one of four notations."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from typing import Final, NamedTuple

from optimization import EXACT, DriftBand, Weight, find_field, is_cash, relative_band, weight_text
from serve_app.files.columns import Columns, Currencies
from serve_app.files.faults import Faults, Place
from serve_app.files.table import Number, Row, Table

# Required columns of each notation, and its optional columns.
NOTATIONS: Final[Mapping[tuple[str, ...], tuple[str, ...]]] = {
    ("low_drift", "high_drift"): (),
    ("low", "high"): (),
    ("relative_drift",): ("absolute_drift",),
    ("band",): (),
}
ONE_WAY: Final = (
    "give the band in one way: band (distance from the target), low and high (edges), "
    "low_drift and high_drift (distances), or relative_drift"
)
# Drifts by side are not among them, because 1 is the usual drift of a side without a limit.
MISTAKABLE: Final = frozenset({"band", "relative_drift", "absolute_drift"})
FULL_BAND: Final = "a band of 1 is all of market value: write 100% for that, or 1% for a percent"
CASH_BAND: Final = (
    "cash has no band: leave the cell blank, and set cash_floor and cash_ceiling in the options"
)
NOT_PERCENT: Final = (
    "the header says percent, and all targets together are less than 1%: write 60 or 60%"
)
DISTANCES: Final = "name the columns low_drift and high_drift if they are distances"
EDGES_OR_DISTANCES: Final = (
    "low, high and target are equal: name the columns low_drift and high_drift, or give the edges"
)


class Line(NamedTuple):
    """Line of a model as written: the target, and the numbers of its band."""

    row: Row
    weight: Weight
    band: tuple[Weight, ...]

    @property
    def is_edge_like(self) -> bool:
        """Whether the target is between the two numbers of the band."""
        low, high = self.band
        return low <= self.weight <= high

    @property
    def is_neutral(self) -> bool:
        """Whether the two numbers are edges as well as distances."""
        low, high = self.band
        return low == high == self.weight or (self.weight == 0 and low == 0)


@dataclass(slots=True)
class ModelTargets:
    """Targets and bands of a model by security, with the place of each."""

    place: Place
    bands: dict[str, tuple[Weight, DriftBand]] = field(
        default_factory=dict[str, tuple[Weight, DriftBand]]
    )
    places: dict[str, Place] = field(default_factory=dict[str, Place])


def read_model(table: Table, faults: Faults, currencies: Currencies) -> ModelTargets:
    """Read a model; in a table of holdings a line may be repeated, and a target may be blank."""
    model = ModelTargets(table.header_row_place)
    notation = _find_notation(table, faults)
    needs = ("security", "target", *notation)
    optional = ("quantity", "portfolio", *NOTATIONS.get(notation, ()))
    columns = Columns.find(table, needs, optional, faults, currencies)
    if columns is None or not notation:
        return model
    columns.require_units()
    if columns.has("portfolio") and not columns.has("quantity"):
        rule = "a model is for all portfolios of the files: leave the portfolio out"
        faults.add(table.header_place(columns.places["portfolio"]), None, rule)
        return model
    reader = _Reader(
        columns, notation, tuple(field for field in optional[2:] if columns.has(field))
    )
    for row in table.rows:
        reader.read(row)
    reader.check_sum()
    for security, (line, band) in reader.build_bands().items():
        model.bands[security] = line.weight, band
        model.places[security] = columns.place(line.row, "target")
    return model


def _find_notation(table: Table, faults: Faults) -> tuple[str, ...]:
    """Find the notation of the band; note a fault and return () if there is not exactly one."""
    present = {find_field(header) for header in table.headers}
    used = [needed for needed, more in NOTATIONS.items() if present & {*needed, *more}]
    if len(used) == 1:
        return used[0]
    rule = ONE_WAY if used else f"no column is the band: {ONE_WAY}"
    faults.add(table.header_row_place, None, rule)
    return ()


@dataclass(slots=True)
class _Reader:
    """Reader of the lines of one model."""

    columns: Columns
    notation: tuple[str, ...]
    more: tuple[str, ...]
    lines: dict[str, Line] = field(default_factory=dict[str, Line])
    cash: Line | None = None

    def read(self, row: Row) -> None:
        """Read a line; skip it after a fault."""
        columns, may_repeat = self.columns, self.columns.has("quantity")
        if may_repeat and columns.cell(row, "target") is None:
            return  # a holding or cash outside the model
        security = columns.read_identifier(row, "security")
        if security is None:
            return
        if is_cash(security):
            self._read_cash(row)
            return
        weight = columns.read_weight(row, "target")
        band = self._read_band(row)
        if weight is None or band is None:
            return
        line = Line(row, weight, band)
        known = self.lines.setdefault(security, line)
        if known is not line and (not may_repeat or known[1:] != line[1:]):
            place = columns.place(known.row, "target")
            columns.add_fault(row, "target", f"{security} has a target already, in {place}")

    def check_sum(self) -> None:
        """Note a sum that contradicts the header or the line of cash."""
        columns = self.columns
        invested = _add_up(line.weight for line in self.lines.values())
        if columns.is_percent("target") and 0 < invested <= Decimal("0.01"):
            place = columns.table.header_place(columns.places["target"])
            columns.faults.add(place, weight_text(invested), NOT_PERCENT)
        if self.cash is not None and _add_up((invested, self.cash.weight)) != 1:
            rule = f"cash is what the other targets leave of 1; they sum to {weight_text(invested)}"
            columns.add_fault(self.cash.row, "target", rule)

    def build_bands(self) -> dict[str, tuple[Line, DriftBand]]:
        """Build the bands of the lines, by security."""
        if self.notation != ("low", "high"):
            return {
                security_id: (line, self._build_band(line))
                for security_id, line in self.lines.items()
            }
        lines = [*self.lines.values()]
        others = [line for line in lines if not line.is_edge_like]
        edges = [line for line in lines if line.is_edge_like and not line.is_neutral]
        if edges:
            shown = self.columns.place(edges[0].row, "low")
            for line in others:
                rule = f"the target is not between low and high, as it is in {shown}; {DISTANCES}"
                self.columns.add_fault(line.row, "target", rule)
            return {
                security_id: (line, _derive_band(line))
                for security_id, line in self.lines.items()
                if not others
            }
        if lines and not others:
            self.columns.add_fault(lines[0].row, "low", EDGES_OR_DISTANCES)
        return {
            security_id: (line, DriftBand(*line.band)) for security_id, line in self.lines.items()
        }

    def _read_cash(self, row: Row) -> None:
        weight = self.columns.read_weight(row, "target")
        for name in (*self.notation, *self.more):
            if self.columns.cell(row, name) is not None:
                self.columns.add_fault(row, name, CASH_BAND)
        if weight is not None:
            self.cash = Line(row, weight, ())

    def _read_band(self, row: Row) -> tuple[Weight, ...] | None:
        weights: list[Weight] = []
        for name in (*self.notation, *self.more):
            number = self.columns.read_weight(row, name)
            if number is None:
                continue
            if number == 1 and name in MISTAKABLE and not self._is_percent(row, name):
                self.columns.add_fault(row, name, FULL_BAND)
            elif name.endswith("e_drift") and not isinstance(number, Decimal):
                self.columns.add_fault(row, name, "a relative band is a decimal or a percentage")
            else:
                weights.append(number)
        complete = len(weights) == len(self.notation) + len(self.more)
        return tuple(weights) if complete else None

    def _is_percent(self, row: Row, name: str) -> bool:
        cell = self.columns.cell(row, name)
        signed = isinstance(cell, str) and cell.endswith("%")
        typed = isinstance(cell, Number) and cell.is_percent
        return signed or typed or self.columns.is_percent(name)

    def _build_band(self, line: Line) -> DriftBand:
        match self.notation:
            case ("band",):
                return DriftBand(line.band[0], line.band[0])
            case ("relative_drift",):
                # _read_band admits only decimals here, because the engine multiplies them exactly.
                relative, *absolute = (edge for edge in line.band if isinstance(edge, Decimal))
                return relative_band(line.weight, relative, *absolute)
            case _:
                return DriftBand(*line.band)


def _derive_band(line: Line) -> DriftBand:
    low, high = line.band
    return DriftBand(_subtract(line.weight, low), _subtract(high, line.weight))


def _subtract(weight: Weight, less: Weight) -> Weight:
    if isinstance(weight, Decimal) and isinstance(less, Decimal):
        return EXACT.subtract(weight, less)
    return Fraction(weight) - Fraction(less)


def _add_up(weights: Iterable[Weight]) -> Weight:
    decimals, fractions = Decimal(0), Fraction(0)
    for weight in weights:
        if isinstance(weight, Decimal):
            decimals = EXACT.add(decimals, weight)
        else:
            fractions += weight
    return Fraction(decimals) + fractions if fractions else decimals
