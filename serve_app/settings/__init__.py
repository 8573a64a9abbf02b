"""Settings of the service; the one door for every other room of serve_app."""

from serve_app.settings.errors import SettingsError
from serve_app.settings.identity import IdentitySettings
from serve_app.settings.settings import (
    SECRETS,
    UPSTREAM_URLS,
    Settings,
    nearest,
    read_settings,
)

__all__ = [
    "SECRETS",
    "UPSTREAM_URLS",
    "IdentitySettings",
    "Settings",
    "SettingsError",
    "nearest",
    "read_settings",
]
