"""Answers of one call, in one shape: a single outcome, or those of many portfolios."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol, runtime_checkable

from optimization.domain.numbers import EXACT
from optimization.domain.outcome import PortfolioOutcome, compute_weight
from optimization.domain.portfolio import PricedTarget
from optimization.errors import OptimizationError

Answer = PortfolioOutcome | OptimizationError


# A protocol, because its implementation stands above this package, in `frames`.
@runtime_checkable
class ManyAnswers(Protocol):
    """Answers by portfolio id, in the order of the portfolios."""

    def items(self) -> Iterable[tuple[str, Answer]]: ...


def list_answers(shown: PortfolioOutcome | ManyAnswers) -> list[tuple[str, Answer]]:
    """List the answers with the ids of their portfolios."""
    if isinstance(shown, ManyAnswers):
        return [*shown.items()]
    return [(shown.portfolio_id, shown)]


@dataclass(frozen=True, slots=True)
class Position:
    """Position of an outcome, before and after; weights are fractions of market value."""

    security: PricedTarget
    before: int | Decimal
    after: int | Decimal
    traded: int | Decimal  # shares bought, negative if sold
    weight_before: Decimal
    weight_after: Decimal

    @property
    def amount(self) -> Decimal:
        """Value of the trade in currency, negative for a sale."""
        return EXACT.multiply(Decimal(self.traded), self.security.price)

    @property
    def side(self) -> str:
        """BUY or SELL; empty if the position is not traded."""
        return "BUY" if self.traded > 0 else "SELL" if self.traded < 0 else ""


def list_positions(outcome: PortfolioOutcome) -> Iterator[Position]:
    """Yield the positions of an outcome; none if its holdings are unknown."""
    value = outcome.market_value
    if value is None:
        return
    for drift in outcome.drifts:
        before, price = drift.original_quantity, drift.security.price
        weight = compute_weight(before, price, value)
        change = drift.change
        yield Position(
            drift.security, before, drift.adjusted_quantity, change, weight, drift.actual
        )


def find_reason(answer: Answer) -> str:
    """Say why a portfolio has no plan; empty if it has one."""
    if isinstance(answer, OptimizationError):
        return str(answer)
    return answer.refusal.detail if answer.refusal else ""


def find_status(answer: Answer) -> str:
    """Status of an outcome; FAILED for an error in its place."""
    return "FAILED" if isinstance(answer, OptimizationError) else str(answer.status)
