"""What the running service answers without storing anything."""

import httpx
import pytest

from tests.service.book import Book
from tests.service.calls import added, model_for, number_of_runs, rebalanced

pytestmark = pytest.mark.cluster


@pytest.mark.parametrize("count", [3, 150])
async def test_a_dry_run_in_one_piece_or_in_chunks_answers_the_rebalance_and_stores_nothing(
    http: httpx.AsyncClient, book: Book, count: int
) -> None:
    made = await added(http, model_for(book, book.market.portfolio_ids(count)))
    path = f"/api/v1/model/{made['model_id']}"
    before = await number_of_runs(http)

    dry = await http.post(f"{path}/rebalance", params={"dry_run": True}, timeout=120)

    assert dry.status_code == 200, dry.text
    assert "Location" not in dry.headers
    assert await number_of_runs(http) == before
    assert (await http.get(path)).json() == made
    real = await rebalanced(http, made["model_id"])
    assert dry.json() == [element | {"rebalance_id": None} for element in real]
