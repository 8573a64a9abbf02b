"""The engine alone, without a service: one portfolio brought to its model in whole shares.

$ python examples/rebalance.py
BUY  139 BOND
SELL  53 SHIP
BUY   60 WIND
drift 123.345, proven: OPTIMAL
cash 2,018.60 -> 2,416.45
"""

from decimal import Decimal

from optimization.domain.drift_band import DriftBand
from optimization.domain.model import Model, Target
from optimization.domain.portfolio import Portfolio
from optimization.engine import rebalance

BOND, SHIP, WIND = "BOND", "SHIP", "WIND"
IDS = {name: name.ljust(24, "0") for name in (BOND, SHIP, WIND)}
PRICES = {BOND: Decimal("98.45"), SHIP: Decimal("312.20"), WIND: Decimal("41.07")}


def main() -> None:
    """Rebalance and print the trade list."""
    band = DriftBand(Decimal("0.01"), Decimal("0.01"))
    targets = tuple(
        Target(IDS[name], Decimal(weight), band)
        for name, weight in ((BOND, "0.55"), (SHIP, "0.25"), (WIND, "0.15"))
    )
    model = Model("Balanced", targets, ("P" * 24,))
    portfolio = Portfolio(
        portfolio_id="P" * 24,
        cash=Decimal("2018.60"),
        holdings={IDS[BOND]: Decimal(120), IDS[SHIP]: Decimal(90), IDS[WIND]: Decimal(110)},
        prices={IDS[name]: price for name, price in PRICES.items()},
    )
    answer = rebalance(model, portfolio)
    names = {security_id: name for name, security_id in IDS.items()}
    for trade in answer.transactions:
        print(f"{trade.side:<4} {trade.quantity:>3} {names[trade.security_id]}")
    assert answer.certificate is not None
    print(f"drift {answer.certificate.objective}, proven: {answer.certificate.proof}")
    print(f"cash {answer.cash_before:,} -> {answer.cash_after:,}")


if __name__ == "__main__":
    main()
