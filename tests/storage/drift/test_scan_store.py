"""Drift scans in the database: one at a time, by lease, and the lines of the latest attempt."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from optimization import BandStatus, Refusal
from storage.drift.line_store import DriftLineStore, LineFilter
from storage.drift.scan import Deviation, DriftLine, DriftScan, ScanStatus
from storage.drift.scan_store import DriftScanStore
from storage.errors import LeaseLostError, NotFoundError
from storage.mongo.decimal_codec import now
from storage.rebalances.rebalance import new_rebalance_id

pytestmark = pytest.mark.mongo

MODEL = "6" * 24
LONG_S = 60.0
LAPSED_S = 0.0


@pytest.fixture
def scans(database: Any) -> DriftScanStore:
    return DriftScanStore(database)


@pytest.fixture
def lines(database: Any) -> DriftLineStore:
    return DriftLineStore(database)


def make_scan() -> DriftScan:
    return DriftScan(new_rebalance_id(), now(), "correlation", "ada")


def make_line(portfolio_id: str, weight: str) -> DriftLine:
    drift = Decimal(weight)
    return DriftLine(
        portfolio_id,
        MODEL,
        BandStatus.OUT_OF_BAND,
        Decimal("1234567890123456.78"),
        Decimal("10.50"),
        Decimal("0.0001"),
        Decimal("12.345678901234567890"),
        drift,
        1,
        Deviation("S", Decimal("-12.30"), -drift, Decimal("0.25"), Decimal("0.2")),
    )


async def test_a_scan_and_its_lines_are_read_as_they_were_stored(
    scans: DriftScanStore, lines: DriftLineStore
) -> None:
    scan = make_scan()
    failed = DriftLine("Q", MODEL, BandStatus.FAILED, refusal=Refusal("down", "No.", {"a": 1}))
    stored = [make_line("P", "0.0123"), failed]

    assert await scans.add(scan, "me", LONG_S) == (scan, True)
    await lines.record(scan, 0, stored)
    await lines.record(scan, 0, stored)  # again, as after a lost answer

    assert await scans.read(scan.scan_id) == scan
    assert await lines.read_page(scan, LineFilter(), (), 0, 10) == (tuple(stored), 2)


async def test_while_a_scan_runs_it_is_returned_in_place_of_another(scans: DriftScanStore) -> None:
    first, second = make_scan(), make_scan()
    await scans.add(first, "me", LONG_S)

    assert await scans.add(second, "you", LONG_S) == (first, False)
    assert await scans.add(first, "me", LONG_S) == (first, False)
    await scans.end(first.scan_id, "me", now(), {})
    assert await scans.add(second, "you", LONG_S) == (second, True)


async def test_a_scan_whose_holder_died_is_taken_over_with_lines_of_its_own(
    scans: DriftScanStore, lines: DriftLineStore
) -> None:
    scan = make_scan()
    await scans.add(scan, "dead", LAPSED_S)
    await lines.record(scan, 0, [make_line("GONE", "0.5")])

    taken = await scans.claim("heir", LONG_S)

    assert taken is not None
    assert (taken.scan_id, taken.takeovers, taken.done) == (scan.scan_id, 1, 0)
    # The line of one who has not noticed its death counts no more, even if it comes late.
    await lines.record(scan, 1, [make_line("LATE", "0.5")])
    await lines.record(taken, 0, [make_line("P", "0.01")])
    found, total = await lines.read_page(taken, LineFilter(), (), 0, 10)
    assert ([line.portfolio_id for line in found], total) == (["P"], 1)
    with pytest.raises(LeaseLostError):
        await scans.store_progress(scan.scan_id, "dead", {})
    with pytest.raises(LeaseLostError):
        await scans.renew(scan.scan_id, "dead", LONG_S)


async def test_a_scan_that_is_held_or_over_is_not_taken_over(scans: DriftScanStore) -> None:
    scan = make_scan()
    await scans.add(scan, "me", LONG_S)

    assert await scans.claim("you", LONG_S) is None
    await scans.end(scan.scan_id, "me", now(), {BandStatus.FAILED: 3}, Refusal("down", "No.", {}))
    assert await scans.claim("you", LONG_S) is None
    ended = await scans.read(scan.scan_id)
    assert (ended.status, ended.done) == (ScanStatus.STOPPED, 3)
    assert ended.problem == Refusal("down", "No.", {})


async def test_old_scans_are_listed_and_forgotten_with_the_lines_of_all_attempts(
    scans: DriftScanStore, lines: DriftLineStore, database: Any
) -> None:
    old, new = make_scan(), make_scan()
    for scan in (old, new):
        await scans.add(scan, "me", LONG_S)
        for attempt in (scan, replace(scan, takeovers=1)):
            await lines.record(attempt, 0, [make_line("P", "0.01")])
        await scans.end(scan.scan_id, "me", now(), {BandStatus.OUT_OF_BAND: 1})

    assert await scans.list_older(1) == (old.scan_id,)
    await lines.forget(old.scan_id)
    await scans.forget(old.scan_id)

    with pytest.raises(NotFoundError):
        await scans.read(old.scan_id)
    assert await database["drift_lines"].count_documents({}) == 2
    assert (await scans.read_page(0, 10))[1] == 1


async def test_the_most_drift_and_the_histogram_are_read_from_one_index_without_a_sort(
    scans: DriftScanStore, lines: DriftLineStore, database: Any
) -> None:
    scan = make_scan()
    await scans.add(scan, "me", LONG_S)
    await lines.record(scan, 0, [make_line(f"P{n}", f"0.0{n:03}") for n in range(50)])
    wanted = LineFilter(frozenset({BandStatus.OUT_OF_BAND}), min_drift=Decimal("0.001"))

    order = [("failed", 1), ("drift_weight", -1), ("_id", -1)]
    found = {"find": "drift_lines", "filter": wanted.build_query(scan), "sort": dict(order)}
    codec = database.codec_options
    answer = await database.command("explain", found, codec_options=codec)
    plan = str(answer["queryPlanner"]["winningPlan"])

    assert "'indexName': 'most_drift'" in plan
    assert "'stage': 'SORT'" not in plan
    weighed = await lines.count_weights(scan, wanted)
    assert (len(weighed), str(weighed[0].weight)) == (40, "0.0010")
