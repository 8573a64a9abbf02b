"""Drift scan of the book: measured in worker processes, and read from another replica."""

import asyncio

import httpx
import pytest

from tests.end_to_end.book import Book
from tests.end_to_end.calls import add_model, make_model

pytestmark = pytest.mark.cluster
SCANS = "/api/v1/drift-scans"
WITHIN_S = 120


async def test_a_scan_of_the_running_service_has_the_drift_that_a_request_is_answered(
    http: httpx.AsyncClient, book: Book
) -> None:
    ids = book.market.portfolio_ids(40)
    model = await add_model(http, make_model(book, ids))

    answer = await http.post(SCANS)
    assert answer.status_code == 202, answer.text
    path = answer.headers["Location"]
    async with asyncio.timeout(WITHIN_S):
        while (scan := (await http.get(path)).json())["status"] == "RUNNING":  # noqa: ASYNC110
            await asyncio.sleep(0.2)

    assert (scan["status"], scan["error"]) == ("COMPLETED", None)
    assert scan["portfolios"]["done"] == scan["portfolios"]["total"] >= len(ids)
    of_model = {"model_id": model["model_id"], "limit": 1000}
    scanned = (await http.get(f"{path}/portfolios", params=of_model)).json()
    lines = (await http.get(f"/api/v1/model/{model['model_id']}/drift")).json()
    drifts = {line["portfolio_id"]: (line["status"], line["total_drift"]) for line in lines}
    assert drifts == {
        line["portfolio_id"]: (line["status"], line["total_drift"]) for line in scanned
    }
