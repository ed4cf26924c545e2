"""Files and folders are written whole or not at all."""

import contextlib
import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from standby.errors import EnvironmentProblem

_TAKEN = {errno.EEXIST, errno.ENOTEMPTY}
"""What a rename answers when another process has put a folder there first."""
_SWAP_ATTEMPTS = 10
"""Two processes that replace one folder at the same moment each need a second try at most."""


def write_atomically(path: Path, text: str) -> None:
    """Write ``text`` to ``path`` so that no reader ever sees a part of it.

    A link stays one, and leads to the new text. A device or a pipe is written to: it cannot be
    replaced by a file, and must not be (``/dev/null`` is everybody's).

    Raises:
        EnvironmentProblem: The disk is full, or the place cannot be written to.
    """
    temporary = None
    try:
        if path.exists() and not path.is_file():
            path.write_text(text, encoding="utf-8")
            return
        place = Path(os.path.realpath(path))
        place.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=place.parent, prefix=f".{place.name}.")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        Path(temporary).chmod(0o644)  # `mkstemp` lets nobody else read
        Path(temporary).replace(place)
    except OSError as error:
        raise EnvironmentProblem(f"cannot write {path}: {error.strerror}") from None
    finally:
        if temporary:
            Path(temporary).unlink(missing_ok=True)


@contextlib.contextmanager
def replaced_folder(path: Path) -> Iterator[Path]:
    """Give an empty folder beside ``path`` that takes its place when the block succeeds.

    Whatever ends the block early leaves ``path`` as it was. What a killed process left behind is
    cleared by the next one.

    Raises:
        EnvironmentProblem: The disk is full, or the place cannot be written to.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _clear_leftovers(path)
        fresh = Path(tempfile.mkdtemp(dir=path.parent, prefix=_prefix(path, os.getpid())))
    except OSError as error:
        raise EnvironmentProblem(f"cannot write {path}: {error.strerror}") from None
    try:
        yield fresh
        fresh.chmod(0o755)
        _swap(fresh, path)
    except OSError as error:
        raise EnvironmentProblem(f"cannot write {path}: {error.strerror}") from None
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _swap(fresh: Path, path: Path) -> None:
    """Put ``fresh`` in the place of ``path``; the old one, if any, is left under the other name.

    A folder cannot be renamed over one with content, so there is an instant with neither; an
    interrupt in it puts the old one back.
    """
    old = fresh.with_name(f"{fresh.name}.old")
    for _ in range(_SWAP_ATTEMPTS):
        try:
            with contextlib.suppress(FileNotFoundError):
                path.rename(old)
            fresh.rename(path)
        except OSError as error:
            if error.errno not in _TAKEN:
                raise
        else:
            return
        finally:
            if old.exists() and not path.exists():
                _put_back(old, path)
            shutil.rmtree(old, ignore_errors=True)
    raise EnvironmentProblem(f"cannot write {path}: other processes keep writing it")


def _put_back(old: Path, path: Path) -> None:
    try:
        old.rename(path)
    except OSError as error:
        if error.errno not in _TAKEN:
            raise


def _prefix(path: Path, pid: int) -> str:
    return f".{path.name}.{pid}."


def _clear_leftovers(path: Path) -> None:
    for folder in path.parent.glob(f".{path.name}.*"):
        pid = folder.name.removeprefix(f".{path.name}.").split(".")[0]
        if pid.isdigit() and not _is_alive(int(pid)):
            shutil.rmtree(folder, ignore_errors=True)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
