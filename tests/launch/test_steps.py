"""Reports of a start: the step under way, and the token of the dashboard."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from serve_app.launch.database_supervisor import keep_database
from serve_app.launch.ray_environment import token_line
from serve_app.settings import read_settings

TOKEN = "5b1e0c7a"


@pytest.fixture
def token_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A token of Ray in a file of its own."""
    path = tmp_path / "auth_token"
    path.write_text(f"{TOKEN}\n")
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(path))
    monkeypatch.delenv("RAY_AUTH_TOKEN", raising=False)
    return path


@pytest.mark.mongo
def test_a_step_is_shown_until_its_line_is_said(tmp_path: Path) -> None:
    events: list[str] = []

    @contextmanager
    def step(text: str) -> Iterator[None]:
        events.append(f"begin {text}")
        yield
        events.append("end")

    settings = read_settings({"data_directory": tmp_path / "data", "mongodb_uri": None})
    with keep_database(settings, events.append, step):
        begin, end, line = events

    assert (begin, end) == ("begin database   starting", "end")
    assert line.startswith("database   ")


def test_a_terminal_gets_the_token_of_the_dashboard(
    token_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)

    assert token_line() == f"{TOKEN} opens the dashboard"
    token_file.unlink()
    assert token_line() == f"in {token_file} opens the dashboard"


def test_a_log_gets_the_file_of_the_token_alone(token_file: Path) -> None:
    assert token_line() == f"in {token_file} opens the dashboard"


def test_a_token_of_the_environment_is_named_and_not_repeated(
    token_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_AUTH_TOKEN", TOKEN)

    line = token_line()

    assert line is not None
    assert "RAY_AUTH_TOKEN" in line
    assert TOKEN not in line


def test_a_cluster_without_a_token_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")

    assert token_line() is None
