"""Retries of calls to the database, and pauses between attempts."""

from collections.abc import Iterator
from itertools import islice

import pytest

from serve_app import retries
from serve_app.retries import doubling_pauses, retry_while_unavailable
from storage.errors import NotFoundError, StorageUnavailableError

AWAY = StorageUnavailableError("the database cannot be reached")


@pytest.fixture(autouse=True)
def without_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retries, "PAUSE_S", 0.0)


class FailingCall:
    """Call that fails with these errors, then answers."""

    def __init__(self, errors: Iterator[Exception]) -> None:
        self.errors = errors
        self.calls = 0

    async def __call__(self) -> str:
        self.calls += 1
        for error in self.errors:
            raise error
        return "answer"


async def test_a_database_that_is_away_is_asked_until_it_answers() -> None:
    call = FailingCall(iter([AWAY] * 50))
    assert await retry_while_unavailable(call) == "answer"
    assert call.calls == 51


@pytest.mark.parametrize("within_s", [0.01, -1.0])
async def test_a_database_that_stays_away_is_given_up_after_the_time_that_was_given(
    within_s: float,
) -> None:
    call = FailingCall(iter(lambda: AWAY, None))
    with pytest.raises(StorageUnavailableError):
        await retry_while_unavailable(call, within_s)
    assert call.calls > 0


async def test_what_the_database_answers_is_not_asked_for_again() -> None:
    call = FailingCall(iter([NotFoundError("run", "1")]))
    with pytest.raises(NotFoundError):
        await retry_while_unavailable(call)
    assert call.calls == 1


def test_pauses_double_up_to_the_longest() -> None:
    assert list(islice(doubling_pauses(0.5, 3.0), 5)) == [0.5, 1.0, 2.0, 3.0, 3.0]
