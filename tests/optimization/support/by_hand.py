"""Problems small enough to be worked out by hand: securities A to D, and one portfolio."""

from collections.abc import Mapping
from decimal import Decimal

from optimization.domain.drift_band import DriftBand
from optimization.domain.model import Model, Target
from optimization.domain.outcome import PortfolioOutcome, Side
from optimization.domain.portfolio import Portfolio

A, B, C, D = (letter * 24 for letter in "ABCD")
PORTFOLIO = "P" * 24


def model(drift: str = "0.05", /, **weights: str) -> Model:
    band = DriftBand(Decimal(drift), Decimal(drift))
    targets = tuple(Target(name * 24, Decimal(w), band) for name, w in weights.items())
    return Model("Model", targets, (PORTFOLIO,))


def portfolio(cash: str, prices: Mapping[str, str], **shares: str) -> Portfolio:
    held = {name * 24: Decimal(u) for name, u in shares.items()}
    return Portfolio(
        PORTFOLIO, Decimal(cash), held, {s * 24: Decimal(p) for s, p in prices.items()}
    )


def trades(answer: PortfolioOutcome) -> list[tuple[Side, str, int | Decimal]]:
    return [(t.side, t.security_id[0], t.quantity) for t in answer.transactions]
