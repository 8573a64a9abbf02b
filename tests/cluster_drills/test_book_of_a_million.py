"""Run over a book of a million portfolios on three nodes: its rate, and where the time goes.

    make cluster-drills ARGS="-k million"

Holdings come from a file of Parquet that every node has at the same path.
"""

import asyncio
import importlib
import os
import time
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest

from storage.models.model_store import ModelStore
from storage.mongo.connection import connect, disconnect
from tests.cluster_drills.cluster import Cluster
from tests.cluster_drills.node import USER, Image, Node
from tests.cluster_drills.servers import ReplicaSet
from tests.end_to_end.book import Book

pytestmark = [pytest.mark.apart, pytest.mark.container]

PORTFOLIOS: Final = int(os.environ.get("PORTFOLIOS", "1000000"))
POSITIONS: Final = 50
WITHIN_S: Final = 1800
FILE: Final = "book.parquet"
KINDS: Final = {
    "ray::IDLE": "tasks",  # what a process of tasks is called between them
    **{
        process: process
        for process in ("Ingress", "ModelStore", "Optimizer", "raylet", "gcs_server")
    },
}


@pytest.fixture(scope="module")
def settings() -> dict[str, str]:
    """Settings of the manifests alone."""
    return {}


async def store_models(database: ReplicaSet, models: Any) -> list[str]:
    """Store models directly, because a body of the API is bounded; return their ids."""
    connection = connect(database.uri, "order-generation", timeout_ms=60_000)
    ids = [str((await ModelStore(connection).add(model)).model_id) for model in models]
    await disconnect(connection)
    return ids


def processor_s(cluster: Cluster, database: ReplicaSet) -> dict[str, float]:
    """Measure the seconds of a processor by host and kind of process."""
    ticks, spent = os.sysconf("SC_CLK_TCK"), defaultdict[str, float](float)
    numbers = {node.host: node.processes("") for node in cluster.nodes}
    numbers |= {host: [process.pid] for host, process in database.members.items()}
    for host, processes in numbers.items():
        for process in processes:
            try:
                stat = Path(f"/proc/{process}/stat").read_bytes().rpartition(b")")[2].split()
                line = Path(f"/proc/{process}/cmdline").read_text(errors="replace")
            except OSError:  # it has ended
                continue
            kind = "mongod" if host.startswith("db") else _kind(line)
            spent[f"{host} {kind}"] += (int(stat[11]) + int(stat[12])) / ticks
    return spent


def _kind(line: str) -> str:
    return next((kind for part, kind in KINDS.items() if part in line), "Ray itself")


async def test_a_run_over_a_million_portfolios_ends_with_an_outcome_for_each(
    cluster: Cluster,
    image: Image,
    book: Book,
    database: ReplicaSet,
    report: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "benchmarks"))
    bench = importlib.import_module("bench_book")
    models = list(bench.make_models(book.market, PORTFOLIOS, POSITIONS, 10))
    await asyncio.to_thread(bench.write_book, image.holdings / FILE, book.market, models)
    os.chown(image.holdings / FILE, USER, USER)
    ids = await store_models(database, models)
    few = [
        replace(model, name=f"Few {model.name}")
        for model in bench.make_models(book.market, 2_000, POSITIONS, 1)
    ]
    await _run(cluster, cluster.workers[0], await store_models(database, few))  # loads modules

    before, begin = processor_s(cluster, database), time.monotonic()
    run = await _run(cluster, cluster.workers[0], ids)
    seconds, after = time.monotonic() - begin, processor_s(cluster, database)

    assert run["status"] == "COMPLETED"
    assert sum(run["counts"].values()) == run["portfolios"]["done"] == PORTFOLIOS
    assert "FAILED" not in run["counts"]
    spent = {name: cpu_s - before.get(name, 0) for name, cpu_s in sorted(after.items())}
    report.append(f"{PORTFOLIOS:,} in {seconds:.1f} s, {PORTFOLIOS / seconds:,.0f} a second")
    share = sum(spent.values()) / (seconds * (os.cpu_count() or 1))
    report.append(f"{share:.0%} of {os.cpu_count()} processors, with those of the three databases")
    report += [
        f"{name}: {cpu_s / PORTFOLIOS * 1e6:.1f} µs of a processor a portfolio"
        for name, cpu_s in spent.items()
        if cpu_s > seconds / 100
    ]


async def _run(cluster: Cluster, node: Node, ids: list[str]) -> dict[str, Any]:
    async with cluster.client(node) as http, asyncio.timeout(WITHIN_S):
        body = {"models": ids, "holdings": {"source": "file", "file": FILE}}
        answer = await http.post("/api/v1/runs", json=body)
        assert answer.status_code == 202, answer.text
        path = f"/api/v1/runs/{answer.json()['run_id']}"
        run = (await http.get(path)).json()
        while run["status"] in {"QUEUED", "RUNNING"}:
            await asyncio.sleep(0.5)
            run = (await http.get(path)).json()
    return run
