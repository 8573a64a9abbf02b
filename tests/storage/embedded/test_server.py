import json
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from bson import ObjectId
from pymongo import MongoClient

from storage.embedded import process
from storage.embedded.access_control import build_internal_uri
from storage.embedded.engines import SECANTUS, find_engine
from storage.embedded.process import is_alive, is_answering
from storage.embedded.server import Server, start, stop
from storage.errors import (
    DataDirectoryLockedError,
    NoServerBinaryError,
    ServerDidNotStartError,
    StorageUnavailableError,
)
from storage.models.model_store import ModelStore
from storage.mongo.connection import (
    WRITER_TIMEOUT_S,
    Document,
    build_client_options,
    connect,
    disconnect,
    failure_translation,
    ping,
)
from storage.rebalances.outcomes import encode_outcome_batches
from storage.rebalances.rebalance import RebalanceStatus
from storage.rebalances.rebalance_store import RebalanceStore
from storage.schema import ensure_indexes
from tests.support.samples import (
    NOON,
    make_answers,
    make_id,
    make_model,
    make_outcome,
    make_outcomes,
    make_rebalance,
)

pytestmark = pytest.mark.mongo

STARTER = """
import sys, time
from pathlib import Path
from storage.embedded.server import start
server = start(Path(sys.argv[1]), owned=sys.argv[2] == "owned")
print(server.pid, server.uri, flush=True)
if sys.argv[2] == "owned":
    time.sleep(600)
"""


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[Path]:
    data = tmp_path / "data directory"
    yield data
    stop(data)


def starter(directory: Path, how: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", STARTER, str(directory), how]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def eventually(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 30
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)
    return condition()


async def test_data_survives_a_restart_and_the_port_is_kept(directory: Path) -> None:
    first = start(directory)
    database = connect(first.uri, "kept")
    added = await ModelStore(database).add(make_model())
    await disconnect(database)
    assert stop(directory)
    assert not is_alive(first.pid)
    second = start(directory)
    assert second.uri == first.uri
    database = connect(second.uri, "kept")
    assert await ModelStore(database).read(str(added.model_id)) == added
    await disconnect(database)


def test_a_second_start_attaches_and_an_exclusive_one_is_refused_in_one_line(
    directory: Path,
) -> None:
    server = start(directory)
    assert start(directory) == server
    with pytest.raises(DataDirectoryLockedError) as refused:
        start(directory, exclusive=True)
    assert str(directory) in str(refused.value)
    assert "\n" not in str(refused.value)


def test_stopping_what_does_not_run_says_so(directory: Path) -> None:
    assert not stop(directory)
    start(directory)
    assert stop(directory)
    assert not stop(directory)


def test_6_racing_starters_give_one_server(directory: Path) -> None:
    racers = [starter(directory, "detached") for _ in range(6)]
    answers_ = {racer.communicate(timeout=120)[0] for racer in racers}
    assert [racer.returncode for racer in racers] == [0] * 6
    assert len(answers_) == 1
    noted = json.loads((directory / "server.json").read_text())
    assert answers_ == {f"{noted['pid']} {noted['uri']}\n"}
    assert is_answering(noted["uri"])


def test_an_owned_server_ends_with_its_owner_even_if_that_was_killed(directory: Path) -> None:
    owner = starter(directory, "owned")
    assert owner.stdout is not None
    pid = int(owner.stdout.readline().split()[0])
    assert is_alive(pid)
    owner.kill()
    owner.communicate()
    assert eventually(lambda: not stop(directory) and not is_alive(pid))


def test_an_owned_server_is_refused_to_a_thread_that_may_end_before_the_process(
    directory: Path,
) -> None:
    caught: list[BaseException] = []

    def attempt() -> None:
        try:
            start(directory)
        except RuntimeError as error:
            caught.append(error)

    thread = threading.Thread(target=attempt)
    thread.start()
    thread.join()
    assert "main thread" in str(caught[0])


async def test_a_killed_server_keeps_every_acknowledged_write(directory: Path) -> None:
    server = start(directory)
    rebalance = make_rebalance(400_000)
    acknowledged: list[int] = []

    def write() -> None:
        settings = build_client_options(2_000, 20)
        client = MongoClient[Document](server.uri, **settings)
        with client, suppress(StorageUnavailableError), failure_translation():
            for first in range(0, rebalance.number_of_portfolios, 50):
                ordinals = range(first, first + 50)
                for batch in encode_outcome_batches(
                    rebalance.rebalance_id, ordinals, make_outcomes(rebalance, ordinals)
                ):
                    client["killed"]["outcomes"].insert_many(batch)
                acknowledged.extend(ordinals)

    writer = threading.Thread(target=write)
    writer.start()
    assert eventually(lambda: len(acknowledged) > 2_000)
    os.kill(server.pid, signal.SIGKILL)
    writer.join()
    database = connect(start(directory).uri, "killed")
    found = database["outcomes"].find({}, {"_id": 1})
    stored = {int(document["_id"].partition(":")[2]) async for document in found}
    assert stored >= set(acknowledged)
    await disconnect(database)


def freeze(pid: int) -> None:
    """Stop a process, and wait, because the signal returns before every thread has stopped."""
    os.kill(pid, signal.SIGSTOP)
    tasks = Path(f"/proc/{pid}/task")
    while any("State:\tT" not in (task / "status").read_text() for task in tasks.iterdir()):
        time.sleep(0.01)


async def test_a_frozen_server_is_reported_as_unavailable_without_its_address(
    directory: Path,
) -> None:
    server = start(directory)
    database = connect(server.uri, "frozen", timeout_ms=300)
    models = ModelStore(database)
    added = await models.add(make_model())
    freeze(server.pid)
    for attempt in (ping(database), models.read(str(added.model_id)), models.replace(added)):
        with pytest.raises(StorageUnavailableError, match="did not answer in time") as failure:
            await attempt
        assert "127.0.0.1" not in str(failure.value)
    os.kill(server.pid, signal.SIGCONT)
    await ping(database)
    await disconnect(database)


def test_an_absent_server_is_reported_as_unavailable(directory: Path) -> None:
    server = start(directory)
    stop(directory)
    # Without an event loop, because there the driver leaks a socket that is closed during connect.
    with (
        MongoClient[Document](server.uri, timeoutMS=300) as client,
        pytest.raises(StorageUnavailableError),
        failure_translation(),
    ):
        client.admin.command("ping")


async def test_a_server_moves_to_another_port_when_its_own_is_taken(directory: Path) -> None:
    first = start(directory)
    database = connect(first.uri, "moved")
    added = await ModelStore(database).add(make_model())
    await disconnect(database)
    stop(directory)
    with socket.socket() as squatter:
        squatter.bind(("127.0.0.1", int((directory / "port").read_text())))
        second = start(directory)
    assert second.uri != first.uri
    database = connect(second.uri, "moved")
    assert await ModelStore(database).read(str(added.model_id)) == added
    await disconnect(database)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("how", ["owned", "detached"])
def test_a_server_may_open_as_many_files_as_the_system_allows(directory: Path, how: str) -> None:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    shell = 'ulimit -Sn 256; exec "$@"'
    with subprocess.Popen(
        ["sh", "-c", shell, "sh", sys.executable, "-c", STARTER, str(directory), how],
        stdout=subprocess.PIPE,
        text=True,
    ) as begun:
        assert begun.stdout is not None
        pid = int(begun.stdout.readline().split()[0])
        assert f"Max open files {most} {most}" in " ".join(
            Path(f"/proc/{pid}/limits").read_text().split()
        )
        begun.kill()


async def test_a_collection_that_was_dropped_leaves_no_files_open(directory: Path) -> None:
    server = start(directory)
    files = directory / "data"
    database = connect(server.uri, "dropped", WRITER_TIMEOUT_S * 1_000)
    before = set(files.iterdir())
    await ensure_indexes(database)
    made = set(files.iterdir()) - before
    assert len(made) > 10
    await database.client.drop_database(database.name)
    # A checkpoint, because only a checkpoint removes the files of dropped collections.
    port = int((directory / "port").read_text())
    with MongoClient[Document](build_internal_uri(port, directory / "secret")) as client:
        assert eventually(
            lambda: bool(client.admin.command("fsync")) and not made & set(files.iterdir())
        )
    await disconnect(database)


def test_the_server_that_the_caller_names_is_the_only_one_tried(directory: Path) -> None:
    with pytest.raises(NoServerBinaryError, match="MONGOD=/bin/false"):
        start(directory, mongod="/bin/false")


def test_data_of_one_engine_is_not_opened_by_another() -> None:
    with pytest.raises(NoServerBinaryError, match="the data was written by another"):
        find_engine(kind="another")


def test_a_server_that_ends_at_once_points_to_its_log(directory: Path) -> None:
    start(directory)
    stop(directory)
    (directory / "data" / "storage.bson").write_text("not a database")
    with pytest.raises(ServerDidNotStartError, match=r"server\.log"):
        start(directory)


@pytest.fixture
def secantus(directory: Path) -> Server:
    directory.mkdir()
    (directory / "engine").write_text(SECANTUS)  # as after an earlier start with SecantusDB
    server = start(directory)
    assert server.engine.startswith(SECANTUS)
    return server


async def keep_columns(rebalances: RebalanceStore) -> None:
    """Store a part of a run in columns, twice in part, read it and delete it."""
    part = await rebalances.open(replace(make_rebalance(600), run_id=str(ObjectId())))
    in_columns = make_answers(
        part, range(600), {2: make_outcome(part, 2), 550: make_outcome(part, 550)}
    )
    for ordinals in (range(600), range(200, 600)):
        again = make_answers(part, ordinals, {550: make_outcome(part, 550)}, shift=ordinals.start)
        written = again if ordinals.start else in_columns
        await rebalances.record_block(part.rebalance_id, ordinals, written, range(0, 600, 512))
    assert await rebalances.list_outcomes(part) == tuple(in_columns.outcomes())
    assert await rebalances.read_outcome(part, make_id("P", 7)) == in_columns.outcome(7)
    ended = await rebalances.finish(part.rebalance_id, RebalanceStatus.COMPLETED, NOON)
    assert ended.counts == Counter(
        outcome.status for outcome in await rebalances.list_outcomes(part)
    )
    traded = int(in_columns.transactions.sum())
    assert await rebalances.count_transactions(part.rebalance_id) == traded
    page = await rebalances.read_page_of_portfolios([make_id("P", 2), make_id("P", 599)], 0, 1)
    assert page == (((ended, 2),), 2)
    await rebalances.delete(part.rebalance_id, 1)


async def test_secantusdb_keeps_models_and_runs_alike(secantus: Server, directory: Path) -> None:
    database = connect(secantus.uri, "alike", timeout_ms=20_000)
    await ensure_indexes(database)
    models, rebalances = ModelStore(database), RebalanceStore(database)
    added = await models.add(make_model())
    replaced = await models.replace(added)
    assert await models.read_page() == ((replaced,), 1)
    assert await models.find_followed(added.portfolio_ids[0]) == replaced
    rebalance = await rebalances.open(make_rebalance(12))
    for _ in range(2):
        await rebalances.record(rebalance.rebalance_id, range(12), make_outcomes(rebalance))
    assert await rebalances.list_outcomes(rebalance) == make_outcomes(rebalance)
    await keep_columns(rebalances)
    over = replace(make_rebalance(5), status=RebalanceStatus.COMPLETED)
    await rebalances.store(over, make_outcomes(over))
    assert await rebalances.count_transactions(over.rebalance_id) > 0
    assert await rebalances.list_outcomes(over) == make_outcomes(over)
    await rebalances.delete(over.rebalance_id, 1)
    finished = await rebalances.finish(rebalance.rebalance_id, RebalanceStatus.COMPLETED, NOON)
    page = await rebalances.read_page_of_portfolios(
        [make_outcomes(rebalance)[3].portfolio_id], 0, 10
    )
    assert page == (((finished, 1),), 1)
    await rebalances.delete(rebalance.rebalance_id, 1)
    await models.delete(str(added.model_id), 2)
    assert (await rebalances.read_page(), await models.read_page()) == (((), 0), ((), 0))
    await disconnect(database)
    assert stop(directory)
    assert not is_answering(secantus.uri)


def test_a_server_that_nobody_owns_is_no_child_of_its_starter(directory: Path) -> None:
    server = start(directory, owned=False)

    status = Path(f"/proc/{server.pid}/status").read_text()
    parent = int(status.split("PPid:")[1].split()[0])
    assert parent != os.getpid()
    assert stop(directory)


@pytest.mark.parametrize("detacher", ["import os; os._exit(1)", "import time; time.sleep(600)"])
def test_a_detached_start_that_fails_half_way_says_so_and_waits_for_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, detacher: str
) -> None:
    monkeypatch.setattr(process, "DETACH_WITHIN_S", 1.0)
    lock = os.open(tmp_path / "lock", os.O_RDWR | os.O_CREAT)
    with pytest.raises(ServerDidNotStartError, match="no process for it could be made"):
        process.spawn(
            ("mongod", "--fork"), tmp_path / "server.log", lock, owned=False, detacher=detacher
        )
    os.close(lock)
