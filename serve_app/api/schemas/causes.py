"""Causes: why portfolios have no plan, by reason and subject."""

from typing import Annotated, Literal

from pydantic import Field
from typing_extensions import TypedDict

from optimization import Refusal
from serve_app.api.schemas.fields import DecimalText, DocumentedAs
from serve_app.api.schemas.stored_fields import Identifier
from serve_app.json_text import plain
from serve_app.problems.error_table import find_refusal_kind
from storage.rebalances.outcome_causes import AdmittingBand, Cause, Causes


class AdmittingBandAnswer(TypedDict):
    """The band that leaves room for a whole lot in a part of the portfolios, at least."""

    share: Annotated[DecimalText, Field(description="part of the portfolios, from 0 to 1")]
    low_drift: DecimalText
    high_drift: DecimalText


class CauseAnswer(TypedDict):
    """One reason with its subject."""

    type: str
    title: str
    kind: Annotated[
        str | None,
        DocumentedAs(Literal["security", "option"] | None),
        Field(description="what the subject is; null if the reason names neither"),
    ]
    subject: Annotated[
        str | None, Field(description="a security id, or the name of an option; null if neither")
    ]
    portfolios: Annotated[int, Field(description="number of portfolios")]
    examples: Annotated[list[Identifier], Field(description="the first of the portfolios")]
    bands: Annotated[
        list[AdmittingBandAnswer],
        Field(description="the bands that would admit a half, nine tenths and all of them"),
    ]


class CausesAnswer(TypedDict):
    """Reasons by the number of their portfolios; a portfolio may count for several."""

    examined: Annotated[int, Field(description="portfolios without a plan that were read")]
    is_whole: Annotated[bool, Field(description="false if there are more than were read")]
    causes: list[CauseAnswer]


def causes_json(causes: Causes) -> CausesAnswer:
    """Build the reasons of a rebalance or a run."""
    return {
        "examined": causes.examined,
        "is_whole": causes.is_whole,
        "causes": [_cause_json(cause) for cause in causes.causes],
    }


def _cause_json(cause: Cause) -> CauseAnswer:
    kind = find_refusal_kind(Refusal(cause.code, "", {}))
    return {
        "type": kind.uri,
        "title": kind.title,
        "kind": cause.kind,
        "subject": cause.subject,
        "portfolios": cause.portfolios,
        "examples": list(cause.examples),
        "bands": [_band_json(band) for band in cause.bands],
    }


def _band_json(band: AdmittingBand) -> AdmittingBandAnswer:
    return {
        "share": plain(band.share),
        "low_drift": plain(band.low_drift),
        "high_drift": plain(band.high_drift),
    }
