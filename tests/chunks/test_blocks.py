"""Chunks in arrays: the outcomes of chunks by objects, to the last digit, and stored once."""

import asyncio
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optimization import BlockOutcome
from optimization.domain.drift_band import DriftBand
from optimization.domain.option_values import OpenOrders
from optimization.domain.options import NO_OVERRIDES, OptionOverrides, RebalanceOptions
from optimization.domain.outcome import PortfolioOutcome, Status
from optimization.domain.portfolio import PricedTarget
from serve_app.api.responses import write_outcomes
from serve_app.chunks import work as working
from serve_app.chunks.fetch import identify_holdings
from serve_app.chunks.work import RebalanceInput, solve_in_arrays, solve_outcomes
from serve_app.resources import FILE, SUMMARIES, Resources
from serve_app.runs import chunk_tasks
from serve_app.runs.chunk_tasks import divide, record_chunk, summarize_chunk
from serve_app.settings import read_settings
from serve_app.upstream.errors import UpstreamContractError, UpstreamUnavailableError
from serve_app.upstream.prices import PriceSnapshot
from storage.mongo.decimal_codec import now
from storage.rebalances.rebalance import Rebalance, RebalanceStatus, new_rebalance_id
from storage.runs.chunk_store import Chunk
from storage.runs.run import HoldingsRef
from tests.support.fakes import build_resources
from tests.support.in_process import Upstreams

A, B, GOLD, OLD = "A" * 24, "B" * 24, "G" * 24, "O" * 24
BAND = DriftBand(Decimal("0.03"), Decimal("0.03"))
MODEL = (
    PricedTarget(A, Decimal("31.50"), Decimal("0.6"), BAND),
    PricedTarget(B, Decimal("98.7"), Decimal("0.35"), BAND),
)
PRICES = {A: Decimal("31.50"), B: Decimal("98.7"), GOLD: Decimal("61.25")}  # none of OLD

Holdings = Mapping[str | None, str]
PLAIN: Holdings = {None: "100000.50", A: "12", B: "40"}
IN_BAND: Holdings = {None: "4983.50", A: "1905", B: "354"}
TIGHT: Holdings = {None: "0.01", A: "191", B: "35"}
INFEASIBLE: Holdings = {None: "40.00"}
OTHERS: Holdings = {None: "100000.50", GOLD: "7", A: "-3"}
UNPRICED: Holdings = {None: "100000.50", OLD: "7", GOLD: "1"}
FRACTION: Holdings = {None: "100000.50", A: "12.25", GOLD: "1.5"}
MISSING: Holdings = {}
KINDS = (PLAIN, IN_BAND, TIGHT, INFEASIBLE, OTHERS, UNPRICED, FRACTION, MISSING)


def chunk_of(count: int) -> Chunk:
    return Chunk(new_rebalance_id(), 3, tuple(f"{number:024}" for number in range(count)))


def work_on(
    chunk: Chunk, directory: Path, holdings: HoldingsRef, options: RebalanceOptions | None = None
) -> RebalanceInput:
    run = Rebalance(
        rebalance_id=chunk.rebalance_id,
        model_id="0" * 24,
        model_version=1,
        model_name="Growth",
        securities=MODEL,
        options=NO_OVERRIDES,
        number_of_portfolios=chunk.first + len(chunk.portfolio_ids),
        started_at=now(),
        unmatched=(GOLD, OLD, "X" * 24),
    )
    settings = read_settings({"holdings_directory": directory})
    snapshot = PriceSnapshot("now", now(), PRICES)
    chosen = options or RebalanceOptions()
    return RebalanceInput(
        settings, run, snapshot, chosen, "", identify_holdings(settings, holdings)
    )


def write(path: Path, chunk: Chunk, held: list[Holdings], decimals: int = 2) -> None:
    pairs = list(zip(chunk.portfolio_ids, held, strict=True))
    rows = [(portfolio_id, *row) for portfolio_id, holdings in pairs for row in holdings.items()]
    amounts = [Decimal(amount) for _, _, amount in rows]
    columns = {
        "portfolio_id": pa.array([portfolio_id for portfolio_id, _, _ in rows], pa.string()),
        "security_id": pa.array([one for _, one, _ in rows], pa.string()),
        "quantity": pa.array(amounts, pa.decimal128(24, 6)).cast(pa.decimal128(20, decimals)),
    }
    pq.write_table(pa.table(columns), path, row_group_size=5)


@pytest.fixture
def resources(database: Any) -> Resources:
    return build_resources(database, Upstreams(prices=PRICES))


pytestmark = pytest.mark.mongo


def objects_of(solved: BlockOutcome | list[PortfolioOutcome]) -> list[Any]:
    return solved.outcomes() if isinstance(solved, BlockOutcome) else solved


@settings(deadline=None)
@given(data=st.data())
async def test_a_chunk_of_a_file_has_the_outcomes_of_its_objects(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    resources = build_resources(Nowhere(), Upstreams(prices=PRICES))
    held = data.draw(st.lists(st.sampled_from(KINDS), min_size=1, max_size=9))
    decimals = data.draw(st.integers(2, 6))
    option = st.sampled_from([{}, {"cash_flow": Decimal("500.5")}, {"cash_floor": Decimal(10)}])
    options = RebalanceOptions(**data.draw(option))
    directory, chunk = tmp_path_factory.mktemp("book"), chunk_of(len(held))
    write(directory / "book.parquet", chunk, held, decimals)
    shared = work_on(chunk, directory, HoldingsRef(FILE, "book.parquet"), options)

    solved, _ = await solve_in_arrays(shared, chunk, resources)
    by_objects, _ = await solve_outcomes(shared, chunk, resources)

    assert isinstance(solved, BlockOutcome)
    assert list(map(repr, solved.outcomes())) == list(map(repr, by_objects))
    counts = {Status.REBALANCED: 1}
    assert summarize_chunk(solved, counts, {}) == summarize_chunk(by_objects, counts, {})


class Nowhere:
    """Database of which a test needs no more than names."""

    def __getitem__(self, name: str) -> "Nowhere":
        return self

    def __getattr__(self, name: str) -> "Nowhere":
        return self

    def __call__(self, **_: object) -> "Nowhere":
        return self


async def test_a_chunk_is_stored_once_with_each_portfolio_at_its_place(
    tmp_path: Path, resources: Resources
) -> None:
    chunk = chunk_of(len(KINDS))
    write(tmp_path / "book.parquet", chunk, list(KINDS))
    shared = work_on(chunk, tmp_path, HoldingsRef(FILE, "book.parquet"))
    run = await resources.rebalances.open(shared.rebalance)

    recorded = await record_chunk(shared, chunk, resources, write_outcomes)
    repeated = await record_chunk(shared, chunk, resources, write_outcomes)

    assert recorded is not None
    assert repeated is not None
    first, second = recorded.report, repeated.report
    assert first.counts == second.counts
    assert first.counts[Status.FAILED] == 2
    assert first.methods == second.methods
    stored = await resources.rebalances.list_outcomes(run)
    by_objects, _ = await solve_outcomes(shared, chunk, resources)
    assert [outcome.portfolio_id for outcome in stored] == list(chunk.portfolio_ids)
    assert list(stored) == by_objects
    # A chunk with outcomes of an earlier attempt writes nothing, because those may differ.
    assert recorded.written_outcomes == await write_outcomes(
        run, stored, shared.settings.time_zone, is_stored=True
    )
    assert repeated.written_outcomes is None
    ended = await resources.rebalances.finish(run.rebalance_id, RebalanceStatus.COMPLETED, now())
    assert ended.counts == first.counts
    assert ended.unmatched == ("X" * 24,)  # GOLD is held, and so is OLD, which has no price


async def test_a_chunk_in_pieces_stores_what_the_whole_stores(
    tmp_path: Path, resources: Resources, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chunk_tasks, "MAX_DOCUMENTS_PER_PIECE", 1)
    chunk = replace(chunk_of(len(KINDS)), rows=3)
    write(tmp_path / "book.parquet", chunk, list(KINDS))
    shared = work_on(chunk, tmp_path, HoldingsRef(FILE, "book.parquet"))
    run = await resources.rebalances.open(shared.rebalance)

    reports = [await record_chunk(shared, chunk, resources) for _ in range(2)]

    by_objects, _ = await solve_outcomes(shared, chunk, resources)
    assert await resources.rebalances.list_outcomes(run) == tuple(by_objects)
    for recorded in reports:
        assert recorded is not None
        report = recorded.report
        assert report.counts == Counter(outcome.status for outcome in by_objects)
        assert sum(report.methods.values()) == sum(
            bool(outcome.certificate) for outcome in by_objects
        )
        assert report.seconds.keys() == {"fetch", "solve", "write"}


async def test_pieces_begin_where_documents_do_also_in_half_a_chunk() -> None:
    chunk = replace(chunk_of(9_000), rows=512)
    ends = [2_560, 5_120, 7_680, 9_000]
    assert [piece.ordinals.stop - chunk.first for piece in divide(chunk, 50)] == ends
    half = chunk.part(slice(4_500, None))
    assert [piece.ordinals.stop - chunk.first for piece in divide(half, 50)] == ends[1:]
    assert {piece.grid for piece in divide(half, 50)} == {chunk.grid}
    wide = replace(chunk_of(120), rows=52)
    assert [len(piece.portfolio_ids) for piece in divide(wide, 5_000)] == [52, 52, 16]


async def test_nothing_is_written_after_a_piece_has_failed(
    tmp_path: Path, resources: Resources, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chunk_tasks, "MAX_DOCUMENTS_PER_PIECE", 1)
    chunk = replace(chunk_of(4), rows=2)
    upstreams = Upstreams(prices=PRICES)
    for portfolio_id in chunk.portfolio_ids[:2]:  # the second piece has no answer
        upstreams.set_balance(portfolio_id, "100000.50", **{A: 12})
    for portfolio_id in chunk.portfolio_ids[2:]:
        upstreams.balances[portfolio_id] = UpstreamUnavailableError("accounting", "no answer", 1.0)
    shared = work_on(chunk, tmp_path, HoldingsRef(SUMMARIES))
    run = await resources.rebalances.open(shared.rebalance)
    here = build_resources(resources.database, upstreams)

    with pytest.raises(UpstreamUnavailableError):
        await record_chunk(shared, chunk, here)

    going = {getattr(task.get_coro(), "__name__", "") for task in asyncio.all_tasks()}
    assert "_write" not in going
    for portfolio_id in chunk.portfolio_ids[2:]:
        upstreams.set_balance(portfolio_id, "100000.50", **{A: 12})
    await record_chunk(shared, chunk, here)
    stored = await resources.rebalances.list_outcomes(run)
    assert [outcome.portfolio_id for outcome in stored] == list(chunk.portfolio_ids)


async def test_services_give_the_same_in_arrays_and_by_objects(tmp_path: Path) -> None:
    upstreams = Upstreams(prices=PRICES)
    chunk = chunk_of(4)
    first, second, third, _ = chunk.portfolio_ids
    upstreams.set_balance(first, "100000.50", **{A: 12, GOLD: 3})
    upstreams.set_balance(second, "250.25", **{OLD: 1})
    upstreams.balances[third] = UpstreamContractError("accounting", "no number")
    resources = build_resources(Nowhere(), upstreams)
    shared = work_on(chunk, tmp_path, HoldingsRef(SUMMARIES))

    solved, _ = await solve_in_arrays(shared, chunk, resources)
    by_objects, _ = await solve_outcomes(shared, chunk, resources)

    assert isinstance(solved, BlockOutcome)
    assert list(map(repr, solved.outcomes())) == list(map(repr, by_objects))
    assert [outcome.status for outcome in by_objects[1:]] == [Status.FAILED] * 3

    upstreams.set_balance(second, "250.5")  # an amount with another number of decimals
    mixed, _ = await solve_in_arrays(shared, chunk, resources)
    assert isinstance(mixed, BlockOutcome)
    by_objects, _ = await solve_outcomes(shared, chunk, resources)
    assert list(map(repr, mixed.outcomes())) == list(map(repr, by_objects))


@pytest.mark.parametrize(
    "change",
    [
        {"options": RebalanceOptions(open_orders=OpenOrders.COUNT)},
        {"own": OptionOverrides({"cash_floor": Decimal(5)})},
    ],
    ids=["open orders", "own options"],
)
async def test_a_chunk_that_is_not_plain_goes_by_objects(
    tmp_path: Path, resources: Resources, change: dict[str, Any]
) -> None:
    chunk = chunk_of(2)
    write(tmp_path / "book.parquet", chunk, [PLAIN, OTHERS])
    shared = work_on(chunk, tmp_path, HoldingsRef(FILE, "book.parquet"), change.get("options"))
    if "own" in change:
        own = {chunk.portfolio_ids[1]: change["own"]}
        shared = replace(shared, rebalance=replace(shared.rebalance, overrides_by_portfolio=own))

    solved, _ = await solve_in_arrays(shared, chunk, resources)

    assert not isinstance(solved, BlockOutcome)
    assert [outcome.status for outcome in solved] == [Status.REBALANCED] * 2


async def test_an_engine_that_fails_on_a_block_fails_one_portfolio_at_most(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> BlockOutcome:
        raise ArithmeticError("of arrays")

    chunk = chunk_of(2)
    write(tmp_path / "book.parquet", chunk, [PLAIN, OTHERS])
    shared = work_on(chunk, tmp_path, HoldingsRef(FILE, "book.parquet"))
    monkeypatch.setattr(working, "rebalance_block", fail)

    solved, _ = await solve_in_arrays(shared, chunk, build_resources(Nowhere(), Upstreams(PRICES)))

    assert [outcome.status for outcome in objects_of(solved)] == [Status.REBALANCED] * 2
