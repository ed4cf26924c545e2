"""Running the command line in an empty folder, as a process would."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from standby.cli import run


@dataclass(frozen=True)
class Ended:
    """What a command line left: its exit code, and what it printed."""

    code: int
    out: str
    err: str


@pytest.fixture
def standby(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Ended]:
    """Run a command line in an empty folder of its own."""
    monkeypatch.chdir(tmp_path)
    for name in ("AWS_ENDPOINT_URL", "AWS_PROFILE", "REPOSITORY", "COMMIT_AUTHOR"):
        monkeypatch.delenv(name, raising=False)

    def command(*arguments: str) -> Ended:
        capsys.readouterr()
        code = run(arguments)
        out, err = capsys.readouterr()
        return Ended(code, out, err)

    return command
