"""Submissions whose process died or pauses: their leases and claims keep nobody out for ever."""

from collections import Counter
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from storage.order import OpenOrdersRule
from tests.support.fakes import Stored
from tests.support.flaky_order_service import OrderDesk
from tests.support.submissions import counts, rebalance_of, rebalanced, slug


async def test_a_process_that_dies_after_it_claimed_its_portfolios_keeps_nobody_out(
    client: httpx.AsyncClient, stored: Stored, desk: OrderDesk, database: Any
) -> None:
    first, second = await rebalanced(client, 2), await rebalanced(client, 2, name="Again")
    dead, claims = rebalance_of(first), stored.resources.portfolio_claims
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

    assert (refused.status_code, slug(refused)) == (409, "hand-over-in-progress")
    assert int(refused.headers["retry-after"]) > 0
    assert (answer.status_code, counts(answer)) == (200, {"SENT": 20})
    assert slug(await client.post(first)) == "rebalance-superseded"


@pytest.mark.parametrize("pauses_in", ["next_batch", "claim", "place"])
async def test_a_submission_that_pauses_beyond_its_lease_sends_nothing_that_another_sent(
    client: httpx.AsyncClient, stored: Stored, desk: OrderDesk, database: Any, pauses_in: str
) -> None:
    first = await rebalanced(client, 120)  # 1,200 orders: two batches
    second = await rebalanced(client, 10, name="Again", first=110)
    parts = stored.resources
    of = {"next_batch": parts.submissions, "claim": parts.orders, "place": parts.order_service}
    part: Any = of[pauses_in]
    go_on, calls = getattr(part, pauses_in), list[int]()

    async def stand_still(*given: Any) -> Any:
        calls.append(1)
        if len(calls) != (1 if pauses_in == "place" else 2):
            return await go_on(*given)
        answer = await go_on(*given) if pauses_in == "next_batch" else None
        lapsed = {"$set": {"lease.until": datetime(2026, 1, 1, tzinfo=UTC)}}
        await database["order_submissions"].update_one({"_id": rebalance_of(first)}, lapsed)
        sent = await client.post(second)
        assert (sent.status_code, counts(sent)) == (200, {"SENT": 100})
        return answer or await go_on(*given)

    setattr(part, pauses_in, stand_still)
    answer = await client.post(first)

    assert (answer.status_code, slug(answer)) == (409, "hand-over-in-progress")
    assert counts(await client.get(first)) == {"SENT": 1000, "PENDING": 200}
    assert set(Counter(await desk.natural_keys()).values()) == {1}
    assert slug(await client.post(first)) == "rebalance-superseded"
