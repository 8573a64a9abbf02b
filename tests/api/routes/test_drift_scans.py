"""Drift scans: the book is measured once, then sorted, filtered, paged and counted into bins."""

from typing import Any

import httpx
import pytest

from serve_app.rebalances import drift_scans
from tests.support.drift_scans import wait_until_measured
from tests.support.fakes import PRICE, A, B, P, Q, R, make_model_body, make_position
from tests.support.in_process import Gate, Upstreams

SCANS = "/api/v1/drift-scans"
NOWHERE = "0" * 24
UNFUNDED = "U" * 24
Json = dict[str, Any]


@pytest.fixture
def upstreams() -> Upstreams:
    """Upstreams where P is 22.95 % off its target, R 5 % and Q 0.625 %, which its band admits."""
    world = Upstreams({A: PRICE, B: PRICE})
    world.set_balance(P, "979.50", **{A: 2})
    world.set_balance(Q, "743.75", **{A: 25})
    world.set_balance(R, "717.50", **{A: 30})
    return world


@pytest.fixture
async def models(client: httpx.AsyncClient) -> list[Json]:
    """Two models: the newer one has R, which follows the older one as well, and one unfunded."""
    bodies = (
        make_model_body("Older", portfolios=[P, Q, R]),
        make_model_body("Newer", portfolios=[R, UNFUNDED]),
    )
    return [(await client.post("/api/v1/models", json=body)).json() for body in bodies]


@pytest.fixture
async def scan(client: httpx.AsyncClient, models: list[Json]) -> Json:
    assert len(models) == 2
    begun = await client.post(SCANS)
    assert begun.status_code == 202, begun.text
    return await wait_until_measured(client, begun.json()["scan_id"])


async def lines_of(client: httpx.AsyncClient, scan: Json, **query: Any) -> list[str]:
    answer = await client.get(f"{SCANS}/{scan['scan_id']}/portfolios", params=query)
    assert answer.status_code == 200, answer.text
    return [line["portfolio_id"] for line in answer.json()]


async def test_a_scan_measures_each_portfolio_once_against_the_newest_model_that_it_follows(
    client: httpx.AsyncClient, models: list[Json], scan: Json
) -> None:
    assert scan["status"] == "COMPLETED"
    assert scan["portfolios"] == {"done": 4, "total": 4}
    assert scan["counts"] == {"WITHIN_BANDS": 1, "OUT_OF_BAND": 2, "FAILED": 1}

    answer = await client.get(f"{SCANS}/{scan['scan_id']}/portfolios")

    of_models = {line["portfolio_id"]: line["model_id"] for line in answer.json()}
    older, newer = (model["model_id"] for model in models)
    assert of_models == {R: newer, UNFUNDED: newer, P: older, Q: older}
    assert answer.headers["x-total-count"] == "4"


async def test_a_line_has_exact_amounts_and_the_security_that_is_farthest_from_its_target(
    client: httpx.AsyncClient, models: list[Json], scan: Json
) -> None:
    path = f"{SCANS}/{scan['scan_id']}/portfolios"

    of_p = (await client.get(path, params={"portfolio_id": P})).json()
    unfunded = (await client.get(path, params={"portfolio_id": UNFUNDED})).json()

    assert of_p == [
        {
            "portfolio_id": P,
            "model_id": models[0]["model_id"],
            "status": "OUT_OF_BAND",
            "market_value": "1000.00",
            "cash": "979.50",
            "cash_weight": "0.9795",
            "total_drift": "229.50",
            "total_drift_weight": "0.2295",
            "out_of_band": 1,
            "largest_deviation": {
                "security_id": A,
                "deviation": "-229.50",
                "deviation_weight": "-0.2295",
                "target": "0.25",
                "actual": "0.0205",
            },
            "error": None,
        }
    ]
    assert unfunded[0]["status"] == "FAILED"
    assert unfunded[0]["error"]["type"] == "/problems/holdings-missing"
    assert unfunded[0]["total_drift"] is None


async def test_lines_are_sorted_by_an_amount_with_those_without_amounts_last(
    client: httpx.AsyncClient, scan: Json
) -> None:
    most = await lines_of(client, scan, sort_by="-total_drift_weight")
    least = await lines_of(client, scan, sort_by="total_drift_weight")
    cash = await lines_of(client, scan, sort_by="cash_weight")
    second = await lines_of(client, scan, sort_by="-largest_deviation", offset=1, limit=1)

    assert most == [P, R, Q, UNFUNDED]
    assert least == [Q, R, P, UNFUNDED]
    assert cash == [R, Q, P, UNFUNDED]
    assert second == [R]


async def test_lines_are_filtered_by_state_model_and_drift_together(
    client: httpx.AsyncClient, models: list[Json], scan: Json
) -> None:
    older = models[0]["model_id"]

    assert await lines_of(client, scan, status="OUT_OF_BAND", sort_by="market_value") == [P, R]
    assert await lines_of(client, scan, status=["FAILED", "WITHIN_BANDS"]) == [UNFUNDED, Q]
    assert await lines_of(client, scan, status="OUT_OF_BAND", model_id=older) == [P]
    # The least is inside the range, its end is not, as with the bins of the histogram.
    assert await lines_of(client, scan, min_drift="0.05", max_drift="0.2295") == [R]
    assert await lines_of(client, scan, min_drift="0.2295") == [P]
    assert await lines_of(client, scan, max_drift="0.01", status="OUT_OF_BAND") == []


async def test_the_histogram_counts_portfolios_by_drift_and_how_many_are_out_of_band(
    client: httpx.AsyncClient, scan: Json
) -> None:
    path = f"{SCANS}/{scan['scan_id']}/histogram"

    whole = (await client.get(path, params={"bins": 5})).json()
    outside = (await client.get(path, params={"status": "OUT_OF_BAND"})).json()

    assert whole == {
        "portfolios": 3,
        "median": "0.0500",
        "p95": "0.2295",
        "largest": "0.2295",
        "bins": [
            {"lower": "0.0000", "upper": "0.0500", "portfolios": 1, "out_of_band": 0},
            {"lower": "0.0500", "upper": "0.1000", "portfolios": 1, "out_of_band": 1},
            {"lower": "0.1000", "upper": "0.1500", "portfolios": 0, "out_of_band": 0},
            {"lower": "0.1500", "upper": "0.2000", "portfolios": 0, "out_of_band": 0},
            {"lower": "0.2000", "upper": "0.2500", "portfolios": 1, "out_of_band": 1},
        ],
    }
    assert (outside["portfolios"], sum(each["portfolios"] for each in outside["bins"])) == (2, 2)
    assert len(outside["bins"]) <= 40


async def test_a_bin_of_the_histogram_filters_the_portfolios_that_it_counts(
    client: httpx.AsyncClient, scan: Json
) -> None:
    path = f"{SCANS}/{scan['scan_id']}/histogram"
    for each in (await client.get(path, params={"bins": 5})).json()["bins"]:
        limits = {"min_drift": each["lower"], "max_drift": each["upper"]}
        assert len(await lines_of(client, scan, **limits)) == each["portfolios"]


@pytest.mark.usefixtures("models")
async def test_a_model_without_a_price_fails_its_portfolios_and_no_others(
    client: httpx.AsyncClient,
) -> None:
    body = make_model_body("Unpriced", positions=[make_position("X" * 24)], portfolios=["V" * 24])
    await client.post("/api/v1/models", json=body)

    begun = await client.post(SCANS)
    scan = await wait_until_measured(client, begun.json()["scan_id"])

    assert scan["counts"] == {"WITHIN_BANDS": 1, "OUT_OF_BAND": 2, "FAILED": 2}
    path = f"{SCANS}/{scan['scan_id']}/portfolios"
    (line,) = (await client.get(path, params={"portfolio_id": "V" * 24})).json()
    assert line["error"]["type"] == "/problems/prices-missing"


async def test_an_outage_stops_a_scan_with_its_reason_and_leaves_the_one_before(
    client: httpx.AsyncClient,
    scan: Json,
    upstreams: Upstreams,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(drift_scans, "PAUSE_S", 0)
    monkeypatch.setattr(drift_scans, "MAX_PAUSE_S", 0)
    upstreams.down = "accounting"

    begun = await client.post(SCANS)
    stopped = await wait_until_measured(client, begun.json()["scan_id"])

    assert (stopped["status"], stopped["error"]["upstream"]) == ("STOPPED", "accounting")
    completed = (await client.get(SCANS, params={"status": "COMPLETED"})).json()
    assert [each["scan_id"] for each in completed] == [scan["scan_id"]]
    assert len(await lines_of(client, completed[0])) == 4


async def test_an_id_that_is_no_scan_is_not_found(client: httpx.AsyncClient) -> None:
    for path in (f"{SCANS}/{NOWHERE}", f"{SCANS}/{NOWHERE}/portfolios"):
        assert (await client.get(path)).status_code == 404
    assert (await client.get(f"{SCANS}/{NOWHERE}/histogram")).status_code == 404


class TestWhileAScanGoesOn:
    """Upstreams that give no holdings before the test says so."""

    @pytest.fixture
    def upstreams(self) -> Gate:
        world = Gate({A: PRICE, B: PRICE})
        world.set_balance(P, "979.50", **{A: 2})
        return world

    @pytest.mark.usefixtures("models")
    async def test_no_other_begins_and_a_second_request_is_answered_with_it(
        self, client: httpx.AsyncClient, upstreams: Gate
    ) -> None:
        first = (await client.post(SCANS)).json()
        await upstreams.reached.wait()
        second = await client.post(SCANS)
        upstreams.open.set()
        scan = await wait_until_measured(client, first["scan_id"])
        third = (await client.post(SCANS)).json()

        assert second.status_code == 202
        assert second.headers["location"] == f"{SCANS}/{first['scan_id']}"
        assert second.json()["portfolios"] == {"done": 0, "total": 4}
        assert scan["counts"] == {"OUT_OF_BAND": 1, "FAILED": 3}
        assert third["scan_id"] != first["scan_id"]
        await wait_until_measured(client, third["scan_id"])
