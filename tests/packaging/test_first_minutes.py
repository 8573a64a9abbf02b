"""First steps of a newcomer with the real commands: demonstration, README request, example."""

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path

import httpx
import pytest
import stamina

from tests.support.demonstration import (
    ROOT,
    STOPS_WITHIN_S,
    Demonstration,
    list_listeners,
    read_arguments,
    run_demonstration,
)

pytestmark = pytest.mark.cluster


class JobAgentMissingError(Exception):
    """No node of the cluster has a job agent yet."""


@pytest.fixture(scope="module")
def demonstration() -> Iterator[Demonstration]:
    """A running `ordergen demo`."""
    with (
        tempfile.TemporaryDirectory(prefix="og-") as directory,
        run_demonstration(Path(directory)) as running,
    ):
        yield running


def test_the_demonstration_prints_a_trade_list_and_stays_up(demonstration: Demonstration) -> None:
    assert "REBALANCED" in demonstration.printed
    assert "Trades of" in demonstration.printed
    assert httpx.get(f"{demonstration.url}/health/ready", timeout=30).json()["status"] == "ready"


def test_the_demonstration_ends_in_band_after_its_orders_are_filled(
    demonstration: Demonstration,
) -> None:
    assert re.search(r"^market     filled \d+ orders: bought ", demonstration.printed, re.MULTILINE)
    assert "5 of 5 portfolios are in band" in demonstration.printed
    assert demonstration.printed.count("IN_BAND") == 5


def test_what_is_no_terminal_gets_plain_lines_and_no_token(demonstration: Demonstration) -> None:
    assert "\x1b" not in demonstration.printed
    token = Path.home() / ".ray/auth_token"
    if token.exists():
        assert token.read_text().strip() not in demonstration.printed
        assert f"token      in {token} opens the dashboard" in demonstration.printed


def test_the_request_of_the_readme_gets_the_answer_of_the_readme(
    demonstration: Demonstration,
) -> None:
    readme = (ROOT / "README.md").read_text()
    match = re.search(
        r"curl -X POST http://127\.0\.0\.1:8088(\S+)\n```\n\n```json\n(.*?)\n```", readme, re.DOTALL
    )
    assert match is not None

    answer = httpx.post(f"{demonstration.url}{match[1]}", timeout=60)

    assert answer.status_code == 200, answer.text
    names = re.findall(r'^  "(\w+)": ', match[2], re.MULTILINE)
    assert names == [name for name in answer.json() if name in names]


def test_the_service_answers_its_own_documentation(demonstration: Demonstration) -> None:
    for page in ("/docs", "/openapi.json", "/problems", "/metrics"):
        assert httpx.get(f"{demonstration.url}{page}", timeout=30).status_code == 200


@stamina.retry(on=JobAgentMissingError, attempts=None, timeout=60.0)
def submit_job(
    demonstration: Demonstration, *command: str | Path
) -> subprocess.CompletedProcess[str]:
    """Submit a job to the cluster of the demonstration, once the job agent of its node is there."""
    caller = subprocess.run(
        command,
        env={**demonstration.environment, "RAY_AUTH_MODE": "token"},
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    if "No available agent" in caller.stderr:  # Ray asks to try again: the agent starts last
        raise JobAgentMissingError
    return caller


def test_python_in_the_cluster_rebalances_by_handle(demonstration: Demonstration) -> None:
    dashboard = re.search(r"dashboard (http://\S+)", demonstration.printed)
    assert dashboard is not None
    job = (Path(sys.executable).with_name("ray"), "job", "submit", "--address", dashboard[1], "--")

    caller = submit_job(demonstration, *job, sys.executable, ROOT / "examples/in_cluster.py")

    assert caller.returncode == 0, caller.stdout + caller.stderr
    assert re.search(r"^rebalance [0-9a-f]{24} of Strategy 1", caller.stdout, re.MULTILINE)
    outcome = r"^683b6d\w{18} (?:REBALANCED|IN_BAND) \d+ trades$"
    assert len(re.findall(outcome, caller.stdout, re.MULTILINE)) == 5


def test_nothing_listens_beyond_loopback_but_the_calls_between_replicas(
    demonstration: Demonstration,
) -> None:
    ports = list_listeners(demonstration.children)
    assert len(ports) > 10
    beyond = {name for name, address, _ in ports if not ip_address(address).is_loopback}
    # Replicas have a port for which Ray 2.60 has no setting.
    assert beyond <= {"ray::ServeRepli"}, ports


def test_sockets_files_and_directories_are_for_their_owner_alone(
    demonstration: Demonstration,
) -> None:
    (proxy,) = (
        arguments[arguments.index("-f") + 1]
        for arguments in map(read_arguments, demonstration.children)
        if arguments[0].endswith("/haproxy")
    )
    sessions = Path(demonstration.environment["RAY_TMPDIR"]) / f"ordergen-{os.getuid()}"
    data = Path(demonstration.environment["DATA_DIRECTORY"])
    token = Path.home() / ".ray/auth_token"
    closed = [Path(proxy).parents[1], Path(proxy), Path(proxy).with_name("admin.sock"), sessions]
    closed += [data, *data.rglob("*"), *([token] if token.exists() else [])]
    assert [str(path) for path in closed if path.stat().st_mode & 0o077] == []
    assert list(sessions.glob("ray/session_2*/logs/serve/*.log"))


def test_a_database_that_is_killed_is_started_again_with_its_data(
    demonstration: Demonstration,
) -> None:
    models = httpx.get(f"{demonstration.url}/api/v1/models", timeout=30).json()
    (server,) = (pid for pid in demonstration.children if "--auth" in read_arguments(pid))
    os.kill(server, signal.SIGKILL)
    until = time.monotonic() + STOPS_WITHIN_S
    while time.monotonic() < until:
        answer = httpx.get(f"{demonstration.url}/api/v1/models", timeout=30)
        if answer.status_code == 200 and server not in demonstration.children:
            break
        time.sleep(0.1)
    assert (answer.status_code, answer.json()) == (200, models)
