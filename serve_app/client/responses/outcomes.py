"""Outcomes of portfolios in brief and in full, and why portfolios have no plan."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Literal

from serve_app.client.responses.positions import PositionDetail, Side, Weight
from serve_app.client.responses.problems import Problem
from serve_app.client.responses.rules import RuleResult

Status = Literal["REBALANCED", "IN_BAND", "NO_TRADE", "INFEASIBLE", "FAILED"]


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
    """A security outside its band, and the options (or whole_lots) that hold it."""

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
    notes: tuple[str, ...] = ()  # assumptions about a portfolio of an upload
    rules: tuple[RuleResult, ...] = ()  # that the plan was checked by
    positions: tuple[PositionDetail, ...] = ()  # if the request asks for positions


@dataclass(frozen=True, slots=True)
class LastOutcome:
    """Outcome of a portfolio in the newest rebalance that has one."""

    portfolio_id: str
    status: Status
    rebalance_id: str
    run_id: str | None
    model_id: str
    model_name: str
    model_version: int
    rebalance_date: datetime


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a portfolio has no plan, without the facts."""

    type: str
    title: str
    detail: str


@dataclass(frozen=True, slots=True)
class DriftTotals:
    """Drift of all securities of a portfolio: in currency, and of its market value."""

    total_drift: Decimal
    total_drift_weight: Decimal
    out_of_band: int


@dataclass(frozen=True, slots=True)
class OutcomeSummary:
    """Outcome of one portfolio without its positions; a FAILED one has no amounts."""

    portfolio_id: str
    status: Status
    market_value: Decimal | None
    cash_before_rebalance: Decimal | None
    cash_after_rebalance: Decimal | None
    transactions: int
    turnover: Decimal
    cost: Decimal
    before: DriftTotals | None
    after: DriftTotals | None
    objective: Decimal | None
    lower_bound: Decimal | None
    proof: str | None
    method: str | None
    error: Reason | None
    rules: tuple[RuleResult, ...] = ()  # that the plan was checked by


@dataclass(frozen=True, slots=True)
class OutcomeTotals:
    """Exact sums in currency over the outcomes of a rebalance that have the amount."""

    rebalance_id: str
    portfolios: int
    market_value: Decimal
    cash_before_rebalance: Decimal
    cash_after_rebalance: Decimal
    objective: Decimal


@dataclass(frozen=True, slots=True)
class WhatIf:
    """Outcomes of portfolios to which a model was tried; nothing of it is stored."""

    followers: int
    tried: int
    counts: Mapping[Status, int]
    out_of_band_before: int
    out_of_band_after: int
    outcomes: tuple[OutcomeSummary, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class OutcomeDetail(OutcomeSummary):
    """Outcome of one portfolio with its positions, the proof and what explains it."""

    rebalance_id: str
    model_id: str
    model_name: str
    model_version: int
    rebalance_date: datetime
    trade_date: date
    options: Mapping[str, Any]
    base: Decimal | None
    open_orders_counted: int
    binding: tuple[Binding, ...]
    violation: Decimal | None
    violation_lower_bound: Decimal | None
    outside_band: tuple[OutsideBand, ...]
    problem: Problem | None
    positions: tuple[PositionDetail, ...]


@dataclass(frozen=True, slots=True)
class AdmittingBand:
    """The band that leaves room for a whole lot in this part of the portfolios, at least."""

    share: Decimal
    low_drift: Decimal
    high_drift: Decimal


@dataclass(frozen=True, slots=True)
class Cause:
    """A reason with its subject, a security or an option, and the portfolios it concerns."""

    type: str
    title: str
    kind: Literal["security", "option"] | None
    subject: str | None
    portfolios: int
    examples: tuple[str, ...]
    bands: tuple[AdmittingBand, ...]


@dataclass(frozen=True, slots=True)
class Causes:
    """Reasons by the number of their portfolios; a portfolio may count for several."""

    examined: int
    is_whole: bool
    causes: tuple[Cause, ...]
