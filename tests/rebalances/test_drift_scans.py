"""Scans of the book go on after the death of a replica, and only the newest are kept."""

from typing import Any

import pytest

from optimization import MODEL_RULES
from serve_app.rebalances import drift_scans
from serve_app.rebalances.drift_scans import MAX_TAKEOVERS, DriftScanner
from serve_app.settings import Settings, read_settings
from storage.drift.line_store import LineFilter
from storage.drift.scan import DriftScan, ScanStatus
from storage.mongo.decimal_codec import now
from storage.rebalances.rebalance import new_rebalance_id
from tests.support.fakes import P, Q, build_resources
from tests.support.in_process import make_two_owners, open_local_meter
from tests.support.samples import make_model

LAPSED_S = 0.0


@pytest.fixture
def settings() -> Settings:
    return read_settings()


@pytest.fixture
def resources(settings: Settings, database: Any) -> Any:
    return build_resources(database, make_two_owners(), MODEL_RULES[settings.model_rules])


@pytest.fixture
def scanner(settings: Settings, resources: Any) -> DriftScanner:
    return DriftScanner(settings, resources, open_local_meter)


async def until_over(scanner: DriftScanner, resources: Any, scan_id: str) -> DriftScan:
    while scanner.going:
        await scanner.going[0]
    return await resources.drift_scans.read(scan_id)


def make_scan() -> DriftScan:
    return DriftScan(new_rebalance_id(), now())


async def test_a_scan_of_a_dead_replica_is_measured_again_by_another(
    scanner: DriftScanner, resources: Any
) -> None:
    await resources.models.add(make_model("Growth", P, Q))
    scan = make_scan()
    await resources.drift_scans.add(scan, "dead", LAPSED_S)

    await scanner.take_over()

    ended = await until_over(scanner, resources, scan.scan_id)
    assert (ended.status, ended.takeovers, ended.done) == (ScanStatus.COMPLETED, 1, 2)
    lines, total = await resources.drift_lines.read_page(ended, LineFilter(), (), 0, 10)
    assert ([line.portfolio_id for line in lines], total) == ([P, Q], 2)


async def test_a_scan_that_ends_every_replica_is_given_up(
    scanner: DriftScanner, resources: Any
) -> None:
    scan = make_scan()
    await resources.drift_scans.add(scan, "dead", LAPSED_S)
    for _ in range(MAX_TAKEOVERS):
        await resources.drift_scans.claim("dead too", LAPSED_S)

    await scanner.take_over()

    ended = await until_over(scanner, resources, scan.scan_id)
    assert ended.status is ScanStatus.STOPPED
    assert ended.problem is not None
    assert "given up after 5 attempts" in ended.problem.detail


async def test_the_newest_scans_are_kept_with_their_lines(
    scanner: DriftScanner, resources: Any, database: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drift_scans, "MAX_KEPT_SCANS", 2)
    await resources.models.add(make_model("Growth", P, Q))

    begun = [make_scan() for _ in range(4)]
    for scan in begun:
        await scanner.begin(scan)
        await until_over(scanner, resources, scan.scan_id)

    kept, total = await resources.drift_scans.read_page(0, 10)
    assert ([scan.scan_id for scan in kept], total) == (
        [begun[3].scan_id, begun[2].scan_id],
        2,
    )
    assert await database["drift_lines"].count_documents({}) == 4
