"""Upstreams in trouble during a run, for every tenth request or for all of them."""

import asyncio
import json
from collections import Counter

import pytest

from tests.drills.drill import BALANCES, COORDINATOR, Drill, kill_processes
from tests.end_to_end.book import Book, Kind
from tests.end_to_end.calls import Json

pytestmark = [pytest.mark.cluster, pytest.mark.apart]

PRICES = "/api/v1/prices"
SECURITIES = "/api/v2/securities"
UPSTREAMS = {BALANCES: "accounting", PRICES: "pricing", SECURITIES: "security"}
LOADED = ("ray::chunk_task", "ray::IDLE", COORDINATOR)
"""The processes that may know the securities already."""


async def outcomes_of(drill: Drill, run_id: str) -> dict[str, Json]:
    """Read the outcome of each portfolio, without the fields that differ from run to run."""
    answer = await drill.http.get(f"/api/v1/runs/{run_id}/outcomes")
    lines = [json.loads(line) for line in answer.text.splitlines()]
    return {line["portfolio_id"]: line for line in lines}


async def in_peace(drill: Drill, model_id: str, ids: tuple[str, ...]) -> dict[str, Json]:
    """Rebalance the portfolios while nothing is wrong."""
    run_id = await drill.begin_run(model_id)
    await drill.check_run(run_id, ids, await drill.follow_events(run_id))
    return await outcomes_of(drill, run_id)


def reasons(outcomes: dict[str, Json]) -> Counter[str]:
    return Counter(outcome["error"]["type"] for outcome in outcomes.values() if outcome["error"])


def find_differences(outcomes: dict[str, Json], peaceful: dict[str, Json]) -> dict[str, Json]:
    """Select the outcomes that differ from those of a healthy service."""
    return {
        portfolio_id: outcome
        for portfolio_id, outcome in outcomes.items()
        if any(outcome[name] != peaceful[portfolio_id][name] for name in ("status", "positions"))
    }


EMPTY = {"/problems/holdings-missing"}


@pytest.mark.parametrize("kind", [Kind.ERROR, Kind.HANG, Kind.RESET])
async def test_trouble_with_every_tenth_request_costs_no_portfolio_its_outcome(
    drill: Drill, book: Book, kind: Kind
) -> None:
    ids = book.market.portfolio_ids()
    model_id = await drill.add_model(ids)
    peaceful = await in_peace(drill, model_id, ids)
    with book.disturb(BALANCES, kind, every=10) as trouble:
        run_id = await drill.begin_run(model_id)
        run = await drill.check_run(run_id, ids, await drill.follow_events(run_id))
    assert trouble.met >= len(ids)
    assert run["status"] == "COMPLETED"
    assert find_differences(await outcomes_of(drill, run_id), peaceful) == {}


async def test_bad_json_for_every_tenth_portfolio_costs_these_alone(
    drill: Drill, book: Book
) -> None:
    ids = book.market.portfolio_ids()
    model_id = await drill.add_model(ids)
    peaceful = await in_peace(drill, model_id, ids)
    with book.disturb(BALANCES, Kind.GARBAGE, every=10) as trouble:
        run_id = await drill.begin_run(model_id)
        run = await drill.check_run(run_id, ids, await drill.follow_events(run_id))
    assert run["status"] == "COMPLETED"
    differences = find_differences(await outcomes_of(drill, run_id), peaceful)
    assert reasons(differences) == {"/problems/upstream-contract": len(differences)}
    assert len(differences) <= trouble.met // 10
    assert differences


@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("path", UPSTREAMS)
async def test_a_run_whose_upstream_is_in_trouble_to_the_end_says_so_of_every_portfolio(
    drill: Drill, book: Book, path: str, kind: Kind
) -> None:
    ids = book.market.portfolio_ids()
    model_id = await drill.add_model(ids)
    if path == SECURITIES:
        for title in LOADED:
            kill_processes(title)
    with book.disturb(path, kind):
        run_id = await drill.begin_run(model_id)
        run = await drill.check_run(run_id, ids, await drill.follow_events(run_id))
    assert run["status"] == "COMPLETED"
    assert run["counts"] == {"FAILED": len(ids)}
    outcomes = await outcomes_of(drill, run_id)
    broken = kind in {Kind.GARBAGE, Kind.RESET}  # half an answer, in every try, is none
    code = "upstream-contract" if broken else "upstream-unavailable"
    again = await in_peace(drill, model_id, ids)
    # Of the few that own nothing the summary is a 500 in peace as well, and another route says why.
    empty = {
        portfolio_id
        for portfolio_id, outcome in again.items()
        if reasons({portfolio_id: outcome}).keys() == EMPTY
    }
    failures = {
        portfolio_id: outcome
        for portfolio_id, outcome in outcomes.items()
        if portfolio_id not in empty or reasons({portfolio_id: outcome}).keys() != EMPTY
    }
    assert reasons(failures) == {f"/problems/{code}": len(failures)}
    assert len(failures) >= len(ids) - len(empty) > len(ids) / 2
    assert all(UPSTREAMS[path] in outcome["error"]["detail"] for outcome in failures.values())
    assert Counter(outcome["status"] for outcome in again.values())["REBALANCED"] > len(ids) / 2


@pytest.mark.parametrize("kind", Kind)
async def test_an_upstream_that_recovers_in_the_middle_of_a_run_loses_only_what_says_so(
    drill: Drill, book: Book, kind: Kind
) -> None:
    ids = book.market.portfolio_ids()
    async with drill.disturb_run(ids) as run:
        with book.disturb(BALANCES, kind):
            await asyncio.sleep(1)
    assert run.end["status"] == "COMPLETED"
    peaceful = await in_peace(drill, run.model_id, ids)
    differences = find_differences(await outcomes_of(drill, run.run_id), peaceful)
    assert sum(reasons(differences).values()) == len(differences) < len(ids)
    assert reasons(differences).keys() <= {
        "/problems/upstream-contract",
        "/problems/upstream-unavailable",
    }
