"""Drill: break something during a run, and compare the client's view with the database."""

import asyncio
import json
import os
import signal
from collections import Counter
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
from bson import ObjectId
from pymongo import MongoClient

from serve_app.launch.ray_environment import ray_directory
from tests.end_to_end.book import Book
from tests.end_to_end.calls import Json, add_model, make_model
from tests.support.run_streams import OVER, parse_events
from tests.support.stored_outcomes import read_stored_statuses

WITHIN_S = 90.0
BALANCES = "/api/v1/portfolios/"
SLOW_S = 0.15
BROKEN = (httpx.TransportError,)
CHUNK_TASK = "ray::chunk_task"
INGRESS = "ray::ServeReplica:order-generation:Ingress"
COORDINATOR = "ray::ServeReplica:order-generation:Optimizer"


@dataclass
class EventLog:
    """Events of a run, read by a client that reconnects whenever it loses its connection."""

    events: list[tuple[str, str | None, Any]] = field(default_factory=list)

    @property
    def chunks(self) -> list[Json]:
        return [data for kind, _, data in self.events if kind == "chunk"]

    @property
    def end(self) -> Json:
        kind, _, data = self.events[-1]
        assert kind == "end"
        return data


@dataclass
class DisturbedRun:
    """A run during which a drill breaks something."""

    run_id: str
    model_id: str
    end: Json = field(default_factory=dict[str, Any])
    """State of the run at its end."""


@dataclass
class Drill:
    """The service under test, and its database."""

    http: httpx.AsyncClient
    book: Book
    uri: str
    database: str

    async def add_model(self, portfolio_ids: Sequence[str]) -> str:
        return (await add_model(self.http, make_model(self.book, portfolio_ids)))["model_id"]

    async def begin_run(self, model_id: str, **more: Json) -> str:
        """Begin a run; repeat the request under the same key until a replica accepts it."""
        headers = {"idempotency-key": uuid4().hex}
        async with asyncio.timeout(WITHIN_S):
            while True:
                with suppress(*BROKEN):
                    body = {"models": [model_id], **more}
                    answer = await self.http.post("/api/v1/runs", json=body, headers=headers)
                    if answer.status_code == 202:
                        return answer.json()["run_id"]
                    assert answer.status_code in {409, 503}, answer.text
                await asyncio.sleep(0.2)

    @asynccontextmanager
    async def disturb_run(self, ids: Sequence[str]) -> AsyncGenerator[DisturbedRun]:
        """Begin a run and wait until some chunks are done; after the block, follow and check it."""
        model_id = await self.add_model(ids)
        run_id = await self.begin_run(model_id)
        following = asyncio.create_task(self.follow_events(run_id))
        try:
            with self.book.delay(BALANCES, SLOW_S):
                await self.wait_until_under_way(run_id)
                run = DisturbedRun(run_id, model_id)
                yield run
                run.end = await self.check_run(run_id, ids, await following)
        finally:
            following.cancel()

    async def read_run(self, run_id: str) -> Json | None:
        """Read the run; None while the service is unavailable."""
        with suppress(*BROKEN):
            answer = await self.http.get(f"/api/v1/runs/{run_id}")
            if answer.status_code == 200:
                return answer.json()
            assert answer.status_code in {500, 502, 503}, answer.text
        return None

    async def wait_until_under_way(self, run_id: str) -> None:
        """Wait until some chunks are done."""
        async with asyncio.timeout(WITHIN_S):
            run = await self.read_run(run_id)
            while run is None or run["chunks"]["done"] == 0:
                await asyncio.sleep(0.05)
                run = await self.read_run(run_id)
        assert run["status"] == "RUNNING", run

    async def wait_until_over(self, run_id: str) -> Json:
        async with asyncio.timeout(WITHIN_S):
            run = await self.read_run(run_id)
            while not (run and run["status"] in OVER):
                await asyncio.sleep(0.2)
                run = await self.read_run(run_id)
        return run

    async def follow_events(self, run_id: str) -> EventLog:
        """Read all events to the end, each once."""
        log = EventLog()
        async with asyncio.timeout(WITHIN_S):
            while not log.events or log.events[-1][0] != "end":
                numbers = [number for _, number, _ in log.events if number]
                headers = {"last-event-id": numbers[-1]} if numbers else {}
                with suppress(*BROKEN):
                    await self._read(run_id, headers, log)
                await asyncio.sleep(0.2)
        return log

    async def _read(self, run_id: str, headers: dict[str, str], log: EventLog) -> None:
        path = f"/api/v1/runs/{run_id}/events"
        async with self.http.stream("GET", path, headers=headers) as answer:
            block = ""
            async for line in answer.aiter_lines():
                block += line + "\n"
                if not line:
                    log.events += parse_events(block) if answer.status_code == 200 else []
                    block = ""

    async def check_run(self, run_id: str, ids: Sequence[str], log: EventLog) -> Json:
        """Check that portfolios have one outcome each, and that all views agree."""
        run = await self.wait_until_over(run_id)
        stored = await asyncio.to_thread(self.read_statuses, run_id)
        counts = Counter(status for _, status in stored)
        assert [portfolio_id for portfolio_id, _ in stored] == list(dict(stored)), "twice"
        assert run["counts"] == counts
        assert run["portfolios"]["done"] == len(stored)
        if run["status"] == "COMPLETED":
            assert sorted(dict(stored)) == sorted(ids)
            assert run["portfolios"]["total"] == sum(counts.values()) == len(ids)
            assert run["chunks"]["done"] == run["chunks"]["total"]
        numbers = [chunk["number"] for chunk in log.chunks]
        assert numbers == sorted(set(numbers))
        assert len(numbers) == run["chunks"]["done"]
        places = {(chunk["rebalance_id"], chunk["first"]) for chunk in log.chunks}
        assert len(places) == len(numbers)
        assert log.end == run
        await self._check_outcomes(run_id, dict(stored))
        return run

    async def _check_outcomes(self, run_id: str, stored: dict[str, str]) -> None:
        answer = await self.http.get(f"/api/v1/runs/{run_id}/outcomes")
        lines = [json.loads(line) for line in answer.text.splitlines()]
        assert {line["portfolio_id"]: line["status"] for line in lines} == stored
        assert len(lines) == len(stored)
        for line in lines:
            assert (line["status"] == "FAILED") == bool(line["error"] and not line["positions"])

    def read_statuses(self, run_id: str) -> list[tuple[str, str]]:
        """Read portfolio and status of every outcome of a run from the database."""
        with MongoClient[Json](self.uri) as client:
            database = client[self.database]
            statuses: list[tuple[str, str]] = []
            for part in database["rebalances"].find({"run_id": ObjectId(run_id)}):
                rows = read_stored_statuses(database, str(part["_id"]))
                assert part["status"] != "RUNNING"
                assert part["counts"] == Counter(status for _, status in rows)
                statuses += rows
            return statuses


def find_log_lines(text: str) -> list[Json]:
    """Find the lines with this text in the logs of the replicas."""
    logs = ray_directory().glob("session_2*/logs/serve/replica_*.log")
    lines = (line for log in logs for line in log.read_text().splitlines() if text in line)
    return [json.loads(line) for line in lines]


def kill_processes(title: str) -> int:
    """Kill the processes with this title; return their number."""
    pids = list_processes(title)
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return len(pids)


def list_processes(title: str) -> list[int]:
    """List the processes of our own cluster, our descendants, by Ray's title for them."""
    parents, pids = {}, []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                # Bytes, because the kernel cuts the name of a process in the middle of a character.
                state = (entry / "stat").read_bytes().rpartition(b")")[2].split()
                parents[int(entry.name)] = int(state[1])
                if (entry / "cmdline").read_bytes().startswith(title.encode()):
                    pids.append(int(entry.name))
    return [pid for pid in pids if _descends(pid, os.getpid(), parents)]


def _descends(pid: int, ancestor: int, parents: dict[int, int]) -> bool:
    while pid and pid != ancestor:
        pid = parents.get(pid, 0)
    return pid == ancestor
