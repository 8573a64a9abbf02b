"""Broken files: each gets an error that names the place, and never a silently wrong number."""

from collections import Counter

import pytest

from serve_app.files.faults import FilesRefusedError
from tests.files.books import (
    PRICES,
    csv_of,
    files_of,
    request_of,
)
from tests.files.broken_texts import BROKEN_TEXTS, HEADER
from tests.files.broken_workbooks import BROKEN_WORKBOOKS

BROKEN = BROKEN_TEXTS | BROKEN_WORKBOOKS


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_file_gets_an_error_that_names_the_place(case: str):
    make, place, rule = BROKEN[case]

    with pytest.raises(FilesRefusedError) as caught:
        request_of(make())

    said = [str(fault) for fault in caught.value.faults]
    assert any(place in message and rule in message for message in said), said


def test_each_kind_of_damage_has_at_least_five_cases():
    counts = Counter(case.partition(":")[0] for case in BROKEN)

    kinds = ("encoding", "delimiter", "decimal", "merged", "date", "headers", "sheet", "formula")
    for kind in kinds:
        assert counts[kind] >= 5, kind


def test_all_faults_of_all_files_are_said_at_once_up_to_a_hundred():
    holdings = (HEADER, *((f"A{number}", "VTI", "x") for number in range(250)))
    prices = (*PRICES, ("X", "?"))

    with pytest.raises(FilesRefusedError) as caught:
        request_of(files_of(holdings=csv_of(holdings), prices=csv_of(prices)))

    error = caught.value
    assert len(error.faults) == 100
    assert error.omitted == 151
    assert {fault.place.file for fault in error.faults} == {"holdings.csv", "prices.csv"}
    assert str(error).endswith("(and 250 more)")
