"""Model commands: models listed, shown, created and edited from a terminal."""

import json
import re
import stat
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.support.command_server import Ordergen
from tests.support.fakes import A, B, P, Q, R, make_model_body
from tests.support.terminal import ORDERGEN, run_on_terminal

pytestmark = pytest.mark.usefixtures("model")


@pytest.fixture
def model_id(model: dict[str, Any]) -> str:
    return model["model_id"]


async def read(ordergen: Ordergen, model_id: str) -> dict[str, Any]:
    done = await ordergen("models", model_id, "--json")
    return json.loads(done.stdout, parse_float=Decimal)


def weights(model: dict[str, Any]) -> dict[str, tuple[Decimal, Decimal, Decimal]]:
    return {
        position["security_id"]: (position["target"], position["low_drift"], position["high_drift"])
        for position in model["positions"]
    }


async def test_a_model_is_shown_by_its_id_with_and_without_show(
    ordergen: Ordergen, model_id: str
) -> None:
    short = await ordergen("models", model_id)
    long = await ordergen("models", "show", model_id)

    assert short.exit_code == long.exit_code == 0
    assert short.stdout == long.stdout
    assert "ALFA" in short.stdout
    assert "25.00%" in short.stdout


async def test_options_of_the_list_need_no_word_show(ordergen: Ordergen, model_id: str) -> None:
    done = await ordergen("models", "--limit", "1", "--json")

    assert [model["model_id"] for model in json.loads(done.stdout)] == [model_id]


async def test_help_lists_what_can_be_done_with_models(ordergen: Ordergen) -> None:
    done = await ordergen("models", "--help")

    assert all(word in done.stdout for word in ("show", "create", "edit"))


async def test_a_model_is_created_from_a_file_and_from_stdin(
    ordergen: Ordergen, tmp_path: Path
) -> None:
    file = tmp_path / "model.json"
    file.write_text(json.dumps(make_model_body("Income")))

    created = await ordergen("models", "create", str(file))
    piped = await ordergen(
        "models", "create", "-", "--json", stdin=json.dumps(make_model_body("Value"))
    )

    assert created.exit_code == piped.exit_code == 0, created.output + piped.output
    assert "Income (" in created.stdout
    assert json.loads(piped.stdout)["name"] == "Value"


async def test_a_created_model_is_named_by_its_id(ordergen: Ordergen) -> None:
    done = await ordergen("models", "create", "-", stdin=json.dumps(make_model_body("Income")))
    listed = json.loads((await ordergen("models", "--json")).stdout)

    (model_id,) = [model["model_id"] for model in listed if model["name"] == "Income"]
    assert model_id in done.stdout


async def test_options_take_precedence_over_the_file(ordergen: Ordergen) -> None:
    given = ("--name", "Mine", "--portfolio", R)

    done = await ordergen(
        "models", "create", "-", *given, "--json", stdin=json.dumps(make_model_body())
    )

    made = json.loads(done.stdout)
    assert (made["name"], made["portfolios"]) == ("Mine", [R])


WRONG_FILES = {
    "no JSON": ('{\n  "name": ,\n}', "line 2, column 11"),
    "no object": ("[]", "an object"),
    "twice": ('{"name": "a", "name": "b"}', "/name"),
    "unknown": ('{"name": "a", "targets": []}', "/targets"),
    "missing": ('{"name": "a", "positions": []}', "portfolios"),
    "no list": ('{"name": "a", "positions": {}, "portfolios": []}', "/positions"),
    "rule": (
        json.dumps(make_model_body("x", positions=[{"security_id": A}])),
        "/positions/0/target",
    ),
}


@pytest.mark.parametrize(("text", "place"), WRONG_FILES.values(), ids=WRONG_FILES)
async def test_a_file_that_is_no_model_is_refused_with_its_place(
    ordergen: Ordergen, text: str, place: str
) -> None:
    done = await ordergen("models", "create", "-", stdin=text)
    data = await ordergen("models", "create", "-", "--json", stdin=text)

    assert (done.exit_code, done.stdout) == (2, ""), done.output
    assert place in done.stderr
    assert (data.exit_code, data.stderr) == (2, "")
    assert place in data.stdout


TABLE = f"Security ID,Weight (%),Band\n{A},25,2%\n{B},10,2%\n"


async def test_a_model_is_created_from_a_table_with_usual_headers(
    ordergen: Ordergen, tmp_path: Path
) -> None:
    file = tmp_path / "model.csv"
    file.write_text(TABLE)
    given = ("--from-csv", str(file), "--name", "Sheet", "--portfolio", R)

    done = await ordergen("models", "create", *given, "--json")

    assert done.exit_code == 0, done.output
    made = json.loads(done.stdout, parse_float=Decimal)
    assert (made["name"], made["portfolios"]) == ("Sheet", [R])
    assert weights(made) == {
        A: (Decimal("0.25"), Decimal("0.02"), Decimal("0.02")),
        B: (Decimal("0.1"), Decimal("0.02"), Decimal("0.02")),
    }


@pytest.mark.parametrize(
    ("old", "new", "place"),
    [
        ("25,", "much,", "model.csv, row 2, column 'Weight (%)': 'much'"),
        ("Band", "Colour", "no column is the band"),
        ("10,", "10.1,", "model.csv, row 3)"),
        (B, "VTI", "model.csv, row 3)"),
    ],
)
async def test_a_cell_that_breaks_a_rule_is_named_by_its_row(
    ordergen: Ordergen, tmp_path: Path, old: str, new: str, place: str
) -> None:
    file = tmp_path / "model.csv"
    file.write_text(TABLE.replace(old, new))
    given = ("--from-csv", str(file), "--name", "Sheet", "--portfolio", R)

    done = await ordergen("models", "create", *given)

    assert (done.exit_code, done.stdout) == (2, ""), done.output
    assert place in done.stderr


@pytest.mark.parametrize(
    "given", [(), ("-", "--from-csv", "x.csv"), ("--from-csv", "nowhere.csv", "--name", "x")]
)
async def test_a_model_without_one_source_is_a_wrong_argument(
    ordergen: Ordergen, given: tuple[str, ...]
) -> None:
    done = await ordergen("models", "create", *given, stdin="{}")

    assert (done.exit_code, done.stdout) == (2, "")


async def test_a_table_needs_a_name_and_a_portfolio(ordergen: Ordergen, tmp_path: Path) -> None:
    file = tmp_path / "model.csv"
    file.write_text(TABLE)

    done = await ordergen("models", "create", "--from-csv", str(file), "--name", "Sheet")

    assert done.exit_code == 2
    assert "portfolios" in done.stderr


async def test_flags_change_targets_bands_name_and_followers_in_one_version(
    ordergen: Ordergen, model_id: str
) -> None:
    flags = ("--set", f"{A}=30%", "--set", f"{B}=0.1,0.01,0.03", "--name", "Growth II")
    followers = ("--add-portfolio", R, "--remove-portfolio", P)

    done = await ordergen("models", "edit", model_id, *flags, *followers, "--json")

    assert done.exit_code == 0, done.output
    edited = json.loads(done.stdout, parse_float=Decimal)
    assert (edited["name"], edited["version"]) == ("Growth II", 2)
    assert edited["portfolios"] == [Q, R]
    assert weights(edited) == {
        A: (Decimal("0.3"), Decimal("0.01"), Decimal("0.02")),
        B: (Decimal("0.1"), Decimal("0.01"), Decimal("0.03")),
    }


async def test_one_band_is_for_both_sides_and_a_security_can_be_removed(
    ordergen: Ordergen, model_id: str
) -> None:
    flags = ("--set", f"{B}=40%,2%", "--remove", A)

    done = await ordergen("models", "edit", model_id, *flags, "--json")

    edited = json.loads(done.stdout, parse_float=Decimal)
    assert weights(edited) == {B: (Decimal("0.4"), Decimal("0.02"), Decimal("0.02"))}


WRONG_FLAGS = {
    "new without a band": ("--set", f"{B}=0.1"),
    "no weight": ("--set", f"{A}=much"),
    "no number": ("--set", f"{A}=nan%"),
    "too many": ("--set", f"{A}=0.1,0.1,0.1,0.1"),
    "not held": ("--remove", B),
    "not a follower": ("--remove-portfolio", R),
}


@pytest.mark.parametrize("flags", WRONG_FLAGS.values(), ids=WRONG_FLAGS)
async def test_a_wrong_flag_changes_nothing(
    ordergen: Ordergen, model_id: str, flags: tuple[str, ...]
) -> None:
    done = await ordergen("models", "edit", model_id, *flags)

    assert (done.exit_code, done.stdout) == (2, ""), done.output
    assert (await read(ordergen, model_id))["version"] == 1


def editor_of(directory: Path, *replacements: tuple[str, str]) -> dict[str, str]:
    """Write an editor that makes one replacement each time it is opened, and remembers the text."""
    program = directory / "editor"
    program.write_text(
        f"#!{sys.executable}\n"
        "import pathlib, sys\n"
        f"replacements = {replacements!r}\n"
        f"seen = pathlib.Path({str(directory)!r})\n"
        "count = len([*seen.glob('seen-*')])\n"
        "file = pathlib.Path(sys.argv[-1])\n"
        "(seen / f'seen-{count}').write_text(file.read_text())\n"
        "file.write_text(file.read_text().replace(*replacements[count]))\n"
    )
    program.chmod(stat.S_IRWXU)
    return {"EDITOR": str(program), "TMPDIR": str(directory)}


def append(path: str, text: str) -> None:
    with Path(path).open("a") as file:
        file.write(text)


def texts_in(directory: Path) -> list[str]:
    return [path.read_text() for path in sorted(directory.glob("seen-*"))]


def kept_in(directory: Path) -> list[Path]:
    return [*directory.glob("ordergen-*.json")]


async def test_the_editor_opens_a_model_with_names_and_stores_the_change(
    ordergen: Ordergen, url: str, model_id: str, tmp_path: Path
) -> None:
    editor = editor_of(tmp_path, ('"target": 0.25', '"target": 0.30'))

    screen = await run_on_terminal(url, "models", "edit", model_id, environment=editor)

    assert screen.exit_code == 0, screen.text
    (text,) = texts_in(tmp_path)
    assert f"# {A} is ALFA" in text
    assert f"# {P} is Growth IRA" in text
    assert f'"portfolios": [\n    "{P}",\n    "{Q}"\n  ]' in text
    assert weights(await read(ordergen, model_id))[A][0] == Decimal("0.30")
    assert kept_in(tmp_path) == []


async def test_a_refusal_returns_to_the_editor_with_its_reason(
    ordergen: Ordergen, url: str, model_id: str, tmp_path: Path
) -> None:
    editor = editor_of(tmp_path, ("0.25,", "2.5,"), ("2.5,", ","), (": ,", ": 0.20,"))

    screen = await run_on_terminal(url, "models", "edit", model_id, environment=editor)

    assert screen.exit_code == 0, screen.text
    _, refused, unreadable = texts_in(tmp_path)
    assert refused.startswith("#! 422 /problems/invalid-request")
    assert "/positions/0/target" in refused
    line = re.match(r"#! line (\d+), column \d+ is not JSON", unreadable)
    assert line is not None
    assert '"target": ,' in unreadable.splitlines()[int(line[1]) - 1]
    assert weights(await read(ordergen, model_id))[A][0] == Decimal("0.20")


async def test_without_a_terminal_a_refusal_ends_the_edit_and_the_text_is_kept(
    ordergen: Ordergen, model_id: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    for name, value in editor_of(tmp_path, ("0.25,", "2.5,")).items():
        monkeypatch.setenv(name, value)

    done = await ordergen("models", "edit", model_id)

    (kept,) = kept_in(tmp_path)
    assert done.exit_code == 2, done.output
    assert "/positions/0/target" in done.stderr
    assert f"the text is kept in {kept}" in done.stderr
    assert '"target": 2.5,' in kept.read_text()
    assert (await read(ordergen, model_id))["version"] == 1


async def test_a_text_that_is_left_as_it_was_stores_nothing(
    ordergen: Ordergen, url: str, model_id: str, tmp_path: Path
) -> None:
    screen = await run_on_terminal(
        url, "models", "edit", model_id, environment=editor_of(tmp_path, ("", ""))
    )

    assert screen.exit_code == 0, screen.text
    assert "nothing was changed" in screen.text
    assert (await read(ordergen, model_id))["version"] == 1


async def test_a_model_that_another_changed_meanwhile_is_not_overwritten(
    ordergen: Ordergen, url: str, model_id: str, tmp_path: Path
) -> None:
    editor = editor_of(tmp_path, ("0.25,", "0.30,"))
    append(
        editor["EDITOR"],
        "import subprocess\n"
        f"command = {[*ORDERGEN, 'models', 'edit', model_id, '--name', 'Theirs']!r}\n"
        "subprocess.run(command, check=True, capture_output=True)\n",
    )

    screen = await run_on_terminal(url, "models", "edit", model_id, environment=editor)

    (kept,) = kept_in(tmp_path)
    assert screen.exit_code == 1, screen.text
    assert str(kept) in screen.text.replace("\n", "")
    stored = await read(ordergen, model_id)
    assert (stored["name"], stored["version"]) == ("Theirs", 2)
    assert weights(stored)[A][0] == Decimal("0.25")


async def test_an_editor_that_fails_or_does_not_exist_is_named(
    ordergen: Ordergen, model_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VISUAL", "/nowhere/editor")
    missing = await ordergen("models", "edit", model_id)
    monkeypatch.setenv("VISUAL", "false")
    failed = await ordergen("models", "edit", model_id)

    assert (missing.exit_code, failed.exit_code) == (2, 1)
    assert "/nowhere/editor" in missing.stderr
    assert "the editor false ended with 1" in failed.stderr


async def test_default_options_stay_until_they_are_taken_out_of_the_text(
    ordergen: Ordergen, url: str, tmp_path: Path
) -> None:
    given = make_model_body("Careful", rebalance_options={"cash_floor": "2%"})
    made = await ordergen("models", "create", "-", "--json", stdin=json.dumps(given))
    model_id = json.loads(made.stdout)["model_id"]
    assert json.loads(made.stdout)["rebalance_options"] == {"cash_floor": "2%"}

    renamed = await ordergen("models", "edit", model_id, "--name", "Careful II", "--json")
    editor = editor_of(tmp_path, (',\n  "rebalance_options": {"cash_floor": "2%"}', ""))
    screen = await run_on_terminal(url, "models", "edit", model_id, environment=editor)

    assert json.loads(renamed.stdout)["rebalance_options"] == {"cash_floor": "2%"}
    assert screen.exit_code == 0, screen.text
    assert not (await read(ordergen, model_id)).get("rebalance_options")
