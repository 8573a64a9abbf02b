"""Solution of a request in this process, without a cluster and a database."""

from collections.abc import Callable, Sequence
from typing import Final

from optimization import PortfolioOutcome, price_targets, require_targets
from serve_app.call_context import TimeSplit, set_deadline
from serve_app.chunks.fetch import UNPRICED, ChunkInputs
from serve_app.chunks.solve import failed_outcome, solve_chunk
from serve_app.files.request import GivenRequest
from serve_app.upstream.holdings.source import Balance

SOLVE_BATCH_SIZE: Final = 50  # portfolios between two steps of the progress
TIME_LIMIT_S: Final = 30.0  # for one portfolio, as by default in the service


async def solve_request(
    request: GivenRequest,
    on_progress: Callable[[int], None] = lambda _: None,
    time_limit_s: float = TIME_LIMIT_S,
) -> tuple[PortfolioOutcome, ...]:
    """Solve each portfolio and return the outcomes in order; a failure does not stop the others.

    ``on_progress`` gets the number of portfolios done since the last call. Raises EmptyModelError
    if the model would sell everything without ``liquidate``, and OptionsConflictError.
    """
    body, options = request.body, request.options
    common, own = options.build_common(time_limit_s), options.build_own(time_limit_s)
    ids = [portfolio.portfolio_id for portfolio in body.portfolios]
    for choice in {own.get(portfolio_id, common) for portfolio_id in ids}:
        require_targets(request.model.targets, choice)
    try:
        securities = price_targets(request.model, body.prices)
    except UNPRICED as error:
        return tuple(failed_outcome(portfolio_id, error) for portfolio_id in ids)
    balances = [
        Balance(account.portfolio_id, account.cash, account.holdings) for account in body.portfolios
    ]
    firsts = range(0, len(ids), SOLVE_BATCH_SIZE)
    time_split = TimeSplit(len(firsts), 1)
    answers: list[PortfolioOutcome] = []
    for first in firsts:
        part = slice(first, first + SOLVE_BATCH_SIZE)
        inputs = ChunkInputs(ids[part], balances[part], body.prices)
        with set_deadline(time_split.next_s()):
            outcomes = await solve_chunk(securities, inputs, common, _ignore, own)
        on_progress(len(outcomes))
        answers += outcomes
    return tuple(answers)


def _ignore(outcomes: Sequence[PortfolioOutcome], seconds: float) -> None:
    """Count nothing, because metrics belong to a service."""
