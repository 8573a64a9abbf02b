"""Retry of a run: its portfolios without a plan, with its options and source of holdings."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from optimization import Status
from optimization.errors import RuleError
from serve_app.api.schemas.runs import MAX_LISTED_REBALANCES, MAX_PORTFOLIOS
from serve_app.ports.runs import BeginRun
from serve_app.ports.store import Store
from storage.errors import RunGoesOnError
from storage.rebalances.outcome_search import OutcomeFilter
from storage.runs.run import Selection

WITHOUT_PLAN: Final = frozenset({Status.INFEASIBLE, Status.FAILED})
PAGE_SIZE: Final = 1_000


async def retry(store: Store, command: BeginRun, run_id: str, codes: Sequence[str]) -> BeginRun:
    """Complete a command with the portfolios, options and holdings of the run that it repeats.

    Parts that the command has already stay. Raises RunGoesOnError while the run is not over, and
    RuleError if no portfolio is left to rebalance, or too many are.
    """
    run = await store.read_whole_run(run_id)
    if not run.status.is_over:
        raise RunGoesOnError(None, run_id)
    selection = await _select(store, run_id, codes)
    own = {
        portfolio_id: options
        for portfolio_id, options in run.overrides_by_portfolio.items()
        if portfolio_id in frozenset(selection.portfolio_ids)
    }
    return replace(
        command,
        selection=selection,
        overrides=command.overrides if command.overrides.values else run.overrides,
        overrides_by_portfolio=command.overrides_by_portfolio or own,
        holdings=command.holdings or replace(run.holdings, fingerprint=None),
        retry_of=run_id,
    )


async def _select(store: Store, run_id: str, codes: Sequence[str]) -> Selection:
    outcome_filter = OutcomeFilter(WITHOUT_PLAN, frozenset(codes))
    models: dict[str, None] = {}
    portfolios: dict[str, None] = {}
    last: str | None = None
    while parts := await store.list_run_rebalances(run_id, last, MAX_LISTED_REBALANCES):
        for part in parts:
            for offset in range(0, part.number_of_portfolios, PAGE_SIZE):
                outcomes, total = await store.search_outcomes(
                    part, outcome_filter, (), offset, PAGE_SIZE
                )
                portfolios |= dict.fromkeys(outcome.portfolio_id for outcome in outcomes)
                models |= {part.model_id: None} if outcomes else {}
                if len(portfolios) > MAX_PORTFOLIOS:
                    rule = f"at most {MAX_PORTFOLIOS:,} portfolios are tried again at once"
                    raise RuleError(("retry_of",), run_id, rule)
                if offset + PAGE_SIZE >= total:
                    break
        last = parts[-1].rebalance_id
    if not portfolios:
        raise RuleError(("retry_of",), run_id, "no portfolio of the run is left without a plan")
    return Selection(tuple(models), tuple(portfolios))
