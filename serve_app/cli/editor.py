"""Editor of the person at the terminal: VISUAL or EDITOR, on a file."""

import os
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Final

from serve_app.cli.exit_codes import CommandError, Ending

VARIABLES: Final = ("VISUAL", "EDITOR")
FALLBACKS: Final = ("sensible-editor", "nano", "vi")


def edit_file(path: Path) -> None:
    """Open a file in the editor and wait for its end; raise CommandError if that fails."""
    words = _find_editor()
    try:
        code = subprocess.run([*words, str(path)], check=False).returncode  # noqa: S603
    except OSError as error:
        detail = f"the editor {words[0]} does not start: {error.strerror}; set EDITOR"
        raise CommandError(Ending.USAGE, detail) from error
    if code != 0:
        raise CommandError(Ending.REFUSED, f"the editor {words[0]} ended with {code}")


def _find_editor() -> list[str]:
    for name in VARIABLES:
        if words := shlex.split(os.environ.get(name, "")):
            return words
    for program in FALLBACKS:
        if shutil.which(program) is not None:
            return [program]
    raise CommandError(Ending.USAGE, "there is no editor here: set EDITOR")
