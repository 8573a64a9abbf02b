"""Call context: correlation id and deadline of the caller."""

import math
import pickle
import time
from dataclasses import replace

import pytest

from serve_app import ray_calls
from serve_app.call_context import CallContext, correlation_id, remaining_s, set_deadline
from serve_app.ray_calls import run_in_worker


def test_a_call_outside_of_any_request_has_neither_an_id_nor_a_deadline():
    assert CallContext.capture() == CallContext("", None)


def test_the_context_of_a_call_survives_the_way_to_another_process():
    token = correlation_id.set("nightly")
    with set_deadline(5.0):
        context = CallContext.capture()
    correlation_id.reset(token)

    arrived = pickle.loads(pickle.dumps(context))

    with arrived.activate():
        assert correlation_id.get() == "nightly"
        assert 4 < remaining_s() <= 5


def test_a_context_ends_with_its_block():
    with CallContext("nightly", 5.0).activate():
        pass

    assert correlation_id.get() == ""
    assert math.isinf(remaining_s())


async def test_the_start_of_a_worker_counts_against_the_deadline_of_the_caller(
    monkeypatch: pytest.MonkeyPatch,
):
    async def look() -> tuple[float, str]:
        return remaining_s(), correlation_id.get()

    monkeypatch.setattr(ray_calls, "load_solver", lambda: time.sleep(0.3))
    # Of the whole process, which is that of other tests here.
    monkeypatch.setattr(ray_calls, "correlate_logs", lambda: None)
    token = correlation_id.set("nightly")
    with set_deadline(25.0):
        context = CallContext.capture_for_worker()
    correlation_id.reset(token)
    late = replace(context, due_at=time.time() + 20)  # after five seconds on the way

    left_s, known_as = await run_in_worker(look(), pickle.loads(pickle.dumps(late)))

    assert 10 < left_s <= 19.7
    assert known_as == "nightly"


@pytest.mark.parametrize(
    ("ahead_s", "low", "high"),
    [(-3600, 0.4, 0.5), (3600, 4, 5)],
    ids=["behind", "ahead"],
)
def test_the_clock_of_another_node_neither_ends_a_task_at_once_nor_lengthens_it(
    ahead_s: float, low: float, high: float
):
    with set_deadline(5.0):
        context = CallContext.capture_for_worker()

    with replace(context, due_at=time.time() + ahead_s).activate():
        assert low < remaining_s() <= high


def test_a_task_without_a_deadline_has_none_in_its_worker_either():
    with CallContext.capture_for_worker().activate():
        assert math.isinf(remaining_s())
