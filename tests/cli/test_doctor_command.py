"""`ordergen doctor`: each line has a verdict and a remedy."""

import asyncio
import gc
import json
import socket
import warnings
from collections.abc import Iterator
from typing import Any

import pytest
from click.testing import Result
from fastapi import FastAPI
from typer.testing import CliRunner

from serve_app.cli import cli
from serve_app.settings import UPSTREAM_URLS
from storage.embedded.free_port import free_port
from tests.support import upstream_servers
from tests.support.command_server import serve

WELL = {"python", "ray", "solver", "settings", "database", "upstreams", "service", "clock"}


@pytest.fixture(autouse=True)
def collected() -> Iterator[None]:
    """Collect the socket of a timed-out connection, because Python warns of it."""
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


def doctor(*arguments: str, **environment: str) -> Result:
    settings = {"PORT": str(free_port()), **environment, "COLUMNS": "200"}
    return CliRunner(env=settings).invoke(cli, ["doctor", *arguments])


def read_findings(result: Result) -> dict[str, dict[str, Any]]:
    return {check["name"]: check for check in json.loads(result.stdout)}


def test_a_machine_that_can_run_the_service_has_every_check_ok(mongodb_uri: str) -> None:
    result = doctor("--json", MONGODB_URI=mongodb_uri)

    checks = read_findings(result)
    assert result.exit_code == 0, result.output
    assert set(checks) == WELL
    assert {check["verdict"] for check in checks.values()} == {"ok"}
    assert "MILP" in checks["solver"]["detail"]


def test_a_wrong_setting_is_named_with_its_rule_and_ends_with_1() -> None:
    result = doctor(PRICE_TTL_S="-1")

    assert result.exit_code == 1
    assert "PRICE_TTL_S" in result.stdout
    assert "docs/reference/settings.md" in result.stdout


def test_a_database_and_an_upstream_that_do_not_answer_fail_with_a_remedy_and_no_secret() -> None:
    nowhere = f"127.0.0.1:{free_port()}"
    result = doctor(
        "--json",
        MONGODB_URI=f"mongodb://user:secret@{nowhere}",
        **{name.upper(): f"http://{nowhere}" for name in UPSTREAM_URLS.values()},
    )

    checks = read_findings(result)
    assert result.exit_code == 1
    assert checks["database"]["verdict"] == "fail"
    assert "MONGODB_URI" in checks["database"]["remedy"]
    assert all(
        f"{name.upper()} does not answer" in result.stdout for name in UPSTREAM_URLS.values()
    )
    assert "secret" not in result.stdout


@pytest.mark.parametrize(
    ("answer", "verdict", "detail"),
    [
        (b'{"access_token": "mellon"}', "ok", "UPSTREAM_TOKEN_URL gives a token"),
        (b'{"error": "mellon!"}', "fail", "the token endpoint answered without an access_token"),
    ],
)
async def test_a_token_is_asked_for_and_never_shown(
    answer: bytes, verdict: str, detail: str
) -> None:
    url = upstream_servers.start_server(lambda _: upstream_servers.respond(answer))
    settings = {name.upper(): url for name in UPSTREAM_URLS.values()}
    client = {"UPSTREAM_CLIENT_ID": "ada", "UPSTREAM_CLIENT_SECRET": "mellon"}
    try:
        result = await asyncio.to_thread(
            doctor, "--json", **settings, **client, UPSTREAM_TOKEN_URL=f"{url}/token"
        )
    finally:
        await upstream_servers.opened.aclose()

    found = read_findings(result)["credentials"]
    assert (found["verdict"], found["detail"]) == (verdict, detail)
    assert "mellon" not in result.output


@pytest.fixture
def taken() -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield str(listener.getsockname()[1])


def test_a_port_that_another_program_has_fails(mongodb_uri: str, taken: str) -> None:
    checks = read_findings(doctor("--json", MONGODB_URI=mongodb_uri, PORT=taken))

    assert checks["service"]["verdict"] == "fail"
    assert "another PORT" in checks["service"]["remedy"]


def test_a_host_that_is_no_address_of_the_machine_fails_by_its_name(mongodb_uri: str) -> None:
    checks = read_findings(doctor("--json", MONGODB_URI=mongodb_uri, HOST="192.0.2.1"))

    assert checks["service"]["verdict"] == "fail"
    assert checks["service"]["remedy"] == "correct HOST"


async def test_a_running_service_is_asked_by_part(app: FastAPI, mongodb_uri: str) -> None:
    async with serve(app) as url:
        result = await asyncio.to_thread(doctor, "--json", "--url", url, MONGODB_URI=mongodb_uri)

    service = read_findings(result)["service"]
    assert (service["verdict"], service["detail"]) == (
        "ok",
        f"{url} is ready: database healthy",
    )


async def test_an_upstream_whose_answer_has_no_end_and_no_date_is_there_all_the_same() -> None:
    answer = upstream_servers.respond(b"[", "Date: yesterday", length=2**42)
    url = upstream_servers.start_server(lambda _: answer)
    settings = {name.upper(): url for name in UPSTREAM_URLS.values()}
    try:
        result = await asyncio.to_thread(doctor, "--json", **settings)
    finally:
        await upstream_servers.opened.aclose()

    checks = [check for check in json.loads(result.stdout) if check["name"] == "upstream"]
    assert [check["verdict"] for check in checks] == ["ok"] * len(UPSTREAM_URLS)
    assert read_findings(result)["clock"]["verdict"] == "ok"
