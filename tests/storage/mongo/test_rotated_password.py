"""The password of the database rotated as docs/how-to/rotate-keys-and-secrets.md says."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient
from pymongo.errors import OperationFailure

from serve_app.local.stand_ins import prepare_database
from serve_app.settings import SettingsError, read_settings
from storage.embedded.access_control import build_internal_uri
from storage.embedded.server import start, stop
from storage.models.model_store import ModelStore
from storage.mongo.connection import Document, connect, disconnect, ping
from storage.rebalances.rebalance import COLLECTION
from storage.schema import FORMER_NAMES, SCHEMAS, ensure_indexes
from tests.support.samples import make_model

pytestmark = pytest.mark.mongo

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs/how-to/rotate-keys-and-secrets.md").read_text()
NAME = "order-generation"
UNAUTHORIZED = 13


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    data = tmp_path_factory.mktemp("rotated")
    start(data)
    yield data
    stop(data)


@pytest.fixture
def administrator(directory: Path) -> Iterator[MongoClient[Document]]:
    port = int((directory / "port").read_text())
    with MongoClient[Document](build_internal_uri(port, directory / "secret")) as client:
        yield client


@pytest.fixture
def add_user(
    administrator: MongoClient[Document], directory: Path
) -> Iterator[Callable[[str], str]]:
    """Return a function that makes a user as the page does, and returns the URI of the page."""
    port, made = (directory / "port").read_text(), list[str]()

    def add(name: str) -> str:
        roles = user_of_the_page()["roles"]
        administrator.admin.command("createUser", name, pwd="once-and-new", roles=roles)
        made.append(name)
        return f"mongodb://{name}:once-and-new@127.0.0.1:{port}/?directConnection=true"

    yield add
    administrator.drop_database(NAME)
    for user in administrator.admin.command("usersInfo")["users"]:
        if user["user"] in made:
            administrator.admin.command("dropUser", user["user"])


def user_of_the_page() -> dict[str, Any]:
    """Read the user from the page, which writes it for MongoDB's shell."""
    (text,) = re.findall(r"db\.createUser\((\{.+?\})\)\n", PAGE, re.DOTALL)
    return json.loads(re.sub(r"(\w+):", r'"\1":', text.replace("passwordPrompt()", '"asked"')))


async def test_the_user_of_the_page_may_do_what_a_start_and_requests_do(
    add_user: Callable[[str], str],
) -> None:
    database = connect(add_user("orders-2026-12"), NAME)
    former, name = next(iter(FORMER_NAMES.items()))  # of a database of an earlier version
    await database[former].insert_one({"_id": 1})

    await ensure_indexes(database)
    await database.command("collMod", COLLECTION, validator={})  # as that version had none
    await ensure_indexes(database)
    added = await ModelStore(database).add(make_model())

    assert await ModelStore(database).read(str(added.model_id)) == added
    assert await database[name].count_documents({}) == 1
    options = await database[COLLECTION].options()
    assert options["validator"] == {"$jsonSchema": SCHEMAS[COLLECTION]}
    await disconnect(database)


async def test_a_start_with_a_user_who_may_not_make_collections_ends_with_one_line(
    add_user: Callable[[str], str], administrator: MongoClient[Document]
) -> None:
    uri = add_user("orders-2026-12")
    administrator.admin.command(
        "updateUser", "orders-2026-12", roles=[{"role": "read", "db": NAME}]
    )

    with pytest.raises(SettingsError, match=f"needs the roles readWrite and dbAdmin of {NAME}"):
        await prepare_database(read_settings({"mongodb_uri": uri}))


async def test_both_users_work_until_the_former_is_dropped(
    add_user: Callable[[str], str], administrator: MongoClient[Document]
) -> None:
    former, new = (connect(add_user(f"orders-2026-{month}"), NAME) for month in (11, 12))
    await ensure_indexes(former)
    added = await ModelStore(former).add(make_model())
    assert await ModelStore(new).read(str(added.model_id)) == added

    operations = administrator.admin.aggregate(
        [{"$currentOp": {"allUsers": True, "idleConnections": True}}]
    )
    users = {
        user["user"] for operation in operations for user in operation.get("effectiveUsers", ())
    }
    assert users >= {"orders-2026-11", "orders-2026-12"}
    administrator.admin.command("dropUser", "orders-2026-11")
    for call in (ModelStore(former).read(str(added.model_id)), ping(former)):
        with pytest.raises(OperationFailure) as refused:
            await call
        assert refused.value.code == UNAUTHORIZED
    await ping(new)
    assert await ModelStore(new).read(str(added.model_id)) == added
    await disconnect(former)
    await disconnect(new)
