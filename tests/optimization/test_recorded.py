"""The engine gives its recorded answers; recorded.py explains their meaning."""

import pytest

from tests.optimization.recorded import (
    BOOK,
    COUNTS,
    LENGTH,
    book,
    differences,
    digest,
    recorded,
    together,
)

DIGESTS = recorded()


@pytest.mark.parametrize("kind", COUNTS)
def test_every_recorded_problem_has_the_answer_that_was_recorded(kind: str):
    assert len(DIGESTS[kind]) == COUNTS[kind]

    assert next(differences(kind, DIGESTS[kind]), None) is None


def test_an_answer_does_not_depend_on_what_was_asked_before():
    for kind in COUNTS:
        for number in (24, 3, 24):
            assert DIGESTS[kind][number] in {None, digest(kind, number)}


@pytest.mark.parametrize("size", [720, 7])
def test_the_portfolios_of_a_book_have_their_recorded_answers_in_any_chunks(size: int):
    securities, portfolios, options = book()

    for first in range(0, len(portfolios), size):
        chunk = portfolios[first : first + size]
        found = together(securities, chunk, options)
        assert found == DIGESTS[BOOK][first : first + size], f"chunk of {size} from {first}"


def test_nearly_every_answer_is_recorded():
    for kind, digests in DIGESTS.items():
        known = [digest for digest in digests if digest is not None]
        assert len(known) > len(digests) / 2, kind
        assert all(len(digest) == LENGTH for digest in known), kind
