"""Pictures of drift against the band, before and after, with matplotlib."""

from importlib import import_module
from typing import Any

import numpy as np

from optimization.domain.outcome import PortfolioOutcome
from optimization.errors import FrameError
from optimization.presentation.answers import ManyAnswers, Position, list_answers, list_positions

MAX_BARS = 40
BAND_COLOUR, BEFORE_COLOUR, AFTER_COLOUR = "#d9dee5", "#c0504d", "#1f5f99"
NO_MATPLOTLIB = (
    "plot() needs matplotlib: pip install matplotlib, or the extra plot of this distribution"
)


def draw(shown: PortfolioOutcome | ManyAnswers, axes: Any = None) -> Any:
    """Draw one portfolio by security, or the drift of many, on ``axes`` or on new ones."""
    outcomes = [answer for _, answer in list_answers(shown) if isinstance(answer, PortfolioOutcome)]
    if axes is None:
        axes = _make_axes()
    if len(outcomes) == 1:
        _draw_positions(axes, outcomes[0])
    else:
        _draw_portfolios(axes, outcomes)
    return axes


def _make_axes() -> Any:
    try:
        # Imported late, because matplotlib is optional and slow to import.
        figures = import_module("matplotlib.pyplot")
    except ModuleNotFoundError:
        raise FrameError(NO_MATPLOTLIB) from None
    return figures.subplots(layout="constrained")[1]


def _compute_deviations(positions: list[Position]) -> tuple[Any, Any]:
    """Weight less target before and after, in percent of market value; shape (n,) each."""
    targets = np.array([float(position.security.weight) for position in positions])
    before = np.array([float(position.weight_before) for position in positions])
    after = np.array([float(position.weight_after) for position in positions])
    return 100 * (before - targets), 100 * (after - targets)


def _draw_positions(axes: Any, outcome: PortfolioOutcome) -> None:
    """Draw a line per security: its band as a bar, its deviation before and after as points."""
    positions = [*list_positions(outcome)]
    if len(positions) > MAX_BARS:
        # The largest deviations alone are drawn, because the names of more bars would overlap.
        largest = np.argsort(-np.abs(_compute_deviations(positions)[0]), kind="stable")[:MAX_BARS]
        positions = [positions[place] for place in largest.tolist()]
    places = np.arange(len(positions))
    low = np.array([100 * float(position.security.band.low) for position in positions])
    high = np.array([100 * float(position.security.band.high) for position in positions])
    before, after = _compute_deviations(positions)
    axes.barh(places, low + high, left=-low, height=0.6, color=BAND_COLOUR, label="band")
    axes.hlines(places, before, after, color=AFTER_COLOUR, linewidth=1)
    axes.scatter(before, places, facecolors="none", edgecolors=BEFORE_COLOUR, label="before")
    axes.scatter(after, places, color=AFTER_COLOUR, label="after", zorder=3)
    axes.axvline(0, color="black", linewidth=0.8)
    axes.set_yticks(places, [position.security.security_id for position in positions])
    axes.invert_yaxis()
    axes.set_xlabel("deviation from target, percent of market value")
    # Math mode is off, because an id with two dollar signs would become a formula.
    axes.set_title(f"{outcome.portfolio_id}: {outcome.status}", parse_math=False)
    axes.legend()


def _draw_portfolios(axes: Any, outcomes: list[PortfolioOutcome]) -> None:
    """Draw the largest deviation of each portfolio as a fraction of its band: 1 is the edge."""
    largest = np.array([_find_largest_parts(outcome) for outcome in outcomes]).reshape(-1, 2)
    most = float(largest.max(initial=1.0))
    bins = np.linspace(0, 1.05 * most, 30)
    axes.hist(largest[:, 0], bins, color=BEFORE_COLOUR, alpha=0.5, label="before")
    axes.hist(largest[:, 1], bins, color=AFTER_COLOUR, alpha=0.5, label="after")
    axes.axvline(1, color="black", linewidth=0.8, linestyle="--", label="edge of the band")
    axes.set_xlabel("largest deviation from target, in bands")
    axes.set_ylabel("portfolios")
    axes.set_title(f"{len(outcomes):,} portfolios")
    axes.legend()


def _find_largest_parts(outcome: PortfolioOutcome) -> tuple[float, float]:
    positions = [position for position in list_positions(outcome) if position.security.weight]
    if not positions:
        return (0.0, 0.0)
    low = np.array([100 * float(position.security.band.low) for position in positions])
    high = np.array([100 * float(position.security.band.high) for position in positions])
    before, after = (
        # A width is at least 1e-9, because a band of no width would otherwise divide by zero.
        float(np.max(np.abs(moved) / np.maximum(np.where(moved < 0, low, high), 1e-9)))
        for moved in _compute_deviations(positions)
    )
    return before, after
