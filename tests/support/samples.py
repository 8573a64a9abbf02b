"""Sample models, rebalances and outcomes to store."""

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal

import numpy as np
from bson import ObjectId

from optimization import BESIDE, STATUSES, BlockOutcome, OtherHoldings, ScaledColumn
from optimization.domain.certificate import Certificate, Method, Proof
from optimization.domain.drift_band import DriftBand
from optimization.domain.model import Model, Target
from optimization.domain.options import OptionOverrides
from optimization.domain.outcome import PortfolioOutcome, Refusal, Status
from optimization.domain.portfolio import PricedTarget
from storage.rebalances.rebalance import Rebalance, new_rebalance_id

BAND = DriftBand(Decimal("0.01"), Decimal("0.025"))
NOON = datetime(2026, 3, 2, 12, 0, 0, 123_000, tzinfo=UTC)
OPTIMAL = Certificate(Proof.OPTIMAL, Method.COVER, Decimal("17.25"), Decimal("17.25"))


def make_id(kind: str, number: int) -> str:
    """Build an id of 24 characters, such as P00000000000000000000007."""
    return f"{kind}{number:023}"


def make_model(name: str = "Growth", *portfolio_ids: str) -> Model:
    targets = tuple(Target(make_id("S", at), Decimal("0.095"), BAND) for at in range(10))
    return Model(name, targets, portfolio_ids or (make_id("P", 0),))


def make_securities(count: int = 3) -> tuple[PricedTarget, ...]:
    price = Decimal("12.3456")
    return tuple(
        PricedTarget(make_id("S", at), price + at, Decimal("0.095"), BAND) for at in range(count)
    )


def make_rebalance(
    portfolios: int = 3, *, name: str = "Growth", started_at: datetime = NOON
) -> Rebalance:
    model_id = str(ObjectId())
    lots = {make_id("S", 1): Decimal(100)}
    options = OptionOverrides({"cash_floor": Decimal("0.02"), "lots": lots})
    return Rebalance(
        new_rebalance_id(), model_id, 4, name, make_securities(), options, portfolios, started_at
    )


def make_outcomes(
    rebalance: Rebalance, ordinals: range | None = None
) -> tuple[PortfolioOutcome, ...]:
    """Build an outcome for each ordinal: every third is infeasible, every fifth failed."""
    places = range(rebalance.number_of_portfolios) if ordinals is None else ordinals
    return tuple(make_outcome(rebalance, ordinal) for ordinal in places)


def make_outcome(rebalance: Rebalance, ordinal: int) -> PortfolioOutcome:
    portfolio_id = make_id("P", ordinal)
    if ordinal % 5 == 4:
        refusal = Refusal("prices-missing", "no price", {"securities": [make_id("S", 9)]})
        return PortfolioOutcome(portfolio_id, Status.FAILED, None, None, None, refusal=refusal)
    is_refused = ordinal % 3 == 2
    before = (Decimal("10.5"), -3, 2**40 + ordinal)
    after = before if is_refused else (11, 0, 2**40)
    refusal = Refusal("infeasible", "no whole lot", {"smallest_band": {"low": "0.02"}})
    return PortfolioOutcome(
        portfolio_id,
        Status.INFEASIBLE if is_refused else Status.REBALANCED,
        Decimal("1000000.123456789012345678") + ordinal,
        Decimal("-20.5"),
        Decimal("3.75"),
        rebalance.securities,
        (),
        before,
        after,
        None if is_refused else OPTIMAL,
        refusal if is_refused else None,
    )


def make_answers(
    rebalance: Rebalance,
    ordinals: range,
    beside: Mapping[int, PortfolioOutcome] | None = None,
    *,
    shift: int = 0,
) -> BlockOutcome:
    """Build the answers to some portfolios in columns; ``beside`` by ordinal, ``shift`` in shares.

    Every third portfolio is in its bands, every fourth holds a security outside the model.
    """
    apart = {ordinal - ordinals.start: outcome for ordinal, outcome in (beside or {}).items()}
    places = np.array(ordinals, dtype=np.int64)
    rests = places % 3 == 0
    is_beside = np.isin(np.arange(len(places)), list(apart))
    status = np.where(rests, STATUSES.index(Status.IN_BAND), STATUSES.index(Status.REBALANCED))
    before = places[:, None] * 10 + np.arange(len(rebalance.securities)) + shift
    after = before + np.where(rests | is_beside, 0, 7)[:, None]
    amounts = [
        ScaledColumn(np.where(is_beside, 0, 1_000 * places + at + shift), 2) for at in range(4)
    ]
    holders = np.flatnonzero((places % 4 == 1) & ~is_beside & ~rests).astype(np.int32)
    quantities = ScaledColumn(np.full(len(holders), 5, dtype=np.int64), 0)
    return BlockOutcome(
        rebalance.securities,
        tuple(make_id("P", ordinal) for ordinal in ordinals),
        np.where(is_beside, BESIDE, status).astype(np.int8),
        *amounts,
        ScaledColumn(before, 0),
        ScaledColumn(after, 0),
        OtherHoldings(
            holders, np.zeros_like(holders), quantities, (make_id("X", 1),), (Decimal("1.50"),)
        ),
        apart,
    )
