"""The image that `make image` built, run as the manifests run it."""

import json
import os
from collections.abc import AsyncIterator, Iterator
from stat import S_ISREG

import httpx
import pytest

from container.base_image import LOCAL_BASE, pinned_base
from container.bill_of_materials import (
    CYCLONEDX,
    LICENCES,
    SPDX,
    list_licences,
    normal_name,
    read_statements,
)
from container.build import BILL, file_system, image_name
from container.engine import Engine, EngineError
from container.engines import find_engine
from serve_app.simulator import Market
from tests.container.containers import CONFINED, STOP_WITHIN_S, Container, run_container
from tests.end_to_end.book import Book, serve_book
from tests.end_to_end.calls import add_model, make_model
from tests.support.run_streams import wait_until_over

pytestmark = [pytest.mark.apart, pytest.mark.container]

MAX_SIZE_MB = 700
PORTFOLIOS = 300
USER = 10001
WRITABLE = ("/tmp", "/data")
TABLES = {
    "application/vnd.apache.parquet": b"PAR1",
    "application/vnd.apache.arrow.stream": b"\xff\xff\xff\xff",
}
IMPORT_ALL = """
import importlib, pkgutil
for name in ("serve_app", "storage", "optimization"):
    for module in pkgutil.walk_packages(importlib.import_module(name).__path__, f"{name}."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
"""


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with find_engine(os.environ.get("ENGINE", "")) as candidate:
        if not (candidate.can_run and candidate.has_image(image_name())):
            pytest.fail(f"{candidate.name} cannot run {image_name()}: make image")
        yield candidate


@pytest.fixture(scope="module")
def book() -> Book:
    return Book(Market(seed=11, portfolios=PORTFOLIOS, sampled=False))


@pytest.fixture(scope="module")
def settings(mongodb_uri: str, book: Book) -> Iterator[dict[str, str]]:
    with serve_book(book) as url:
        services = ("PORTFOLIO_ACCOUNTING", "PRICING", "SECURITY", "PORTFOLIO", "ORDER")
        yield {
            "MONGODB_URI": mongodb_uri,
            "UPSTREAMS": "real",
            "RUN_FAN_OUT_ABOVE": "100",
            **{f"{service}_SERVICE_URL": url for service in services},
        }


@pytest.fixture(scope="module")
def container(engine: Engine, settings: dict[str, str]) -> Iterator[Container]:
    with run_container(engine, settings, *CONFINED) as running:
        running.wait_until_ready()
        yield running


@pytest.fixture
async def http(container: Container) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=container.url, timeout=60, trust_env=False) as client:
        yield client


def test_the_image_is_small_and_says_on_what_it_is_built(engine: Engine) -> None:
    (image,) = json.loads(engine.call("inspect", "--type", "image", image_name()))
    # By its files, because podman counts the heads of an archive, too.
    files = (path.lstat() for path in file_system(engine).rglob("*"))

    assert sum(file.st_size for file in files if S_ISREG(file.st_mode)) <= MAX_SIZE_MB * 1_000_000
    assert image["Config"]["User"] == f"{USER}:{USER}"
    assert "HOME=/tmp" in image["Config"]["Env"]
    assert "@sha256:" in pinned_base()
    assert engine.has_image(pinned_base()) or engine.has_image(LOCAL_BASE) or "BASE" in os.environ


def test_every_module_loads_without_what_the_image_leaves_out(container: Container) -> None:
    assert container.run("python", "-W", "ignore", "-c", IMPORT_ALL) == ""


def test_every_process_is_of_the_user_and_the_health_check_agrees(container: Container) -> None:
    _, *rows = container.engine.call("top", container.name, "-o", "uid,pid,comm").splitlines()

    assert len(rows) > 5
    assert {row.split()[0] for row in rows} == {str(USER)}
    assert container.wait_for_health() == "healthy"


@pytest.mark.parametrize("path", ["/app/x", "/x", "/home/ordergen/x", "/etc/x"])
def test_its_file_system_cannot_be_written(container: Container, path: str) -> None:
    with pytest.raises(EngineError, match=r"Read-only file system|Permission denied"):
        container.run("touch", path)


async def test_it_rebalances_also_under_options_of_the_general_solver(
    http: httpx.AsyncClient, book: Book
) -> None:
    model = await add_model(http, make_model(book, book.market.portfolio_ids()[:3]))
    path = f"/api/v1/model/{model['model_id']}/rebalance"

    for options in ({}, {"maximum_trades": 2, "turnover_cap": "5%"}):
        answer = await http.post(path, json=options)
        assert answer.status_code == 200, answer.text
        assert len(answer.json()) == 3


async def test_a_run_over_the_book_ends_and_its_outcomes_are_written_in_every_format(
    http: httpx.AsyncClient, book: Book
) -> None:
    ids = book.market.portfolio_ids()
    model = await add_model(http, make_model(book, ids))
    response = await http.post("/api/v1/runs", json={"models": [model["model_id"]]})
    run = await wait_until_over(http, response.json()["run_id"])

    assert run["status"] == "COMPLETED"
    assert sum(run["counts"].values()) == len(ids)
    for kind, head in TABLES.items():
        path = f"/api/v1/runs/{run['run_id']}/outcomes"
        answer = await http.get(path, headers={"accept": kind})
        assert answer.status_code == 200, answer.text
        assert answer.content.startswith(head)
    console = await http.get("/console")
    assert console.status_code == 200
    assert "<script" in console.text


def test_stopped_it_ends_in_time_without_an_error(container: Container) -> None:
    code, seconds = container.stop()

    assert code in {0, 143}, container.engine.call("logs", container.name)
    assert seconds < STOP_WITHIN_S
    assert container.changes() == []


def test_where_it_could_write_anywhere_it_writes_its_two_directories_alone(
    engine: Engine, settings: dict[str, str]
) -> None:
    with run_container(engine, settings) as running:
        running.wait_until_ready()
        running.stop()
        assert [path for path in running.changes() if not path.startswith(WRITABLE)] == []


def test_the_bill_of_materials_names_every_package_and_its_licence(engine: Engine) -> None:
    bill = json.loads((BILL / CYCLONEDX).read_text())
    spdx = json.loads((BILL / SPDX).read_text())
    names = {normal_name(component["name"]) for component in bill["components"]}
    root = file_system(engine)
    installed = {
        normal_name(path.name.removesuffix(".dist-info").rpartition("-")[0])
        for path in (root / "app/.venv/lib/python3.11/site-packages").glob("*.dist-info")
    }

    assert len(installed) > 80
    assert installed - names == set()
    assert {"libc6", "ray"} <= {package["name"] for package in spdx["packages"]}
    rows = list_licences(bill, read_statements(root))
    unnamed = {normal_name(name) for name, _, licence in rows if licence == "not named"}
    debian = {
        component["name"]
        for component in bill["components"]
        if "pkg:deb" in component.get("purl", "")
    }
    assert unnamed & (installed | debian) == set()
    assert "| ray | 2.60.0 |" in (BILL / LICENCES).read_text()
