"""Answers of the service as frozen dataclasses, with the names of the API and exact decimals.

Fields that a newer service has beyond these are left out. An ``error`` is a problem as it came.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Literal

from serve_app.client.position_models import PositionDetail, Side, Weight
from serve_app.client.rule_models import RuleResult

Problem = Mapping[str, Any]
Status = Literal["REBALANCED", "IN_BAND", "NO_TRADE", "INFEASIBLE", "FAILED"]
OrderState = Literal["PENDING", "SENDING", "SENT", "FAILED", "UNKNOWN"]


@dataclass(frozen=True, slots=True)
class Position:
    """One line of a model; its band is high and low drift, in fractions of market value.

    Under the general rules it may be a drift relative to the target instead, at most
    ``absolute_drift`` of market value.
    """

    security_id: str
    target: Weight
    high_drift: Weight | None = None
    low_drift: Weight | None = None
    relative_drift: Decimal | None = None
    absolute_drift: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Model:
    """A model as it is stored."""

    model_id: str
    name: str
    positions: tuple[Position, ...]
    portfolios: tuple[str, ...]
    last_rebalance_date: datetime | None
    version: int
    rebalance_options: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class FieldChange:
    """A field of a model before and after a change."""

    field: str
    before: Any
    after: Any


@dataclass(frozen=True, slots=True)
class PositionChange:
    """A position before and after a change; None for a security that was added or removed."""

    security_id: str
    before: Position | None
    after: Position | None


@dataclass(frozen=True, slots=True)
class ModelChanges:
    """Differences from the version before; the lists of portfolios have the first 100 ids."""

    fields: tuple[FieldChange, ...]
    positions: tuple[PositionChange, ...]
    portfolios_added: tuple[str, ...]
    portfolios_removed: tuple[str, ...]
    number_of_portfolios_added: int
    number_of_portfolios_removed: int


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """A version of a model; ``changes`` is None for the first stored version."""

    model_id: str
    version: int
    name: str
    at: datetime
    principal: str | None
    correlation_id: str | None
    changes: ModelChanges | None


@dataclass(frozen=True, slots=True)
class WholeModelVersion(ModelVersion):
    """A version of a model, with the model as it was."""

    model: Model


@dataclass(frozen=True, slots=True)
class Transaction:
    """A trade."""

    transaction_type: Side
    security_id: str
    quantity: Decimal
    trade_date: date


@dataclass(frozen=True, slots=True)
class Drift:
    """One security before and after a rebalance."""

    security_id: str
    original_quantity: Decimal
    adjusted_quantity: Decimal
    target: Weight
    high_drift: Weight
    low_drift: Weight
    actual: Decimal


@dataclass(frozen=True, slots=True)
class Binding:
    """A constraint that keeps a plan from less drift."""

    constraint: str
    slack: Decimal


@dataclass(frozen=True, slots=True)
class OutsideBand:
    """A security that a plan leaves outside its band, and what holds it: options or whole_lots."""

    security_id: str
    side: Literal["BELOW", "ABOVE"]
    outside: Decimal
    held_by: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PortfolioOutcome:
    """The outcome of one portfolio."""

    portfolio_id: str
    rebalance_id: str | None
    model_id: str | None
    status: Status
    transactions: tuple[Transaction, ...]
    drifts: tuple[Drift, ...]
    market_value: Decimal | None
    base: Decimal | None  # market value after costs
    cash_before_rebalance: Decimal | None
    cash_after_rebalance: Decimal | None
    turnover: Decimal
    objective: Decimal | None
    lower_bound: Decimal | None
    cost: Decimal
    proof: str | None
    other_base: Decimal | None
    method: str | None
    binding: tuple[Binding, ...]
    open_orders_counted: int
    error: Problem | None
    violation: Decimal | None = None
    violation_lower_bound: Decimal | None = None
    outside_band: tuple[OutsideBand, ...] = ()
    notes: tuple[str, ...] = ()  # what was assumed about a portfolio that files gave
    rules: tuple[RuleResult, ...] = ()  # that the plan was checked by
    positions: tuple[PositionDetail, ...] = ()  # where they are asked for


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
    """One portfolio of a stored rebalance; only the outcomes of a run say of which one."""

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

    In a list that is cut, ``portfolios_omitted`` says how many are missing and
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
class TransactionLine:
    """One transaction of a stored rebalance, with the price that it was planned at."""

    rebalance_id: str
    portfolio_id: str
    security_id: str
    transaction_type: Side
    quantity: Decimal
    price: Decimal
    amount: Decimal
    trade_date: date
    blocked_by: tuple[str, ...] = ()  # rules that hold the orders of the portfolio back
    warned_by: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PortfolioName:
    """A portfolio and its name, None where the portfolio service has none or does not answer."""

    portfolio_id: str
    name: str | None


@dataclass(frozen=True, slots=True)
class SecurityTicker:
    """A security and its ticker, None where the security service has none or does not answer."""

    security_id: str
    ticker: str | None


@dataclass(frozen=True, slots=True)
class OrderLine:
    """One order and its state."""

    portfolio_id: str
    security_id: str
    transaction_type: Side
    quantity: Decimal
    status: OrderState
    order_id: int | None
    message: str | None
    order_timestamp: datetime | None
    service_status: str | None


@dataclass(frozen=True, slots=True)
class OrderOfRebalance(OrderLine):
    """One order, with the rebalance that it comes from and when that began."""

    rebalance_id: str
    rebalance_date: datetime


@dataclass(frozen=True, slots=True)
class OrderSubmission:
    """The orders of a rebalance: COMPLETE when all are SENT, NOT_SENT while none went out."""

    rebalance_id: str
    status: Literal["COMPLETE", "PARTIAL", "NOT_SENT"]
    number_of_transactions: int
    number_of_orders: int
    counts: Mapping[OrderState, int]
    orders: tuple[OrderLine, ...]


@dataclass(frozen=True, slots=True)
class Standing:
    """One security and its band; all amounts are in currency."""

    security_id: str
    quantity: Decimal
    price: Decimal
    market_value: Decimal
    target: Weight
    low_drift: Weight
    high_drift: Weight
    actual: Decimal
    lower_edge: Decimal
    upper_edge: Decimal
    deviation: Decimal
    side: Literal["BELOW", "ABOVE"] | None
    outside: Decimal


@dataclass(frozen=True, slots=True)
class PortfolioDrift:
    """The drift of a portfolio from a model."""

    portfolio_id: str
    model_id: str
    status: Literal["WITHIN_BANDS", "OUT_OF_BAND"]
    market_value: Decimal
    cash: Decimal
    cash_weight: Decimal
    total_drift: Decimal
    total_drift_weight: Decimal
    out_of_band: int
    drifts: tuple[Standing, ...]


@dataclass(frozen=True, slots=True)
class LargestDeviation:
    """The security that is farthest from its target."""

    security_id: str
    deviation: Decimal
    target: Weight
    actual: Decimal


@dataclass(frozen=True, slots=True)
class DriftSummary:
    """A line of drift for one portfolio; of one that FAILED only the error is known."""

    portfolio_id: str
    status: Literal["WITHIN_BANDS", "OUT_OF_BAND", "FAILED"]
    market_value: Decimal | None
    cash: Decimal | None
    cash_weight: Decimal | None
    total_drift: Decimal | None
    total_drift_weight: Decimal | None
    out_of_band: int | None
    largest_deviation: LargestDeviation | None
    error: Problem | None


@dataclass(frozen=True, slots=True)
class Deleted:
    """The confirmation of a deletion."""

    message: str


@dataclass(frozen=True, slots=True)
class Health:
    """How the service is.

    ``checks`` has each part that was asked, ``breakers`` the circuit to each upstream,
    ``simulated`` the upstreams that are simulated.
    """

    status: str
    checks: Mapping[str, str]
    breakers: Mapping[str, str]
    simulated: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class System:
    """State of the service as the answering ingress sees it."""

    version: str
    model_rules: str
    auth: str
    health: Health
    event_streams: Mapping[Literal["open", "most"], int]
    settings: Mapping[str, Any]
