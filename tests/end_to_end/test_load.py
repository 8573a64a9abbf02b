"""`make load`: the scenario against the application behind a real server."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from tests.support.fakes import make_model_body
from tests.support.threaded_server import serve_in_thread

ROOT = Path(__file__).parents[2]
MODELS = 100  # that the scenario reads
ROUTES = {
    "GET /model/{model_id}",
    "GET /rebalances/summary",
    "GET /portfolio/{portfolio_id}/drift",
    "POST /portfolio/{portfolio_id}/rebalance",
    "POST /model/{model_id}/rebalance",
}
pytestmark = pytest.mark.mongo


@pytest.fixture(scope="module")
def url(mongodb_uri: str) -> Iterator[str]:
    with serve_in_thread(mongodb_uri, f"load-{uuid4().hex}") as address:
        yield address


def load(
    url: str, directory: Path, p99_ms: str = "60000", within: str = "2s"
) -> subprocess.CompletedProcess[str]:
    locust = Path(sys.executable).with_name("locust")
    shape = ["--headless", "--users", "4", "--spawn-rate", "4", "--run-time", within]
    report = ["--only-summary", "--html", str(directory / "report.html")]
    return subprocess.run(
        [locust, "-f", ROOT / "benchmarks/load.py", "--host", url, *shape, *report],
        env={"PATH": "/usr/bin:/bin", "P99_MS": p99_ms},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_service_without_models_is_not_loaded(url: str, tmp_path: Path) -> None:
    # The load ends by itself, so that a busy machine may take its time for the first request.
    result = load(url, tmp_path, within="50s")

    assert result.returncode == 2
    assert "no model with a portfolio" in result.stderr


def test_requests_of_the_scenario_are_answered_and_reported_by_route(
    url: str, tmp_path: Path
) -> None:
    httpx.post(f"{url}/api/v1/models", json=make_model_body(), timeout=30).raise_for_status()

    result = load(url, tmp_path)

    assert result.returncode == 0, result.stdout + result.stderr
    reported = set(re.findall(r'"name": "([^"]+)"', (tmp_path / "report.html").read_text()))
    # Which of them is a matter of chance, because each user draws what to do next.
    assert reported & ROUTES
    assert reported <= ROUTES | {"Aggregated", f"/api/v1/models?limit={MODELS}"}


def test_answers_that_take_too_long_fail_the_load(url: str, tmp_path: Path) -> None:
    result = load(url, tmp_path, p99_ms="0.01")

    assert result.returncode == 1
    assert "the 99th percentile is" in result.stderr
