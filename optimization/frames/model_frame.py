"""Prices and models from frames, mappings and Series."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from optimization.column_names import find_field
from optimization.domain.drift_band import DriftBand, relative_band
from optimization.domain.model import Band, Model, Target
from optimization.domain.numbers import Weight, read_decimal, subtract_weight
from optimization.errors import FrameError, RuleError
from optimization.frames.cells import Cells
from optimization.frames.frame_columns import (
    FrameColumns,
    has_columns,
    is_missing,
    is_series,
    read_pairs,
)

BANDS: Final = (
    "band",
    "low_drift",
    "high_drift",
    "low",
    "high",
    "relative_drift",
    "absolute_drift",
)
NO_BAND: Final = (
    "model has no bands: give band=0.05, or a column 'band', 'low_drift' and 'high_drift', 'low' "
    "and 'high', or 'relative_drift'"
)
PRICED_TWICE: Final = "the security has a price in another row: give one price each"


def read_prices(prices: Any) -> dict[str, Decimal]:
    """Read prices by security; securities with an empty cell are left out.

    From a mapping, a Series, a frame with columns ``security`` and ``price``, or a frame of one row
    with a column for each security.

    >>> read_prices({"security": ["VTI", "BND"], "price": [245.5, 72.1]})
    {'VTI': Decimal('245.5'), 'BND': Decimal('72.1')}
    """
    if is_series(prices):
        return _read_amounts(read_pairs(prices, "prices"))
    if isinstance(prices, Mapping) and not has_columns(prices):
        return _read_amounts(prices)
    frame = FrameColumns.read(prices, "prices")
    fields = {find_field(header) for header in frame.headers}
    if not fields & {"security", "price"}:
        if len(frame) != 1:
            rule = "give the last row alone, as in prices.tail(1), or columns security and price"
            raise FrameError(f"prices has {len(frame):,} rows and no column of securities: {rule}")
        row = zip(frame.headers, (column[0] for column in frame.values), strict=True)
        return _read_amounts({header: value for header, value in row if not is_missing(value)})
    cells = Cells.from_columns(frame, ("security", "price"))
    quotes: dict[str, Decimal] = {}
    for row in range(len(frame)):
        security = cells.read_identifier(row, "security")
        if security is None or cells.is_empty(row, "price"):
            continue
        price = cells.read_number(row, "price")
        # An equal price is accepted, because frames of holdings repeat it.
        if price is not None and quotes.setdefault(security, price) != price:
            cells.faults.add(row, frame.headers[cells.places["price"]], price, PRICED_TWICE)
    cells.faults.raise_if_any()
    return quotes


def _read_amounts(prices: Mapping[Any, Any]) -> dict[str, Decimal]:
    return {str(key): read_decimal(value, ("prices", str(key))) for key, value in prices.items()}


def read_model(model: Any, band: Band | Mapping[str, Band] | None = None) -> Model:
    """Read a model: a Model, weights by security with ``band``, or a frame.

    A frame has the columns ``security`` and ``target``, and bands in one of four forms: ``band``,
    ``low_drift`` and ``high_drift``, ``low`` and ``high`` (weights), or ``relative_drift`` with an
    optional ``absolute_drift``. Without such columns ``band`` applies to every target.

    >>> frame = {"security": ["VTI", "BND"], "target": [0.6, "1/3"], "band": [0.05, 0.02]}
    >>> [str(target.band.low) for target in read_model(frame).targets]
    ['0.05', '0.02']
    """
    if isinstance(model, Model):
        if band is not None:
            raise FrameError("band is given, but the Model has bands: leave one of them out")
        return model
    if is_series(model):
        model = read_pairs(model, "model")
    if isinstance(model, Mapping) and not has_columns(model):
        return Model(model, band=band)
    cells = Cells.from_columns(FrameColumns.read(model, "model"), ("security", "target"), BANDS)
    targets: dict[str, Target] = {}
    for row in range(len(cells.frame)):
        target = _read_target(cells, row, band)
        if target is not None and targets.setdefault(target.security_id, target) is not target:
            rule = "each security may stand once in a model"
            cells.faults.add(
                row, cells.frame.headers[cells.places["security"]], target.security_id, rule
            )
    cells.faults.raise_if_any()
    # Any name and follower will do, because the model is never stored.
    return Model("Model", [*targets.values()], ("portfolio",))


def _read_target(cells: Cells, row: int, band: Any) -> Target | None:
    security, weight = cells.read_identifier(row, "security"), cells.read_weight(row, "target")
    if security is None or weight is None:
        return None
    try:
        drift_band = _read_band(cells, row, weight, band, security)
        return None if drift_band is None else Target(security, weight, drift_band)
    except RuleError as error:
        cells.faults.add(row, ".".join(map(str, error.field)), error.value, error.rule)
        return None


def _read_band(
    cells: Cells, row: int, weight: Weight, band: Any, security: str
) -> DriftBand | None:
    """Read the band of a row, in the first form that has columns."""
    if cells.has("band"):
        width = cells.read_weight(row, "band")
        return None if width is None else DriftBand(width, width)
    if cells.has("low_drift") and cells.has("high_drift"):
        low, high = cells.read_weight(row, "low_drift"), cells.read_weight(row, "high_drift")
        return None if low is None or high is None else DriftBand(low, high)
    if cells.has("low") and cells.has("high"):
        low, high = cells.read_weight(row, "low"), cells.read_weight(row, "high")
        if low is None or high is None:
            return None
        return DriftBand(subtract_weight(weight, low), subtract_weight(high, weight))
    if cells.has("relative_drift"):
        relative = cells.read_number(row, "relative_drift")
        absolute = cells.read_number(row, "absolute_drift") if cells.has("absolute_drift") else None
        return None if relative is None else relative_band(weight, relative, absolute)
    if band is None:
        raise FrameError(NO_BAND)
    # A model of one security reads the band, because Model reads every form of a band.
    return Model({security: weight}, band=band).targets[0].band
