"""Stored rebalances with their portfolios and positions."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from serve_app.client.responses.outcomes import OutsideBand, Status
from serve_app.client.responses.positions import Side, Weight
from serve_app.client.responses.problems import Problem
from serve_app.client.responses.rules import RuleResult


@dataclass(frozen=True, slots=True)
class RebalanceSummary:
    """A stored rebalance without its portfolios; ``options`` are those that were given."""

    rebalance_id: str
    run_id: str | None
    model_id: str
    model_name: str
    model_version: int
    rebalance_date: datetime
    finished_at: datetime | None
    status: str
    number_of_portfolios: int
    counts: Mapping[str, int]
    options: Mapping[str, Any]
    version: int
    error: Problem | None


@dataclass(frozen=True, slots=True)
class PositionResult:
    """One security of a stored rebalance."""

    security_id: str
    price: Decimal
    original_quantity: Decimal
    adjusted_quantity: Decimal
    original_position_market_value: Decimal
    adjusted_position_market_value: Decimal
    target: Weight
    high_drift: Weight
    low_drift: Weight
    actual: Decimal
    actual_drift: Decimal
    transaction_type: Side | None
    trade_quantity: Decimal | None
    trade_date: date | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PortfolioResult:
    """One portfolio of a stored rebalance; only outcomes of a run have ``rebalance_id``."""

    rebalance_id: str | None = None
    portfolio_id: str
    market_value: Decimal | None
    base: Decimal | None  # market value after costs
    cash_before_rebalance: Decimal | None
    cash_after_rebalance: Decimal | None
    positions: tuple[PositionResult, ...]
    status: Status
    open_orders_counted: int
    error: Problem | None
    outside_band: tuple[OutsideBand, ...] = ()
    rules: tuple[RuleResult, ...] = ()  # that the plan was checked by


@dataclass(frozen=True, slots=True)
class RebalanceResult:
    """A stored rebalance; ``counts`` says how many portfolios had which outcome.

    If a list cuts the portfolios, ``portfolios_omitted`` is the number of the others and
    ``portfolios_link`` leads to them.
    """

    rebalance_id: str
    model_id: str
    model_name: str
    rebalance_date: datetime
    number_of_portfolios: int
    portfolios: tuple[PortfolioResult, ...]
    version: int
    created_at: datetime
    status: str
    counts: Mapping[str, int]
    unmatched: tuple[str, ...] = ()
    portfolios_omitted: int = 0
    portfolios_link: str | None = None


@dataclass(frozen=True, slots=True)
class Deleted:
    """The confirmation of a deletion."""

    message: str
