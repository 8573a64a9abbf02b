"""Preflight of the real command: a fault is reported at once, in one line."""

import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from serve_app.launch.haproxy import harden
from serve_app.launch.launcher import format_url
from serve_app.launch.preflight import (
    default_config,
    read_configuration,
    require_free_port,
    require_startable,
)
from serve_app.launch.ray_environment import (
    MAX_HAPROXY_DIRECTORY,
    make_haproxy_directory,
    ray_directory,
)
from serve_app.settings import SettingsError, read_settings
from storage.embedded.free_port import free_port

ORDERGEN = Path(sys.executable).with_name("ordergen")
ROOT = Path(__file__).parents[2]
HEAD = "price_date,ticker,price,price_std\n"


def complaint(directory: Path, *arguments: str, code: int = 2, **environment: str) -> str:
    """Run `ordergen serve`; return its only line of output, and check that Ray never started."""
    result = subprocess.run(
        [ORDERGEN, "serve", *arguments],
        cwd=directory,
        env={**os.environ, "PORT": str(free_port()), "RAY_TMPDIR": str(directory), **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == code, result.stdout + result.stderr
    assert not list(directory.rglob("session_*"))
    (line,) = (result.stdout + result.stderr).splitlines()
    return line


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1"])
def test_a_service_for_other_machines_has_to_authenticate_its_callers(
    tmp_path: Path, host: str
) -> None:
    line = complaint(tmp_path, HOST=host, ALLOWED_HOSTS="*")

    assert line == (
        f"ordergen: AUTH is none: everybody who reaches {host} could do everything: set AUTH=keys,"
        " or INSECURE_OFF_LOOPBACK=yes to allow that"
    )


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ({}, "OIDC_ISSUER is unset: has to be an https URL, or an http URL on loopback, without a"),
        (
            {"OIDC_ISSUER": "https://id.example.com"},
            "OIDC_AUDIENCE is unset: has to be the audience",
        ),
        ({"OIDC_ISSUER": "http://id.example.com"}, "OIDC_ISSUER is 'http://id.example.com': an"),
    ],
)
@pytest.mark.parametrize("auth", ["oidc", "keys+oidc"])
def test_a_service_for_tokens_has_to_know_their_issuer_and_its_own_name(
    tmp_path: Path, auth: str, given: dict[str, str], line: str
) -> None:
    assert complaint(tmp_path, AUTH=auth, **given).startswith(f"ordergen: {line}")


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_a_service_for_every_interface_has_to_say_its_names(tmp_path: Path, host: str) -> None:
    line = complaint(tmp_path, HOST=host)

    assert line == (
        "ordergen: ALLOWED_HOSTS is unset: has to name the hosts by which clients call the service,"
        f" for HOST is {host}; * allows every name"
    )


def test_files_are_read_before_ray_starts(tmp_path: Path) -> None:
    path = tmp_path / "prices.csv"
    line = complaint(tmp_path, "--prices", str(path))
    rule = "No such file or directory"
    assert line == f"ordergen: MARKET_PRICES_FILE is '{path}': {rule}"


@pytest.mark.parametrize(
    ("content", "rule"),
    [
        (
            "ticker,price\nA,1\n",
            "there is no column price_date; price_date, ticker, price, price_std",
        ),
        (HEAD + "2024-01-02,AAA,abc,0.1\n", "line 2: price is 'abc', an amount is needed"),
        (HEAD + "2024-01-02,AAA,0,0.1\n", "line 2: price is 0, an amount above 0 is needed"),
        (HEAD + "2024-01-02,AAA,1\n", "line 2: price_std is '', an amount is needed"),
        (HEAD + "2024-01-02,,1,1\n", "line 2 has no ticker"),
        (HEAD, "there are no prices of any date"),
        (HEAD + "2024-01-02,AAA,10,0.1\n", "the prices allow"),
    ],
)
def test_a_file_of_prices_that_cannot_be_used_is_refused_by_its_line(
    tmp_path: Path, content: str, rule: str
) -> None:
    path = tmp_path / "prices.csv"
    path.write_text(content)
    values = {"port": free_port(), "market_prices_file": path}
    with pytest.raises(SettingsError, match=re.escape(rule)) as failure:
        require_startable(read_settings(values))
    assert failure.value.variable == "MARKET_PRICES_FILE"


@pytest.mark.parametrize(
    ("variable", "value", "rule"),
    [
        ("PORT", "0", "a whole number from 1 to 65535"),
        ("HOLDINGS_DIRECTORY", "/nowhere", "is no directory"),
        ("MONGOD", "/bin/false", "no database server was found"),
        ("RAY_TMPDIR", "/nowhere", "RAY_TMPDIR is '/nowhere': no directory can be made in it"),
    ],
)
def test_a_setting_is_checked_before_ray_starts(
    tmp_path: Path, variable: str, value: str, rule: str
) -> None:
    assert rule in complaint(tmp_path, **{variable: value})


def test_a_database_that_does_not_answer_or_refuses_the_password_is_told_before_ray_starts(
    tmp_path: Path, mongodb_uri: str
) -> None:
    absent = complaint(tmp_path, code=3, MONGODB_URI="mongodb://127.0.0.1:1/?timeoutMS=200")
    assert absent.startswith("ordergen: MONGODB_URI: the database ")
    assert absent.endswith(("cannot be reached", "did not answer in time"))
    wrong = re.sub(r":\w+@", ":hunter2@", mongodb_uri)
    message = complaint(tmp_path, MONGODB_URI=wrong)
    assert message == "ordergen: MONGODB_URI: the database refuses it (OperationFailure)"


def test_a_configuration_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    line = complaint(tmp_path, "--config", "elsewhere.yaml")
    assert line == "ordergen: --config is elsewhere.yaml: cannot be read: No such file or directory"
    (tmp_path / "odd.yaml").write_text("applications: [")
    assert "--config is odd.yaml: cannot be read" in complaint(tmp_path, "--config", "odd.yaml")
    (tmp_path / "odd.yaml").write_text("[]")
    assert "a Serve configuration" in complaint(tmp_path, "--config", "odd.yaml")


def test_a_configuration_may_leave_out_what_serve_has_a_default_for(tmp_path: Path) -> None:
    path = tmp_path / "short.yaml"
    path.write_text("applications: [{import_path: serve_app.app:build_app}]\nhttp_options:\n")
    _, content = read_configuration(path, {})
    (application,) = content["applications"]
    assert (content["http_options"], content["logging_config"]) == ({}, {})
    assert {key: application[key] for key in ("name", "route_prefix", "deployments")} == {
        "name": "default",
        "route_prefix": "/",
        "deployments": [],
    }


@pytest.mark.parametrize(
    "rest",
    [
        "http_options: [1]",
        "logging_config: loud",
        "applications: [{deployments: [{num_replicas: 1}]}]",
        "applications: [{deployments: 3}]",
        "applications: [{args: 3}]",
        "applications: [3]",
    ],
)
def test_a_configuration_of_another_shape_is_refused_before_ray_starts(
    tmp_path: Path, rest: str
) -> None:
    path = tmp_path / "odd.yaml"
    path.write_text("applications: [{}]\n" * (not rest.startswith("app")) + rest)
    with pytest.raises(SettingsError, match="a Serve configuration with one application"):
        read_configuration(path, {})


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "::1", "::"])
def test_a_port_is_looked_at_in_the_family_of_the_host(host: str) -> None:
    settings = read_settings({"host": host, "port": free_port()})
    if ":" in host and not socket.has_dualstack_ipv6():
        pytest.skip("this machine has no IPv6")
    require_free_port(settings)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with (
        socket.create_server((host, settings.port), family=family),
        pytest.raises(SettingsError, match="set another PORT") as failure,
    ):
        require_free_port(settings)
    assert failure.value.variable == "PORT"


@pytest.mark.parametrize("host", ["192.0.2.1", "2001:db8::1", "no such host"])
def test_a_host_that_is_no_address_of_this_machine_is_named(host: str) -> None:
    with pytest.raises(SettingsError, match="is no address of this machine") as failure:
        require_free_port(read_settings({"host": host, "port": free_port()}))
    assert failure.value.variable == "HOST"


def test_the_address_of_a_service_can_be_opened_in_every_family() -> None:
    urls = [
        format_url(read_settings({"host": host, "port": 80})) for host in ("::", "::1", "10.0.0.1")
    ]
    assert urls == ["http://127.0.0.1:80", "http://[::1]:80", "http://10.0.0.1:80"]


def test_a_database_that_does_not_start_ends_with_3(tmp_path: Path) -> None:
    mongod = tmp_path / "mongod"
    mongod.write_text('#!/bin/sh\n[ "$1" = --version ] && echo "db version v7.0.0"\n')
    mongod.chmod(0o755)
    line = complaint(tmp_path, code=3, MONGOD=str(mongod))
    assert line.startswith("ordergen: mongod 7.0.0 did not start: it ended unexpectedly (see ")


def test_the_configuration_of_the_package_serves_any_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert default_config().read_text() == (ROOT / "serve_config.yaml").read_text()
    own = tmp_path / "serve_config.yaml"
    own.write_text((ROOT / "serve_config.yaml").read_text().replace("args: {}", "args: {port: 9}"))
    assert default_config() == Path("serve_config.yaml")
    settings, _ = read_configuration(None, {})
    assert settings.port == 9


def test_the_directories_of_ray_and_haproxy_are_private_and_their_names_short(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    (tmp_path / f"ordergen-{os.getuid()}").mkdir(mode=0o755)
    assert ray_directory().parent.stat().st_mode & 0o077 == 0
    directory = make_haproxy_directory()
    assert directory.stat().st_mode & 0o077 == 0
    assert len(str(directory)) <= MAX_HAPROXY_DIRECTORY
    directory.rmdir()


def test_a_directory_of_ray_that_somebody_else_laid_out_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    (tmp_path / f"ordergen-{os.getuid()}").symlink_to("/tmp")
    with pytest.raises(SettingsError, match="belongs to another user"):
        ray_directory()


def test_a_template_of_haproxy_that_another_ray_may_have_is_refused() -> None:
    lines = (
        "option splice-request",
        "retry-on conn-failure",
        "stats socket /x mode 660 level admin",
    )
    with pytest.raises(ValueError, match="stats socket"):
        harden("".join(f"    {line}\n" for line in lines), {})


def test_a_start_of_ray_that_fails_is_made_once_more_and_ends_with_one_line(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 90)  # where Ray cannot make its sockets, whose names are too long then
    deep.mkdir()
    environment = {"PORT": str(free_port()), "RAY_TMPDIR": str(deep)}
    result = subprocess.run(
        [ORDERGEN, "serve"],
        cwd=tmp_path,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert result.returncode == 3
    lines = result.stdout.splitlines()
    tries = [["database", "cluster", "cluster"], ["database", "cluster"]]
    assert [line.split()[0] for line in lines] == [*tries[0], *tries[1]]
    assert lines[2].startswith("cluster    did not start (")
    (line,) = result.stderr.splitlines()
    assert line.startswith("ordergen: Ray did not start: ")
    assert "end something else, try again" in line
