"""Remembers what an output was made from, so that equal inputs need no second making.

A record lists every input and every output with a digest of its content, and answers only while
all of them are as they were: a changed source, a touched output or a new file in a folder means
that the work is done again. It runs before anything else does, so it imports next to nothing.
"""

import hashlib
import json
import os
from collections.abc import Iterable, Mapping

ABSENT = "absent"
_RECORDS_KEPT = 32
_NOT_CONTENT = "__pycache__"


def digest(path: str | os.PathLike[str]) -> str:
    """Digest a file's content, or all names and contents below a folder; `ABSENT` for neither."""
    whole = hashlib.blake2b(digest_size=16)
    try:
        if not os.path.isdir(path):
            _add_file(whole, os.fspath(path))
            return whole.hexdigest()
    except OSError:
        return ABSENT
    _add_folder(whole, os.fspath(path), "")
    return whole.hexdigest()


def key(*parts: object) -> str:
    """Name a record after all that asks for the work: what JSON can hold."""
    text = json.dumps(parts, sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def recall(folder: str, name: str) -> str | None:
    """Give the summary of the work recorded as ``name``, or None when it must be done (again)."""
    try:
        with open(os.path.join(folder, f"{name}.json"), encoding="utf-8") as file:
            record = json.load(file)
        known = record["inputs"] | record["outputs"]
        intact = all(digest(path) == content for path, content in known.items())
        return str(record["summary"]) if intact else None
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return None  # no record, or none that can be read


def store(
    folder: str,
    name: str,
    *,
    summary: str,
    inputs: Mapping[str, str],
    outputs: Iterable[str],
) -> None:
    """Record work under ``name``.

    Args:
        folder: Where records are kept; the oldest ones beyond a few are dropped.
        name: What `key` gave.
        summary: A word about the outcome, for whoever asks again.
        inputs: Digests by path, taken *before* the work began: an input that changed meanwhile
            must not pass for the one that was used.
        outputs: Files and folders the work made.

    Raises:
        EnvironmentProblem: The record cannot be written.
    """
    from pathlib import Path

    from standby.files import write_atomically

    record = {
        "summary": summary,
        "inputs": dict(inputs),
        "outputs": {path: digest(path) for path in outputs},
    }
    write_atomically(Path(folder, f"{name}.json"), json.dumps(record))
    by_age = sorted(Path(folder).glob("*.json"), key=lambda path: path.stat().st_mtime)
    for path in by_age[:-_RECORDS_KEPT]:
        path.unlink(missing_ok=True)


def _add_folder(whole: "hashlib.blake2b", path: str, prefix: str) -> None:
    with os.scandir(path) as entries:
        ordered = sorted(entries, key=lambda entry: entry.name)
    for entry in ordered:
        if entry.name == _NOT_CONTENT:
            continue
        if entry.is_dir():
            whole.update(f"{prefix}{entry.name}/\0".encode(errors="surrogateescape"))
            _add_folder(whole, entry.path, f"{prefix}{entry.name}/")
            continue
        whole.update(f"{prefix}{entry.name}\0".encode(errors="surrogateescape"))
        if entry.is_file():
            _add_file(whole, entry.path)


def _add_file(whole: "hashlib.blake2b", path: str) -> None:
    with open(path, "rb", buffering=0) as file:
        content = file.read()
    whole.update(b"%d\0" % len(content))
    whole.update(content)
