import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest
from bson import ObjectId
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import WriteError

from storage.indexes import INDEXES
from storage.models.model_store import ModelStore
from storage.mongo.connection import Document, connect, disconnect
from storage.rebalances.rebalance_store import RebalanceStore
from storage.schema import ensure_indexes
from tests.support.samples import NOON, make_answers, make_model, make_outcomes, make_rebalance

pytestmark = pytest.mark.mongo


@pytest.fixture
async def starters(mongodb_uri: str) -> AsyncIterator[list[AsyncDatabase[Document]]]:
    name = f"test-{uuid4().hex}"
    databases = [connect(mongodb_uri, name, 20_000) for _ in range(8)]
    yield databases
    await databases[0].client.drop_database(name)
    for database in databases:
        await disconnect(database)


async def test_8_starters_at_once_create_every_index_and_validator(
    starters: list[AsyncDatabase[Document]],
) -> None:
    for _ in range(2):
        await asyncio.gather(*(ensure_indexes(database) for database in starters))
    for name, indexes in INDEXES.items():
        stored = [index["name"] async for index in await starters[0][name].list_indexes()]
        assert sorted(stored) == sorted(["_id_", *(index.document["name"] for index in indexes)])
        assert "$jsonSchema" in (await starters[0][name].options())["validator"]


async def test_a_validator_of_an_older_release_is_replaced(
    starters: list[AsyncDatabase[Document]],
) -> None:
    database = starters[0]
    await database.create_collection("models", validator={"title": {"$exists": True}})
    await asyncio.gather(*(ensure_indexes(database) for database in starters))
    await ModelStore(database).add(make_model())


async def test_collections_and_fields_of_before_get_their_names_and_keep_their_documents(
    starters: list[AsyncDatabase[Document]],
) -> None:
    database, a_run_id = starters[0], ObjectId()
    await database["book_runs"].insert_one({"_id": a_run_id})
    await database["results"].insert_one({"_id": "one"})
    await database["hand_overs"].insert_one({"_id": "two"})
    await database["rebalances"].create_index([("book_run_id", 1)], name="parts", sparse=True)
    await database["rebalances"].insert_many([{"_id": 1, "book_run_id": a_run_id}, {"_id": 2}])

    await asyncio.gather(*(ensure_indexes(database) for database in starters))

    assert not {"book_runs", "results", "hand_overs"} & {*await database.list_collection_names()}
    assert await database["runs"].find().to_list() == [{"_id": a_run_id}]
    assert await database["outcomes"].find().to_list() == [{"_id": "one"}]
    assert await database["order_submissions"].find().to_list() == [{"_id": "two"}]
    found = await database["rebalances"].find().sort("_id").to_list()
    assert found == [{"_id": 1, "run_id": a_run_id}, {"_id": 2}]


@pytest.mark.parametrize(
    ("collection", "field", "wrong"),
    [
        ("models", "version", "1"),
        ("models", "portfolios", []),
        ("models", "positions", [{"security_id": "S"}]),
        ("rebalances", "started_at", "today"),
        ("outcomes", "before", 0.5),
        ("outcomes", "market_value", 1.5),
        ("outcome_chunks", "before.data", [1, 2]),
        ("outcome_chunks", "cash_after.decimals", "2"),
        ("outcome_chunks", "others.prices", [1.5]),
        ("outcome_chunks", "before.exceptions", {"places": b""}),
    ],
)
async def test_a_broken_writer_is_stopped(
    database: AsyncDatabase[Document], collection: str, field: str, wrong: Any
) -> None:
    await ModelStore(database).add(make_model())
    rebalance = await RebalanceStore(database).open(make_rebalance(1))
    await RebalanceStore(database).record(
        rebalance.rebalance_id, range(1), make_outcomes(rebalance)
    )
    in_columns = make_answers(rebalance, range(1, 2))
    await RebalanceStore(database).record_block(rebalance.rebalance_id, range(1, 2), in_columns)
    with pytest.raises(WriteError, match="validation"):
        await database[collection].update_one({}, {"$set": {field: wrong}})


@pytest.mark.parametrize(
    ("collection", "query", "sort", "index"),
    [
        ("models", {"portfolios": "P"}, [("created_at", -1), ("_id", -1)], "newest_followed"),
        ("models", {}, [("last_rebalance_date", -1), ("_id", -1)], "last_rebalance_date"),
        ("rebalances", {}, [("started_at", -1), ("_id", -1)], "newest"),
        ("rebalances", {}, [("model_name", 1), ("_id", 1)], "model_name"),
        ("rebalances", {}, [("number_of_portfolios", -1), ("_id", -1)], "number_of_portfolios"),
        ("outcomes", {"portfolio_id": "P"}, [("_id", -1)], "portfolio"),
        ("outcome_chunks", {"ids": "P"}, [("rebalance_id", 1)], "portfolio"),
        ("outcome_chunks", {"rebalance_id": "R"}, [], "counts"),
        (
            "orders",
            {"rebalance_id": "R", "state": "PENDING"},
            [("attempts", 1), ("_id", 1)],
            "next_in_state",
        ),
        ("orders", {"rebalance_id": "R"}, [("_id", 1)], "rebalance"),
        ("orders", {"portfolio_id": "P", "open": True}, [("_id", 1)], "open_of_portfolio"),
        (
            "orders",
            {"portfolio_id": "P", "rebalanced_at": {"$gte": NOON}},
            [("rebalanced_at", 1)],
            "later_of_portfolio",
        ),
        ("chunks", {"run_id": "R", "number": {"$gt": 5}}, [("number", 1)], "events"),
    ],
)
async def test_each_index_serves_its_query_without_a_sort(
    database: AsyncDatabase[Document],
    collection: str,
    query: Document,
    sort: list[tuple[str, int]],
    index: str,
) -> None:
    find = {"find": collection, "filter": query, "sort": dict(sort)}
    plan = await database.command("explain", find)
    winning = str(plan["queryPlanner"]["winningPlan"])
    assert f"'indexName': '{index}'" in winning
    assert "'stage': 'SORT'" not in winning


@pytest.mark.parametrize(
    ("query", "group"),
    [
        ({"ids": {"$in": ["P", "Q"]}}, {"_id": "$rebalance_id"}),
        ({"rebalance_id": "R"}, {"_id": None, "count": {"$sum": "$counts.IN_BAND"}}),
        ({"rebalance_id": "R"}, {"_id": None, "count": {"$sum": "$transactions"}}),
    ],
)
async def test_what_is_summed_over_columns_is_read_from_an_index_alone(
    database: AsyncDatabase[Document], query: Document, group: Document
) -> None:
    pipeline = [{"$match": query}, {"$group": group}]
    plan = await database.command(
        "explain", {"aggregate": "outcome_chunks", "pipeline": pipeline, "cursor": {}}
    )
    assert "IXSCAN" in str(plan)
    assert "FETCH" not in str(plan)
