"""TLS to MongoDB, by the options of its URI, with a real server that takes nothing else."""

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from storage.embedded.engines import MONGOD, find_engine
from storage.embedded.free_port import free_port
from storage.errors import StorageUnavailableError
from storage.mongo.connection import connect, disconnect, ping
from tests.support.certificates import Authority, Files

WITHIN_MS = 5_000
Start = Callable[[Files], str]


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def start(authority: Authority, tmp_path: Path) -> Iterator[Start]:
    """Return a function that starts a server with a certificate, and gives its URI."""
    started: list[subprocess.Popen[bytes]] = []

    def start_with(files: Files) -> str:
        data, port, bundle = tmp_path / "data", free_port(), tmp_path / "bundle.pem"
        data.mkdir()
        bundle.write_bytes(files.certificate.read_bytes() + files.key.read_bytes())
        tls = f"--tlsMode=requireTLS --tlsCertificateKeyFile={bundle} --tlsCAFile={authority.file}"
        place = f"--dbpath={data} --port={port} --bind_ip=127.0.0.1 --logpath={tmp_path / 'log'}"
        options = f"{tls} {place} --tlsAllowConnectionsWithoutCertificates --nounixsocket"
        engine = find_engine(kind=MONGOD)
        started.append(subprocess.Popen([*engine.program, *options.split()]))
        return f"mongodb://127.0.0.1:{port}/?tls=true"

    yield start_with
    for server in started:
        server.terminate()
        server.wait(30)


async def ask(uri: str) -> None:
    database = connect(uri, "any", WITHIN_MS)
    try:
        await ping(database)
    finally:
        await disconnect(database)


async def test_a_database_with_tls_is_reached_by_options_of_its_uri(
    start: Start, authority: Authority
) -> None:
    uri = start(authority.issue())

    await ask(f"{uri}&tlsCAFile={authority.file}")


async def test_a_certificate_for_another_host_is_refused_and_said_to_be(
    start: Start, authority: Authority
) -> None:
    uri = start(authority.issue("db.example.com"))

    rule = r"the certificate of the database is not accepted: IP address mismatch"
    with pytest.raises(StorageUnavailableError, match=rule) as caught:
        await ask(f"{uri}&tlsCAFile={authority.file}")
    assert "127.0.0.1" not in caught.value.detail


async def test_a_database_whose_authority_nobody_named_is_not_believed(
    start: Start, authority: Authority
) -> None:
    with pytest.raises(StorageUnavailableError, match="certificate of the database is not acc"):
        await ask(start(authority.issue()))
