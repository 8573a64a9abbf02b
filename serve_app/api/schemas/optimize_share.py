"""Share of the portfolios of a long body of POST /optimize, parsed without the other shares."""

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
class Share:
    """Share ``number`` of ``total`` shares of the portfolios of a request, in their order.

    >>> [Share(number, 3).of(4) for number in range(3)]
    [range(0, 2), range(2, 4), range(4, 4)]
    """

    number: int
    total: int

    def of(self, count: int) -> range:
        """Return the places of the share among ``count``; the last shares of few are empty."""
        size = -(-count // self.total)
        return range(min(self.number * size, count), min((self.number + 1) * size, count))


def parse_share(text: bytes, share: Share) -> OptimizeBody | None:
    """Parse a JSON text with a share of its portfolios alone; None for an empty share.

    Raises BodyRefusedError if this part is invalid. The shares together parse the whole text, and
    none knows the true places, or whether another share has the same portfolio.
    """
    portfolios = find_elements(text)
    # The array is that of the portfolios, because a body with any other one is refused.
    if portfolios is None or len(portfolios) > MAX_PORTFOLIOS:
        raise BodyRefusedError
    places = share.of(len(portfolios))
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
        return frozenset[str]().union(*(each["holdings"] for each in portfolios))
    except (TypeError, LookupError) as error:
        raise BodyRefusedError from error
