"""A request for one portfolio in a few words, and the parts of its answer."""

from decimal import Decimal
from typing import Any

from optimization.domain.certificate import Certificate
from optimization.domain.drift_band import DriftBand
from optimization.domain.model import Model, Target
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
            Target(name, Decimal(weight), DriftBand(Decimal(band), Decimal(band)))
            for name, (weight, band) in targets.items()
        ),
        (PORTFOLIO,),
    )
    portfolio = Portfolio(
        PORTFOLIO,
        Decimal(cash),
        {name: Decimal(shares) for name, shares in held.items()},
        {name: Decimal(price) for name, price in prices.items()},
    )
    return rebalance(model, portfolio, RebalanceOptions(**options))


def proven(found: PortfolioOutcome) -> Certificate:
    assert found.certificate is not None, found.refusal
    return found.certificate


def outside(found: PortfolioOutcome) -> dict[str, tuple[str, tuple[str, ...]]]:
    """Amount and holders of each security that is outside its band."""
    return {
        security.security_id: (f"{security.outside}", security.held_by)
        for security in found.outside_band
    }


def changes(found: PortfolioOutcome) -> dict[str, int | Decimal]:
    return {drift.security.security_id: drift.change for drift in found.drifts if drift.change}
