"""State and settings of the service for its operators, without secrets."""

from pathlib import Path
from typing import Annotated, Final
from urllib.parse import urlsplit, urlunsplit
from zoneinfo import ZoneInfo

from pydantic import Field, SecretStr
from typing_extensions import TypedDict

from serve_app.api.schemas.health import Health
from serve_app.settings import Settings

SettingValue = str | int | float | bool | None
HIDDEN: Final = "(set)"


class EventStreams(TypedDict):
    """Streams of events that the answering ingress has open, and its most."""

    open: int
    most: int


class SystemAnswer(TypedDict):
    """State of the service as the answering ingress sees it."""

    version: str
    model_rules: Annotated[str, Field(description="rules that models have to keep")]
    auth: str
    health: Health
    event_streams: EventStreams
    settings: Annotated[
        dict[str, SettingValue],
        Field(description="by name; of a secret only whether it is set"),
    ]


def system_json(
    settings: Settings, version: str, health: Health, streams: EventStreams
) -> SystemAnswer:
    """Build the state of the service."""
    return {
        "version": version,
        "model_rules": settings.model_rules,
        "auth": settings.auth,
        "health": health,
        "event_streams": streams,
        "settings": _settings_json(settings),
    }


def _settings_json(settings: Settings) -> dict[str, SettingValue]:
    values = ((name, getattr(settings, name)) for name in type(settings).model_fields)
    return {name.upper(): _show(value) for name, value in values}


def _show(value: object) -> SettingValue:
    match value:
        case SecretStr():
            return HIDDEN
        case None | bool() | int() | float():
            return value
        case Path() | ZoneInfo():
            return str(value)
        case tuple():
            return ",".join(map(str, value))  # pyright: ignore[reportUnknownArgumentType]
        case _:
            return _without_password(str(value))


def _without_password(text: str) -> str:
    """Leave out the user and password of a URL."""
    parts = urlsplit(text)
    if "@" not in parts.netloc:
        return text
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
