"""Whether the shared files are there."""

import os
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Self

INTERVAL = 1.0
PATIENCE = 5.0
"""Seconds without a successful look after which the files count as gone."""


class MountWatch:
    """Looks at the mounted directory once a second, from a thread of its own.

    A network file system that is gone does not fail, it hangs; so nobody who must answer in time
    may touch it. A look that hangs just stops being renewed.
    """

    def __init__(
        self, path: Path, *, interval: float = INTERVAL, patience: float = PATIENCE
    ) -> None:
        self._path = path
        self._interval = interval
        self._patience = patience
        self._seen_at = float("-inf")
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="mount-watch", daemon=True)

    @property
    def present(self) -> bool:
        """Whether the directory could be read within the last few seconds."""
        return time.monotonic() - self._seen_at < self._patience

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()

    def _watch(self) -> None:
        while True:
            began = time.monotonic()
            if _readable(self._path):
                self._seen_at = began
            if self._stop.wait(self._interval):
                return


def _readable(path: Path) -> bool:
    try:
        # Listing fails where nothing is mounted: only root may enter the directory underneath.
        # The size is asked of the server, where a listing may come from memory.
        with os.scandir(path) as entries:
            next(entries, None)
        os.statvfs(path)
    except OSError:
        return False
    return True
