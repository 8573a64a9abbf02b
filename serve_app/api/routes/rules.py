"""Routes of pre-trade rules."""

from typing import Annotated, Final

from fastapi import APIRouter, Path
from starlette.responses import Response

from serve_app.api.access import ReadsRebalances, WritesRules
from serve_app.api.dependencies import StoredVersion, StorePort
from serve_app.api.etags import NOT_MODIFIED, IfMatch, IfNoneMatch, not_modified, rule_etag
from serve_app.api.exact_json import ExactRoute
from serve_app.api.idempotency import Idempotent
from serve_app.api.openapi.problem_answers import refuses
from serve_app.api.responses import json_response
from serve_app.api.schemas.rules import RuleAnswer, RulePost, RulePut, build_rule, rule_json
from serve_app.problems import catalogue
from storage.rules.rule import Rule

router = APIRouter(prefix="/api/v1", tags=["rules"], route_class=ExactRoute)

RuleId = Annotated[str, Path(pattern=r"^[0-9a-fA-F]{24}$", description="24 hexadecimal digits")]
WRONG_RULE: Final = (catalogue.BAD_ID, catalogue.NOT_FOUND, catalogue.INVALID_REQUEST)
WRONG_CHANGE: Final = (
    *WRONG_RULE,
    catalogue.STALE_VERSION,
    catalogue.PRECONDITION_FAILED,
    catalogue.PRECONDITION_REQUIRED,
    catalogue.BODY_TOO_LARGE,
)


@router.get("/rules", response_model=list[RuleAnswer], responses=refuses(catalogue.INVALID_REQUEST))
async def list_rules(_: ReadsRebalances, store: StorePort) -> Response:
    """List all rules by name, at most 50."""
    return json_response([rule_json(rule) for rule in await store.list_rules()])


@router.post(
    "/rules",
    status_code=201,
    response_model=RuleAnswer,
    responses=refuses(
        catalogue.INVALID_REQUEST,
        catalogue.NAME_TAKEN,
        catalogue.BODY_TOO_LARGE,
        catalogue.IDEMPOTENCY_KEY_REUSED,
        catalogue.REQUEST_IN_PROGRESS,
    ),
)
async def add_rule(_: WritesRules, body: RulePost, store: StorePort, once: Idempotent) -> Response:
    """Store a new rule, which holds for the rebalances that begin from now on."""
    rule = build_rule(body)
    stored_rule, replay = await once(
        lambda: store.add_rule(rule), lambda stored_rule: stored_rule.rule_id, store.read_rule
    )
    location = {"Location": f"/api/v1/rule/{stored_rule.rule_id}"}
    return _answer(stored_rule, 201, location | replay)


@router.get(
    "/rule/{rule_id}",
    response_model=RuleAnswer,
    responses={**NOT_MODIFIED, **refuses(*WRONG_RULE)},
)
async def read_rule(
    _: ReadsRebalances, rule_id: RuleId, store: StorePort, if_none_match: IfNoneMatch = None
) -> Response:
    """Read a rule."""
    rule = await store.read_rule(rule_id)
    return not_modified(rule_etag(rule), if_none_match) or _answer(rule)


@router.put(
    "/rule/{rule_id}",
    response_model=RuleAnswer,
    responses=refuses(*WRONG_CHANGE, catalogue.NAME_TAKEN),
)
async def replace_rule(
    _: WritesRules, rule_id: RuleId, body: RulePut, store: StorePort, precondition: IfMatch
) -> Response:
    """Replace the whole rule if its version is still the stored one."""
    precondition.require(body.version)
    return _answer(await store.replace_rule(build_rule(body, rule_id, body.version)))


@router.delete("/rule/{rule_id}", status_code=204, responses=refuses(*WRONG_CHANGE))
async def delete_rule(
    _: WritesRules, rule_id: RuleId, version: StoredVersion, store: StorePort, precondition: IfMatch
) -> Response:
    """Delete the rule of this version; rebalances keep what they were checked by."""
    precondition.require(version)
    await store.delete_rule(rule_id, version)
    return Response(status_code=204)


def _answer(rule: Rule, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return json_response(rule_json(rule), status, {"ETag": rule_etag(rule), **(headers or {})})
