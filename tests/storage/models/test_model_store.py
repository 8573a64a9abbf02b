import asyncio
import pickle
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pymongo.asynchronous.database import AsyncDatabase

from optimization.domain.drift_band import DriftBand
from optimization.domain.model import Model, Target
from optimization.errors import RuleError
from storage.errors import (
    IdempotencyInProgressError,
    NameTakenError,
    NotFoundError,
    StaleVersionError,
)
from storage.idempotency_store import IdempotencyClaim, IdempotencyStore
from storage.models import model_store
from storage.models.model_store import ModelStore
from storage.mongo.connection import Document
from tests.support.samples import NOON, make_id, make_model

ABSENT = "0" * 24

pytestmark = pytest.mark.mongo


@pytest.fixture
def models(database: AsyncDatabase[Document]) -> ModelStore:
    return ModelStore(database)


async def test_an_added_model_gets_an_id_and_version_1_and_reads_back_equal(
    models: ModelStore,
) -> None:
    added = await models.add(replace(make_model(), last_rebalance_date=NOON))
    assert added.version == 1
    assert await models.read(str(added.model_id)) == added


async def test_a_model_completes_the_claim_that_it_is_stored_with(
    models: ModelStore, database: AsyncDatabase[Document]
) -> None:
    keys = IdempotencyStore(database)
    await keys.claim("k", "hash", "me")

    added = await models.add(make_model(), IdempotencyClaim("k", "me"))
    await keys.release("k", "me")

    assert await keys.claim("k", "hash", "other") == added.model_id


@pytest.mark.parametrize("owner", [None, "other"])
async def test_a_model_whose_claim_was_lost_is_not_stored(
    models: ModelStore, database: AsyncDatabase[Document], owner: str | None
) -> None:
    if owner:
        await IdempotencyStore(database).claim("k", "hash", owner)

    with pytest.raises(IdempotencyInProgressError):
        await models.add(make_model(), IdempotencyClaim("k", "me"))

    assert await models.read_page() == ((), 0)


fraction = st.decimals(0, 1, allow_nan=False)
weights = st.integers(1, 19).map(lambda steps: steps * Decimal("0.005"))


@st.composite
def any_model(draw: st.DrawFn) -> Model:
    targets = []
    for at in range(draw(st.integers(0, 8))):
        low, high = sorted((draw(fraction), draw(fraction)))
        targets.append(Target(make_id("S", at), draw(weights), DriftBand(low, high)))
    return Model("Any", tuple(targets), (make_id("P", 1), make_id("P", 2)))


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(any_model())
async def test_every_model_reads_back_equal(models: ModelStore, model: Model) -> None:
    named = replace(model, name=uuid4().hex)
    added = await models.add(named)
    assert await models.read(str(added.model_id)) == added
    assert added == replace(named, model_id=added.model_id)


async def test_drifts_of_more_than_34_digits_are_not_rounded(models: ModelStore) -> None:
    long = Decimal("0." + "123456789" * 6)
    target = Target(make_id("S", 1), Decimal("0.5"), DriftBand(long, long))
    added = await models.add(Model("Long", (target,), (make_id("P", 1),)))
    assert (await models.read(str(added.model_id))).targets == (target,)


async def test_a_name_is_taken_once(models: ModelStore) -> None:
    await models.add(make_model("Growth"))
    other = await models.add(make_model("Income"))
    with pytest.raises(NameTakenError, match="Growth"):
        await models.add(make_model("Growth"))
    with pytest.raises(NameTakenError, match="Growth"):
        await models.replace(replace(other, name="Growth"))


async def test_of_8_simultaneous_additions_of_one_name_exactly_one_wins(models: ModelStore) -> None:
    attempts = [models.add(make_model()) for _ in range(8)]
    answers = await asyncio.gather(*attempts, return_exceptions=True)
    assert sum(isinstance(answer, Model) for answer in answers) == 1
    assert sum(isinstance(answer, NameTakenError) for answer in answers) == 7


async def test_a_replaced_model_is_one_version_higher_and_keeps_its_rebalance_date(
    models: ModelStore,
) -> None:
    added = await models.add(replace(make_model(), last_rebalance_date=NOON))
    changed = replace(added, name="Renamed", targets=(), last_rebalance_date=None)
    replaced = await models.replace(changed)
    assert replaced == replace(changed, version=2, last_rebalance_date=NOON)
    assert await models.read(str(added.model_id)) == replaced


async def test_replacing_may_set_the_rebalance_date(models: ModelStore) -> None:
    added = await models.add(make_model())
    replaced = await models.replace(replace(added, last_rebalance_date=NOON))
    assert replaced.last_rebalance_date == NOON


async def test_of_8_simultaneous_replaces_with_one_version_exactly_one_wins(
    models: ModelStore,
) -> None:
    for round_ in range(10):
        added = await models.add(make_model(f"Round {round_}"))
        attempts = [
            models.replace(replace(added, name=f"{round_} by {writer}")) for writer in range(8)
        ]
        answers = await asyncio.gather(*attempts, return_exceptions=True)
        winners = [answer for answer in answers if isinstance(answer, Model)]
        losers = [answer for answer in answers if isinstance(answer, StaleVersionError)]
        assert (len(winners), len(losers)) == (1, 7)
        assert await models.read(str(added.model_id)) == winners[0]
        assert {(loser.expected, loser.actual) for loser in losers} == {(1, 2)}


async def test_a_stale_delete_changes_nothing_and_a_current_one_removes_the_model(
    models: ModelStore,
) -> None:
    added = await models.add(make_model())
    model_id = str(added.model_id)
    await models.replace(added)
    with pytest.raises(StaleVersionError):
        await models.delete(model_id, 1)
    await models.delete(model_id, 2)
    for attempt in (models.delete(model_id, 2), models.read(model_id), models.replace(added)):
        with pytest.raises(NotFoundError, match=model_id):
            await attempt


async def test_an_id_that_is_not_24_hex_digits_breaks_a_rule(models: ModelStore) -> None:
    for attempt in (
        models.read("Z" * 24),
        models.delete("1", 1),
        models.record_rebalance_date("", NOON),
    ):
        with pytest.raises(RuleError, match="24 hexadecimal digits"):
            await attempt


async def test_an_absent_model_is_not_found(models: ModelStore) -> None:
    with pytest.raises(NotFoundError, match=f"model {ABSENT}"):
        await models.read(ABSENT)
    with pytest.raises(NotFoundError):
        await models.record_rebalance_date(ABSENT, NOON)


async def test_the_newest_of_several_models_is_the_one_a_portfolio_follows(
    models: ModelStore,
) -> None:
    shared = make_id("P", 7)
    first = await models.add(make_model("First", shared))
    second = await models.add(make_model("Second", make_id("P", 1), shared))
    await models.replace(first)
    assert await models.find_followed(shared) == replace(second, portfolio_ids=(shared,))
    with pytest.raises(NotFoundError, match="model followed by portfolio"):
        await models.find_followed(make_id("P", 9))


async def test_a_remembered_model_is_that_of_the_last_change_and_the_last_rebalance(
    models: ModelStore, database: AsyncDatabase[Document]
) -> None:
    here, elsewhere = models, ModelStore(database)
    added = await here.add(replace(make_model(), portfolio_ids=("P" * 24, "Q" * 24)))
    assert (await here.find_followed("P" * 24)).version == 1

    await elsewhere.record_rebalance_date(str(added.model_id), NOON)
    assert (await here.find_followed("P" * 24)).last_rebalance_date == NOON
    assert (await here.find_followed("Q" * 24)).portfolio_ids == ("Q" * 24,)

    renamed = await elsewhere.replace(replace(added, name=f"{added.name} 2"))
    assert (await here.find_followed("P" * 24)).name == renamed.name

    await elsewhere.replace(replace(renamed, portfolio_ids=("Q" * 24,)))
    with pytest.raises(NotFoundError, match="model followed by portfolio"):
        await here.find_followed("P" * 24)


async def test_a_model_that_is_forgotten_for_another_one_is_read_again(
    models: ModelStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model_store, "MAX_REMEMBERED_MODELS", 1)
    ids = [make_id("P", number) for number in range(3)]
    for number, portfolio_id in enumerate(ids):
        model = replace(make_model(), name=f"limited {number}", portfolio_ids=(portfolio_id,))
        await models.add(model)

    names = [(await models.find_followed(portfolio_id)).name for portfolio_id in (*ids, *ids)]

    assert names == ["limited 0", "limited 1", "limited 2"] * 2


async def test_a_rebalance_moves_its_date_forwards_only_and_leaves_the_version(
    models: ModelStore,
) -> None:
    model_id = str((await models.add(make_model())).model_id)
    for at in (NOON, NOON + timedelta(days=1), NOON - timedelta(days=1)):
        await models.record_rebalance_date(model_id, at)
    stored = await models.read(model_id)
    assert (stored.last_rebalance_date, stored.version) == (NOON + timedelta(days=1), 1)


async def test_pages_are_stable_and_count_everything(models: ModelStore) -> None:
    added = [await models.add(make_model(name)) for name in ("B", "C", "A", "E", "D")]
    assert await models.read_page() == (tuple(added), 5)
    assert await models.read_page(1, 2) == (tuple(added[1:3]), 5)
    assert await models.read_page(9, 2) == ((), 5)
    assert await models.read_page(0, 0) == ((), 5)
    by_name, _ = await models.read_page(0, 3, (("name", -1),))
    assert [model.name for model in by_name] == ["E", "D", "C"]
    tied, _ = await models.read_page(sort=(("last_rebalance_date", 1), ("model_id", -1)))
    assert tied == tuple(reversed(added))


async def test_a_sort_field_that_does_not_exist_is_named(models: ModelStore) -> None:
    with pytest.raises(RuleError, match="targets"):
        await models.read_page(sort=(("targets", 1),))


def test_every_error_survives_pickling() -> None:
    for error in (
        NotFoundError("model", ABSENT),
        NameTakenError("Growth"),
        StaleVersionError("model", ABSENT, 1, 2),
    ):
        copied = pickle.loads(pickle.dumps(error))
        assert (type(copied), str(copied)) == (type(error), str(error))


async def test_a_model_is_read_with_one_page_of_its_portfolios(models: ModelStore) -> None:
    ids = tuple(f"{number:024}" for number in range(7))
    added = await models.add(replace(make_model(), portfolio_ids=ids))
    model_id = str(added.model_id)

    assert await models.read_followers(model_id, 0, 3) == (replace(added, portfolio_ids=ids[:3]), 7)
    assert await models.read_followers(model_id, 5, 3) == (replace(added, portfolio_ids=ids[5:]), 7)
    assert await models.read_followers(model_id, 7, 3) == (None, 7)
    with pytest.raises(NotFoundError):
        await models.read_followers(ABSENT, 0, 3)
