"""Runs and portfolio ids for tests."""

from dataclasses import replace

from optimization.domain.options import NO_OVERRIDES
from serve_app.resources import SUMMARIES
from storage.mongo.decimal_codec import now
from storage.rebalances.rebalance import new_rebalance_id
from storage.runs.run import HoldingsRef, Run, Selection


def make_portfolio_ids(count: int, first: int = 0) -> tuple[str, ...]:
    """Generate ids of portfolios."""
    return tuple(f"{number:024}" for number in range(first, first + count))


def make_run(*model_ids: str | None, **fields: object) -> Run:
    """Build a run over the followers of these models, or over all portfolios."""
    selection = Selection(tuple(str(model_id) for model_id in model_ids))
    run = Run(new_rebalance_id(), selection, NO_OVERRIDES, HoldingsRef(SUMMARIES), now())
    return replace(run, **fields)  # pyright: ignore[reportArgumentType]
