"""schemathesis against a server: all its checks, and calls that follow from each other."""

from pathlib import Path

import pytest

from tests.support.fuzzing import CALL_SEQUENCES, SINGLE_CALLS, run_schemathesis
from tests.support.threaded_server import serve_in_thread

pytestmark = [pytest.mark.mongo, pytest.mark.apart]

FIRST_HALF = "^/api/v1/(model|portfolio|rebalance)"


# The halves are tests of their own, because two processors can then share the routes.
@pytest.mark.parametrize("choose", ["include", "exclude"])
def test_schemathesis_finds_nothing_in_single_calls_that_its_configuration_does_not_explain(
    mongodb_uri: str, tmp_path: Path, choose: str
) -> None:
    half = f"--{choose}-path-regex={FIRST_HALF}"
    with serve_in_thread(mongodb_uri, f"test-schemathesis-{choose}") as url:
        code, report = run_schemathesis(url, 15, tmp_path, half, phases=SINGLE_CALLS)

    assert code == 0, report
    assert "Fuzzing" in report


def test_schemathesis_finds_nothing_in_sequences_of_calls_that_its_configuration_does_not_explain(
    mongodb_uri: str, tmp_path: Path
) -> None:
    with serve_in_thread(mongodb_uri, "test-schemathesis-sequences") as url:
        code, report = run_schemathesis(url, 15, tmp_path, phases=CALL_SEQUENCES)

    assert code == 0, report
    assert "Stateful" in report
