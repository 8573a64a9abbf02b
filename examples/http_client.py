"""A caller over HTTP: rebalance the newest model and save the trade list.

    $ python examples/http_client.py http://127.0.0.1:8088

The example needs only the package serve_app.client, httpx, pydantic, orjson and stamina.
"""

import sys
from pathlib import Path

from serve_app.client import Client, ProblemError

URL = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8088"
TRADES = Path("trades.csv")


def main() -> int:
    """Rebalance every portfolio of the newest model with 2 % left in cash."""
    with Client(URL) as client:
        newest = next(client.list_models(sort_by="-model_id", limit=1), None)
        if newest is None:
            print("no model is stored yet")
            return 1
        try:
            outcomes = client.rebalance_model(newest.model_id, {"cash_floor": "2%"})
        except ProblemError as problem:  # the only error for a refusal
            print(f"{newest.name}: {problem.detail}")
            return 1
        for outcome in outcomes:
            print(outcome.portfolio_id, outcome.status, len(outcome.transactions), "trades")
        with TRADES.open("wb") as file:
            file.writelines(client.export_transactions(str(outcomes[0].rebalance_id), "csv"))
    trades = len(TRADES.read_text().splitlines()) - 1  # without the header
    print(f"{TRADES} has {trades} trades")
    return 0


if __name__ == "__main__":
    sys.exit(main())
