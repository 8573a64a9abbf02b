"""Errors of upstream clients across process boundaries."""

import pickle

import pytest

from serve_app.upstream.errors import (
    CircuitOpenError,
    HoldingsMissingError,
    UpstreamContractError,
    UpstreamError,
    UpstreamUnavailableError,
)

EVERY = (
    UpstreamUnavailableError("pricing", "gone", 5.0),
    CircuitOpenError("pricing", "open", 5.0),
    UpstreamContractError("security", "odd"),
    HoldingsMissingError("P" * 24),
)


@pytest.mark.parametrize("error", EVERY, ids=lambda error: type(error).__name__)
def test_an_error_survives_pickling_with_all_it_says(error: UpstreamError) -> None:
    copy = pickle.loads(pickle.dumps(error))

    assert type(copy) is type(error)
    assert vars(copy) == vars(error)
    assert str(copy) == str(error)
