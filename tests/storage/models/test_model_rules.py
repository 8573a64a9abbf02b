"""Models of both rules in one database, and the mark of those that GlobeCo's would refuse."""

from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

import pytest
from pymongo.asynchronous.database import AsyncDatabase

from optimization import GENERAL, GLOBECO, Model, relative_band
from optimization.domain.drift_band import DriftBand
from optimization.domain.model import Target
from optimization.domain.numbers import WrittenFraction
from optimization.errors import RuleError
from storage.models.model_store import ModelStore
from storage.mongo.connection import Document
from tests.support.samples import make_model

pytestmark = pytest.mark.mongo

THIRD = WrittenFraction.parse("333333333333/999999999999")
LONG = Decimal("0.123456789012")


@pytest.fixture
def general(database: AsyncDatabase[Document]) -> ModelStore:
    return ModelStore(database, GENERAL)


@pytest.fixture
def globeco(database: AsyncDatabase[Document]) -> ModelStore:
    return ModelStore(database, GLOBECO)


def thirds(**fields: object) -> Model:
    targets = (
        Target("BRK.B", THIRD, relative_band(THIRD, LONG, LONG)),
        Target("$UST", "2/6", DriftBand("0.10", "0.010")),
        Target("VTI", LONG, relative_band(LONG, "1.0")),
    )
    thirds = Model("Thirds", targets, ("A/B", "=1"))
    return replace(thirds, **fields)  # pyright: ignore[reportArgumentType]


async def test_fractions_and_bands_are_stored_exactly_and_as_they_were_written(
    general: ModelStore,
) -> None:
    added = await general.add(thirds())

    read = await general.read(str(added.model_id))

    assert read == added
    assert [str(target.weight) for target in read.targets] == [str(THIRD), "2/6", str(LONG)]
    assert read.targets[0].band.low == THIRD * Fraction(LONG)
    assert str(read.targets[1].band.high) == "0.010"


async def test_the_rules_of_globeco_refuse_the_first_such_model_by_name(
    general: ModelStore, globeco: ModelStore
) -> None:
    await general.add(make_model())
    assert await globeco.find_forbidden() is None

    added = await general.add(thirds())

    assert await globeco.find_forbidden() == "Thirds"
    assert await general.find_forbidden() is None
    await general.delete(str(added.model_id), 1)
    assert await globeco.find_forbidden() is None


async def test_a_model_that_is_changed_to_keep_the_rules_is_permitted(
    general: ModelStore, globeco: ModelStore
) -> None:
    added = await general.add(thirds())
    plain = make_model()
    kept = replace(added, targets=plain.targets, portfolio_ids=plain.portfolio_ids)

    await general.replace(kept)

    assert await globeco.find_forbidden() is None
    assert await globeco.read(str(added.model_id)) == replace(kept, version=2)


async def test_a_relative_band_alone_is_beyond_the_rules_of_globeco(globeco: ModelStore) -> None:
    target = Target("A" * 24, "0.5", relative_band("0.5", "0.1"))

    with pytest.raises(RuleError, match="a band is a low and a high drift"):
        await globeco.add(replace(make_model(), targets=(target,)))
