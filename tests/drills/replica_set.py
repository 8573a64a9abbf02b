"""Replica set of three servers, each a process of its own."""

import time
from collections.abc import Generator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pymongo import MongoClient
from pymongo.errors import PyMongoError

from storage.embedded.engines import REPLICA_SET, find_engine
from storage.embedded.free_port import free_port
from storage.embedded.process import end, spawn

WITHIN_S = 60.0
ELECTION_AFTER_MS = 2_000


@dataclass(frozen=True)
class ReplicaSet:
    """Processes of the members, by port."""

    members: dict[int, int]

    @property
    def uri(self) -> str:
        hosts = ",".join(f"127.0.0.1:{port}" for port in self.members)
        return f"mongodb://{hosts}/?replicaSet={REPLICA_SET}"

    def primary(self) -> int:
        """Wait for the election, and return the process that takes writes."""
        until = time.monotonic() + WITHIN_S
        while time.monotonic() < until:
            for port, pid in self.members.items():
                with suppress(PyMongoError), _connect_directly(port) as client:
                    if client.admin.command("hello")["isWritablePrimary"]:
                        return pid
            time.sleep(0.1)
        raise TimeoutError("no primary was elected")


@contextmanager
def run_replica_set(directory: Path) -> Generator[ReplicaSet]:
    """Run three servers that elect a primary during the block."""
    engine = find_engine()
    with ExitStack() as stack:
        members: dict[int, int] = {}
        for number in range(3):
            data, port = directory / str(number), free_port()
            data.mkdir()
            lock = stack.enter_context((directory / f"{number}.lock").open("w"))
            log = directory / f"{number}.log"
            members[port] = spawn(engine.build_command(data, port), log, lock.fileno(), owned=True)
            stack.callback(end, members[port])
        whole = ReplicaSet(members)
        _initiate(whole)
        whole.primary()
        yield whole


def _initiate(whole: ReplicaSet) -> None:
    first = next(iter(whole.members))
    configuration = {
        "_id": REPLICA_SET,
        "members": [
            {"_id": number, "host": f"127.0.0.1:{port}"}
            for number, port in enumerate(whole.members)
        ],
        "settings": {"electionTimeoutMillis": ELECTION_AFTER_MS},
    }
    until = time.monotonic() + WITHIN_S
    while True:
        try:
            with _connect_directly(first) as client:
                client.admin.command("replSetInitiate", configuration)
                return
        except PyMongoError:  # one of them does not listen yet
            if time.monotonic() > until:
                raise
            time.sleep(0.1)


def _connect_directly(port: int) -> MongoClient[dict[str, Any]]:
    return MongoClient(f"mongodb://127.0.0.1:{port}/?directConnection=true", timeoutMS=2_000)
