"""Planner: portfolios by model, chunks and prices of a run before anything is solved."""

import asyncio
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from optimization.domain.options import NO_OVERRIDES, OptionOverrides, RebalanceOptions
from optimization.domain.outcome import Refusal
from optimization.errors import EmptyModelError
from serve_app.resources import FILE, Resources
from serve_app.runs import planner as planning
from serve_app.runs.planner import Planner
from serve_app.settings import Settings
from serve_app.upstream.errors import (
    HoldingsFileError,
    UpstreamContractError,
    UpstreamUnavailableError,
)
from storage.errors import NotFoundError
from storage.mongo.decimal_codec import now
from storage.rebalances.rebalance import Rebalance
from storage.runs.chunk_store import Chunk
from storage.runs.run import HoldingsRef, Run, RunPlan, Selection
from tests.runs.conftest import Added
from tests.support.fakes import PRICE, A, B
from tests.support.in_process import Upstreams
from tests.support.runs import make_portfolio_ids, make_run

pytestmark = pytest.mark.mongo
NOBODY = "0" * 24


@pytest.fixture
def planner(settings: Settings, resources: Resources) -> Planner:
    return Planner(settings, resources)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planning, "PAUSE_S", 0.01)


class Planned:
    """Planned run: its numbers, and its stored rebalances and chunks."""

    def __init__(self, plan: RunPlan, parts: tuple[Rebalance, ...], chunks: list[Chunk]) -> None:
        self.plan, self.parts, self.chunks = plan, parts, chunks

    @property
    def by_model(self) -> dict[str, list[str]]:
        models = {part.rebalance_id: part.model_id for part in self.parts}
        chosen: dict[str, list[str]] = {model_id: [] for model_id in models.values()}
        for chunk in self.chunks:
            chosen[models[chunk.rebalance_id]] += chunk.portfolio_ids
        return chosen


async def plan_run(planner: Planner, resources: Resources, run: Run) -> Planned:
    plan = await planner.plan(run)
    chunks = [chunk async for chunk in resources.chunks.stream_open(run.run_id)]
    return Planned(
        plan, await resources.rebalances.list_parts(run.run_id, with_own_options=True), chunks
    )


async def test_each_portfolio_of_a_whole_book_goes_once_to_its_newest_model(
    planner: Planner, resources: Resources, added: Added
) -> None:
    older = await added("older", make_portfolio_ids(30))
    newer = await added("newer", make_portfolio_ids(20, first=15))

    made = await plan_run(planner, resources, make_run())

    assert made.by_model == {
        older.model_id: list(make_portfolio_ids(15)),
        newer.model_id: list(make_portfolio_ids(20, first=15)),
    }
    assert (made.plan.rebalances, made.plan.portfolios, made.plan.chunks) == (2, 35, 4)


async def test_of_named_models_only_these_compete_for_a_portfolio(
    planner: Planner, resources: Resources, added: Added
) -> None:
    first = await added("first", make_portfolio_ids(3))
    second = await added("second", make_portfolio_ids(2))
    await added("the newest, which is not asked for", make_portfolio_ids(3))

    made = await plan_run(planner, resources, make_run(first.model_id, second.model_id))

    assert made.by_model == {
        first.model_id: [make_portfolio_ids(3)[2]],
        second.model_id: list(make_portfolio_ids(2)),
    }


async def test_a_model_whose_portfolios_all_follow_newer_ones_has_no_rebalance(
    planner: Planner, resources: Resources, added: Added
) -> None:
    await added("older", make_portfolio_ids(3))
    newer = await added("newer", make_portfolio_ids(3))
    made = await plan_run(planner, resources, make_run())
    assert made.by_model == {newer.model_id: list(make_portfolio_ids(3))}


async def test_named_portfolios_go_to_the_newest_of_the_named_models(
    planner: Planner, resources: Resources, added: Added
) -> None:
    named = await added("named", make_portfolio_ids(5))
    await added("newer", make_portfolio_ids(5))
    wanted = (make_portfolio_ids(5)[3], make_portfolio_ids(5)[1])
    run = make_run(selection=Selection((str(named.model_id),), (*wanted, wanted[0])))
    made = await plan_run(planner, resources, run)
    assert made.by_model == {named.model_id: list(wanted)}


@pytest.mark.parametrize(
    ("selection", "entity"),
    [
        (Selection((), (NOBODY,)), "model followed by portfolio"),
        (Selection((NOBODY,)), "model"),
        (Selection((NOBODY,), make_portfolio_ids(1)), "model"),
    ],
)
async def test_who_follows_no_model_and_what_is_no_model_is_not_found(
    planner: Planner, added: Added, selection: Selection, entity: str
) -> None:
    await added("Growth", make_portfolio_ids(1, first=1))
    with pytest.raises(NotFoundError) as refused:
        await planner.check(selection, NO_OVERRIDES, {})
    assert refused.value.entity == entity


async def test_a_plan_that_was_broken_off_is_made_anew_with_the_same_ids(
    planner: Planner, resources: Resources, added: Added
) -> None:
    first = await added("first", make_portfolio_ids(12))
    second = await added("second", make_portfolio_ids(12, first=12))
    run = make_run(first.model_id, second.model_id)
    before = await plan_run(planner, resources, run)
    after = await plan_run(planner, resources, run)
    assert after.chunks == before.chunks
    assert [part.rebalance_id for part in after.parts] == [
        part.rebalance_id for part in before.parts
    ]


async def test_a_run_of_one_model_is_its_only_rebalance(
    planner: Planner, resources: Resources, added: Added
) -> None:
    model = await added("Growth", make_portfolio_ids(12))
    run = make_run(model.model_id)
    made = await plan_run(planner, resources, run)
    assert [part.rebalance_id for part in made.parts] == [run.run_id]
    assert [(chunk.first, len(chunk.portfolio_ids)) for chunk in made.chunks] == [(0, 10), (10, 2)]


async def test_chunks_of_a_file_are_in_the_order_of_its_rows_and_of_a_size_of_their_own(
    settings: Settings,
    resources: Resources,
    added: Added,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ids = make_portfolio_ids(25)
    model = await added("Growth", tuple(reversed(ids)))
    columns = {"portfolio_id": ids, "security_id": [None] * 25, "quantity": [1] * 25}
    kinds = pa.schema(
        {"portfolio_id": pa.string(), "security_id": pa.string(), "quantity": pa.int64()}
    )
    pq.write_table(pa.table(columns, schema=kinds), tmp_path / "book.parquet")
    changed = {"holdings_directory": tmp_path, "run_file_chunk_size": 20}
    planner = Planner(settings.model_copy(update=changed), resources)

    run = make_run(model.model_id, holdings=HoldingsRef(FILE, "book.parquet"))
    made = await plan_run(planner, resources, run)

    assert made.by_model[str(model.model_id)] == list(ids)
    assert [len(chunk.portfolio_ids) for chunk in made.chunks] == [20, 5]
    monkeypatch.setattr(planning, "MAX_POSITIONS_PER_CHUNK", 7)  # of a model with one
    made = await plan_run(planner, resources, run)
    assert [len(chunk.portfolio_ids) for chunk in made.chunks] == [7, 7, 7, 4]
    own = {ids[0]: OptionOverrides.from_options(RebalanceOptions(maximum_trades=1))}
    made = await plan_run(planner, resources, replace(run, overrides_by_portfolio=own))
    assert [len(chunk.portfolio_ids) for chunk in made.chunks] == [10, 10, 5]
    assert made.plan.holdings.fingerprint
    with pytest.raises(HoldingsFileError, match="is not in HOLDINGS_DIRECTORY"):
        await planner.plan(replace(run, holdings=HoldingsRef(FILE, "none.parquet")))


async def test_one_price_snapshot_serves_all_models_and_is_part_of_the_plan(
    planner: Planner, resources: Resources, added: Added
) -> None:
    await added("first", make_portfolio_ids(1))
    await added("second", make_portfolio_ids(1, first=1), B)
    made = await plan_run(planner, resources, make_run())
    assert made.plan.snapshot is not None
    assert made.plan.snapshot.prices == {A: PRICE, B: PRICE}
    assert {part.securities[0].price for part in made.parts} == {PRICE}


async def test_a_model_without_prices_says_so_and_the_others_are_planned(
    planner: Planner, resources: Resources, added: Added
) -> None:
    without = await added("without", make_portfolio_ids(1), "C" * 24)
    await added("with", make_portfolio_ids(1, first=1))
    made = await plan_run(planner, resources, make_run())
    refusals = {part.model_id: part.refusal and part.refusal.code for part in made.parts}
    assert refusals.pop(str(without.model_id)) == "prices-missing"
    assert list(refusals.values()) == [None]


async def test_a_model_without_targets_is_refused_unless_everything_is_to_be_sold(
    planner: Planner, resources: Resources, added: Added
) -> None:
    model = await added("all cash", make_portfolio_ids(3), None)
    made = await plan_run(planner, resources, make_run(model.model_id))
    assert [part.refusal and part.refusal.code for part in made.parts] == ["empty-model"]
    with pytest.raises(EmptyModelError):
        await planner.check(Selection((str(model.model_id),)), NO_OVERRIDES, {})
    overrides = OptionOverrides({"liquidate": True})
    await planner.check(Selection((str(model.model_id),)), overrides, {})
    made = await plan_run(planner, resources, make_run(model.model_id, overrides=overrides))
    assert [(part.securities, part.refusal) for part in made.parts] == [((), None)]
    assert made.plan.portfolios == 3


async def test_options_that_conflict_with_a_models_own_refuse_that_model_alone(
    planner: Planner, resources: Resources, added: Added
) -> None:
    high = RebalanceOptions(cash_floor=Decimal(500))
    conflicting = await added("conflicting", make_portfolio_ids(1), options=high)
    other = await added("other", make_portfolio_ids(1, first=1))
    run = make_run(overrides=OptionOverrides({"cash_ceiling": Decimal(100)}))
    made = await plan_run(planner, resources, run)
    parts = {part.model_id: part for part in made.parts}
    refusal = parts[str(conflicting.model_id)].refusal
    assert refusal is not None
    assert refusal.code == "options-conflict"
    assert parts[str(other.model_id)].refusal is None
    assert parts[str(other.model_id)].options.values["cash_ceiling"] == Decimal(100)


@pytest.mark.usefixtures("quick")
async def test_an_outage_that_ends_in_time_is_waited_for(
    planner: Planner, resources: Resources, added: Added, upstreams: Upstreams
) -> None:
    await added("Growth", make_portfolio_ids(3))
    upstreams.down = "pricing"
    planning_it = asyncio.create_task(plan_run(planner, resources, make_run()))
    await asyncio.sleep(0.1)
    upstreams.down = ""
    made = await planning_it
    assert made.plan.snapshot is not None
    assert [part.refusal for part in made.parts] == [None]


@pytest.mark.parametrize("upstream", ["pricing", "security"])
async def test_an_outage_beyond_patience_is_the_reason_of_every_model(
    settings: Settings, resources: Resources, added: Added, upstreams: Upstreams, upstream: str
) -> None:
    await added("first", make_portfolio_ids(1))
    await added("second", make_portfolio_ids(1, first=1))
    upstreams.down = upstream
    planner = Planner(settings.model_copy(update={"run_patience_s": 0}), resources)
    made = await plan_run(planner, resources, make_run())
    assert [_code_and_upstream(part.refusal) for part in made.parts] == [
        ("upstream-unavailable", upstream)
    ] * 2
    assert made.plan.portfolios == 2


async def test_a_run_that_somebody_waits_for_stops_at_an_outage(
    planner: Planner, added: Added, upstreams: Upstreams
) -> None:
    await added("Growth", make_portfolio_ids(1))
    upstreams.down = "pricing"
    with pytest.raises(UpstreamUnavailableError):
        await planner.plan(make_run(stops_on_outage=True))


async def test_prices_that_cannot_be_read_are_the_reason_of_every_model(
    planner: Planner, resources: Resources, added: Added, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def unreadable(*_: object) -> Any:
        raise UpstreamContractError("pricing", "/api/v1/prices is not JSON")

    await added("Growth", make_portfolio_ids(2))
    monkeypatch.setattr(resources.prices, "read_snapshot", unreadable)
    made = await plan_run(planner, resources, make_run())
    assert [_code_and_upstream(part.refusal) for part in made.parts] == [
        ("upstream-contract", "pricing")
    ]
    with pytest.raises(UpstreamContractError):
        await planner.plan(make_run(stops_on_outage=True))


async def test_what_is_planned_begins_now(planner: Planner, added: Added) -> None:
    await added("Growth", make_portfolio_ids(1))
    before = now()
    assert before <= (await planner.plan(make_run())).started_at <= now()


def _code_and_upstream(refusal: Refusal | None) -> tuple[str | None, object]:
    return (refusal and refusal.code, refusal and refusal.members.get("upstream"))
