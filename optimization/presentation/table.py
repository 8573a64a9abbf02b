"""Table: rows of text, printed in columns or written as HTML."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape


@dataclass(frozen=True, slots=True)
class Table:
    """A table with lines above it and below; columns in ``right`` are aligned to the right.

    >>> table = Table(("security", "quantity"), [("VTI", "4"), ("BND", "12")], frozenset({1}))
    >>> print(table.text())
    security  quantity
    VTI              4
    BND             12
    >>> Table(("a<b",), [], above=("x",)).html()
    '<div><div>x</div><table><thead><tr><th>a&lt;b</th></tr></thead><tbody></tbody></table></div>'
    """

    headers: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    right: frozenset[int] = field(default_factory=frozenset[int])
    above: tuple[str, ...] = ()
    below: tuple[str, ...] = ()

    def text(self) -> str:
        """The table for a terminal, in full width."""
        lines = [self.headers, *self.rows] if self.rows else []
        widths = [max(map(len, cells)) for cells in zip(*lines, strict=True)]
        printed = ["  ".join(self._align(line, widths)).rstrip() for line in lines]
        return "\n".join((*self.above, *printed, *self.below))

    def _align(self, line: tuple[str, ...], widths: Sequence[int]) -> list[str]:
        cells = enumerate(zip(line, widths, strict=True))
        return [
            cell.rjust(width) if place in self.right else cell.ljust(width)
            for place, (cell, width) in cells
        ]

    def html(self) -> str:
        """The table for a notebook; every text is escaped."""
        headers = "".join(f"<th>{escape(header)}</th>" for header in self.headers)
        rows = "".join(f"<tr>{self._cells(row)}</tr>" for row in self.rows)
        above, below = (
            "".join(f"<div>{escape(line)}</div>" for line in lines)
            for lines in (self.above, self.below)
        )
        table = f"<table><thead><tr>{headers}</tr></thead><tbody>{rows}</tbody></table>"
        return f"<div>{above}{table}{below}</div>"

    def _cells(self, row: tuple[str, ...]) -> str:
        styles = (
            ' style="text-align: right"' if at in self.right else "" for at in range(len(row))
        )
        cells = zip(row, styles, strict=True)
        return "".join(f"<td{style}>{escape(cell)}</td>" for cell, style in cells)
