"""Elements of an array in a long JSON text, so that several processes can read a share each."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

QUOTE, BACKSLASH, OPEN_ARRAY = b'"'[0], b"\\"[0], b"["[0]
BLANKS: Final = b" \t\r\n"
OF_TOP, OF_MEMBER, OF_ELEMENT = 1, 2, 3  # depths inside the object, the array and an element
OPEN, CLOSE = b"{"[0], b"}"[0]
SQUARE_TO_BRACE: Final = np.uint8(
    0x20
)  # the bit that ``[`` lacks beside ``{``, and ``]`` beside ``}``


@dataclass(frozen=True, slots=True)
class ArrayElements:
    """Objects in the only top-level array of a JSON object, as places in its text.

    The text may be invalid JSON. It is valid if cuts that together have every element are valid,
    because each byte is in a cut, or is a comma or a blank between two.
    """

    text: bytes
    starts: list[int]
    ends: list[int]

    def __len__(self) -> int:
        return len(self.starts)

    def cut(self, first: int, end: int) -> bytes | None:
        """Return the text with these elements alone; None if no comma precedes the first.

        >>> elements = find_elements(b'{"a": [{"b": "]"}, {}, {"c": [2]}], "d": 1}')
        >>> elements and [elements.cut(0, 1), elements.cut(1, 3)]
        [b'{"a": [{"b": "]"}], "d": 1}', b'{"a": [{}, {"c": [2]}], "d": 1}']
        """
        if first and self.text[self.ends[first - 1] : self.starts[first]].strip(BLANKS) != b",":
            return None
        head, tail = self.text[: self.starts[0]], self.text[self.ends[-1] :]
        return head + self.text[self.starts[first] : self.ends[end - 1]] + tail


def find_elements(text: bytes) -> ArrayElements | None:
    """Find the elements; None unless the text has one such array, with at least one object."""
    characters = np.frombuffer(text, np.uint8)
    braces = characters | SQUARE_TO_BRACE
    places = np.flatnonzero((braces == OPEN) | (braces == CLOSE))
    # A place is outside strings if an even number of quotes precedes it.
    places = places[np.searchsorted(_find_quotes(text, characters), places) % 2 == 0]
    opens = braces[places] == OPEN
    depths = np.cumsum(np.where(opens, 1, -1))
    arrays = np.flatnonzero(opens & (depths == OF_MEMBER) & (characters[places] == OPEN_ARRAY))
    if len(arrays) != 1:
        return None
    first = int(arrays[0]) + 1
    array_ends = np.flatnonzero(depths[first:] == OF_TOP)
    inside = slice(first, first + int(array_ends[0]) if len(array_ends) else first)
    places, opens, depths = places[inside], opens[inside], depths[inside]
    starts = places[opens & (depths == OF_ELEMENT)].tolist()
    ends = (places[~opens & (depths == OF_MEMBER)] + 1).tolist()
    return ArrayElements(text, starts, ends) if starts and len(starts) == len(ends) else None


def _find_quotes(text: bytes, characters: NDArray[np.uint8]) -> NDArray[np.intp]:
    """Find the places of the quotes that begin or end a string."""
    quotes = np.flatnonzero(characters == QUOTE)
    if BACKSLASH not in text:
        return quotes
    # A backslash escapes the next character unless it is escaped itself: every second one of a run.
    escapes = np.flatnonzero(characters == BACKSLASH)
    starts = np.flatnonzero(np.diff(escapes, prepend=-2) != 1)
    lengths = np.diff(starts, append=len(escapes))
    after = (escapes[starts] + lengths)[lengths % 2 == 1]
    return quotes[~np.isin(quotes, after)]
