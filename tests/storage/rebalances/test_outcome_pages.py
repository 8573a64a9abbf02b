"""Pages of outcomes in columns: every outcome once, in order, a bounded number at a time."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from bson import ObjectId
from pymongo.asynchronous.database import AsyncDatabase

from optimization import PortfolioOutcome
from storage.mongo.connection import Document
from storage.rebalances import outcome_reader
from storage.rebalances.outcome_reader import OutcomePage
from storage.rebalances.outcomes import build_outcome_id, encode_outcome
from storage.rebalances.rebalance import Rebalance
from storage.rebalances.rebalance_store import RebalanceStore
from tests.support.outcome_pages import list_outcomes
from tests.support.samples import make_answers, make_id, make_outcome, make_outcomes, make_rebalance

pytestmark = pytest.mark.mongo

COUNT = 1_100
BESIDE = (4, 5, 600, 1_099)


@pytest.fixture(autouse=True)
def _small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a page have 300 portfolios, and end with the document of columns behind them."""
    monkeypatch.setattr(outcome_reader, "PAGE_POSITIONS", 900)
    monkeypatch.setattr(outcome_reader, "MAX_PAGE_OBJECTS", 20)


async def open_rebalance(rebalances: RebalanceStore, portfolios: int = COUNT) -> Rebalance:
    return await rebalances.open(replace(make_rebalance(portfolios), run_id=str(ObjectId())))


async def pages_of(rebalances: RebalanceStore, rebalance: Rebalance) -> list[OutcomePage]:
    pages, first = list[OutcomePage](), 0
    while first < rebalance.number_of_portfolios:
        page = await rebalances.read_outcome_page(rebalance, first)
        assert page.ordinals.start == first < page.ordinals.stop
        pages.append(page)
        first = page.ordinals.stop
    return pages


async def require_every_outcome(
    rebalances: RebalanceStore, rebalance: Rebalance
) -> Sequence[range]:
    """Compare the outcomes of all pages with those of the objects; return the pages' ordinals."""
    pages = await pages_of(rebalances, rebalance)
    found = [outcome for page in pages for outcome in list_outcomes(page)]
    assert repr(tuple(found)) == repr(await rebalances.list_outcomes(rebalance))
    assert [page.count() for page in pages] == [len(list_outcomes(page)) for page in pages]
    return [page.ordinals for page in pages]


async def test_a_page_ends_with_a_document_of_columns(rebalances: RebalanceStore) -> None:
    run = await open_rebalance(rebalances)
    apart = {at: make_outcome(run, at) for at in BESIDE}
    await rebalances.record_block(
        run.rebalance_id, range(COUNT), make_answers(run, range(COUNT), apart)
    )

    ordinals = await require_every_outcome(rebalances, run)

    assert ordinals == [range(512), range(512, 1_024), range(1_024, COUNT)]


async def test_a_page_has_a_bounded_number_of_outcomes_beside_the_columns(
    rebalances: RebalanceStore,
) -> None:
    run = await open_rebalance(rebalances)
    apart = {at: make_outcome(run, at) for at in range(0, COUNT, 10)}
    await rebalances.record_block(
        run.rebalance_id, range(COUNT), make_answers(run, range(COUNT), apart)
    )

    pages = await pages_of(rebalances, run)

    assert {len(page.objects) for page in pages} <= set(range(21))
    await require_every_outcome(rebalances, run)


@pytest.mark.parametrize(
    "stored", [make_outcomes, encode_outcome], ids=["recorded", "earlier release"]
)
async def test_a_rebalance_without_columns_has_pages_of_objects(
    rebalances: RebalanceStore, database: AsyncDatabase[Document], stored: object
) -> None:
    if stored is make_outcomes:
        run = await rebalances.open(make_rebalance(50))
        await rebalances.record(run.rebalance_id, range(50), make_outcomes(run))
    else:
        run = await open_rebalance(rebalances, 50)
        for at in range(50):
            document = encode_outcome(build_outcome_id(run.rebalance_id, at), make_outcome(run, at))
            await database["outcomes"].insert_one(document)

    ordinals = await require_every_outcome(rebalances, run)

    assert [len(page) for page in ordinals] == [20, 20, 10]


async def test_portfolios_of_a_run_under_way_that_have_no_outcome_yet_are_passed_over(
    rebalances: RebalanceStore,
) -> None:
    run = await open_rebalance(rebalances, 100_000)
    for part in (range(700, 900), range(99_000, 99_010)):
        made = make_answers(run, part, {part.start + 3: make_outcome(run, part.start + 3)})
        await rebalances.record_block(run.rebalance_id, part, made)

    ordinals = await require_every_outcome(rebalances, run)

    assert max(map(len, ordinals)) == 300
    found = [outcome for page in await pages_of(rebalances, run) for outcome in list_outcomes(page)]
    assert [outcome.portfolio_id for outcome in found] == [
        make_id("P", at) for part in (range(700, 900), range(99_000, 99_010)) for at in part
    ]


async def test_an_outcome_in_columns_counts_before_one_of_its_own(
    rebalances: RebalanceStore, database: AsyncDatabase[Document]
) -> None:
    run = await open_rebalance(rebalances, 10)
    await rebalances.record_block(run.rebalance_id, range(10), make_answers(run, range(10)))
    document = encode_outcome(build_outcome_id(run.rebalance_id, 3), make_outcome(run, 3))
    await database["outcomes"].insert_one(document)

    (page,) = await pages_of(rebalances, run)

    expected = make_answers(run, range(10)).outcomes()
    assert all(isinstance(outcome, PortfolioOutcome) for outcome in expected)
    assert list_outcomes(page) == expected


async def test_a_rebalance_of_nothing_and_one_that_is_gone_have_a_page_of_nothing(
    rebalances: RebalanceStore,
) -> None:
    empty, gone = await open_rebalance(rebalances, 0), await open_rebalance(rebalances, 10)
    await rebalances.record_block(gone.rebalance_id, range(10), make_answers(gone, range(10)))
    await rebalances.delete(gone.rebalance_id, gone.version)

    assert (await rebalances.read_outcome_page(empty, 0)).ordinals == range(0)
    (page,) = await pages_of(rebalances, gone)
    assert (page.ordinals, page.count()) == (range(10), 0)


async def test_a_page_may_begin_within_a_document(rebalances: RebalanceStore) -> None:
    run = await open_rebalance(rebalances)
    apart = {at: make_outcome(run, at) for at in BESIDE}
    await rebalances.record_block(
        run.rebalance_id, range(COUNT), make_answers(run, range(COUNT), apart)
    )

    page = await rebalances.read_outcome_page(run, 595)

    assert page.ordinals == range(595, 1_024)
    assert tuple(list_outcomes(page)) == (await rebalances.list_outcomes(run))[595:1_024]
