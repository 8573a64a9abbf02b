"""The OpenAPI document, completed with problems of bodies and an example of every body."""

from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel

from optimization import GENERAL, ModelRules
from serve_app.api.browser_requests import SAFE_METHODS
from serve_app.api.middleware.origins import OPEN_PATHS
from serve_app.api.openapi.answer_examples import OF_OPERATIONS, OF_SHAPES
from serve_app.api.openapi.links import add_links
from serve_app.api.openapi.problem_answers import MEDIA_TYPE, Problem, describe_answer
from serve_app.api.schemas.positions import GeneralPositionAnswer, PositionAnswer
from serve_app.api.schemas.rules_in_force import use_rules
from serve_app.json_text import Json
from serve_app.problems import catalogue
from serve_app.problems.catalogue import KINDS, ProblemKind

DESCRIPTION = """Stores investment models and rebalances the portfolios that follow them. It
returns the trades to the whole-share holdings closest to the model, exact to the last share.

Every error is an `application/problem+json` document whose `type` is a page of this service.
Every request may limit its own duration with `X-Request-Timeout`, in seconds, and name itself in
the logs with `X-Correlation-ID`."""
OF_BODIES = (
    catalogue.NOT_JSON,
    catalogue.BODY_TOO_SLOW,
    catalogue.BODY_TOO_LARGE,
    catalogue.UNSUPPORTED_MEDIA_TYPE,
)

OF_CALLERS = (
    catalogue.UNAUTHENTICATED,
    catalogue.SCOPE_MISSING,
    catalogue.OUTSIDE_LIMITS,
    catalogue.RATE_EXCEEDED,
    catalogue.IDENTITY_PROVIDER_UNAVAILABLE,
)


def build_document(app: FastAPI, rules: ModelRules) -> Json:
    """Make the OpenAPI document of an application under these rules, once."""
    if app.openapi_schema is None:
        with use_rules(rules):
            document = get_openapi(
                title=app.title,
                version=app.version,
                description=DESCRIPTION,
                routes=app.routes,
                license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
            )
        own = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
        parts = own.pop("$defs")
        schemas = document["components"]["schemas"]
        schemas |= {"Problem": own, **parts}
        # The framework keeps a shape that fields share even where no field is documented by it.
        schemas.pop((PositionAnswer if rules is GENERAL else GeneralPositionAnswer).__name__, None)
        _restore_examples(schemas)
        _leave_doctests_out(schemas)
        for shape, example in OF_SHAPES.items():
            if shape.__name__ in schemas:  # a service that authenticates nobody has no keys
                schemas[shape.__name__]["examples"] = [example]
        for path, method, operation in _operations(document):
            for parameter in operation.get("parameters", ()):
                _leave_null_out(parameter["schema"])
            if not app.state.settings.authenticates:
                operation.pop("security", None)
            _add_problems(operation["responses"], _common_problems(path, method, operation))
            _add_examples(operation, schemas)
            add_links(operation)
        if not app.state.settings.authenticates:
            del document["components"]["securitySchemes"]
        document["info"]["x-model-rules"] = {
            "stored_models": rules.description,
            "optimize": GENERAL.description,
        }
        app.openapi_schema = document
    return app.openapi_schema


def _restore_examples(schemas: Json) -> None:
    """Restore examples as written, because the framework drops members that are null."""
    models: list[type[BaseModel]] = [BaseModel]
    while models:
        model = models.pop()
        models += model.__subclasses__()
        extra = model.model_config.get("json_schema_extra")
        if isinstance(extra, dict) and "examples" in extra and model.__name__ in schemas:
            schemas[model.__name__]["examples"] = extra["examples"]


def _leave_doctests_out(schemas: Json) -> None:
    """Cut the description of each shape before the examples that its class has for Python."""
    for schema in schemas.values():
        if "description" in schema:
            schema["description"] = schema["description"].partition("\n\n>>>")[0]


def _operations(document: Json) -> Iterator[tuple[str, str, Json]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield path, method.upper(), operation


def _common_problems(path: str, method: str, operation: Json) -> tuple[ProblemKind, ...]:
    """Name the problems that this operation has because of its body, path or method."""
    of_body = OF_BODIES if "requestBody" in operation else ()
    of_host = () if OPEN_PATHS.fullmatch(path) else (catalogue.HOST_NOT_ALLOWED,)
    of_change = () if method in SAFE_METHODS else (catalogue.FOREIGN_SITE,)
    of_caller = OF_CALLERS if "security" in operation else ()
    # INVALID_REQUEST is always one, because every route refuses unknown query parameters.
    return (*of_body, *of_host, *of_caller, *of_change, catalogue.INVALID_REQUEST)


def _leave_null_out(schema: Json) -> None:
    """Drop null from a parameter's schema, because a header or query is absent instead."""
    parts = [part for part in schema.get("anyOf", ()) if part != {"type": "null"}]
    if len(parts) == 1:
        del schema["anyOf"]
        schema |= parts[0]


def _add_problems(responses: Json, kinds: tuple[ProblemKind, ...]) -> None:
    """Add problems to those of a route."""
    for kind in kinds:
        answer = responses.get(str(kind.status), {})
        examples = answer.get("content", {}).get(MEDIA_TYPE, {}).get("examples", {})
        all_kinds = dict.fromkeys([*(KINDS[slug] for slug in examples), kind])
        responses[str(kind.status)] = describe_answer(list(all_kinds))


def _add_examples(operation: Json, schemas: Json) -> None:
    for status, answer in operation["responses"].items():
        own = OF_OPERATIONS.get((operation["operationId"], status))
        if own is not None:
            answer["content"]["application/json"]["example"] = own
    bodies = [operation.get("requestBody", {}), *operation["responses"].values()]
    for body in bodies:
        for content in body.get("content", {}).values():
            if "example" not in content and "examples" not in content:
                example = _example(content.get("schema", {}), schemas)
                if example is not None:
                    content["example"] = example


def _example(schema: Json, schemas: Json) -> Any:
    """Find the first example of a schema, or a list of its items' example."""
    if "$ref" in schema:
        return _example(schemas[schema["$ref"].rpartition("/")[2]], schemas)
    if "examples" in schema:
        return schema["examples"][0]
    if "items" in schema:
        item = _example(schema["items"], schemas)
        return None if item is None else [item]
    examples = (_example(part, schemas) for part in schema.get("anyOf", []))
    return next((example for example in examples if example is not None), None)
