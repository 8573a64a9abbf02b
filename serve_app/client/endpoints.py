"""Every route as a function that builds its Call, under the name that the route has in the service.

A ``version`` is sent as If-Match: a change of another version is refused. An ``idempotency_key`` is
made unless it is given: give one to repeat a request in another process.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, Literal

from serve_app.client.call import (
    Call,
    Options,
    PortfolioOptions,
    answer_as,
    change,
    encode_body,
    get,
    work,
)
from serve_app.client.models import (
    Deleted,
    DriftSummary,
    Health,
    Model,
    OrderSubmission,
    PortfolioDrift,
    PortfolioName,
    PortfolioOutcome,
    PortfolioResult,
    Position,
    PositionResult,
    RebalanceResult,
    SecurityTicker,
    TransactionLine,
)
from serve_app.client.run_models import Run
from serve_app.client.streaming import Events, Lines, Pieces

Format = Literal["csv", "xlsx", "jsonl", "json", "parquet", "arrows"]
MEDIA_TYPES: dict[str, str] = {
    "csv": "text/csv",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "jsonl": "application/jsonl",
    "json": "application/json",
    "parquet": "application/vnd.apache.parquet",
    "arrows": "application/vnd.apache.arrow.stream",
}


def live() -> Call[Health]:
    """Check that the process answers."""
    return Call("GET", "/health/live", answer_as(Health), repeatable=True)


def ready() -> Call[Health]:
    """Check that every part answers; a part that does not is a ProblemError at once."""
    return Call("GET", "/health/ready", answer_as(Health))


def list_models(*, sort_by: str = "", limit: int = 1000) -> Call[tuple[Model, ...]]:
    """All models, ``limit`` in a request."""
    return get(tuple[Model, ...], "models", sort_by=sort_by, limit=limit)


def add_model(
    name: str,
    positions: Sequence[Position],
    portfolios: Sequence[str],
    *,
    rebalance_options: Options | None = None,
    idempotency_key: str | None = None,
) -> Call[Model]:
    """Store a new model."""
    body: dict[str, Any] = {"name": name, "positions": positions, "portfolios": portfolios}
    if rebalance_options is not None:
        body["rebalance_options"] = rebalance_options
    return work(Model, ("models",), body, idempotency_key)


def read_model(model_id: str) -> Call[Model]:
    """A model."""
    return get(Model, "model", model_id)


def replace_model(model: Model) -> Call[Model]:
    """Replace the whole model, if its version is still the stored one."""
    body = asdict(model)
    del body["model_id"]
    if model.rebalance_options is None:
        del body["rebalance_options"]  # what is stored stays
    return change(Model, "PUT", ("model", model.model_id), body, model.version)


def delete_model(model_id: str, version: int) -> Call[None]:
    """Remove a model, if its version is still the stored one."""
    return _deleted(None, ("model", model_id), version)


def add_position(model_id: str, position: Position, *, version: int | None = None) -> Call[Model]:
    """Add a security to a model."""
    return change(Model, "POST", ("model", model_id, "position"), position, version)


def replace_position(
    model_id: str, position: Position, *, version: int | None = None
) -> Call[Model]:
    """Change the position of a security; a target of 0 removes it."""
    return change(Model, "PUT", ("model", model_id, "position"), position, version)


def remove_position(
    model_id: str, position: Position, *, version: int | None = None
) -> Call[Model]:
    """Remove a security; every value has to be the stored one."""
    return change(Model, "DELETE", ("model", model_id, "position"), position, version)


def add_portfolios(
    model_id: str, portfolios: Sequence[str], *, version: int | None = None
) -> Call[Model]:
    """Add portfolios; the ones already there are ignored."""
    body = {"portfolios": portfolios}
    return change(Model, "POST", ("model", model_id, "portfolio"), body, version)


def remove_portfolios(
    model_id: str, portfolios: Sequence[str], *, version: int | None = None
) -> Call[Model]:
    """Remove portfolios; the ones not there are ignored, one has to stay."""
    body = {"portfolios": portfolios}
    return change(Model, "DELETE", ("model", model_id, "portfolio"), body, version)


def rebalance_model(
    model_id: str,
    options: Options | None = None,
    *,
    dry_run: bool = False,
    idempotency_key: str | None = None,
) -> Call[tuple[PortfolioOutcome, ...]]:
    """Rebalance every portfolio that follows the model; one element for each."""
    steps, asked = ("model", model_id, "rebalance"), dry_run or None
    return work(tuple[PortfolioOutcome, ...], steps, options, idempotency_key, dry_run=asked)


def rebalance_portfolio(
    portfolio_id: str,
    options: PortfolioOptions | None = None,
    *,
    dry_run: bool = False,
    idempotency_key: str | None = None,
) -> Call[PortfolioOutcome]:
    """Rebalance one portfolio to the newest model that it follows, or to the one that is named."""
    steps, asked = ("portfolio", portfolio_id, "rebalance"), dry_run or None
    return work(PortfolioOutcome, steps, options, idempotency_key, dry_run=asked)


def optimize(request: Any) -> Call[tuple[PortfolioOutcome, ...]]:
    """Rebalance portfolios that are given whole: the body of POST /optimize, or the text of it."""
    body = request if isinstance(request, bytes) else encode_body(request)
    answer = answer_as(tuple[PortfolioOutcome, ...])
    return Call("POST", "/api/v1/optimize", answer, body=body, repeatable=True)


def measure_portfolio(portfolio_id: str, *, model_id: str | None = None) -> Call[PortfolioDrift]:
    """Measure each security of a portfolio against its band, without a plan."""
    return get(PortfolioDrift, "portfolio", portfolio_id, "drift", model_id=model_id)


def measure_portfolios(model_id: str, *, limit: int = 1000) -> Call[tuple[DriftSummary, ...]]:
    """Which portfolios of a model are out of band, ``limit`` in a request."""
    return get(tuple[DriftSummary, ...], "model", model_id, "drift", limit=limit)


def list_rebalances(*, sort_by: str = "", limit: int = 10) -> Call[tuple[RebalanceResult, ...]]:
    """All rebalances, the newest first, ``limit`` in a request.

    The rebalances of a request have up to 5,000 portfolios in all; one that is cut says in
    ``portfolios_omitted`` how many are missing.
    """
    return get(tuple[RebalanceResult, ...], "rebalances", sort_by=sort_by, limit=limit)


def list_rebalances_of_portfolios(
    portfolios: Sequence[str], *, limit: int = 10
) -> Call[tuple[RebalanceResult, ...]]:
    """The rebalances that hold any of these portfolios, newest first, cut down to them."""
    answer = answer_as(tuple[RebalanceResult, ...])
    body, where = encode_body({"portfolios": portfolios}), "/api/v1/rebalances/portfolios"
    return Call("POST", where, answer, {"limit": limit}, body, repeatable=True)


def read_rebalance(rebalance_id: str) -> Call[RebalanceResult]:
    """A rebalance with all its portfolios and their positions."""
    return get(RebalanceResult, "rebalance", rebalance_id)


def list_portfolios(rebalance_id: str, *, limit: int = 100) -> Call[tuple[PortfolioResult, ...]]:
    """The portfolios of a rebalance, in their order in the model; ``limit`` in a request."""
    kind = tuple[PortfolioResult, ...]
    return get(kind, "rebalance", rebalance_id, "portfolios", limit=limit)


def list_positions(rebalance_id: str, portfolio_id: str) -> Call[tuple[PositionResult, ...]]:
    """The positions of one portfolio in a rebalance."""
    steps = ("rebalance", rebalance_id, "portfolio", portfolio_id, "positions")
    return get(tuple[PositionResult, ...], *steps)


def delete_rebalance(rebalance_id: str, version: int) -> Call[Deleted]:
    """Remove a rebalance with its portfolios, if no order of it was sent."""
    return _deleted(Deleted, ("rebalance", rebalance_id), version)


def list_transactions(
    rebalance_id: str, portfolio_ids: Sequence[str] = ()
) -> Lines[TransactionLine]:
    """The trade list of a rebalance, or of some portfolios of it, row by row."""
    return Lines(_transactions(rebalance_id, "jsonl", portfolio_ids), TransactionLine)


def export_transactions(
    rebalance_id: str, kind: Format = "csv", portfolio_ids: Sequence[str] = ()
) -> Pieces:
    """The trade list as a file, piece by piece."""
    return Pieces(_transactions(rebalance_id, kind, portfolio_ids))


def hand_over(
    rebalance_id: str,
    *,
    open_orders: Literal["REFUSE", "ADD", "REPLACE"] | None = None,
    idempotency_key: str | None = None,
) -> Call[OrderSubmission]:
    """Send the orders that are not at the order service yet, never one twice.

    Open orders that other rebalances have left refuse it unless ``open_orders`` says otherwise.
    """
    body = None if open_orders is None else {"open_orders": open_orders}
    return work(OrderSubmission, ("rebalance", rebalance_id, "orders"), body, idempotency_key)


def list_orders(
    rebalance_id: str, *, status: Sequence[str] = (), offset: int = 0, limit: int = 1000
) -> Call[OrderSubmission]:
    """Read a page of the orders of a rebalance, with their states."""
    steps = ("rebalance", rebalance_id, "orders")
    return get(OrderSubmission, *steps, status=status, offset=offset, limit=limit)


def name_portfolios(portfolio_ids: Sequence[str]) -> Call[tuple[PortfolioName, ...]]:
    """Names of up to 100 portfolios, in the order of their ids."""
    return get(tuple[PortfolioName, ...], "portfolios", ids=tuple(portfolio_ids))


def name_securities(security_ids: Sequence[str]) -> Call[tuple[SecurityTicker, ...]]:
    """Tickers of up to 100 securities, in the order of their ids."""
    return get(tuple[SecurityTicker, ...], "securities", ids=tuple(security_ids))


def begin_run(
    *,
    models: Sequence[str] | None = None,
    portfolios: Sequence[str] | None = None,
    whole_book: bool = False,
    options: Options | None = None,
    options_by_portfolio: Mapping[str, Options] | None = None,
    holdings: dict[str, str] | None = None,
    idempotency_key: str | None = None,
) -> Call[Run]:
    """Begin to rebalance several models, a list of portfolios or the whole book."""
    asked = {
        "models": models,
        "portfolios": portfolios,
        "options": options,
        "options_by_portfolio": options_by_portfolio,
        "holdings": holdings,
    }
    body = {name: value for name, value in asked.items() if value is not None}
    return work(Run, ("runs",), {**body, "whole_book": whole_book}, idempotency_key)


def list_runs(*, limit: int = 10) -> Call[tuple[Run, ...]]:
    """All runs, the newest first; ``limit`` in a request."""
    return get(tuple[Run, ...], "runs", limit=limit)


def read_run(run_id: str) -> Call[Run]:
    """Read the state of a run."""
    return get(Run, "runs", run_id)


def cancel_run(run_id: str) -> Call[Run]:
    """Begin nothing more of a run; what is done stays."""
    return change(Run, "DELETE", ("runs", run_id), None, None)


def follow_run(run_id: str, *, after: int = 0) -> Events:
    """Follow a run to its end, from behind the chunk ``after``, over broken connections."""
    found = get(None, "runs", run_id, "events")
    return Events(found.with_headers({"Last-Event-ID": str(after)}), after)


def stream_outcomes(run_id: str) -> Lines[PortfolioResult]:
    """The outcome of every portfolio that has one, in the order of rebalances and portfolios."""
    return Lines(get(None, "runs", run_id, "outcomes"), PortfolioResult)


def export_outcomes(run_id: str, kind: Literal["parquet", "arrows", "jsonl"]) -> Pieces:
    """The outcomes of a run as a file, piece by piece."""
    found = get(None, "runs", run_id, "outcomes")
    return Pieces(found.with_headers({"Accept": MEDIA_TYPES[kind]}))


def _transactions(rebalance_id: str, kind: Format, portfolio_ids: Sequence[str]) -> Call[None]:
    chosen = tuple(portfolio_ids)
    found = get(None, "rebalance", rebalance_id, "transactions", portfolio_id=chosen)
    return found.with_headers({"Accept": MEDIA_TYPES[kind]})


def _deleted(kind: Any, steps: Sequence[str], version: int) -> Call[Any]:
    made = change(kind, "DELETE", steps, None, version)
    return Call(made.method, made.path, made.answer, {"version": version}, headers=made.headers)
