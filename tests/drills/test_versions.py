"""Two versions on one database, one after the other: `make versions FROM=REVISION`.

The earlier version writes, this one goes on, and after a roll-back the earlier one goes on again.
Each is the application behind a real server, with the dependencies of this version.
"""

import os
import subprocess
import sys
import tarfile
from collections.abc import Generator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.support.fakes import make_model_body

pytestmark = [pytest.mark.mongo, pytest.mark.apart]

ROOT = Path(__file__).parents[2]
SERVER = """
import sys, time, serve_app
assert serve_app.__file__.startswith(sys.argv[3]), serve_app.__file__
from tests.support.threaded_server import serve_in_thread
with serve_in_thread(sys.argv[1], sys.argv[2]) as url:
    print(url, flush=True)
    time.sleep(3600)
"""
GIT_TIMEOUT_S = 60
Documents = list[dict[str, Any]]


@pytest.fixture(scope="module")
def earlier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tree of the earlier version, as `git archive` has it."""
    revision = os.environ["FROM"]
    command = ["git", "archive", revision]
    packed = subprocess.run(
        command, cwd=ROOT, capture_output=True, timeout=GIT_TIMEOUT_S, check=True
    )
    directory = tmp_path_factory.mktemp("earlier")
    with tarfile.open(fileobj=BytesIO(packed.stdout)) as archive:
        archive.extractall(directory, filter="data")
    return directory


@pytest.fixture(scope="module")
def database_name() -> str:
    return f"versions-{uuid4().hex}"


@contextmanager
def serve(tree: Path, mongodb_uri: str, database_name: str) -> Generator[httpx.Client]:
    """Serve a version; it is killed, because its own end would drop the database."""
    process = subprocess.Popen(
        [sys.executable, "-c", SERVER, mongodb_uri, database_name, str(tree)],
        cwd=tree,
        env={**os.environ, "PYTHONPATH": str(tree)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        url = process.stdout.readline().strip()
        assert url, f"the version in {tree} did not start"
        with httpx.Client(base_url=f"{url}/api/v1", timeout=60, trust_env=False) as client:
            yield client
    finally:
        process.kill()
        process.wait(30)
        process.stdout.close()


def write(client: httpx.Client, name: str) -> tuple[str, str]:
    """Store a model and a rebalance of it; return the ids of both."""
    model = require_success(client.post("/models", json=make_model_body(name)))["model_id"]
    rebalanced = require_success(client.post(f"/model/{model}/rebalance"))
    return model, rebalanced[0]["rebalance_id"]


def require_success(answer: httpx.Response) -> Any:
    assert answer.is_success, answer.text
    return answer.json()


def read(client: httpx.Client, written: tuple[str, str]) -> Documents:
    """Read a model and the portfolios of a rebalance back."""
    model, rebalance = written
    return [
        require_success(client.get(f"/model/{model}")),
        require_success(client.get(f"/rebalance/{rebalance}")),
    ]


def require_all(documents: Documents, later_documents: Documents) -> None:
    """Require that every earlier field is unchanged; another version may add fields."""
    for before, after in zip(documents, later_documents, strict=True):
        common = before.keys() & after.keys()
        assert {"model_id"} <= common
        assert {name: before[name] for name in common} == {name: after[name] for name in common}


def rename(client: httpx.Client, model: str, name: str) -> None:
    body = require_success(client.get(f"/model/{model}"))
    fields = {key: body[key] for key in ("positions", "portfolios", "version")} | {"name": name}
    assert require_success(client.put(f"/model/{model}", json=fields))["name"] == name


def test_two_versions_go_on_with_what_the_other_wrote(
    earlier: Path, mongodb_uri: str, database_name: str
) -> None:
    with serve(earlier, mongodb_uri, database_name) as client:
        of_earlier = write(client, "Written before the upgrade")
        documents = read(client, of_earlier)

    with serve(ROOT, mongodb_uri, database_name) as client:
        require_all(documents, read(client, of_earlier))
        rename(client, of_earlier[0], "Edited after the upgrade")
        of_this = write(client, "Written after the upgrade")
        documents = [*read(client, of_earlier), *read(client, of_this)]

    with serve(earlier, mongodb_uri, database_name) as client:
        require_all(documents, [*read(client, of_earlier), *read(client, of_this)])
        rename(client, of_this[0], "Edited after the roll-back")
        after = write(client, "Written after the roll-back")
        documents = [*read(client, of_earlier), *read(client, of_this), *read(client, after)]

    with serve(ROOT, mongodb_uri, database_name) as client:
        later_documents = [*read(client, of_earlier), *read(client, of_this), *read(client, after)]
        require_all(documents, later_documents)
