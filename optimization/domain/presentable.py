"""Presentable: outcomes as text, HTML, data frames and pictures."""

from importlib import import_module
from typing import Any


class Presentable:
    """Methods that show an outcome: print, HTML, a data frame, a picture.

    ``optimization.presentation`` implements them. It is loaded on first use, because a service
    handles millions of outcomes and shows none.

    >>> from optimization import Model, Portfolio, rebalance
    >>> ira = Portfolio("ira", 1000, {}, {"VTI": 245.5})
    >>> print(rebalance(Model({"VTI": 0.9}, band=0.1), ira))
    ira: REBALANCED
    market value 1,000.00, cash 1,000.00 -> 18.00, drift 82.00 (OPTIMAL)
    security  side  quantity   price  amount  before  target   after
    VTI       BUY          4  245.50  982.00   0.00%  90.00%  98.20%
    """

    # Empty, because otherwise each outcome would get a __dict__ despite its slots.
    __slots__ = ()

    def __str__(self) -> str:
        return import_module("optimization.presentation.tables").tabulate(self).text()

    def _repr_html_(self) -> str:
        return import_module("optimization.presentation.tables").tabulate(self).html()

    def to_frame(self, table: str = "trades", kind: str | None = None) -> Any:
        """Make a data frame of the trades, of all ``"positions"``, or of the ``"outcomes"``.

        ``kind`` is ``"pandas"``, ``"polars"``, ``"pyarrow"`` or ``"dict"`` (lists by column); by
        default the kind of the given frames, or else the first library installed. Quantities
        are shares, prices and amounts currency, weights fractions of market value: whole numbers or
        floats. Raises FrameError for an unknown table or kind.

        >>> from optimization import Model, Portfolio, rebalance
        >>> ira = Portfolio("ira", 1000, {}, {"VTI": 245.5})
        >>> rebalance(Model({"VTI": 0.9}, band=0.1), ira).to_frame(kind="dict")["amount"]
        [982.0]
        """
        columns = import_module("optimization.presentation.columns").make_columns(self, table)
        return import_module("optimization.presentation.frame_kinds").make_frame(columns, kind)

    def plot(self, axes: Any = None) -> Any:
        """Draw drift against the band, before and after, and return the matplotlib axes.

        Deviations from target are in percent of market value. The extra ``plot`` brings matplotlib.
        Raises FrameError if it is not installed.

        >>> from optimization import Model, Portfolio, rebalance
        >>> ira = Portfolio("ira", 1000, {}, {"VTI": 245.5})
        >>> axes = rebalance(Model({"VTI": 0.9}, band=0.1), ira).plot()
        >>> axes.get_title()
        'ira: REBALANCED'
        """
        return import_module("optimization.presentation.chart").draw(self, axes)
