"""`ordergen serve` with a certificate, called from the command line and the client."""

import os
import subprocess
from collections.abc import Iterator

import httpx
import pytest

from serve_app.client import Client
from storage.embedded.free_port import free_port
from tests.end_to_end.test_command import ORDERGEN, READY, Command
from tests.support.certificates import Authority

pytestmark = pytest.mark.cluster


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def url(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    files, directory = authority.issue(), tmp_path_factory.mktemp("service")
    command = Command(
        directory,
        "serve",
        PORT=str(free_port()),
        DATA_DIRECTORY=str(directory / "data"),
        TLS_CERTIFICATE=str(files.certificate),
        TLS_KEY=str(files.key),
    )
    assert command.prints(READY), "\n".join(command.lines)
    (line,) = [line for line in command.lines if line.startswith("service ")]
    yield line.split()[1]
    command.stop()
    assert command.wait_until_over() == 0


def test_clients_that_believe_the_authority_are_answered(authority: Authority, url: str) -> None:
    assert url.startswith("https://")
    with Client(url, ca_file=authority.file) as client:
        assert client.ready().status == "ready"

    environment = {**os.environ, "ORDERGEN_CA_FILE": str(authority.file), "ORDERGEN_URL": url}
    result = subprocess.run(
        [ORDERGEN, "models", "show", "--json"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (result.returncode, result.stdout.strip()) == (0, "[]"), result.stderr


def test_answers_tell_browsers_to_stay_with_tls(authority: Authority, url: str) -> None:
    with Client(url, ca_file=authority.file) as client:
        answer = client._http.get("/health/live")  # noqa: SLF001 - for its headers

    assert answer.headers["strict-transport-security"].startswith("max-age=")


def test_clients_that_do_not_believe_it_or_speak_plain_http_are_told(url: str) -> None:
    with Client(url, retry_s=0.1) as stranger, pytest.raises(httpx.ConnectError) as caught:
        stranger.ready()
    assert "CERTIFICATE_VERIFY_FAILED" in str(caught.value)

    with pytest.raises(httpx.RemoteProtocolError):
        httpx.get(f"{url.replace('https:', 'http:')}/health/live", trust_env=False)
