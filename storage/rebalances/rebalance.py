"""Rebalance of the portfolios of a model, and its document."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final

from bson import ObjectId

from optimization import Model, OptionOverrides, OverridesByPortfolio, PricedTarget, Refusal, Status
from optimization.errors import RuleError
from storage.mongo.connection import Document, require_object_id
from storage.mongo.decimal_codec import to_storable
from storage.options import (
    decode_overrides,
    decode_own_overrides,
    encode_overrides,
    encode_own_overrides,
)
from storage.rebalances.outcomes import (
    MAX_PORTFOLIOS_PER_REBALANCE,
    EncodeSecurity,
    decode_security,
    encode_refusal,
    encode_security,
)
from storage.rules.rule import Rule, decode_rule, encode_rule


class RebalanceStatus(StrEnum):
    """State of a rebalance."""

    RUNNING = "RUNNING"
    COMPLETED = "COMPLETED"  # every portfolio has its outcome; final
    STOPPED = "STOPPED"  # ended early; recorded outcomes stay, others may be added later


@dataclass(frozen=True, slots=True)
class Rebalance:
    """Rebalance of the portfolios of a model, without its outcomes.

    ``securities`` are the rows of the model at the prices of the rebalance. The portfolios have the
    ordinals 0 .. number_of_portfolios - 1. ``counts`` is filled when the rebalance ends.
    """

    rebalance_id: str
    model_id: str
    model_version: int
    model_name: str
    securities: tuple[PricedTarget, ...]
    options: OptionOverrides  # without the time limit, which is a setting
    number_of_portfolios: int
    started_at: datetime
    status: RebalanceStatus = RebalanceStatus.RUNNING
    counts: Mapping[Status, int] = field(default_factory=dict[Status, int])
    finished_at: datetime | None = None
    version: int = 1
    run_id: str | None = None  # the run that this rebalance is a part of
    begun_by: str | None = None  # principal that began it and chose its options; None if unknown
    refusal: Refusal | None = None  # why none of its portfolios can be rebalanced
    # Securities that options name and that no portfolio with known holdings has.
    unmatched: tuple[str, ...] = ()
    overrides_by_portfolio: OverridesByPortfolio = field(default_factory=dict[str, OptionOverrides])
    rules: tuple[Rule, ...] = ()  # the rules that its plans are checked by, as of its start

    def __post_init__(self) -> None:
        require_object_id("rebalance_id", self.rebalance_id)
        require_object_id("model_id", self.model_id)
        if not 0 <= self.number_of_portfolios <= MAX_PORTFOLIOS_PER_REBALANCE:
            rule = f"a run has at most {MAX_PORTFOLIOS_PER_REBALANCE} portfolios"
            raise RuleError(("number_of_portfolios",), self.number_of_portfolios, rule)


def new_rebalance_id() -> str:
    """Generate an id for a rebalance that is about to be opened."""
    return str(ObjectId())


def new_rebalance(
    rebalance_id: str,
    model: Model,
    portfolios: int,
    options: OptionOverrides,
    started_at: datetime,
    begun_by: str | None = None,
) -> Rebalance:
    """Make a running rebalance of one model, still without prices."""
    assert model.model_id is not None
    return Rebalance(
        rebalance_id=rebalance_id,
        model_id=model.model_id,
        model_version=model.version,
        model_name=model.name,
        securities=(),
        options=options,
        number_of_portfolios=portfolios,
        started_at=started_at,
        begun_by=begun_by,
    )


COLLECTION = "rebalances"
# Field of a rebalance of one portfolio that was stored at once: the document of its outcome.
OUTCOME: Final = "outcome"


def may_hold_outcome(rebalance: Rebalance) -> bool:
    """Whether the document of the rebalance may hold the outcome of its only portfolio."""
    return rebalance.run_id is None and rebalance.number_of_portfolios == 1


def encode_rebalance(rebalance: Rebalance, encoder: EncodeSecurity = encode_security) -> Document:
    """Convert a rebalance to a document."""
    part_of = {} if rebalance.run_id is None else {"run_id": ObjectId(rebalance.run_id)}
    problem = {} if rebalance.refusal is None else {"problem": encode_refusal(rebalance.refusal)}
    unmatched = {"unmatched": list(rebalance.unmatched)} if rebalance.unmatched else {}
    begun_by = {} if rebalance.begun_by is None else {"begun_by": rebalance.begun_by}
    return {
        **part_of,
        **begun_by,
        **problem,
        **unmatched,
        **encode_own_overrides(rebalance.overrides_by_portfolio),
        **_encode_rules(rebalance.rules),
        "_id": ObjectId(rebalance.rebalance_id),
        "model_id": ObjectId(rebalance.model_id),
        "model_version": rebalance.model_version,
        "model_name": rebalance.model_name,
        "status": rebalance.status.value,
        "securities": [encoder(security) for security in rebalance.securities],
        "options": to_storable(encode_overrides(rebalance.options)),
        "number_of_portfolios": rebalance.number_of_portfolios,
        "counts": {status.value: count for status, count in rebalance.counts.items()},
        "started_at": rebalance.started_at,
        "finished_at": rebalance.finished_at,
        "version": rebalance.version,
    }


def decode_rebalance(document: Document) -> Rebalance:
    """Convert a document to a rebalance."""
    return Rebalance(
        rebalance_id=str(document["_id"]),
        model_id=str(document["model_id"]),
        model_version=document["model_version"],
        model_name=document["model_name"],
        status=RebalanceStatus(document["status"]),
        securities=tuple(decode_security(row) for row in document["securities"]),
        options=decode_overrides(document["options"]),
        number_of_portfolios=document["number_of_portfolios"],
        counts={Status(status): count for status, count in document["counts"].items()},
        started_at=document["started_at"],
        finished_at=document["finished_at"],
        version=document["version"],
        refusal=Refusal(**document["problem"]) if "problem" in document else None,
        unmatched=tuple(document.get("unmatched", ())),
        overrides_by_portfolio=decode_own_overrides(document),
        run_id=str(document["run_id"]) if "run_id" in document else None,
        begun_by=document.get("begun_by"),
        rules=tuple(decode_rule(rule) for rule in document.get("rules", ())),
    )


def _encode_rules(rules: Sequence[Rule]) -> Document:
    return {"rules": [to_storable(encode_rule(rule)) for rule in rules]} if rules else {}
