"""Models and portfolios with natural ids, for applications under the general rules."""

from decimal import Decimal
from typing import Any

from tests.support.in_process import Upstreams

STOCK, SHARE, FUND, BOND = "BRK.B", "Ørsted A/S", "US0378331005", "$UST 10y"
ACCOUNT, HOUSEHOLD = "Müller/IRA #1", "=1+1"
THIRDS: list[dict[str, Any]] = [
    {"security_id": STOCK, "target": "1/3", "relative_drift": "0.25", "absolute_drift": "0.05"},
    {"security_id": SHARE, "target": "2/6", "low_drift": "0.10", "high_drift": "0.01"},
    {"security_id": FUND, "target": "0.123456789012", "relative_drift": "0.50"},
    {"security_id": BOND, "target": "0.2", "high_drift": "0.2", "low_drift": "0.2"},
]
PRICES = {STOCK: "310.25", SHARE: "42.5", FUND: "10.00", BOND: "7.5"}


def make_general_model(**changes: Any) -> dict[str, Any]:
    """Build the body of a model with every kind of target and band that GlobeCo would refuse."""
    body = {"name": "Thirds", "positions": THIRDS, "portfolios": [ACCOUNT, HOUSEHOLD]}
    return body | changes


def make_two_households() -> Upstreams:
    """Build upstreams at which both portfolios hold cash and one security."""
    world = Upstreams({security_id: Decimal(price) for security_id, price in PRICES.items()})
    world.set_balance(ACCOUNT, 100_000, **{STOCK: 10})
    world.set_balance(HOUSEHOLD, "5000.25", **{SHARE: "12.5"})
    return world
