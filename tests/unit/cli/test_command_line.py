"""What every command has in common: help, exit codes, one line for each error."""

import importlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from standby.cli import COMMANDS

ROOT = Path(__file__).parents[3]


def test_help_lists_every_command_and_loads_none(standby: Any) -> None:
    code = (
        "import sys; from standby.cli import run; run(['--help']);"
        "sys.exit(bool({'boto3', 'aws_cdk', 'moto', 'pydantic', 'rich'} & set(sys.modules)))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, "a heavy package was loaded"
    assert all(name in result.stdout for name in COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_the_list_says_of_a_command_what_the_command_says_of_itself(
    name: str, standby: Any
) -> None:
    command = getattr(importlib.import_module(f"standby.cli.{name}"), name)
    assert command.__doc__.splitlines()[0] == COMMANDS[name]
    ended = standby(name, "--help")
    assert ended.code == 0
    assert COMMANDS[name] in ended.out


def test_every_module_of_a_command_is_listed() -> None:
    modules = {path.stem for path in (ROOT / "src/standby/cli").glob("*.py")}
    shared = {"__init__", "__main__", "ahead", "app"}
    shared |= {"assemblies", "choices", "connection", "formats"}
    assert modules - shared == set(COMMANDS)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["nonsense"], 2, "No such command 'nonsense'"),
        (["synth", "--nonsense"], 2, "--nonsense"),
        (["config", "-c", "natGatways=2"], 2, "did you mean 'natGateways'?"),
        (["config", "-c", "natGateways"], 2, "write -c key=value"),
        (["config", "--nat-gateways", "9"], 2, "natGateways"),
        (["config", "--config", "absent.toml"], 2, "cannot read absent.toml"),
        (["verify"], 3, "deploy first"),
        (["verify", "nonsense"], 2, "no probe or pillar is named 'nonsense'"),
        (["verify", "--format", "xml"], 2, "the forms are console, json, junit"),
        (["verify", "--format", "json", "--format", "junit"], 2, "give one a path"),
        (["verify", "--format", "json:"], 2, "write NAME or NAME:PATH"),
        (["down"], 3, "no twin is running"),
        (["status"], 3, "deploy first"),
        (["up", "--assembly", "nowhere"], 3, "no cloud assembly in nowhere"),
        (["deploy", "--assembly", "nowhere"], 3, "no cloud assembly in nowhere"),
        (["deploy", "--endpoint-url", "twin"], 2, "'twin' is not an HTTP URL"),
    ],
)
def test_what_is_wrong_is_told_in_one_line(
    arguments: list[str], code: int, said: str, standby: Any
) -> None:
    ended = standby(*arguments)
    assert (ended.code, ended.out) == (code, "")
    assert said in ended.err
    assert "Traceback" not in ended.err
    assert len(ended.err.splitlines()) == 1 or ended.err.startswith("Usage:")


def test_a_defect_is_an_internal_error_without_a_traceback(
    standby: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def defect(*_: object, **__: object) -> None:
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr("standby.cli.choices.resolve", defect)
    ended = standby("config")
    assert ended.code == 4
    assert ended.err.startswith("standby: internal error: ZeroDivisionError: division by zero")
    assert "Traceback" in standby("--debug", "config").err


def test_an_interrupt_is_130(standby: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("standby.cli.choices.resolve", interrupt)
    assert standby("config").code == 130


def test_the_version_is_printed(standby: Any) -> None:
    assert standby("--version").out.startswith("standby ")


def test_config_shows_every_setting_and_its_origin(
    standby: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("standby.toml").write_text('azCount = 3\nnatGateways = 2\n[workload]\npath = "app"\n')
    monkeypatch.setenv("STANDBY_NAT_GATEWAYS", "1")
    ended = standby(
        "config", "--show-origin", "--format", "json", "--no-access-logs", "-c", "azCount=2"
    )
    shown = json.loads(ended.out)
    assert shown["azCount"] == {"value": 2, "origin": "context -c"}
    assert shown["natGateways"] == {"value": 1, "origin": "environment"}
    assert shown["workload.path"] == {"value": "app", "origin": "standby.toml"}
    assert shown["accessLogs"] == {"value": False, "origin": "flag"}
    assert shown["rto"] == {"value": "15m", "origin": "default"}


def test_config_is_plain_columns(standby: Any) -> None:
    lines = standby("config").out.splitlines()
    assert lines[0].split() == ["environmentSuffix", "dev"]
    assert ["deletionProtection", "false"] in [line.split() for line in lines]
    assert ["domainName", "-"] in [line.split() for line in lines]


def test_doctor_tells_what_is_missing(standby: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert standby("doctor").code == 0
    monkeypatch.setenv("JSII_NODE", "absent/node")
    ended = standby("doctor")
    assert ended.code == 3
    assert "absent/node does not run" in ended.out
    assert ended.err.startswith("standby: Node.js: not ready")
