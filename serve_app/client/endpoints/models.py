"""Models."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from serve_app.client.call import (
    Call,
    Options,
    change,
    delete,
    get,
    work,
)
from serve_app.client.responses.models import Model, ModelVersion, Position, WholeModelVersion


def list_models(*, sort_by: str = "", name: str = "", limit: int = 1000) -> Call[tuple[Model, ...]]:
    """List models, with ``name`` those whose name has this text, ``limit`` in a request."""
    return get(tuple[Model, ...], "models", sort_by=sort_by, name=name, limit=limit)


def add_model(
    name: str,
    positions: Sequence[Position],
    portfolios: Sequence[str],
    *,
    rebalance_options: Options | None = None,
    idempotency_key: str | None = None,
) -> Call[Model]:
    """Store a new model."""
    lines = [_line(position) for position in positions]
    body: dict[str, Any] = {"name": name, "positions": lines, "portfolios": portfolios}
    if rebalance_options is not None:
        body["rebalance_options"] = rebalance_options
    return work(Model, ("models",), body, idempotency_key)


def read_model(model_id: str) -> Call[Model]:
    """Read a model."""
    return get(Model, "model", model_id)


def list_model_versions(model_id: str, *, limit: int = 100) -> Call[tuple[ModelVersion, ...]]:
    """List all versions of a model, the newest first, ``limit`` in a request."""
    return get(tuple[ModelVersion, ...], "model", model_id, "versions", limit=limit)


def read_model_version(model_id: str, version: int) -> Call[WholeModelVersion]:
    """Read a version of a model, with the model as it was."""
    return get(WholeModelVersion, "model", model_id, "versions", str(version))


def replace_model(model: Model) -> Call[Model]:
    """Replace the whole model, if its version is still the stored one."""
    body = asdict(model)
    body["positions"] = [_line(position) for position in model.positions]
    del body["model_id"]
    if model.rebalance_options is None:
        del body["rebalance_options"]  # what is stored stays
    return change(Model, "PUT", ("model", model.model_id), body, model.version)


def delete_model(model_id: str, version: int) -> Call[None]:
    """Remove a model, if its version is still the stored one."""
    return delete(None, ("model", model_id), version)


def add_position(model_id: str, position: Position, *, version: int | None = None) -> Call[Model]:
    """Add a security to a model."""
    return change(Model, "POST", ("model", model_id, "position"), _line(position), version)


def replace_position(
    model_id: str, position: Position, *, version: int | None = None
) -> Call[Model]:
    """Change the position of a security; a target of 0 removes it."""
    return change(Model, "PUT", ("model", model_id, "position"), _line(position), version)


def remove_position(
    model_id: str, position: Position, *, version: int | None = None
) -> Call[Model]:
    """Remove a security; every value has to match the stored position."""
    return change(Model, "DELETE", ("model", model_id, "position"), _line(position), version)


def add_portfolios(
    model_id: str, portfolios: Sequence[str], *, version: int | None = None
) -> Call[Model]:
    """Add portfolios; portfolios that follow the model already are ignored."""
    body = {"portfolios": portfolios}
    return change(Model, "POST", ("model", model_id, "portfolio"), body, version)


def remove_portfolios(
    model_id: str, portfolios: Sequence[str], *, version: int | None = None
) -> Call[Model]:
    """Remove portfolios; unknown portfolios are ignored, and at least one must remain."""
    body = {"portfolios": portfolios}
    return change(Model, "DELETE", ("model", model_id, "portfolio"), body, version)


def _line(position: Position) -> Any:
    """Leave out the members that a position does not have; pass on any other value."""
    if not isinstance(position, Position):  # pyright: ignore[reportUnnecessaryIsInstance]
        return position  # text of a person, which the service checks
    return {name: value for name, value in asdict(position).items() if value is not None}
