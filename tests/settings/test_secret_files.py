"""Secrets that are read from files, which `NAME_FILE` names."""

import os
import re
from pathlib import Path

import pytest
from pydantic import SecretStr

from serve_app.settings import SECRETS, Settings, SettingsError, read_settings

URI = "mongodb://ada:mellon@db/"
NAMES = [name for names in SECRETS.values() for name in names]


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*Settings.names(), *NAMES):
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "secret"
    path.write_text(f"{URI}\n")
    return path


def holds_secret(name: str) -> bool:
    return "SecretStr" in str(Settings.model_fields[name].annotation)


def test_every_secret_setting_has_a_file() -> None:
    secrets = {name for name in Settings.names() if holds_secret(name)}

    assert secrets == set(SECRETS)
    assert {f"{name}_file" for name in secrets} <= set(Settings.names())


def test_a_secret_is_read_from_its_file_without_the_line_end(
    monkeypatch: pytest.MonkeyPatch, secret: Path
) -> None:
    monkeypatch.setenv("MONGODB_URI_FILE", str(secret))

    settings = read_settings()

    assert settings.mongodb_uri is not None
    assert settings.mongodb_uri.get_secret_value() == URI
    assert "mellon" not in f"{settings!r} {settings.model_dump_json()}"


def test_a_file_may_be_an_argument(secret: Path) -> None:
    settings = read_settings({"mongodb_uri_file": str(secret)})

    assert settings.mongodb_uri == SecretStr(URI)


@pytest.mark.parametrize("name", SECRETS["mongodb_uri"])
def test_a_secret_beside_its_file_is_refused_and_both_are_named(
    monkeypatch: pytest.MonkeyPatch, secret: Path, name: str
) -> None:
    monkeypatch.setenv("MONGODB_URI_FILE", str(secret))
    monkeypatch.setenv(name.upper(), URI)

    rule = r"^MONGODB_URI_FILE is '.*': has to be unset where MONGODB_URI is set$"
    with pytest.raises(SettingsError, match=rule):
        read_settings()
    monkeypatch.delenv(name.upper())
    with pytest.raises(SettingsError, match=rule):
        read_settings({name: URI})


def test_a_wrong_secret_in_a_file_is_not_shown(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text("http://ada:mellon@db/")

    with pytest.raises(SettingsError, match=r"^MONGODB_URI: a URI that starts with") as caught:
        read_settings({"mongodb_uri_file": path})

    assert "mellon" not in f"{caught.value} {caught.value!r}"


@pytest.mark.parametrize(
    ("content", "rule"),
    [
        (b"", "is empty"),
        (b" \n", "is empty"),
        (b"mongodb://mellon\nmongodb://b\n", "has to be one line without control characters"),
        (b"mongodb://mellon\x00", "has to be one line without control characters"),
        (b"mongodb://mellon\xff", "is not UTF-8"),
    ],
)
def test_a_file_without_one_line_is_refused_in_one_line(
    tmp_path: Path, content: bytes, rule: str
) -> None:
    path = tmp_path / "secret"
    path.write_bytes(content)

    with pytest.raises(SettingsError, match=rf"^MONGODB_URI_FILE is '.*': {rule}$") as caught:
        read_settings({"mongodb_uri_file": path})

    assert "mellon" not in f"{caught.value!r} {caught.value.__cause__!r}"


def test_a_file_that_cannot_be_read_is_refused_with_the_reason(tmp_path: Path) -> None:
    missing = tmp_path / "missing"

    rule = re.escape(f"MONGODB_URI_FILE is '{missing}': cannot be read (No such file")
    with pytest.raises(SettingsError, match=rule):
        read_settings({"mongodb_uri_file": missing})


def test_a_fifo_or_a_directory_is_no_secret_file(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)

    for path in (fifo, tmp_path):
        with pytest.raises(SettingsError, match=r"is no regular file$"):
            read_settings({"mongodb_uri_file": path})
