"""Servers that the nodes call: three of MongoDB, Redis, the simulated market, each on its host."""

import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Generator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import uvicorn
from pymongo import MongoClient
from pymongo.errors import PyMongoError

from storage.embedded.engines import REPLICA_SET, find_engine
from tests.cluster_drills.network import PREFIX, address, inside
from tests.end_to_end.book import Book

MEMBERS: Final = ("db1", "db2", "db3")
WITHIN_S: Final = 90.0
MARKET_PORT: Final = 8000
REDIS_PORT: Final = 6379
REDIS_PASSWORD: Final = "drill"


@contextmanager
def run_on(host: str, command: list[str], log: Path) -> Generator["subprocess.Popen[bytes]"]:
    """Run a program on a host until the end of the block."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            ["ip", "netns", "exec", PREFIX + host, *command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@dataclass(frozen=True)
class ReplicaSet:
    """Processes of the members, by their hosts."""

    members: dict[str, "subprocess.Popen[bytes]"]

    @property
    def uri(self) -> str:
        hosts = ",".join(address(host) for host in self.members)
        return f"mongodb://{hosts}/?replicaSet={REPLICA_SET}"

    def primary(self) -> str:
        """Wait for the election, and return the host that takes writes."""
        until = time.monotonic() + WITHIN_S
        while time.monotonic() < until:
            for host, process in self.members.items():
                if process.poll() is None and _is_primary(host):
                    return host
            time.sleep(0.2)
        raise TimeoutError("no primary was elected")

    def kill(self, host: str) -> None:
        os.killpg(self.members[host].pid, signal.SIGKILL)
        self.members[host].wait()


def _is_primary(host: str) -> bool:
    with suppress(PyMongoError), _connect(host) as client:
        return bool(client.admin.command("hello")["isWritablePrimary"])
    return False


def _connect(host: str) -> MongoClient[dict[str, Any]]:
    return MongoClient(f"mongodb://{address(host)}/?directConnection=true", timeoutMS=2_000)


@contextmanager
def run_replica_set(directory: Path) -> Generator[ReplicaSet]:
    """Run a replica set of three hosts until the end of the block."""
    with ExitStack() as stack:
        members: dict[str, subprocess.Popen[bytes]] = {}
        for host in MEMBERS:
            data = directory / host
            data.mkdir()
            options = ["--dbpath", str(data), "--bind_ip", address(host), "--replSet", REPLICA_SET]
            options += ["--wiredTigerCacheSizeGB", "0.5", "--noscripting"]
            command = [*find_engine().program, *options]
            members[host] = stack.enter_context(run_on(host, command, directory / f"{host}.log"))
        whole = ReplicaSet(members)
        _initiate()
        whole.primary()
        yield whole


def _initiate() -> None:
    numbered = [{"_id": number, "host": address(host)} for number, host in enumerate(MEMBERS)]
    configuration = {"_id": REPLICA_SET, "members": numbered}
    until = time.monotonic() + WITHIN_S
    while True:
        try:
            with _connect(MEMBERS[0]) as client:
                client.admin.command("replSetInitiate", configuration)
                return
        except PyMongoError:  # one of them does not listen yet
            if time.monotonic() > until:
                raise
            time.sleep(0.2)


@contextmanager
def run_redis(directory: Path) -> Generator[None]:
    """Run Redis for the state of the head until the end of the block."""
    command = ["redis-server", "--bind", address("redis"), "--port", str(REDIS_PORT)]
    command += ["--requirepass", REDIS_PASSWORD, "--save", "", "--dir", str(directory)]
    with run_on("redis", command, directory / "redis.log"):
        until = time.monotonic() + WITHIN_S
        while True:
            with suppress(OSError), socket.create_connection((address("redis"), REDIS_PORT), 1):
                break
            if time.monotonic() > until:
                raise TimeoutError((directory / "redis.log").read_text())
            time.sleep(0.1)
        yield


@contextmanager
def run_market(book: Book) -> Generator[str]:
    """Serve the five upstreams on their host from a thread of their own; yield the URL."""
    config = uvicorn.Config(
        book, log_level="critical", access_log=False, lifespan="off", timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(config)
    with inside("market"):  # a socket stays on the host on which it was made
        listener = socket.create_server((address("market"), MARKET_PORT), backlog=512)
    with listener:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="market")
        thread.start()
        try:
            yield f"http://{address('market')}:{MARKET_PORT}"
        finally:
            server.should_exit = True
            thread.join()
