"""Synthesis in a process of its own: remembered, replaced whole, or left as it was."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from workspace import interruptible

from standby import synthesis
from standby.errors import EnvironmentProblem, StandbyError, UsageError
from standby.settings import Settings, resolve
from standby.synthesis import Worker, recall, remember, synthesize

OUT = Path("cdk.out")
SYNTHESIZE = """
import sys
from pathlib import Path
from standby.errors import StandbyError
from standby.settings import resolve
from standby.synthesis import synthesize
try:
    synthesize(resolve(environ={}).settings, Path("cdk.out"), cache=False)
except StandbyError as error:
    print(error)
    sys.exit(error.exit_code)
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's folder, with a workload in it, that tests work in."""
    monkeypatch.chdir(tmp_path)
    Path("workload").mkdir()
    Path("workload/main.py").write_text("print('served')")
    Path("workload/requirements.txt").touch()
    return tmp_path


@pytest.fixture
def old_assembly() -> Path:
    """What an earlier run made, in so far as it matters."""
    OUT.mkdir()
    (OUT / "cdk.out").write_text("old")
    return OUT


def settings(**flags: Any) -> Settings:
    return resolve(flags=flags, environ={}).settings


def left() -> list[str]:
    """Name all that is in the user's folder beside the workload and the memory."""
    return sorted(
        path.name for path in Path().iterdir() if path.name not in {"workload", ".standby"}
    )


class Scripted(Worker):
    """A worker that makes a small assembly at once, or goes wrong."""

    def __init__(self, failure: BaseException | None = None) -> None:
        self.failure = failure

    def run(self, request: Mapping[str, Any]) -> None:
        outdir = Path(request["outdir"])
        (outdir / "cdk.out").write_text("new")
        (outdir / "manifest.json").write_text(json.dumps({"artifacts": {}}))
        if self.failure:
            raise self.failure

    def close(self) -> None:
        pass


def scripted(chosen: Settings | None = None, **options: Any) -> synthesis.Synthesis:
    return synthesize(chosen or settings(), OUT, **{"worker": Scripted()} | options)


class TestReal:
    def test_an_assembly_is_made_and_then_remembered(self) -> None:
        made = synthesize(settings(), OUT)
        assert made.summary == "17 stacks in eu-west-2 and eu-west-3"
        assert not made.unchanged
        assert len(list(OUT.glob("*.template.json"))) == 17
        again = synthesize(settings(), OUT)
        assert again.unchanged
        assert again.summary == made.summary

    def test_what_the_blueprint_refuses_leaves_the_old_one(self, old_assembly: Path) -> None:
        Path("workload/main.py").unlink()
        with pytest.raises(StandbyError, match=r"has no main\.py") as error:
            synthesize(settings(), OUT)
        assert error.value.exit_code == UsageError.exit_code
        assert (old_assembly / "cdk.out").read_text() == "old"
        assert left() == ["cdk.out"]

    def test_what_the_cdk_refuses_is_our_defect_and_leaves_the_old_one(
        self, old_assembly: Path
    ) -> None:
        context = {"@aws-cdk/core:defaultCrossStackReferences": "loose"}
        with pytest.raises(StandbyError, match="the CDK refused: ") as error:
            synthesize(settings(), OUT, context=context)
        assert error.value.exit_code == 4
        assert "Traceback" in str(error.value.__cause__)
        assert (old_assembly / "cdk.out").read_text() == "old"
        assert left() == ["cdk.out"]

    def test_a_worker_that_dies_leaves_the_old_one(self, old_assembly: Path) -> None:
        worker = Worker()
        worker._process.kill()
        with pytest.raises(EnvironmentProblem, match="ended early"):
            synthesize(settings(), OUT, worker=worker)
        assert (old_assembly / "cdk.out").read_text() == "old"
        assert left() == ["cdk.out"]

    @pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="needs Linux's /proc")
    @pytest.mark.parametrize("seconds", [0.2, 0.6, 1.0])
    def test_an_interrupt_leaves_the_old_one_and_no_process(
        self, seconds: float, old_assembly: Path
    ) -> None:
        mark = f"MARK={uuid.uuid4()}"
        name, value = mark.split("=")
        process = subprocess.Popen(
            [sys.executable, "-c", SYNTHESIZE],
            env=os.environ | {name: value},
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            preexec_fn=interruptible,
        )
        await_true(lambda: len(processes(mark)) > 1)
        time.sleep(seconds)
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(30) != 0
        await_true(lambda: not processes(mark))
        assert (old_assembly / "cdk.out").read_text() == "old"
        assert left() == ["cdk.out"]

    def test_a_full_disk_leaves_the_old_one(self, folder: Path) -> None:
        """Try a real, small file system: the system lets us mount one where nobody else sees it."""
        mounted = "mount -t tmpfs -o size=500k none . && cd . && "
        small = ["unshare", "--map-root-user", "--mount", "sh", "-c"]
        check = [*small, f"{mounted} true"]
        if not shutil.which("unshare") or subprocess.run(check, check=False).returncode:
            pytest.skip("the system allows no mount of our own")
        script = """
            mkdir workload cdk.out && echo old >cdk.out/cdk.out
            touch workload/main.py workload/requirements.txt
            "$0" -c "$1"; code=$?
            cat cdk.out/cdk.out; ls -A; exit $code
        """
        result = subprocess.run(
            [*small, mounted + script, sys.executable, SYNTHESIZE],
            stdout=subprocess.PIPE,
            text=True,
            check=False,
        )
        told, *rest = result.stdout.splitlines()
        assert told.startswith("cannot write the assembly: ")
        assert "no space left on device" in told
        assert rest == ["old", "cdk.out", "workload"]
        assert result.returncode == EnvironmentProblem.exit_code


class TestPlace:
    @pytest.mark.parametrize("content", ["notes.txt", "manifest.json", "folder/"])
    def test_a_folder_that_is_no_assembly_is_not_replaced(self, content: str) -> None:
        OUT.mkdir()
        (OUT / content).mkdir() if content.endswith("/") else (OUT / content).touch()
        with pytest.raises(UsageError, match="not empty and not a cloud assembly"):
            scripted()
        assert (OUT / content).exists()

    def test_nor_is_a_file(self) -> None:
        OUT.touch()
        with pytest.raises(UsageError, match="is a file"):
            scripted()

    def test_an_assembly_or_an_empty_folder_is_replaced(self) -> None:
        OUT.mkdir()
        for _ in range(2):
            assert not scripted(cache=False).unchanged
            assert (OUT / "cdk.out").read_text() == "new"

    @pytest.mark.parametrize("failure", [KeyboardInterrupt(), StandbyError("no"), OSError(28, "x")])
    def test_a_worker_that_fails_leaves_the_old_one(
        self, failure: BaseException, old_assembly: Path
    ) -> None:
        with pytest.raises((type(failure), EnvironmentProblem)):
            scripted(worker=Scripted(failure))
        assert (old_assembly / "cdk.out").read_text() == "old"
        assert left() == ["cdk.out"]
        assert not scripted().unchanged


class TestMemory:
    @pytest.fixture(autouse=True)
    def package(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        """A stand-in for our own source, which tests may change."""
        package = tmp_path / ".package"
        package.mkdir()
        (package / "stack.py").touch()
        monkeypatch.setattr(synthesis, "_PACKAGE", str(package))
        return package

    def test_unchanged_inputs_are_answered_from_it(self) -> None:
        assert not scripted().unchanged
        assert scripted().unchanged

    def test_it_can_be_passed_over(self) -> None:
        scripted()
        assert not scripted(cache=False).unchanged

    @pytest.mark.parametrize(
        "change",
        [
            lambda: Path(".package/stack.py").write_text("x = 1"),
            lambda: Path(".package/new.py").touch(),
            lambda: Path("workload/main.py").write_text("print('better')"),
            lambda: Path("workload/static.css").touch(),
            lambda: (OUT / "manifest.json").write_text("{}"),
            (OUT / "late.template.json").touch,
            lambda: shutil.rmtree(OUT),
        ],
    )
    def test_changed_files_are_not(self, change: Callable[[], object]) -> None:
        scripted()
        change()
        assert not scripted().unchanged
        assert scripted().unchanged

    @pytest.mark.parametrize(
        "options",
        [{"chosen": {"azCount": 3}}, {"validate": True}, {"context": {"@aws-cdk/x": "1"}}],
    )
    def test_other_settings_are_not(self, options: dict[str, Any]) -> None:
        scripted()
        chosen = settings(**options.pop("chosen", {}))
        assert not scripted(chosen, **options).unchanged

    @pytest.mark.parametrize("name", ["CDK_DEBUG", "JSII_NODE", "NODE_OPTIONS", "AWS_REGION"])
    def test_another_environment_is_not(self, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
        scripted()
        monkeypatch.setenv(name, "other")
        assert not scripted().unchanged

    def test_another_installed_package_is_not(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        scripted()
        (tmp_path / ".venv/site-packages/aws_cdk_lib-3.0.0.dist-info").mkdir(parents=True)
        monkeypatch.syspath_prepend(tmp_path / ".venv/site-packages")
        assert not scripted().unchanged

    def test_what_changes_during_the_work_is_seen_the_next_time(self) -> None:
        class Slow(Scripted):
            def run(self, request: Mapping[str, Any]) -> None:
                super().run(request)
                Path("workload/main.py").write_text("print('changed meanwhile')")

        scripted(worker=Slow())
        assert not scripted().unchanged

    def test_a_disk_without_room_for_a_record_is_no_failure(self) -> None:
        Path(".standby").touch()
        assert not scripted().unchanged
        assert (OUT / "cdk.out").read_text() == "new"

    def test_a_command_line_is_remembered_with_the_files_that_were_read_for_it(self) -> None:
        command, config = ["synth", "--az-count", "3"], Path("standby.toml")
        assert recall(command) is None
        remember(command, scripted(), OUT, [config])
        assert recall(command) == scripted().summary
        assert recall(["synth"]) is None
        config.write_text("azCount = 3")
        assert recall(command) is None


def processes(mark: str) -> list[int]:
    """Give the processes that have ``mark`` in their environment."""
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            if mark.encode() in path.read_bytes():
                found.append(int(path.parent.name))
    return found


def await_true(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_the_types_are_indexed_so_that_later_runs_need_not_read_them_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JSII_RUNTIME_PACKAGE_CACHE_ROOT", str(tmp_path / "packages"))
    index = ".jsii.runtime.v*.json"
    for _ in range(3):  # a busy machine may take more time than a run waits for it
        synthesize(settings(), OUT, cache=False)
        if found := list(tmp_path.glob(f"packages/aws-cdk-lib/*/*/{index}")):
            break
    assert found
