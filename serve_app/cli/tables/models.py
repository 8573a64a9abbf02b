"""Tables of models."""

from collections.abc import Iterable, Iterator
from fractions import Fraction

from rich.table import Table

from serve_app.cli.names import NO_NAMES, Names
from serve_app.cli.output import make_table
from serve_app.cli.tables.formats import (
    format_moment,
    to_percent,
)
from serve_app.client.responses.models import Model, ModelChanges, ModelVersion, Position
from serve_app.client.responses.positions import Weight


def tabulate_models(models: Iterable[Model]) -> Table:
    """Tabulate models."""
    columns = ("model", "name", "securities", "portfolios", "version", "last rebalance")
    return make_table(
        "Models",
        columns,
        [
            (
                model.model_id,
                model.name,
                len(model.positions),
                len(model.portfolios),
                model.version,
                format_moment(model.last_rebalance_date),
            )
            for model in models
        ],
    )


def tabulate_model(model: Model, names: Names = NO_NAMES) -> Table:
    """Tabulate the securities of a model."""
    rows = [
        (
            position.security_id,
            names.tickers.get(position.security_id),
            to_percent(position.target),
            to_percent(below),
            to_percent(above),
        )
        for position in model.positions
        for below, above in [_compute_widths(position)]
    ]
    who = f"{model.name} ({model.model_id})"
    title = f"{who}, version {model.version}, {len(model.portfolios):,} portfolios"
    return make_table(title, ("security", "ticker", "target", "below", "above"), rows)


def _compute_widths(position: Position) -> tuple[Weight | None, Weight | None]:
    """Compute the band below and above the target, also of one that is relative to the target."""
    if position.relative_drift is None:
        return position.low_drift, position.high_drift
    width = Fraction(position.target) * Fraction(position.relative_drift)
    if position.absolute_drift is not None:
        width = min(width, Fraction(position.absolute_drift))
    return width, width


def tabulate_versions(versions: Iterable[ModelVersion]) -> Table:
    """Tabulate the versions of a model, one line for each change."""
    rows = [
        (
            version.version,
            format_moment(version.at),
            version.principal,
            version.name,
            "; ".join(_describe_changes(version.changes)),
        )
        for version in versions
    ]
    return make_table("Versions", ("version", "time", "author", "name", "changes"), rows)


def _describe_changes(changes: ModelChanges | None) -> Iterator[str]:
    if changes is None:
        yield "first stored version"
        return
    for field in changes.fields:
        yield f"{field.field}: {field.before} -> {field.after}"
    for position in changes.positions:
        before, after = _describe_position(position.before), _describe_position(position.after)
        yield f"{position.security_id}: {before} -> {after}"
    for word, ids, number in (
        ("added", changes.portfolios_added, changes.number_of_portfolios_added),
        ("removed", changes.portfolios_removed, changes.number_of_portfolios_removed),
    ):
        if number:
            shown = ", ".join(ids) + (", ..." if number > len(ids) else "")
            yield f"portfolios {word}: {number:,} ({shown})"


def _describe_position(position: Position | None) -> str:
    if position is None:
        return "none"
    low, high = map(to_percent, _compute_widths(position))
    return f"{to_percent(position.target)} -{low} +{high}"
