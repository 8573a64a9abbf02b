"""Files of the console as the application serves them, from a directory made for the test."""

import re
from collections.abc import Iterable
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette

from serve_app.api.middleware.authentication import open_paths
from serve_app.settings import read_settings
from serve_app.web import add_console

INDEX = "<!doctype html><title>console</title>"


@pytest.fixture
def page(tmp_path: Path) -> Path:
    (tmp_path / "assets").mkdir()
    (tmp_path / "index.html").write_text(INDEX)
    (tmp_path / "assets/index-1a2b.js").write_text("1")
    return tmp_path


def client_of(directory: Path) -> httpx.AsyncClient:
    app = Starlette()
    add_console(app, directory)
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost")


@pytest.mark.parametrize("path", ["/console", "/console/runs", "/console/runs/1?status=FAILED"])
async def test_every_path_of_the_console_answers_its_index(page: Path, path: str) -> None:
    async with client_of(page) as client:
        answer = await client.get(path)

    assert (answer.status_code, answer.text) == (200, INDEX)
    assert answer.headers["cache-control"] == "no-cache"


async def test_the_root_leads_to_the_console(page: Path) -> None:
    async with client_of(page) as client:
        answer = await client.get("/")

    assert (answer.status_code, answer.headers["location"]) == (307, "/console")


async def test_an_asset_is_kept_for_good_and_only_those_of_the_page_are_there(page: Path) -> None:
    async with client_of(page) as client:
        asset = await client.get("/console/assets/index-1a2b.js")
        outside = await client.get("/console/assets/..%2Findex.html")

    assert (asset.status_code, asset.text) == (200, "1")
    assert asset.headers["content-type"].startswith("text/javascript")
    assert asset.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert outside.status_code == 404


async def test_without_a_built_page_there_is_no_console(tmp_path: Path) -> None:
    async with client_of(tmp_path) as client:
        assert (await client.get("/console")).status_code == 404
        assert (await client.get("/")).status_code == 404


def test_the_files_of_the_console_need_no_credentials_and_data_does() -> None:
    paths = open_paths(read_settings({"auth": "keys"}))

    assert is_open("/console/runs", paths)
    assert is_open("/console/assets/index-1a2b.js", paths)
    assert not is_open("/api/v1/runs", paths)


def is_open(path: str, patterns: Iterable[str]) -> bool:
    return any(re.fullmatch(pattern, path) for pattern in patterns)
