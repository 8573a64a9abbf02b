"""The embedded database of a running service, killed: started again with its data, or given up with one line."""

import os
import signal
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from threading import Thread

import pytest
from pymongo import MongoClient

from serve_app.kept_database import MAX_RESTARTS, KeptDatabase, kept_database
from serve_app.settings import settings_from
from storage import embedded
from storage.database import Document
from storage.errors import ServerEndedError
from tests.launch.test_supervisor import eventually

pytestmark = pytest.mark.mongo


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def database(tmp_path: Path, said: list[str]) -> Iterator[KeptDatabase]:
    settings = settings_from({"data_directory": tmp_path / "data", "mongodb_uri": None})
    with kept_database(settings, said.append) as kept:
        assert kept is not None
        yield kept


def uri_of(database: KeptDatabase) -> str:
    assert database.settings.mongodb_uri is not None
    return database.settings.mongodb_uri.get_secret_value()


def kill(database: KeptDatabase) -> None:
    server, directory = database._server, database.settings.data_directory
    os.kill(server.pid, signal.SIGKILL)
    assert eventually(lambda: embedded.ended(directory, server) is not None)


def test_a_killed_server_is_started_again_at_its_address_with_its_data(
    database: KeptDatabase, said: list[str]
) -> None:
    address = uri_of(database)
    with MongoClient[Document](address, w="majority") as client:
        client["any"]["rows"].insert_one({"_id": 1})
    database.watch()
    assert len(said) == 1  # that it was started
    kill(database)
    database.watch()
    assert uri_of(database) == address
    assert said[1].endswith(" ended unexpectedly")
    assert said[2].startswith("database   started again, with its data (")
    with MongoClient[Document](address) as client:
        assert client["any"]["rows"].count_documents({}) == 1


def test_a_server_that_ends_again_and_again_is_given_up(database: KeptDatabase) -> None:
    for _ in range(MAX_RESTARTS):
        kill(database)
        database.watch()
    kill(database)
    with pytest.raises(ServerEndedError, match="3 times in a minute"):
        database.watch()


def test_a_server_whose_port_another_program_takes_is_given_up(
    database: KeptDatabase, tmp_path: Path
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
    """Close every connection, as another program may to one that speaks to it in another tongue."""
    with suppress(OSError):
        while True:
            squatter.accept()[0].close()


def test_a_server_that_does_not_start_again_says_why(database: KeptDatabase) -> None:
    data = database.settings.data_directory / "data"
    kill(database)
    (data / "storage.bson").write_text("not a database")
    with pytest.raises(ServerEndedError, match=r"ended unexpectedly, for good: mongod .* did not"):
        database.watch()
