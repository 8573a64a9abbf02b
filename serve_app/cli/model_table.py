"""Model from a table of a spreadsheet, and the cells that the service refuses."""

import re
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from optimization import GLOBECO, DriftBand, RelativeBand, Target, Weight, weight_text
from optimization.errors import RuleError
from serve_app.client import ProblemError
from serve_app.files.columns import Currencies
from serve_app.files.faults import Faults, Place, refuse
from serve_app.files.model_table import ModelTargets, read_model
from serve_app.files.readers import read_tables

POSITION: Final = re.compile(r"/positions/([0-9]+)/.+")


def read_model_table(file: str, data: bytes) -> ModelTargets:
    """Read the one table of a file; raise FilesRefusedError with the place of each fault."""
    first, *others = read_tables(file, data, "model")
    if others:
        raise refuse(Place(file), "a model is one table: give a file or a sheet alone")
    faults = Faults()
    model = read_model(first, faults, Currencies(faults))
    faults.require_none()
    return model


def build_positions(model: ModelTargets) -> list[dict[str, str]]:
    """Return the positions of POST /models, in the order of the table.

    A relative band is sent as such unless all positions keep the rules of GlobeCo, because a
    service under those rules accepts widths in market value only.
    """
    are_globeco = all(map(_is_globeco, model.bands.items()))
    return [
        {
            "security_id": security,
            "target": weight_text(weight),
            **(_build_widths(band) if are_globeco else _build_band(band)),
        }
        for security, (weight, band) in model.bands.items()
    ]


def _is_globeco(line: tuple[str, tuple[Weight, DriftBand]]) -> bool:
    security, (weight, band) = line
    try:
        GLOBECO.check_target(Target(security, weight, DriftBand(band.low, band.high)))
    except RuleError:
        return False
    return True


def _build_band(band: DriftBand) -> dict[str, str]:
    if not isinstance(band, RelativeBand):
        return _build_widths(band)
    most = {} if band.absolute is None else {"absolute_drift": weight_text(band.absolute)}
    return {"relative_drift": weight_text(band.relative), **most}


def _build_widths(band: DriftBand) -> dict[str, str]:
    return {"low_drift": weight_text(band.low), "high_drift": weight_text(band.high)}


@contextmanager
def name_cells(model: ModelTargets) -> Generator[None]:
    """Add the row of the table to each position that the service refuses in the block."""
    places = [*model.places.values()]

    def locate(error: Mapping[str, Any]) -> dict[str, Any]:
        position = POSITION.fullmatch(str(error.get("pointer", "")))
        if position is None or int(position[1]) >= len(places):
            return {**error}
        place = places[int(position[1])]
        return {**error, "detail": f"{error.get('detail', '')} ({place.file}, row {place.row})"}

    try:
        yield
    except ProblemError as error:
        errors = [locate(fault) for fault in error.errors]
        problem = {**error.problem, **({"errors": errors} if errors else {})}
        raise ProblemError(error.status, problem, error.retry_after_s) from error
