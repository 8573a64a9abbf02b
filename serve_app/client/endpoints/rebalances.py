"""Rebalances: made now, or stored."""

from collections.abc import Sequence
from typing import Any

from serve_app.client.call import (
    Call,
    Options,
    PortfolioOptions,
    answer_as,
    delete,
    encode_body,
    get,
    path,
    work,
)
from serve_app.client.responses.models import Position
from serve_app.client.responses.outcomes import (
    Causes,
    LastOutcome,
    OutcomeDetail,
    OutcomeSummary,
    OutcomeTotals,
    PortfolioOutcome,
    Status,
    WhatIf,
)
from serve_app.client.responses.rebalances import (
    Deleted,
    PortfolioResult,
    PositionResult,
    RebalanceResult,
    RebalanceSummary,
)


def rebalance_model(
    model_id: str,
    options: Options | None = None,
    *,
    dry_run: bool = False,
    idempotency_key: str | None = None,
) -> Call[tuple[PortfolioOutcome, ...]]:
    """Rebalance every portfolio that follows the model; return one element for each."""
    kind, steps = tuple[PortfolioOutcome, ...], ("model", model_id, "rebalance")
    return work(kind, steps, options, idempotency_key, dry_run=dry_run or None)


def rebalance_portfolio(
    portfolio_id: str,
    options: PortfolioOptions | None = None,
    *,
    dry_run: bool = False,
    idempotency_key: str | None = None,
) -> Call[PortfolioOutcome]:
    """Rebalance one portfolio to the newest model that it follows, or to the named model."""
    steps = ("portfolio", portfolio_id, "rebalance")
    return work(PortfolioOutcome, steps, options, idempotency_key, dry_run=dry_run or None)


def optimize(request: Any, *, positions: bool = False) -> Call[tuple[PortfolioOutcome, ...]]:
    """Rebalance the portfolios of a request: the body of POST /optimize, or its text.

    With ``positions`` outcomes have positions with prices and amounts, up to 100,000 in all.
    """
    body = request if isinstance(request, bytes) else encode_body(request)
    answer = answer_as(tuple[PortfolioOutcome, ...])
    query = {"positions": "true"} if positions else {}
    return Call("POST", "/api/v1/optimize", answer, query, body=body, repeatable=True)


def try_model(
    model_id: str,
    positions: Sequence[Position] | None = None,
    options: Options | None = None,
    *,
    portfolios: Sequence[str] | None = None,
    sample: int | None = None,
) -> Call[WhatIf]:
    """Rebalance followers of the model to other positions, and store nothing."""
    members = {
        "positions": positions,
        "options": options,
        "portfolios": portfolios,
        "sample": sample,
    }
    body = encode_body({name: value for name, value in members.items() if value is not None})
    route = path("model", model_id, "what-if")
    return Call("POST", route, answer_as(WhatIf), body=body, repeatable=True)


def list_rebalances(*, sort_by: str = "", limit: int = 10) -> Call[tuple[RebalanceResult, ...]]:
    """List all rebalances, the newest first, ``limit`` in a request.

    The rebalances of a request have up to 5,000 portfolios in all. A rebalance that is cut has the
    number of its other portfolios in ``portfolios_omitted``.
    """
    return get(tuple[RebalanceResult, ...], "rebalances", sort_by=sort_by, limit=limit)


def list_rebalances_of_portfolios(
    portfolios: Sequence[str], *, limit: int = 10
) -> Call[tuple[RebalanceResult, ...]]:
    """List the rebalances of these portfolios, newest first, with no other portfolios."""
    answer = answer_as(tuple[RebalanceResult, ...])
    body, route = encode_body({"portfolios": portfolios}), path("rebalances", "portfolios")
    return Call("POST", route, answer, {"limit": limit}, body, repeatable=True)


def read_rebalance(rebalance_id: str) -> Call[RebalanceResult]:
    """Read a rebalance with all its portfolios and their positions."""
    return get(RebalanceResult, "rebalance", rebalance_id)


def list_portfolios(rebalance_id: str, *, limit: int = 100) -> Call[tuple[PortfolioResult, ...]]:
    """List the portfolios of a rebalance in the order of the model, ``limit`` in a request."""
    kind = tuple[PortfolioResult, ...]
    return get(kind, "rebalance", rebalance_id, "portfolios", limit=limit)


def list_positions(rebalance_id: str, portfolio_id: str) -> Call[tuple[PositionResult, ...]]:
    """List the positions of one portfolio in a rebalance."""
    steps = ("rebalance", rebalance_id, "portfolio", portfolio_id, "positions")
    return get(tuple[PositionResult, ...], *steps)


def list_rebalance_summaries(
    *, sort_by: str = "", limit: int = 10
) -> Call[tuple[RebalanceSummary, ...]]:
    """List all rebalances without their portfolios, the newest first, ``limit`` in a request."""
    kind = tuple[RebalanceSummary, ...]
    return get(kind, "rebalances", "summary", sort_by=sort_by, limit=limit)


def read_rebalance_summary(rebalance_id: str) -> Call[RebalanceSummary]:
    """Read a rebalance without its portfolios."""
    return get(RebalanceSummary, "rebalance", rebalance_id, "summary")


def list_outcomes(
    rebalance_id: str,
    *,
    status: Sequence[Status] = (),
    code: Sequence[str] = (),
    portfolio_id: Sequence[str] = (),
    sort_by: str = "",
    limit: int = 100,
) -> Call[tuple[OutcomeSummary, ...]]:
    """List the outcomes of a rebalance without positions, by status, reason and portfolio.

    ``code`` is the last part of a problem's type, such as ``prices-missing``.
    """
    return get(
        tuple[OutcomeSummary, ...],
        "rebalance",
        rebalance_id,
        "outcomes",
        status=list(status) or None,
        code=list(code) or None,
        portfolio_id=list(portfolio_id) or None,
        sort_by=sort_by,
        limit=limit,
    )


def read_outcome_totals(rebalance_id: str) -> Call[OutcomeTotals]:
    """Read the sums of market value, cash and objective over the portfolios of a rebalance."""
    return get(OutcomeTotals, "rebalance", rebalance_id, "outcomes", "totals")


def read_outcome(rebalance_id: str, portfolio_id: str) -> Call[OutcomeDetail]:
    """Read the outcome of one portfolio: positions before and after, proof, reason."""
    return get(OutcomeDetail, "rebalance", rebalance_id, "portfolio", portfolio_id)


def list_causes(rebalance_id: str) -> Call[Causes]:
    """List why portfolios of a rebalance have no plan, each reason with its subject once."""
    return get(Causes, "rebalance", rebalance_id, "causes")


def list_run_causes(run_id: str) -> Call[Causes]:
    """List why portfolios of a run have no plan, each reason with its subject once."""
    return get(Causes, "runs", run_id, "causes")


def list_last_outcomes(portfolio_ids: Sequence[str]) -> Call[tuple[LastOutcome, ...]]:
    """List the newest outcome of up to 100 portfolios, in the order of their ids.

    A portfolio that was never rebalanced is left out.
    """
    kind = tuple[LastOutcome, ...]
    return get(kind, "portfolios", "last-outcomes", ids=tuple(portfolio_ids))


def delete_rebalance(rebalance_id: str, version: int) -> Call[Deleted]:
    """Remove a rebalance with its portfolios, if no order of it was sent."""
    return delete(Deleted, ("rebalance", rebalance_id), version)
