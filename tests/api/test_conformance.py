"""schemathesis against a server: all its checks, and calls that follow from each other."""

from pathlib import Path

import pytest

from tests.support.fuzzing import run_schemathesis
from tests.support.threaded_server import serve_in_thread

pytestmark = [pytest.mark.mongo, pytest.mark.apart]


def test_schemathesis_finds_nothing_that_its_configuration_does_not_explain(
    mongodb_uri: str, tmp_path: Path
) -> None:
    with serve_in_thread(mongodb_uri, "test-schemathesis") as url:
        code, report = run_schemathesis(url, 15, tmp_path)

    assert code == 0, report
    assert "Stateful" in report
