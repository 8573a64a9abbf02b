"""Submissions whose process died or pauses: their leases and claims keep nobody out for ever."""

from collections import Counter
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from storage.orders.order import OpenOrdersRule
from tests.support.fakes import Stored
from tests.support.flaky_order_service import OrderDesk
from tests.support.submissions import add_rebalance, parse_rebalance_id, read_code, read_counts


async def test_a_process_that_dies_after_it_claimed_its_portfolios_keeps_nobody_out(
    client: httpx.AsyncClient, stored: Stored, desk: OrderDesk, database: Any
) -> None:
    first, second = await add_rebalance(client, 2), await add_rebalance(client, 2, name="Again")
    dead, claims = parse_rebalance_id(first), stored.resources.portfolio_claims
    leases = stored.resources.submissions
    take, end = claims.take, leases.end

    async def take_and_die(*given: Any) -> None:
        await take(*given)
        raise RuntimeError("killed")

    async def keep_lease(*_: Any) -> None:
        pass

    claims.take, leases.end = take_and_die, keep_lease
    with pytest.raises(RuntimeError, match="killed"):
        await stored.deployment.submit_orders(dead, OpenOrdersRule.REFUSE, 10)
    claims.take, leases.end = take, end

    refused = await client.post(second)
    ended = {"$set": {"lease.until": datetime(2026, 1, 1, tzinfo=UTC)}}
    await database["order_submissions"].update_one({"_id": dead}, ended)
    answer = await client.post(second)

    assert (refused.status_code, read_code(refused)) == (409, "hand-over-in-progress")
    assert int(refused.headers["retry-after"]) > 0
    assert (answer.status_code, read_counts(answer)) == (200, {"SENT": 20})
    assert read_code(await client.post(first)) == "rebalance-superseded"


@pytest.mark.parametrize("pauses_in", ["next_batch", "claim", "place"])
async def test_a_submission_that_pauses_beyond_its_lease_sends_nothing_that_another_sent(
    client: httpx.AsyncClient, stored: Stored, desk: OrderDesk, database: Any, pauses_in: str
) -> None:
    first = await add_rebalance(client, 120)  # 1,200 orders: two batches
    second = await add_rebalance(client, 10, name="Again", first=110)
    parts = stored.resources
    of = {"next_batch": parts.submissions, "claim": parts.orders, "place": parts.order_service}
    part: Any = of[pauses_in]
    begin_step, calls = getattr(part, pauses_in), list[int]()

    async def stand_still(*given: Any) -> Any:
        calls.append(1)
        if len(calls) != (1 if pauses_in == "place" else 2):
            return await begin_step(*given)
        answer = await begin_step(*given) if pauses_in == "next_batch" else None
        lapsed = {"$set": {"lease.until": datetime(2026, 1, 1, tzinfo=UTC)}}
        await database["order_submissions"].update_one({"_id": parse_rebalance_id(first)}, lapsed)
        sent = await client.post(second)
        assert (sent.status_code, read_counts(sent)) == (200, {"SENT": 100})
        return answer or await begin_step(*given)

    setattr(part, pauses_in, stand_still)
    answer = await client.post(first)

    assert (answer.status_code, read_code(answer)) == (409, "hand-over-in-progress")
    assert read_counts(await client.get(first)) == {"SENT": 1000, "PENDING": 200}
    assert set(Counter(await desk.read_keys()).values()) == {1}
    assert read_code(await client.post(first)) == "rebalance-superseded"
