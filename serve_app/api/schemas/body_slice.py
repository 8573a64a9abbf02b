"""Slice of the portfolios of a long body of POST /optimize, parsed without the other slices."""

from dataclasses import dataclass

from serve_app.api.schemas.optimize import (
    MAX_PORTFOLIOS,
    BodyRefusedError,
    OptimizeBody,
    decode_body,
    parse_body,
)
from serve_app.json_parts import find_elements


@dataclass(frozen=True, slots=True)
class BodySlice:
    """Slice ``number`` of ``total`` slices of the portfolios of a request, in their order.

    >>> [BodySlice(number, 3).find_places(4) for number in range(3)]
    [range(0, 2), range(2, 4), range(4, 4)]
    """

    number: int
    total: int

    def find_places(self, count: int) -> range:
        """Return the places of the slice among ``count``; the last slices of few are empty."""
        size = -(-count // self.total)
        return range(min(self.number * size, count), min((self.number + 1) * size, count))


def parse_slice(text: bytes, body_slice: BodySlice) -> OptimizeBody | None:
    """Parse a JSON text with a slice of its portfolios alone; None for an empty slice.

    Raises BodyRefusedError if this part is invalid. The slices together parse the whole text, and
    none knows the true places, or whether another slice has the same portfolio.
    """
    portfolios = find_elements(text)
    # The array is that of the portfolios, because a body with any other one is refused.
    if portfolios is None or len(portfolios) > MAX_PORTFOLIOS:
        raise BodyRefusedError
    places = body_slice.find_places(len(portfolios))
    if not places:
        return None
    part = portfolios.cut(places.start, places.stop)
    if part is None:
        raise BodyRefusedError
    return parse_body(part)


def find_held_ids(text: bytes) -> frozenset[str]:
    """Find the securities that any portfolio of a body holds; raises BodyRefusedError."""
    try:
        portfolios = decode_body(text)["portfolios"]
        return frozenset[str]().union(*(portfolio["holdings"] for portfolio in portfolios))
    except (TypeError, LookupError) as error:
        raise BodyRefusedError from error
