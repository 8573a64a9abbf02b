"""A time budget that never ends, for tests that compare two answers of the engine."""

import math
from dataclasses import dataclass

from optimization import (
    OptimizationError,
    Portfolio,
    PortfolioOutcome,
    PricedTarget,
    RebalanceOptions,
    TimeBudget,
    rebalance_all,
)


@dataclass(frozen=True, slots=True)
class EndlessBudget(TimeBudget):
    """Budget whose every share is itself, so that no answer depends on how busy the machine is."""

    def share(self, count: float, max_s: float = math.inf) -> "EndlessBudget":  # noqa: ARG002
        return self


def answer_alone(
    securities: tuple[PricedTarget, ...], portfolio: Portfolio, options: RebalanceOptions
) -> PortfolioOutcome | OptimizationError:
    """Answer to a portfolio in a call of its own, however long the search takes."""
    return rebalance_all(securities, [portfolio], options, EndlessBudget())[0]
