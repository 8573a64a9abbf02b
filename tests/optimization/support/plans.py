"""A request for one portfolio in a few words, and the parts of its answer."""

from decimal import Decimal
from typing import Any

from optimization.domain.certificate import Certificate
from optimization.domain.model import DriftBand, Model, Target
from optimization.domain.options import RebalanceOptions
from optimization.domain.outcome import PortfolioOutcome
from optimization.domain.portfolio import Portfolio
from optimization.engine import rebalance

PORTFOLIO = "P" * 24
A, B, C, X = (letter * 24 for letter in "ABCX")


def asked(
    targets: dict[str, tuple[str, str]],
    cash: str,
    held: dict[str, str],
    prices: dict[str, str],
    **options: Any,
) -> PortfolioOutcome:
    """The answer to one portfolio; a target is (weight, band on both sides)."""
    model = Model(
        "Model",
        tuple(
            Target(one, Decimal(weight), DriftBand(Decimal(band), Decimal(band)))
            for one, (weight, band) in targets.items()
        ),
        (PORTFOLIO,),
    )
    portfolio = Portfolio(
        PORTFOLIO,
        Decimal(cash),
        {one: Decimal(shares) for one, shares in held.items()},
        {one: Decimal(price) for one, price in prices.items()},
    )
    return rebalance(model, portfolio, RebalanceOptions(**options))


def proven(found: PortfolioOutcome) -> Certificate:
    assert found.certificate is not None, found.refusal
    return found.certificate


def outside(found: PortfolioOutcome) -> dict[str, tuple[str, tuple[str, ...]]]:
    """Amount and holders of each security that is outside its band."""
    return {one.security_id: (f"{one.outside}", one.held_by) for one in found.outside_band}


def changes(found: PortfolioOutcome) -> dict[str, int | Decimal]:
    return {one.security.security_id: one.change for one in found.drifts if one.change}
