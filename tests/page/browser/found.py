"""The browser of the tests: CHROMIUM, one on the PATH, or that of .tools/chromium."""

import os
import shutil
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from playwright.async_api import Browser as OpenBrowser
from playwright.async_api import async_playwright

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
    command = present.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    if command:
        return Browser(command, present)
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


@asynccontextmanager
async def open_browser() -> AsyncGenerator[OpenBrowser]:
    """Run the browser until the end of the block; FileNotFoundError if there is none."""
    path = find_browser()
    if path is None:
        raise FileNotFoundError(MISSING)
    async with async_playwright() as driver:
        browser = await driver.chromium.launch(
            executable_path=path.program,
            env=dict(path.environment),
            # Containers run the tests as root, where Chromium has no sandbox.
            args=["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"],
        )
        yield browser
        await browser.close()
