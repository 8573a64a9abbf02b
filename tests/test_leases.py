"""Leases of work in the background, in a real database: kept, lost, and obeyed."""

import asyncio
from collections.abc import Iterable
from itertools import chain, repeat
from typing import Any

import pytest
from pymongo.asynchronous.database import AsyncDatabase

from serve_app import retries
from serve_app.leases import RENEWALS_PER_LEASE, hold_lease
from storage.errors import LeaseLostError, StorageUnavailableError
from storage.mongo.connection import Document
from storage.mongo.leases import Leases, is_holder

pytestmark = pytest.mark.mongo

LEASE_S = 2.0
LAPSED_S = -1.0
KEY = "work"
AWAY = StorageUnavailableError("the database cannot be reached")


@pytest.fixture(autouse=True)
def without_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retries, "PAUSE_S", 0.01)


@pytest.fixture
def leases(database: AsyncDatabase[Document]) -> Leases:
    return Leases(database["leased"])


class Holder:
    """A process that takes the lease, and works until it is told to stop."""

    def __init__(
        self, leases: Leases, outages: Iterable[Exception | None] = (), token: str = "me"
    ) -> None:
        self.leases = leases
        self.outages = chain(outages, repeat(None))
        self.token = token
        self.calls = 0
        self.renewals = 0
        self.is_finished = asyncio.Event()
        self.was_cancelled = False
        self.renew_now = asyncio.Event()
        self.answers: list[Any] = []

    async def renew(self) -> Document:
        self.calls += 1
        outage = next(self.outages)
        if outage is not None:
            raise outage
        document = await self.leases.renew(KEY, self.token, LEASE_S)
        if document is None:
            raise LeaseLostError(KEY)
        self.renewals += 1
        return document

    async def work(self) -> None:
        try:
            await self.is_finished.wait()
        except asyncio.CancelledError:
            self.was_cancelled = True
            raise

    def obey(self, document: Document) -> None:
        self.answers.append(document["_id"])

    async def hold(self, lease_s: float = LEASE_S) -> None:
        await self.leases.acquire(KEY, self.token, lease_s)
        await hold_lease(
            KEY, LEASE_S, self.renew, self.work(), obey=self.obey, renew_now=self.renew_now
        )


async def take(leases: Leases, token: str) -> bool:
    return is_holder(await leases.acquire(KEY, token, LEASE_S), token)


async def until_renewed(holder: Holder, times: int) -> None:
    while holder.renewals < times:  # noqa: ASYNC110
        await asyncio.sleep(0.01)


async def test_work_that_outlasts_its_lease_keeps_it_from_every_other_process(
    leases: Leases,
) -> None:
    holder = Holder(leases)
    async with asyncio.TaskGroup() as group:
        group.create_task(holder.hold())
        for renewals in range(1, RENEWALS_PER_LEASE + 3):
            await until_renewed(holder, renewals)
            assert not await take(leases, "another")
        holder.is_finished.set()
    assert not holder.was_cancelled


async def test_the_end_of_the_work_ends_the_renewals(leases: Leases) -> None:
    holder = Holder(leases)
    holder.is_finished.set()
    await holder.hold()
    calls = holder.calls
    await asyncio.sleep(2 * LEASE_S / RENEWALS_PER_LEASE)
    assert holder.calls == calls


async def test_work_whose_lease_another_process_took_is_cancelled_and_its_holder_is_told(
    leases: Leases,
) -> None:
    holder = Holder(leases)
    holding = asyncio.create_task(holder.hold(LAPSED_S))
    while not await take(leases, "another"):  # noqa: ASYNC110
        await asyncio.sleep(0.01)

    with pytest.raises(LeaseLostError):
        await holding

    assert holder.was_cancelled
    assert (await leases.seconds_left([KEY])).keys() == {"another"}


async def test_work_goes_on_while_the_database_is_away_for_less_than_the_lease(
    leases: Leases,
) -> None:
    holder = Holder(leases, [AWAY] * 10)
    async with asyncio.TaskGroup() as group:
        group.create_task(holder.hold())
        await until_renewed(holder, 1)
        assert not await take(leases, "another")
        holder.is_finished.set()
    assert holder.calls > 10
    assert not holder.was_cancelled


async def test_work_is_cancelled_once_its_lease_may_have_lapsed_while_the_database_was_away(
    leases: Leases,
) -> None:
    holder = Holder(leases, chain([None], repeat(AWAY)))

    with pytest.raises(LeaseLostError) as caught:
        await holder.hold()

    assert caught.value.run_id == KEY
    assert holder.was_cancelled
    assert holder.renewals == 1


async def test_a_holder_obeys_what_each_renewal_answers_and_may_have_one_at_once(
    leases: Leases,
) -> None:
    class CancelledHolder(Holder):
        def obey(self, document: Document) -> None:
            super().obey(document)
            self.is_finished.set()

    holder = CancelledHolder(leases)
    holder.renew_now.set()

    await holder.hold()

    assert holder.answers == [KEY]
    assert not holder.renew_now.is_set()


async def test_the_error_of_the_work_goes_to_its_holder_and_ends_the_renewals(
    leases: Leases,
) -> None:
    class Broken(Holder):
        async def work(self) -> None:
            await self.is_finished.wait()
            raise ValueError("broken")

    holder = Broken(leases)
    holder.is_finished.set()

    with pytest.raises(ValueError, match="broken"):
        await holder.hold()

    assert (await leases.seconds_left([KEY])).keys() == {holder.token}


async def test_an_error_of_a_renewal_that_no_repetition_heals_ends_the_work(
    leases: Leases,
) -> None:
    holder = Holder(leases, [ValueError("refused")])

    with pytest.raises(ValueError, match="refused"):
        await holder.hold()

    assert holder.was_cancelled
    assert holder.calls == 1


async def test_a_holder_that_is_cancelled_cancels_its_work(leases: Leases) -> None:
    holder = Holder(leases)
    holding = asyncio.create_task(holder.hold())
    await until_renewed(holder, 1)
    holding.cancel()

    with pytest.raises(asyncio.CancelledError):
        await holding

    assert holder.was_cancelled
