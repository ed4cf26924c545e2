"""Files and folders are written whole or not at all, whatever happens meanwhile."""

import contextlib
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from standby.errors import EnvironmentProblem
from standby.files import replaced_folder, write_atomically


@contextlib.contextmanager
def disk_of(size: int) -> Iterator[None]:
    """Let no file grow beyond ``size``: the system itself refuses, as it does on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def run_and_kill(code: str, folder: Path) -> None:
    """Run Python code that kills its own process."""
    killed = subprocess.run([sys.executable, "-c", code], cwd=folder, check=False)
    assert killed.returncode == -signal.SIGKILL


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


class TestFile:
    def test_replaces_what_was_there_and_makes_the_folder(self, tmp_path: Path) -> None:
        path = tmp_path / "new" / "outputs.json"
        for text in ("first", "second"):
            write_atomically(path, text)
            assert path.read_text() == text
        assert names(path.parent) == ["outputs.json"]

    def test_can_be_read_by_others(self, tmp_path: Path) -> None:
        write_atomically(tmp_path / "outputs.json", "text")
        assert (tmp_path / "outputs.json").stat().st_mode & 0o777 == 0o644

    def test_is_never_seen_in_part(self, tmp_path: Path) -> None:
        path, texts = tmp_path / "file", ["a" * 200_000, "b" * 200_000]
        write_atomically(path, texts[0])
        with ThreadPoolExecutor() as pool:
            writing = pool.submit(lambda: [write_atomically(path, t) for t in texts * 50])
            while not writing.done():
                assert path.read_text() in texts
        writing.result()

    def test_stays_as_it_was_when_the_disk_is_full(self, tmp_path: Path) -> None:
        path = tmp_path / "file"
        write_atomically(path, "old")
        with (
            pytest.raises(EnvironmentProblem, match=r"cannot write .*file: File too large"),
            disk_of(10_000),
        ):
            write_atomically(path, "x" * 20_000)
        assert path.read_text() == "old"
        assert names(tmp_path) == ["file"]

    def test_a_link_stays_one_and_leads_to_the_new_text(self, tmp_path: Path) -> None:
        link, target = tmp_path / "link", tmp_path / "deep" / "target"
        link.symlink_to(target)
        for text in ("first", "second"):
            write_atomically(link, text)
            assert link.is_symlink()
            assert target.read_text() == text

    def test_a_pipe_or_device_is_written_to_and_stays(self, tmp_path: Path) -> None:
        pipe = tmp_path / "pipe"
        os.mkfifo(pipe)
        reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
        write_atomically(pipe, "text")
        assert os.read(reader, 10) == b"text"
        os.close(reader)
        assert pipe.is_fifo()

    def test_a_place_that_cannot_be_written_to_is_named(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        with pytest.raises(EnvironmentProblem, match=r"cannot write .*file/under: "):
            write_atomically(tmp_path / "file" / "under", "text")


class TestFolder:
    @pytest.fixture
    def place(self, tmp_path: Path) -> Path:
        """A folder with content, to be replaced."""
        place = tmp_path / "cdk.out"
        place.mkdir()
        (place / "old").touch()
        return place

    def test_takes_the_place_of_the_old_one(self, place: Path) -> None:
        with replaced_folder(place) as fresh:
            (fresh / "new").touch()
            assert names(place) == ["old"]
        assert names(place) == ["new"]
        assert names(place.parent) == ["cdk.out"]

    def test_can_be_the_first(self, tmp_path: Path) -> None:
        with replaced_folder(tmp_path / "deep" / "cdk.out") as fresh:
            (fresh / "new").touch()
        assert names(tmp_path / "deep" / "cdk.out") == ["new"]

    @pytest.mark.parametrize("interruption", [KeyboardInterrupt, SystemExit, ValueError])
    def test_leaves_the_old_one_when_the_work_ends_early(
        self, place: Path, interruption: type[BaseException]
    ) -> None:
        def work() -> None:
            with replaced_folder(place) as fresh:
                (fresh / "new").touch()
                raise interruption

        with pytest.raises(interruption):
            work()
        assert names(place) == ["old"]
        assert names(place.parent) == ["cdk.out"]

    def test_leaves_the_old_one_when_the_disk_is_full(self, place: Path) -> None:
        with (
            pytest.raises(EnvironmentProblem, match=r"cannot write .*cdk.out: File too large"),
            disk_of(10_000),
            replaced_folder(place) as fresh,
        ):
            (fresh / "new").write_bytes(bytes(20_000))
        assert names(place) == ["old"]
        assert names(place.parent) == ["cdk.out"]

    def test_what_a_killed_process_left_is_cleared_by_the_next(self, place: Path) -> None:
        run_and_kill(
            """
import os, signal
from pathlib import Path
from standby.files import replaced_folder
with replaced_folder(Path("cdk.out")) as fresh:
    (fresh / "half").touch()
    os.kill(os.getpid(), signal.SIGKILL)
""",
            place.parent,
        )
        assert names(place) == ["old"]
        assert len(names(place.parent)) == 2
        with replaced_folder(place) as fresh:
            (fresh / "new").touch()
        assert names(place.parent) == ["cdk.out"]

    def test_what_a_running_process_is_making_is_left_alone(self, place: Path) -> None:
        with replaced_folder(place) as outer:
            (outer / "outer").touch()
            with replaced_folder(place) as inner:
                (inner / "inner").touch()
            assert names(place) == ["inner"]
        assert names(place) == ["outer"]

    def test_many_at_once_leave_one_whole_folder(self, place: Path) -> None:
        def replace(number: int) -> None:
            with replaced_folder(place) as fresh:
                for name in ("a", "b"):
                    (fresh / name).write_text(str(number))

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(replace, range(40)))
        assert names(place) == ["a", "b"]
        assert (place / "a").read_text() == (place / "b").read_text()
        assert names(place.parent) == ["cdk.out"]


@pytest.mark.parametrize("write", [write_atomically, replaced_folder])
def test_other_hidden_files_of_the_folder_are_nobodys_business(
    write: Callable[..., object], tmp_path: Path
) -> None:
    (tmp_path / ".cdk.out.notes").touch()
    if write is write_atomically:
        write_atomically(tmp_path / "cdk.out", "text")
    else:
        with replaced_folder(tmp_path / "cdk.out"):
            pass
    assert (tmp_path / ".cdk.out.notes").exists()
