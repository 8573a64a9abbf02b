"""The browser of the tests: CHROMIUM, one on the PATH, or that of .tools/chromium."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final

INSTALLED: Final = Path(__file__).parents[3] / ".tools/chromium"
NAMES: Final = ("chromium", "chromium-browser", "google-chrome", "chrome")
MISSING: Final = "no Chromium: run make .tools/chromium, or set CHROMIUM to an installed browser"


@dataclass(frozen=True, slots=True)
class Browser:
    """A program, and the environment that it starts in."""

    program: str
    environment: dict[str, str]


def find_browser() -> Browser | None:
    """Return the browser that tests should use; None if there is none."""
    present = dict(os.environ)
    named = present.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    if named:
        return Browser(named, present)
    program = INSTALLED.resolve() / "chromium"
    if not program.exists():
        return None
    # It brings its libraries and fonts, because a small system has neither.
    own = {
        "LD_LIBRARY_PATH": str(program.parent / "al2023/lib"),
        "FONTCONFIG_PATH": str(program.parent / "fonts"),
        "XDG_CACHE_HOME": str(program.parent / "cache"),
    }
    return Browser(str(program), present | own)
