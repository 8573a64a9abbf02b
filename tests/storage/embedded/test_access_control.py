"""Access to the embedded database and its files, and a disk without room."""

import json
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from pymongo import MongoClient
from pymongo.errors import OperationFailure, PyMongoError

from storage.embedded.engines import SECANTUS, find_engine
from storage.embedded.free_port import free_port
from storage.embedded.process import await_primary, end, spawn
from storage.embedded.server import Server, find_end_reason, start, stop
from storage.errors import NoRoomError, ServerDidNotStartError
from storage.models.model_store import ModelStore
from storage.mongo.connection import Document, connect, disconnect
from tests.support.samples import make_model

pytestmark = pytest.mark.mongo

AS_ROOT = [] if os.getuid() == 0 else ["sudo", "--non-interactive"]
COMMANDS = (
    {"listDatabases": 1},
    {"find": "models"},
    {"insert": "models", "documents": [{"_id": 1}]},
    {"createUser": "mallory", "pwd": "x", "roles": ["root"]},
    {"replSetGetConfig": 1},
    {"shutdown": 1},
)


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    data = tmp_path_factory.mktemp("access") / "data directory"
    yield data
    stop(data)


@pytest.fixture(scope="module")
def server(directory: Path) -> Server:
    return start(directory)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """An empty disk of 450 MB: enough for a new database, and soon full."""
    disk = tmp_path / "disk"
    disk.mkdir()
    options = f"size=450m,uid={os.getuid()},mode=700"
    subprocess.run([*AS_ROOT, "mount", "-t", "tmpfs", "-o", options, "tmpfs", disk], check=True)
    yield disk
    stop(disk / "data directory")
    subprocess.run([*AS_ROOT, "umount", disk], check=True)


def test_everything_of_the_embedded_database_is_for_its_owner_alone(
    server: Server, directory: Path
) -> None:
    stop(directory)
    start(directory)  # a second time, because the files of the first start matter, too

    paths = [directory, *directory.rglob("*")]
    assert {path.name for path in paths} >= {"secret", "server.json", "server.log", "lock", "data"}
    assert [str(path) for path in paths if path.stat().st_mode & 0o077] == []


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: next(iter(command)))
def test_a_caller_without_the_password_gets_nothing(
    server: Server, directory: Path, command: Document
) -> None:
    port = (directory / "port").read_text()
    stranger = f"mongodb://127.0.0.1:{port}/?directConnection=true"
    with MongoClient[Document](stranger) as client, pytest.raises(OperationFailure) as refused:
        client.admin.command(dict(command))
    assert refused.value.code == 13


def test_another_user_of_the_machine_cannot_read_the_password(
    server: Server, directory: Path
) -> None:
    directory.chmod(0o755)  # because an existing directory may have this mode
    for name in ("secret", "server.json", "server.log", "data"):
        look = ["setpriv", "--reuid=65534", "--clear-groups", "test", "-r", directory / name]
        assert subprocess.run([*AS_ROOT, *look], check=False).returncode == 1


def test_the_password_is_in_no_text_that_a_log_could_show(server: Server) -> None:
    assert server.uri not in repr(server)
    assert "mongodb" not in str(server)


def test_the_service_has_fewer_rights_than_the_server(server: Server) -> None:
    with MongoClient[Document](server.uri) as client:
        for command in (COMMANDS[3], COMMANDS[5]):
            with pytest.raises(OperationFailure):
                client.admin.command(dict(command))


def test_queries_run_no_javascript(server: Server) -> None:
    with MongoClient[Document](server.uri) as client, pytest.raises(OperationFailure):
        list(client["any"]["models"].find({"$where": "true"}))


async def test_data_from_before_there_was_a_password_opens(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    engine, log = find_engine(), tmp_path / "server.log"
    port = free_port()
    with (tmp_path / "lock").open("w") as lock:
        pid = spawn(engine.build_command(tmp_path / "data", port), log, lock.fileno(), owned=True)
        await_primary(engine, pid, port, None, log, time.monotonic() + 60)
    open_to_all = connect(f"mongodb://127.0.0.1:{port}/?directConnection=true", "before")
    added = await ModelStore(open_to_all).add(make_model())
    await disconnect(open_to_all)
    end(pid)

    database = connect(start(tmp_path).uri, "before")
    assert await ModelStore(database).read(str(added.model_id)) == added
    await disconnect(database)
    stop(tmp_path)


async def test_a_key_that_was_lost_is_made_anew_and_the_data_opens(
    server: Server, directory: Path
) -> None:
    before = (directory / "secret").read_text()
    stop(directory)
    (directory / "secret").unlink()
    again = start(directory)

    assert (directory / "secret").read_text() != before
    with MongoClient[Document](again.uri) as client:
        assert "admin" in client.list_database_names()


def test_a_server_whose_disk_is_full_says_so(small_disk: Path) -> None:
    directory = small_disk / "data directory"
    server = start(directory)
    assert find_end_reason(directory, server) is None
    with pytest.raises(PyMongoError):
        fill(server)
    while (reason := find_end_reason(directory, server)) is None:
        time.sleep(0.05)
    assert reason == "because its disk is full"

    with pytest.raises((NoRoomError, ServerDidNotStartError)) as refused:
        start(directory)
    assert "disk" in str(refused.value)
    assert "\n" not in str(refused.value)


def fill(server: Server) -> None:
    """Write 1 GB."""
    with MongoClient[Document](server.uri, timeoutMS=5_000, w="majority") as client:
        for _ in range(1_000):
            client["any"]["rows"].insert_many([{"x": os.urandom(10_000)} for _ in range(100)])


def test_a_start_without_room_says_how_much_it_needs(small_disk: Path) -> None:
    with (small_disk / "other").open("wb") as file:
        file.write(bytes(200_000_000))
    rule = r"has 2\d\d MB free, the embedded database needs 350 MB: make room there, or set DATA_"
    with pytest.raises(NoRoomError, match=rule):
        start(small_disk / "data directory")
    assert not (small_disk / "data directory" / "data").exists()


def test_the_second_engine_has_no_password_and_its_files_are_private(tmp_path: Path) -> None:
    (tmp_path / "engine").write_text(SECANTUS)
    server = start(tmp_path)
    noted = json.loads((tmp_path / "server.json").read_text())
    stop(tmp_path)
    assert "@" not in server.uri
    assert noted["uri"] == server.uri
    assert [path for path in tmp_path.rglob("*") if path.stat().st_mode & 0o077] == []
