"""A model that is not stored, tried on portfolios that follow the stored one."""

from collections import Counter
from collections.abc import Sequence
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field
from typing_extensions import TypedDict

from optimization import Model, PortfolioOutcome, Status
from serve_app.api.schemas.fields import document_counts
from serve_app.api.schemas.options import RebalanceOptionsBody
from serve_app.api.schemas.outcome_summaries import OutcomeSummary, outcome_summary_json
from serve_app.api.schemas.positions import POSITION, GivenPosition, PositionBody
from serve_app.api.schemas.rules_in_force import ByRules
from serve_app.api.schemas.stored_fields import several_ids

MAX_TRIED: Final = 1_000  # portfolios, because the caller waits for their holdings
DEFAULT_TRIED: Final = 100


class WhatIfBody(BaseModel):
    """Positions in place of the stored ones, and the portfolios to try them on.

    Without ``positions`` the stored model is tried, without ``portfolios`` a sample of those that
    follow it.
    """

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"positions": [POSITION], "sample": 50}]}
    )

    positions: Annotated[
        list[PositionBody] | None, ByRules(list[PositionBody] | None, list[GivenPosition] | None)
    ] = None
    portfolios: Annotated[list[str], several_ids(min_length=1, max_length=MAX_TRIED)] | None = None
    sample: Annotated[
        int,
        Field(
            ge=1,
            le=MAX_TRIED,
            description="most portfolios that are tried, spread evenly over those that follow",
        ),
    ] = DEFAULT_TRIED
    options: RebalanceOptionsBody | None = None


class WhatIfAnswer(TypedDict):
    """Outcomes of the portfolios that were tried; nothing of it is stored."""

    followers: Annotated[int, Field(description="portfolios that follow the stored model")]
    tried: int
    counts: Annotated[dict[str, int], document_counts(Status)]
    out_of_band_before: Annotated[int, Field(description="portfolios with a security out of band")]
    out_of_band_after: Annotated[int, Field(description="portfolios with a security out of band")]
    outcomes: list[OutcomeSummary]


def spread(portfolio_ids: Sequence[str], most: int) -> tuple[str, ...]:
    """Choose at most so many portfolios, spread evenly over their order.

    >>> spread(("P0", "P1", "P2", "P3", "P4"), 2)
    ('P0', 'P2')
    """
    count = len(portfolio_ids)
    if count <= most:
        return tuple(portfolio_ids)
    return tuple(portfolio_ids[place * count // most] for place in range(most))


def what_if_json(stored: Model, outcomes: Sequence[PortfolioOutcome]) -> WhatIfAnswer:
    """Build the outcomes of an attempt."""
    lines = [outcome_summary_json(outcome) for outcome in outcomes]
    counts = Counter(str(outcome.status) for outcome in outcomes)
    sides = [
        [drift for line in lines if (drift := line[side]) and drift["out_of_band"]]
        for side in ("before", "after")
    ]
    return {
        "followers": len(stored.portfolio_ids),
        "tried": len(lines),
        "counts": dict(counts),
        "out_of_band_before": len(sides[0]),
        "out_of_band_after": len(sides[1]),
        "outcomes": lines,
    }
