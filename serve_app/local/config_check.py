"""Strict check of serve_config.yaml, because Ray Serve ignores unknown keys.

Keys are compared with the classes by which Serve itself reads the file, the arguments of the
application with Settings.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ValidationError
from ray.serve.schema import ServeDeploySchema

from serve_app.settings import SettingsError, nearest, read_settings

Place = tuple[str | int, ...]


def check_serve_config(path: Path, deployments: tuple[str, ...]) -> None:
    """Raise SettingsError for the first key or value that Serve or the application would reject.

    ``deployments`` are the names of the application's deployments.
    """
    content = _read_yaml(path)
    if not isinstance(content, dict):
        raise SettingsError(str(path), None, "a mapping with the key applications")
    _check(content, ServeDeploySchema, ())
    host = ServeDeploySchema.model_validate(content).http_options.host
    for application in content["applications"]:
        read_settings(application.get("args")).require_protection(host)
        for deployment in application.get("deployments", ()):
            name = deployment["name"]
            if name not in deployments:
                rule = f"no such deployment{nearest(name, deployments)}"
                raise SettingsError(f"deployments.{name}", None, rule)


def _read_yaml(path: Path) -> Any:
    try:
        return yaml.safe_load(path.read_text())
    except (OSError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise SettingsError(str(path), None, f"cannot be read: {reason}") from error


def _check(value: dict[str, Any], schema: type[BaseModel], place: Place) -> None:
    known = tuple(schema.model_fields)
    for key in value:
        if key not in known:
            rule = f"no such key{nearest(str(key), known)}"
            raise SettingsError(_join((*place, key)), None, rule)
    for key, field in schema.model_fields.items():
        for inner, at in _mappings(value.get(key), (*place, key)):
            for part in _schemas(field.annotation):
                _check(inner, part, at)
    _check_values(value, schema, place)


def _check_values(value: dict[str, Any], schema: type[BaseModel], place: Place) -> None:
    try:
        schema.model_validate(value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise SettingsError(_join((*place, *first["loc"])), None, first["msg"]) from error


def _mappings(value: Any, place: Place) -> Iterator[tuple[dict[str, Any], Place]]:
    if isinstance(value, dict):
        yield value, place
    elif isinstance(value, list):
        for index, element in enumerate(value):
            yield from _mappings(element, (*place, index))


def _schemas(annotation: Any) -> Iterator[type[BaseModel]]:
    """Yield the pydantic classes in an annotation such as ``Dict | AutoscalingConfig | None``."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _schemas(argument)


def _join(place: Place) -> str:
    return ".".join(str(step) for step in place)
