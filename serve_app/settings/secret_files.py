"""Secret files: a secret setting is read from the file that `NAME_FILE` names.

The environment of a process shows up in process lists, crash reports and `docker inspect`; a file
has an owner and a mode.
"""

from collections.abc import Mapping
from pathlib import Path

from serve_app.settings.errors import SettingsError

SUFFIX = "_file"
MAX_BYTES = 65_536


def read_secret_files(
    given: Mapping[str, object], secrets: Mapping[str, tuple[str, ...]]
) -> dict[str, object]:
    """Replace each file of a secret by the secret in it.

    ``secrets`` has all names of each secret. Raises SettingsError if a secret is given by itself
    and by a file, or if a file does not have exactly one line.
    """
    settings = dict(given)
    for secret, names in secrets.items():
        variable = f"{secret}{SUFFIX}"
        path = settings.pop(variable, None)
        if path is None:
            continue
        if any(settings.get(name) is not None for name in names):
            rule = f"has to be unset where {secret.upper()} is set"
            raise SettingsError(variable.upper(), repr(str(path)), rule)
        settings[secret] = _read_line(variable.upper(), Path(str(path)))
    return settings


def _read_line(variable: str, path: Path) -> str:
    shown = repr(str(path))
    if path.exists() and not path.is_file():  # because a FIFO would hang the start
        raise SettingsError(variable, shown, "is no regular file")
    try:
        with path.open("rb") as file:
            text = file.read(MAX_BYTES).decode().strip()
    except OSError as error:
        raise SettingsError(variable, shown, f"cannot be read ({error.strerror})") from error
    except ValueError:  # without its cause, which holds the secret
        raise SettingsError(variable, shown, "is not UTF-8") from None
    if not text:
        raise SettingsError(variable, shown, "is empty")
    if not text.isprintable():  # also a line end
        raise SettingsError(variable, shown, "has to be one line without control characters")
    return text
