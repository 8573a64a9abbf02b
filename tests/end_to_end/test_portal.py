"""Calls of the original's portal in sequence, with the exact JSON that the portal gets."""

from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal

import httpx
import pytest

from tests.end_to_end.acceptance import parse_exact_json
from tests.end_to_end.book import Book
from tests.end_to_end.calls import Json, make_portfolio_id

pytestmark = pytest.mark.cluster
CASH = Decimal("10000.00")
SORTED = {"offset": 0, "limit": 50, "sort_by": "-last_rebalance_date,name"}


def is_instant(text: str) -> bool:
    moment = datetime.fromisoformat(text)
    return text == moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


async def test_the_portal_gets_its_exact_json_on_every_call(
    http: httpx.AsyncClient, book: Book
) -> None:
    portfolio_id = make_portfolio_id()
    security_id, price = next(item for item in book.prices.items() if item[1] < 200)
    book.add(portfolio_id, CASH, {})

    # create: a number here, strings there, and a field that nobody reads
    position: Json = {
        "security_id": security_id,
        "target": 0.5,
        "high_drift": "0.05",
        "low_drift": "0.05",
    }
    created = await http.post(
        "/api/v1/models",
        json={
            "name": f"Portal {portfolio_id}",
            "positions": [position],
            "portfolios": [portfolio_id],
            "created_by": "portal",
        },
    )
    model_id = created.json()["model_id"]
    model: Json = {
        "model_id": model_id,
        "name": f"Portal {portfolio_id}",
        "positions": [position | {"target": "0.5"}],
        "portfolios": [portfolio_id],
        "last_rebalance_date": None,
        "version": 1,
    }
    assert (created.status_code, created.json()) == (201, model)

    # list with sort_by, read
    page = await http.get("/api/v1/models", params={**SORTED, "limit": 1000})
    assert page.status_code == 200
    assert model in page.json()
    read = await http.get(f"/api/v1/model/{model_id}")
    assert (read.status_code, read.json()) == (200, model)

    # update: what was read goes back, changed
    changed = read.json() | {"name": f"Portal 2 {portfolio_id}"}
    updated = await http.put(f"/api/v1/model/{model_id}", json=changed)
    model = changed | {"version": 2}
    assert (updated.status_code, updated.json()) == (200, model)

    # rebalance
    answer = await http.post(f"/api/v1/model/{model_id}/rebalance")
    assert answer.status_code == 200
    (element,) = answer.json()
    shares = int((CASH / 2 / price).quantize(Decimal(1), ROUND_HALF_UP))
    spent = shares * price
    actual = (spent / CASH).quantize(Decimal("0.0001"), ROUND_HALF_UP)
    today = datetime.now(UTC).date().isoformat()
    assert {name: element[name] for name in ("transactions", "drifts")} == {
        "transactions": [
            {
                "transaction_type": "BUY",
                "security_id": security_id,
                "quantity": shares,
                "trade_date": today,
            }
        ],
        "drifts": [
            {
                "security_id": security_id,
                "original_quantity": "0",
                "adjusted_quantity": str(shares),
                "target": "0.5",
                "high_drift": "0.05",
                "low_drift": "0.05",
                "actual": f"{actual:f}",
            }
        ],
    }
    assert element["portfolio_id"] == portfolio_id
    assert element["cash_after_rebalance"] == f"{CASH - spent:f}"

    # list rebalances, read one: numbers
    rebalance_id = element["rebalance_id"]
    runs = await http.get("/api/v1/rebalances", params={"offset": 0, "limit": 10})
    run = parse_exact_json(await http.get(f"/api/v1/rebalance/{rebalance_id}"))
    assert run in parse_exact_json(runs)
    assert is_instant(run["rebalance_date"])
    assert run == {
        "rebalance_id": rebalance_id,
        "model_id": model_id,
        "model_name": model["name"],
        "rebalance_date": run["rebalance_date"],
        "number_of_portfolios": 1,
        "version": 1,
        "created_at": run["rebalance_date"],
        "status": "COMPLETED",
        "counts": {"REBALANCED": 1},
        "unmatched": [],
        "portfolios": [
            {
                "portfolio_id": portfolio_id,
                "market_value": CASH,
                "base": CASH,
                "cash_before_rebalance": CASH,
                "cash_after_rebalance": CASH - spent,
                "status": "REBALANCED",
                "open_orders_counted": 0,
                "outside_band": [],
                "error": None,
                "positions": [
                    {
                        "security_id": security_id,
                        "price": price,
                        "original_quantity": 0,
                        "adjusted_quantity": shares,
                        "original_position_market_value": 0,
                        "adjusted_position_market_value": spent,
                        "target": Decimal("0.5"),
                        "high_drift": Decimal("0.05"),
                        "low_drift": Decimal("0.05"),
                        "actual": actual,
                        "actual_drift": (actual / Decimal("0.5") - 1).quantize(
                            Decimal("0.0001"), ROUND_HALF_UP
                        ),
                        "transaction_type": "BUY",
                        "trade_quantity": shares,
                        "trade_date": today,
                    }
                ],
            }
        ],
    }

    # the version is still the one that the portal holds; delete with it
    after = await http.get(f"/api/v1/model/{model_id}")
    assert after.json() == model | {"last_rebalance_date": run["rebalance_date"]}
    gone = await http.delete(f"/api/v1/rebalance/{rebalance_id}", params={"version": 1})
    assert gone.status_code == 200
    assert gone.json() == {"message": f"Rebalance {rebalance_id} deleted successfully"}
    removed = await http.delete(f"/api/v1/model/{model_id}", params={"version": 2})
    assert (removed.status_code, removed.content) == (204, b"")
