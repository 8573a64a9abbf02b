"""Unmatched ids: options name them, but neither models nor portfolios have them.

They are most likely misspelt and restrict nothing.
"""

from collections.abc import Iterable, Iterator

from optimization import (
    BlockOutcome,
    OptionOverrides,
    PortfolioOutcome,
    PricedTarget,
    RebalanceOptions,
)
from optimization.errors import UnmatchedIdsError
from serve_app.chunks.blocks import list_separate_outcomes
from serve_app.chunks.fetch import ChunkInputs
from serve_app.problems.catalogue import PRICES_MISSING
from storage.rebalances.rebalance import Rebalance
from storage.runs.run import Run


def list_other_holdings(outcomes: BlockOutcome | Iterable[PortfolioOutcome]) -> Iterator[str]:
    """Yield the holdings outside the model, as far as the outcomes have them."""
    if isinstance(outcomes, BlockOutcome):
        others = outcomes.others
        yield from (others.ids[place] for place in set(others.securities.tolist()))
        outcomes = list_separate_outcomes(outcomes)
    for outcome in outcomes:
        for security in outcome.others:
            yield security.security_id
        if outcome.refusal is not None and outcome.refusal.code == PRICES_MISSING.code:
            yield from outcome.refusal.members.get("securities", ())


class UnmatchedIds:
    """Ids that the options of a run name, less those that its rebalances match."""

    def __init__(self, run: Run) -> None:
        self._common = _collect_ids((run.overrides,))
        self._portfolios = set(run.overrides_by_portfolio)
        self._missing = set[str]()
        self._present = set[str]()

    def add_rebalance(self, part: Rebalance) -> None:
        """Take a finished rebalance into account; a refused rebalance tells nothing."""
        self._portfolios -= part.overrides_by_portfolio.keys()
        if part.refusal is None:
            # Options of portfolios in other rebalances do not count, because they restrict nothing
            # here.
            named_ids = self._common | _collect_ids(part.overrides_by_portfolio.values())
            self._missing |= named_ids & set(part.unmatched)
            self._present |= named_ids - set(part.unmatched)

    @property
    def ids(self) -> tuple[str, ...]:
        """Securities that no rebalance has, and portfolios with options but not in the run."""
        return tuple(sorted((self._missing - self._present) | self._portfolios))


def _collect_ids(options: Iterable[OptionOverrides]) -> set[str]:
    ids_by_option = (overrides.restrictions.named_ids() for overrides in options)
    return {security_id for ids in ids_by_option for _, security_id in ids}


def require_matched(
    restrictions: RebalanceOptions, model: tuple[PricedTarget, ...], portfolios: ChunkInputs
) -> None:
    """Raise UnmatchedIdsError for ids that neither the model nor a portfolio has.

    Passes if the holdings of a portfolio are unknown, because it may hold any id.
    """
    known_ids = {security.security_id for security in model}
    for balance in portfolios.balances:
        if isinstance(balance, Exception):
            return
        known_ids.update(balance.holdings)
    unmatched = restrictions.find_unmatched(known_ids)
    if unmatched:
        raise UnmatchedIdsError(unmatched)
