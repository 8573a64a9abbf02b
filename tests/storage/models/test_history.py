from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from bson import ObjectId
from pymongo.asynchronous.database import AsyncDatabase

from optimization.domain.model import Model
from optimization.domain.options import RebalanceOptions
from storage.audit.author import Author
from storage.errors import NotFoundError, StaleVersionError
from storage.models import versions as model_versions
from storage.models.history import ModelHistory
from storage.models.model_store import ModelStore
from storage.mongo.connection import Document, read_clock
from tests.support.samples import NOON, make_id, make_model

ABSENT = "0" * 24
ANNA = Author("anna", None, "request-1")

pytestmark = pytest.mark.mongo


@pytest.fixture
def models(database: AsyncDatabase[Document]) -> ModelStore:
    return ModelStore(database, find_author=lambda: ANNA)


@pytest.fixture
def history(database: AsyncDatabase[Document]) -> ModelHistory:
    return ModelHistory(database)


async def test_every_version_is_kept_with_author_time_and_changes(
    models: ModelStore, history: ModelHistory, database: AsyncDatabase[Document]
) -> None:
    begun = await read_clock(database)
    first = await models.add(make_model("Growth", make_id("P", 1), make_id("P", 2)))
    old, *others = first.targets
    new = replace(old, weight=Decimal("0.05"))
    options = RebalanceOptions(cash_floor=Decimal(100))
    changed = replace(
        first,
        name="Income",
        targets=(new, *others[1:]),
        portfolio_ids=(make_id("P", 2), make_id("P", 3)),
        options=options,
        last_rebalance_date=NOON,
    )
    second = await models.replace(changed)

    (newest, oldest), total = await history.read_page(str(first.model_id), 0, 10)

    assert total == 2
    assert (oldest.version, oldest.name, oldest.changes) == (1, "Growth", None)
    assert (newest.version, newest.name, newest.author) == (2, "Income", ANNA)
    assert begun <= oldest.at <= newest.at <= begun + timedelta(minutes=5)
    changes = newest.changes
    assert changes is not None
    assert changes.fields == {
        "name": ("Growth", "Income"),
        "options": (None, options),
        "last_rebalance_date": (None, NOON),
    }
    assert changes.positions == {
        old.security_id: (old, new),
        others[0].security_id: (others[0], None),
    }
    assert changes.portfolios_added == (make_id("P", 3),)
    assert changes.portfolios_removed == (make_id("P", 1),)
    assert (changes.number_of_portfolios_added, changes.number_of_portfolios_removed) == (1, 1)
    assert (await history.read(str(first.model_id), 1)).model == first
    assert (await history.read(str(first.model_id), 2)).model == second


async def test_a_refused_change_makes_no_version(models: ModelStore, history: ModelHistory) -> None:
    first = await models.add(make_model())
    with pytest.raises(StaleVersionError):
        await models.replace(replace(first, version=7))
    assert (await history.read_page(str(first.model_id), 0, 10))[1] == 1


async def test_a_version_that_cannot_be_stored_keeps_the_model_as_it_was(
    models: ModelStore, history: ModelHistory, database: AsyncDatabase[Document]
) -> None:
    first = await models.add(make_model())
    taken = {"_id": model_versions.build_version_id(ObjectId(first.model_id), 2)}
    await database["model_versions"].insert_one(taken, bypass_document_validation=True)

    with pytest.raises(Exception, match="Growth"):
        await models.replace(replace(first, targets=()))

    assert await models.read(str(first.model_id)) == first


async def test_portfolios_of_every_version_are_exact_over_many_edits(
    models: ModelStore, history: ModelHistory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model_versions, "FULL_EVERY", 5)
    model = await models.add(make_model("Growth", *(make_id("P", at) for at in range(12))))
    versions = [model]
    for step in range(14):
        ids = versions[-1].portfolio_ids
        edited = (*ids[1:], make_id("Q", step)) if step % 3 else ids[::-1]
        versions.append(await models.replace(replace(versions[-1], portfolio_ids=edited)))

    for version in versions:
        stored = await history.read(str(model.model_id), version.version)
        assert stored.model == version


async def test_a_small_change_of_many_followers_is_stored_small(
    models: ModelStore, database: AsyncDatabase[Document]
) -> None:
    ids = tuple(make_id("P", at) for at in range(500))
    model = await models.add(make_model("Growth", *ids))
    await models.replace(replace(model, portfolio_ids=(*ids, make_id("Q", 1))))

    newest = await database["model_versions"].find_one({"version": 2})

    assert newest is not None
    assert newest["portfolio_changes"] == {"added": [make_id("Q", 1)], "removed": []}
    assert "portfolios" not in newest


async def test_changes_list_the_first_portfolios_and_count_all(
    models: ModelStore, history: ModelHistory
) -> None:
    model = await models.add(make_model("Growth", *(make_id("P", at) for at in range(150))))
    await models.replace(replace(model, portfolio_ids=(make_id("Q", 1),)))

    (newest, _), _ = await history.read_page(str(model.model_id), 0, 10)

    assert newest.changes is not None
    assert len(newest.changes.portfolios_removed) == 100
    assert newest.changes.number_of_portfolios_removed == 150


async def stored_before_there_were_versions(
    models: ModelStore, database: AsyncDatabase[Document]
) -> Model:
    model = await models.replace(await models.add(make_model()))
    await database["model_versions"].delete_many({})
    return model


async def test_a_model_of_an_earlier_release_is_the_first_version_that_is_known(
    models: ModelStore, history: ModelHistory, database: AsyncDatabase[Document]
) -> None:
    old = await stored_before_there_were_versions(models, database)
    model_id = str(old.model_id)

    (only,), total = await history.read_page(model_id, 0, 10)
    assert (total, only.version, only.author, only.changes) == (1, 2, Author(), None)
    assert await history.read_page(model_id, 1, 10) == ((), 1)
    assert (await history.read(model_id, 2)).model == old
    with pytest.raises(NotFoundError, match=f"version 1 of model {model_id}"):
        await history.read(model_id, 1)

    await models.replace(replace(old, name="Renamed"))

    page, _ = await history.read_page(model_id, 0, 10)
    assert [(version.version, version.name, version.author) for version in page] == [
        (3, "Renamed", ANNA),
        (2, "Growth", Author()),
    ]
    assert (await history.read(model_id, 2)).model == old


@pytest.mark.parametrize("is_old", [False, True])
async def test_the_versions_of_a_deleted_model_stay(
    models: ModelStore, history: ModelHistory, database: AsyncDatabase[Document], is_old: bool
) -> None:
    model = await models.replace(await models.add(make_model()))
    if is_old:
        await database["model_versions"].delete_many({})

    await models.delete(str(model.model_id), 2)

    assert (await history.read(str(model.model_id), 2)).model == model


@pytest.mark.parametrize(
    ("method", "arguments"), [("read_page", {"offset": 0, "limit": 5}), ("read", {"version": 1})]
)
async def test_an_absent_model_has_no_versions(
    history: ModelHistory, method: str, arguments: Mapping[str, Any]
) -> None:
    with pytest.raises(NotFoundError, match=f"model {ABSENT}"):
        await getattr(history, method)(ABSENT, **arguments)
