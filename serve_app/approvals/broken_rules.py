"""Broken rules: the portfolios of a rebalance whose plans break rules of severity BLOCK."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Final

from serve_app.resources import Resources
from serve_app.rules.evaluation import RuleCheck
from storage.rebalances.rebalance import Rebalance

PORTFOLIO_BATCH_SIZE: Final = 500


@dataclass(frozen=True, slots=True)
class BlockedPortfolio:
    """A portfolio that trades although its plan breaks the rules of these names."""

    portfolio_id: str
    rules: tuple[str, ...]


async def iterate_blocked(
    resources: Resources, rebalance: Rebalance
) -> AsyncIterator[Sequence[BlockedPortfolio]]:
    """Yield the blocked portfolios of a rebalance, some at a time; those without trades are none.

    Nothing is read for a rebalance without rules that block.
    """
    check = RuleCheck.from_blocking_rules(rebalance)
    if not check:
        return
    for offset in range(0, rebalance.number_of_portfolios, PORTFOLIO_BATCH_SIZE):
        page = await resources.rebalances.list_outcomes(rebalance, offset, PORTFOLIO_BATCH_SIZE)
        blocked: list[BlockedPortfolio] = []
        for outcome in page:
            rule_names = check.list_broken(outcome).blocked_by
            if rule_names and outcome.transactions:
                blocked.append(BlockedPortfolio(outcome.portfolio_id, rule_names))
        if blocked:
            yield blocked
