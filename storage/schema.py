"""Schema of the database: makes indexes and validators, and adopts what earlier releases made."""

from collections.abc import Mapping
from typing import Final

import stamina
from pymongo import IndexModel, timeout
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import CollectionInvalid, OperationFailure

from storage.indexes import INDEXES
from storage.mongo.connection import WRITER_TIMEOUT_S, Document, translate_failures
from storage.orders import submission_store
from storage.rebalances import outcomes, rebalance
from storage.runs import run_store
from storage.validators import SCHEMAS

NAMESPACE_NOT_FOUND: Final = 26
NAMESPACE_EXISTS: Final = 48
INDEX_BUILD_IN_PROGRESS: Final = 12587
INDEX_DIFFERS: Final = 86
FORMER_RUNS: Final = "book_runs"
FORMER_NAMES: Final[Mapping[str, str]] = {
    FORMER_RUNS: run_store.COLLECTION,
    "results": outcomes.COLLECTION,
    "hand_overs": submission_store.COLLECTION,
}
"""Collections by the names that they had before 0.1.0."""


@translate_failures
async def ensure_indexes(database: AsyncDatabase[Document]) -> None:
    """Create missing collections, validators and indexes; concurrent calls are safe."""
    with timeout(WRITER_TIMEOUT_S):
        await _ensure_all(database)


def _is_building_index(error: Exception) -> bool:
    return isinstance(error, OperationFailure) and error.code == INDEX_BUILD_IN_PROGRESS


# MongoDB refuses to change a collection while another starter is building its indexes.
@stamina.retry(on=_is_building_index, attempts=None, timeout=WRITER_TIMEOUT_S, wait_initial=0.1)
async def _ensure_all(database: AsyncDatabase[Document]) -> None:
    await _adopt_former_names(database)
    for name, indexes in INDEXES.items():
        await _ensure_validator(database, name, {"$jsonSchema": SCHEMAS[name]})
        for index in indexes:
            await _ensure_index(database, name, index)


async def _ensure_index(database: AsyncDatabase[Document], name: str, index: IndexModel) -> None:
    """Create an index, unless an older release made another index of that name."""
    try:
        await database[name].create_indexes([index])
    except OperationFailure as error:
        if error.code != INDEX_DIFFERS:
            raise


async def _adopt_former_names(database: AsyncDatabase[Document]) -> None:
    """Rename the collections and fields of an older database; concurrent calls are safe."""
    present = set(await database.list_collection_names())
    for former in FORMER_NAMES.keys() & present:
        if former == FORMER_RUNS:
            # The sparse index of the former field stays, because it is empty and costs nothing.
            await database[rebalance.COLLECTION].update_many(
                {"book_run_id": {"$exists": True}}, {"$rename": {"book_run_id": "run_id"}}
            )
        # The collection is renamed last, because its former name marks unfinished work.
        await _rename(database, former, FORMER_NAMES[former])


async def _rename(database: AsyncDatabase[Document], former: str, name: str) -> None:
    try:
        await database[former].rename(name)
    except OperationFailure as error:
        if error.code != NAMESPACE_NOT_FOUND:
            raise


async def _ensure_validator(
    database: AsyncDatabase[Document], name: str, validator: Document
) -> None:
    try:
        await database.create_collection(name, validator=validator)
    except CollectionInvalid:
        pass
    except OperationFailure as error:
        if error.code != NAMESPACE_EXISTS:
            raise
    else:
        return
    # The validator is replaced only on a difference, because collMod locks the collection.
    if (await database[name].options()).get("validator") != validator:
        await database.command("collMod", name, validator=validator)
