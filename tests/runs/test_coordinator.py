"""Coordinator: runs whose workers crash, whose replicas die, or whose answers are lost."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from ray.exceptions import WorkerCrashedError

from serve_app.chunks.work import RebalanceInput
from serve_app.resources import Resources
from serve_app.runs import chunk_attempts, coordinator
from serve_app.runs.coordinator import MAX_TAKEOVERS, Coordinator
from serve_app.settings import Settings
from storage.errors import StorageUnavailableError
from storage.idempotency_store import IdempotencyClaim
from storage.mongo.decimal_codec import now
from storage.runs.chunk_store import Chunk, Report
from storage.runs.run import Run, RunStatus
from storage.runs.run_store import RunStore
from tests.runs.conftest import Added
from tests.support.in_process import LocalRunner, Upstreams
from tests.support.runs import make_portfolio_ids, make_run

pytestmark = pytest.mark.mongo
POISON = make_portfolio_ids(25)[7]
WITHIN_S = 20.0


class Poisoned(LocalRunner):
    """Runner whose worker crashes on one portfolio."""

    async def run(self, shared: RebalanceInput, chunk: Chunk) -> Report | None:
        if POISON in chunk.portfolio_ids:
            raise WorkerCrashedError
        return await super().run(shared, chunk)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunk_attempts, "PAUSE_S", 0.01)
    monkeypatch.setattr(coordinator, "LOOK_EVERY_S", 0.05)


@asynccontextmanager
async def watched(made: Coordinator) -> AsyncIterator[None]:
    watching = asyncio.create_task(made.watch())
    yield
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)


async def over(resources: Resources, run_id: str) -> Run:
    async with asyncio.timeout(WITHIN_S):
        while not (run := await resources.runs.read(run_id)).status.is_over:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    return run


async def test_a_portfolio_that_no_worker_survives_costs_the_others_of_its_chunk_nothing(
    settings: Settings, resources: Resources, upstreams: Upstreams, added: Added
) -> None:
    ids = make_portfolio_ids(25)
    for portfolio_id in ids:
        upstreams.set_balance(portfolio_id, 1000)
    run = make_run((await added("followed", ids)).model_id)

    await Coordinator(settings, resources, Poisoned).begin(run)
    ended = await over(resources, run.run_id)

    assert ended.status is RunStatus.COMPLETED
    assert ended.totals.counts == {"REBALANCED": 24, "FAILED": 1}
    (part,) = await resources.rebalances.list_parts(run.run_id)
    outcomes = await resources.rebalances.list_outcomes(part)
    assert [outcome.portfolio_id for outcome in outcomes] == list(ids)
    (lost,) = [outcome for outcome in outcomes if outcome.refusal]
    assert (lost.portfolio_id, lost.refusal and lost.refusal.code) == (POISON, "internal-error")


async def test_a_run_that_comes_no_further_whoever_takes_it_over_is_given_up(
    settings: Settings, resources: Resources, database: Any, added: Added
) -> None:
    run = make_run((await added("followed", make_portfolio_ids(5))).model_id)
    await resources.runs.add(run, "a replica that died", 0)
    before = {"takeovers": MAX_TAKEOVERS + 1, "lease.until": now() - timedelta(seconds=1)}
    await database["runs"].update_one({}, {"$set": before})

    async with watched(Coordinator(settings, resources, LocalRunner)):
        ended = await over(resources, run.run_id)

    assert ended.status is RunStatus.STOPPED
    assert ended.problem is not None
    assert "given up after 20 attempts" in ended.problem.detail


async def test_a_run_that_was_said_not_to_have_begun_is_cancelled_if_it_was_stored(
    settings: Settings, resources: Resources, database: Any, added: Added
) -> None:
    class Lossy(RunStore):
        async def add(
            self, run: Run, token: str, lease_s: float, completes: IdempotencyClaim | None = None
        ) -> bool:
            await super().add(run, token, lease_s, completes)
            raise StorageUnavailableError("the database did not answer in time")

    run = make_run((await added("followed", make_portfolio_ids(5))).model_id)
    lossy = replace(resources, runs=Lossy(database))
    made = Coordinator(replace_lease(settings), lossy, LocalRunner)

    async with watched(made):
        with pytest.raises(StorageUnavailableError):
            await made.begin(run)
        ended = await over(resources, run.run_id)

    assert ended.status is RunStatus.CANCELLED
    assert ended.totals.counts == {}


class Unreadable(RunStore):
    """Run store whose database goes away after every write."""

    async def read(self, run_id: str) -> Run:  # noqa: ARG002
        raise StorageUnavailableError("the database did not answer in time")


async def test_a_run_that_began_is_answered_whatever_the_database_does_next(
    settings: Settings, resources: Resources, database: Any, added: Added
) -> None:
    run = make_run((await added("followed", make_portfolio_ids(5))).model_id)
    unreadable = replace(resources, runs=Unreadable(database))

    begun = await Coordinator(settings, unreadable, LocalRunner).begin(run)

    assert begun == await resources.runs.read(run.run_id) == run


async def test_a_run_of_an_earlier_attempt_whose_caller_is_told_a_failure_is_cancelled(
    settings: Settings, resources: Resources, database: Any, added: Added
) -> None:
    run = make_run((await added("followed", make_portfolio_ids(5))).model_id)
    await resources.runs.add(run, "a replica that died", 0)
    unreadable = replace(resources, runs=Unreadable(database))

    with pytest.raises(StorageUnavailableError):
        await Coordinator(settings, unreadable, LocalRunner).begin(run)
    async with watched(Coordinator(settings, resources, LocalRunner)):
        ended = await over(resources, run.run_id)

    assert ended.status is RunStatus.CANCELLED


async def test_a_run_whose_caller_is_told_that_the_database_is_away_is_ended(
    settings: Settings, resources: Resources, database: Any, added: Added
) -> None:
    run = make_run((await added("followed", make_portfolio_ids(5))).model_id)
    await resources.runs.add(run, "another replica", 600)
    unreadable = replace(resources, runs=Unreadable(database))

    with pytest.raises(StorageUnavailableError):
        await Coordinator(replace_lease(settings), unreadable, LocalRunner).wait_until_over(
            run.run_id
        )

    async with asyncio.timeout(WITHIN_S):
        read = resources.runs.read
        while (await read(run.run_id)).status is not RunStatus.DISCARDING:  # noqa: ASYNC110
            await asyncio.sleep(0.02)


def replace_lease(settings: Settings) -> Settings:
    """Set leases of a second, so that an abandoned run is soon taken over."""
    return settings.model_copy(update={"run_lease_s": 1})
