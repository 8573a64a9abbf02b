"""Exact rebalancing of portfolios to investment models, in whole lots.

>>> from optimization import Model, Portfolio, rebalance
>>> model = Model({"VTI": 0.6, "BND": 0.35}, band=0.02)
>>> held = Portfolio("ira", 2000, {"BND": 90}, {"VTI": 31.50, "BND": 98})
>>> answer = rebalance(model, held)
>>> [(str(trade.side), trade.quantity, trade.security_id) for trade in answer.transactions]
[('BUY', 206, 'VTI'), ('SELL', 51, 'BND')]
>>> answer.cash_after, answer.certificate.objective
(Decimal('509.00'), Decimal('38.00'))

The names in ``__all__`` are the interface. The engine is loaded with the first use of a name that
needs it, and CVXPY and HiGHS with the first search for a plan, because they take seconds that
importers of models and errors should not pay. ``load_solver`` loads them beforehand.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from optimization.column_names import USUAL_NAMES, find_columns, find_field, is_cash
from optimization.domain.certificate import Binding, Certificate, Method, Proof
from optimization.domain.drift_band import DriftBand, RelativeBand, relative_band
from optimization.domain.model import Band, Model, Target, require_targets
from optimization.domain.model_edits import (
    with_portfolios,
    with_replaced_target,
    with_target,
    without_portfolios,
    without_target,
)
from optimization.domain.numbers import (
    EXACT,
    Number,
    Percent,
    Weight,
    WrittenFraction,
    count_needed_decimals,
    weight_text,
)
from optimization.domain.option_values import BandRule, Direction, GroupBand, OpenOrders, Scope
from optimization.domain.options import (
    NO_OVERRIDES,
    OptionOverrides,
    OverridesByPortfolio,
    RebalanceOptions,
)
from optimization.domain.outcome import (
    HUNDREDTH_PERCENT,
    NO_WEIGHT,
    WEIGHT_PARTS,
    Drift,
    Edge,
    OutsideBand,
    PortfolioOutcome,
    Refusal,
    Side,
    Status,
    Transaction,
    compute_weight,
    traded_shares,
    unsigned,
)
from optimization.domain.portfolio import Portfolio, PricedTarget, price_targets
from optimization.domain.rules import (
    GENERAL,
    GLOBECO,
    IDENTIFIER_RULE,
    MAX_IDENTIFIER_LENGTH,
    MODEL_RULES,
    ModelRules,
    is_identifier,
    replace_invisible,
)
from optimization.drift import (
    BandStatus,
    DriftSummary,
    PortfolioDrift,
    Standing,
    measure_drift,
    measure_outcome,
)
from optimization.errors import (
    CertificationError,
    ColumnsError,
    EmptyModelError,
    FrameError,
    NoSolutionInTimeError,
    OptimizationError,
    OptionsConflictError,
    PricesMissingError,
    RuleError,
    UnmatchedIdsError,
)
from optimization.exact.binding_rows import BindingRows
from optimization.exact.block_amounts import compute_turnovers, compute_weights
from optimization.exact.block_outcome import BESIDE, METHODS, STATUSES, BlockOutcome
from optimization.exact.columns import OtherHoldings, PortfolioBlock
from optimization.exact.scaled_column import ScaledColumn
from optimization.time_budget import TimeBudget

if TYPE_CHECKING:
    from optimization.block_engine import rebalance_block
    from optimization.engine import Answer, rebalance, rebalance_all, rebalance_at_once
    from optimization.frames.rebalance_frame import FrameOutcome, rebalance_frame
    from optimization.milp.programs import load_solver

__all__ = [
    "BESIDE",
    "EXACT",
    "GENERAL",
    "GLOBECO",
    "HUNDREDTH_PERCENT",
    "IDENTIFIER_RULE",
    "MAX_IDENTIFIER_LENGTH",
    "METHODS",
    "MODEL_RULES",
    "NO_OVERRIDES",
    "NO_WEIGHT",
    "STATUSES",
    "USUAL_NAMES",
    "WEIGHT_PARTS",
    "Answer",
    "Band",
    "BandRule",
    "BandStatus",
    "Binding",
    "BindingRows",
    "BlockOutcome",
    "Certificate",
    "CertificationError",
    "ColumnsError",
    "Direction",
    "Drift",
    "DriftBand",
    "DriftSummary",
    "Edge",
    "EmptyModelError",
    "FrameError",
    "FrameOutcome",
    "GroupBand",
    "Method",
    "Model",
    "ModelRules",
    "NoSolutionInTimeError",
    "Number",
    "OpenOrders",
    "OptimizationError",
    "OptionOverrides",
    "OptionsConflictError",
    "OtherHoldings",
    "OutsideBand",
    "OverridesByPortfolio",
    "Percent",
    "Portfolio",
    "PortfolioBlock",
    "PortfolioDrift",
    "PortfolioOutcome",
    "PricedTarget",
    "PricesMissingError",
    "Proof",
    "RebalanceOptions",
    "Refusal",
    "RelativeBand",
    "RuleError",
    "ScaledColumn",
    "Scope",
    "Side",
    "Standing",
    "Status",
    "Target",
    "TimeBudget",
    "Transaction",
    "UnmatchedIdsError",
    "Weight",
    "WrittenFraction",
    "compute_turnovers",
    "compute_weight",
    "compute_weights",
    "count_needed_decimals",
    "find_columns",
    "find_field",
    "is_cash",
    "is_identifier",
    "load_solver",
    "measure_drift",
    "measure_outcome",
    "price_targets",
    "rebalance",
    "rebalance_all",
    "rebalance_at_once",
    "rebalance_block",
    "rebalance_frame",
    "relative_band",
    "replace_invisible",
    "require_targets",
    "traded_shares",
    "unsigned",
    "weight_text",
    "with_portfolios",
    "with_replaced_target",
    "with_target",
    "without_portfolios",
    "without_target",
]

_ON_FIRST_USE = {
    "Answer": "optimization.engine",
    "rebalance": "optimization.engine",
    "rebalance_all": "optimization.engine",
    "rebalance_at_once": "optimization.engine",
    "rebalance_block": "optimization.block_engine",
    "FrameOutcome": "optimization.frames.rebalance_frame",
    "rebalance_frame": "optimization.frames.rebalance_frame",
    "load_solver": "optimization.milp.programs",
}


def __getattr__(name: str) -> Any:
    if name not in _ON_FIRST_USE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_ON_FIRST_USE[name]), name)
