"""Embedded database killed under a running service: restarted with its data, or given up."""

import json
import os
import signal
import socket
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Thread

import pytest
from pymongo import MongoClient

from serve_app.launch.database_supervisor import SupervisedDatabase, keep_database
from serve_app.local import stand_ins
from serve_app.local.stand_ins import DatabaseKeeper
from serve_app.settings import read_settings
from storage.embedded import server as embedded
from storage.embedded.process import is_alive, is_answering
from storage.embedded.restarting_server import MAX_RESTARTS, RESTARTS_WITHIN_S
from storage.errors import ServerEndedError
from storage.mongo.connection import Document
from tests.launch.test_supervisor import eventually

pytestmark = pytest.mark.mongo


@pytest.fixture
def messages() -> list[str]:
    return []


@pytest.fixture
def database(tmp_path: Path, messages: list[str]) -> Iterator[SupervisedDatabase]:
    settings = read_settings({"data_directory": tmp_path / "data", "mongodb_uri": None})
    with keep_database(settings, messages.append) as supervised:
        assert supervised is not None
        yield supervised


def uri_of(database: SupervisedDatabase) -> str:
    assert database.settings.mongodb_uri is not None
    return database.settings.mongodb_uri.get_secret_value()


def read_pid(directory: Path) -> int | None:
    """Read the process of the server of this directory; None while no server takes writes."""
    try:
        return json.loads((directory / "server.json").read_text())["pid"]
    except FileNotFoundError:
        return None


def kill_server(directory: Path) -> int:
    pid = read_pid(directory)
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    return pid


def kill(database: SupervisedDatabase) -> None:
    pid = kill_server(database.settings.data_directory)
    assert eventually(lambda: not is_alive(pid))


def test_a_killed_server_is_started_again_at_its_address_with_its_data(
    database: SupervisedDatabase, messages: list[str]
) -> None:
    address = uri_of(database)
    with MongoClient[Document](address, w="majority") as client:
        client["any"]["rows"].insert_one({"_id": 1})
    database.watch()
    assert len(messages) == 1  # that it was started
    kill(database)
    database.watch()
    assert uri_of(database) == address
    assert messages[1].endswith(" ended unexpectedly")
    assert messages[2].startswith("database   started again, with its data (")
    with MongoClient[Document](address) as client:
        assert client["any"]["rows"].count_documents({}) == 1


def test_a_server_that_ends_again_and_again_is_given_up(database: SupervisedDatabase) -> None:
    for _ in range(MAX_RESTARTS):
        kill(database)
        database.watch()
    kill(database)
    with pytest.raises(ServerEndedError, match="3 times in a minute"):
        database.watch()


def test_a_server_whose_port_another_program_takes_is_given_up(
    database: SupervisedDatabase, tmp_path: Path
) -> None:
    port = int((tmp_path / "data" / "port").read_text())
    kill(database)
    with socket.create_server(("127.0.0.1", port)) as squatter:
        refusing = Thread(target=refuse, args=(squatter,))
        refusing.start()
        with pytest.raises(ServerEndedError, match="another program has its port"):
            database.watch()
        squatter.shutdown(socket.SHUT_RDWR)
        refusing.join()


def refuse(squatter: socket.socket) -> None:
    """Close every connection, like a program that does not know the protocol."""
    with suppress(OSError):
        while True:
            squatter.accept()[0].close()


def test_a_server_that_does_not_start_again_says_why(database: SupervisedDatabase) -> None:
    data = database.settings.data_directory / "data"
    kill(database)
    (data / "storage.bson").write_text("not a database")
    with pytest.raises(ServerEndedError, match=r"ended unexpectedly, for good: mongod .* did not"):
        database.watch()


@dataclass
class StoppedClock:
    now: float = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> StoppedClock:
    return StoppedClock()


@pytest.fixture
def keeper(
    tmp_path: Path, clock: StoppedClock, monkeypatch: pytest.MonkeyPatch
) -> Iterator[DatabaseKeeper]:
    """Supervisor of `serve run`, which retries for ever because nobody waits for a report."""
    monkeypatch.setattr(stand_ins, "DATABASE_WATCH_S", 0.05)
    monkeypatch.setattr(stand_ins, "DATABASE_PAUSE_S", 0.05)
    yield DatabaseKeeper(tmp_path / "data", None, clock)
    embedded.stop(tmp_path / "data")


def is_served(keeper: DatabaseKeeper) -> bool:
    return is_answering(keeper.uri())


def await_restart_after_kill(directory: Path) -> None:
    pid = kill_server(directory)
    assert eventually(lambda: read_pid(directory) not in {None, pid})


def test_a_keeper_waits_until_the_port_of_its_server_is_free_again(
    keeper: DatabaseKeeper, clock: StoppedClock, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    address, port = keeper.uri(), int((tmp_path / "data" / "port").read_text())
    for _ in range(MAX_RESTARTS):
        await_restart_after_kill(tmp_path / "data")
    kill_server(tmp_path / "data")
    assert eventually(lambda: "started 3 times in a minute" in caplog.text)
    with socket.create_server(("127.0.0.1", port)):
        clock.now += RESTARTS_WITHIN_S
        assert eventually(lambda: f"another program has its port {port}" in caplog.text)
    clock.now += RESTARTS_WITHIN_S
    assert eventually(lambda: is_served(keeper))
    assert keeper.uri() == address


def test_a_keeper_survives_a_failure_of_the_disk_and_leaves_no_server_that_nobody_can_use(
    keeper: DatabaseKeeper, clock: StoppedClock, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    address = keeper.uri()
    in_the_way = tmp_path / "data" / "server.json.new"
    in_the_way.mkdir()
    kill_server(tmp_path / "data")
    assert eventually(lambda: "Is a directory" in caplog.text)
    in_the_way.rmdir()
    clock.now += RESTARTS_WITHIN_S
    assert eventually(lambda: is_served(keeper))
    assert keeper.uri() == address
