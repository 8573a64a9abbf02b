"""Content negotiation by the Accept header (RFC 9110, 12.5.1)."""

import re
from collections.abc import Iterator, Sequence
from typing import Annotated, NamedTuple

from fastapi import Depends, Request

from serve_app.problems.errors import NotAcceptableError

QUALITY = re.compile(r"0(\.[0-9]{0,3})?|1(\.0{0,3})?")


class Range(NamedTuple):
    """A media range of an Accept header; ``*`` stands for anything."""

    kind: str
    subtype: str
    quality: float

    @property
    def exactness(self) -> int:
        """Specificity of the range: an exact range outweighs one with ``*``."""
        return (self.kind != "*") + (self.subtype != "*")

    def fits(self, media_type: str) -> bool:
        """True if the media type is in the range."""
        kind, _, subtype = media_type.partition("/")
        return self.kind in {"*", kind} and self.subtype in {"*", subtype}


def choose_media_type(accept: str, media_types: Sequence[str]) -> str:
    """Choose the media type of the highest quality, or raise NotAcceptableError.

    Ties go to the type that a range names most exactly, then to the first type.

    >>> choose_media_type("text/*;q=0.5, application/json;q=0.4", ("application/json", "text/csv"))
    'text/csv'
    """
    ranges = tuple(_ranges(accept)) or (Range("*", "*", 1.0),)
    best: tuple[float, int] = (0.0, 0)
    choice = None
    for media_type in media_types:
        matches = [media_range for media_range in ranges if media_range.fits(media_type)]
        preference = max(matches, key=lambda media_range: media_range.exactness, default=None)
        if preference is not None and preference.quality > 0:
            rank = (preference.quality, preference.exactness)
            if rank > best:
                best, choice = rank, media_type
    if choice is None:
        raise NotAcceptableError(accept, tuple(media_types))
    return choice


def accepts(codings: str, coding: str) -> bool:
    """True if an Accept-Encoding header (RFC 9110, 12.5.3) accepts this coding.

    >>> accepts("gzip;q=0, br", "gzip"), accepts("*;q=0.5", "gzip"), accepts("", "gzip")
    (False, True, False)
    """
    qualities: dict[str, float] = {}
    for part in codings.lower().split(","):
        name, *parameters = (piece.strip() for piece in part.split(";"))
        qualities[name] = _quality(parameters) or 0.0
    return qualities.get(coding, qualities.get("*", 0.0)) > 0


def _quality(parameters: Sequence[str]) -> float | None:
    """Read the quality of a part of a header, 1 by default; None if it is not a number."""
    quality = next((p[2:].strip() for p in parameters if p.startswith("q=")), "1")
    return float(quality) if QUALITY.fullmatch(quality) else None


def _ranges(accept: str) -> Iterator[Range]:
    """Parse the ranges of a header; malformed parts and parameters other than q are skipped."""
    for part in accept.split(","):
        name, *parameters = (piece.strip() for piece in part.lower().split(";"))
        kind, slash, subtype = name.partition("/")
        quality = _quality(parameters)
        if slash and kind and subtype and quality is not None:
            yield Range(kind, subtype, quality)


async def _accept(request: Request) -> str:
    # Accept is no parameter, because OpenAPI describes it by the media types of an answer.
    return ",".join(request.headers.getlist("accept"))


Accept = Annotated[str, Depends(_accept)]
