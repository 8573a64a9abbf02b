"""Start of a service on a database whose models its rules would refuse."""

from typing import Any

import pytest
from pymongo.asynchronous.database import AsyncDatabase

from optimization import GENERAL, Model
from serve_app.local import stand_ins
from serve_app.settings import UPSTREAM_URLS, Settings, SettingsError, read_settings
from storage.models.model_store import ModelStore
from storage.mongo.connection import Document

pytestmark = pytest.mark.mongo


def settings_for(mongodb_uri: str, database: AsyncDatabase[Document], rules: str) -> Settings:
    urls = dict.fromkeys(UPSTREAM_URLS.values(), "http://localhost:1")
    return read_settings(
        {
            "mongodb_uri": mongodb_uri,
            "database_name": database.name,
            "model_rules": rules,
            **urls,
        }
    )


@pytest.fixture
async def tickers(database: AsyncDatabase[Document]) -> Model:
    model = Model({"VTI": "1/3"}, band=0.05, name="Tickers", portfolio_ids=["IRA"])
    return await ModelStore(database, GENERAL).add(model)


@pytest.mark.usefixtures("tickers")
async def test_a_start_under_the_rules_of_globeco_names_a_model_beyond_them(
    mongodb_uri: str, database: AsyncDatabase[Document]
) -> None:
    settings = settings_for(mongodb_uri, database, "globeco")

    with pytest.raises(SettingsError) as refusal:
        await stand_ins.prepare_database(settings)

    assert str(refusal.value) == (
        f"MODEL_RULES is globeco: has to be general: the database {database.name} has models"
        " beyond the rules of GlobeCo, such as 'Tickers'; change or delete them first"
    )


@pytest.mark.usefixtures("tickers")
async def test_a_start_under_the_general_rules_reads_every_model(
    mongodb_uri: str, database: AsyncDatabase[Document]
) -> None:
    await stand_ins.prepare_database(settings_for(mongodb_uri, database, "general"))


def test_rules_have_a_name() -> None:
    unknown: dict[str, Any] = {"model_rules": "strict"}

    with pytest.raises(SettingsError, match=r"MODEL_RULES is 'strict': globeco \(the contract"):
        read_settings(unknown)
