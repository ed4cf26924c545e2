"""What happens around a command: its end, its streams, its folder, its twin's neighbours."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from workspace import Workspace

from standby.twin import lifecycle

REGIONS = ("eu-west-2", "eu-west-3")


def told(process: "subprocess.Popen[str]") -> tuple[int, str]:
    """Wait for a command's end; give its exit code and what it said on standard error."""
    _, err = process.communicate(timeout=60)
    return process.returncode, err


class TestStreams:
    def test_a_reader_who_leaves_is_neither_a_yes_nor_a_no(self, workspace: Workspace) -> None:
        reader, writer = os.pipe()
        os.close(reader)
        result = workspace.into(writer, "config")
        os.close(writer)
        assert (result.returncode, result.stderr) == (128 + signal.SIGPIPE, "")

    @pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux's /dev/full")
    @pytest.mark.parametrize("unbuffered", ["", "1"])
    def test_an_answer_that_nothing_can_hold_is_told(
        self, workspace: Workspace, unbuffered: str
    ) -> None:
        workspace.environment["PYTHONUNBUFFERED"] = unbuffered
        with Path("/dev/full").open("w") as full:
            result = workspace.into(full.fileno(), "config")
        assert result.returncode == 3
        assert result.stderr == "standby: the system refuses: No space left on device\n"

    def test_a_terminal_of_ascii_is_no_obstacle(self, workspace: Workspace) -> None:
        workspace.environment["PYTHONIOENCODING"] = "ascii"
        ended = workspace.standby("config", "--author", "Jos\u00e9")
        assert ended.returncode == 0
        assert r"Jos\xe9" in ended.stdout


class TestFolder:
    def test_one_that_is_gone_is_told(self, workspace: Workspace) -> None:
        (workspace.folder / "gone").mkdir()
        code = "import os, sys; os.rmdir(os.getcwd()); os.execv(sys.executable, sys.argv[1:])"
        result = subprocess.run(
            [sys.executable, "-c", code, sys.executable, "-m", "standby.cli", "synth"],
            cwd=workspace.folder / "gone",
            capture_output=True,
            text=True,
            check=False,
        )
        assert result.returncode == 3
        assert result.stderr == "standby: this folder no longer exists; `cd` to one that does\n"

    def test_one_where_nothing_can_be_kept_is_told(self, workspace: Workspace) -> None:
        (workspace.folder / lifecycle.STATE_DIR).touch()
        ended = workspace.standby("up")
        assert ended.returncode == 3
        assert ended.stderr == "standby: the system refuses: File exists (.standby)\n"


class TestEnd:
    def test_a_terminated_synthesis_leaves_nothing(self, workspace: Workspace) -> None:
        synth = workspace.begin("synth")
        wait_for(lambda: list(workspace.folder.glob(".cdk.out.*")))
        synth.terminate()
        assert told(synth) == (128 + signal.SIGTERM, "")
        assert list(workspace.folder.iterdir()) == []

    def test_a_killed_one_says_nothing_more(self, workspace: Workspace) -> None:
        synth = workspace.begin("synth")
        (fresh,) = wait_for(lambda: list(workspace.folder.glob(".cdk.out.*")))
        wait_for(lambda: any(fresh.iterdir()))
        synth.kill()
        assert told(synth) == (-signal.SIGKILL, "")  # the pipe is closed: the worker has ended too

    def test_an_interrupt_waits_for_no_answer(self, workspace: Workspace) -> None:
        (workspace.folder / "outputs.json").write_text(
            """{"TapStackdev-VpcStack-Primary": {}, "TapStackdev-SecurityPrimary":
            {"KmsKeyArn": "arn:aws:kms:eu-west-2:123456789012:key/k"}}"""
        )
        with socket.create_server(("127.0.0.1", 0)) as silent:
            url = f"http://127.0.0.1:{silent.getsockname()[1]}"
            verify = workspace.begin("verify", "--outputs", "outputs.json", "--endpoint-url", url)
            silent.accept()
            verify.send_signal(signal.SIGINT)
            begin = time.monotonic()
            assert told(verify) == (130, "")
        assert time.monotonic() - begin < 5

    @pytest.mark.parametrize(
        ("script", "said"),
        [(None, "cannot start Node.js ("), ("#!/bin/sh\nexit 1\n", "check JSII")],
    )
    def test_a_node_that_does_not_run_is_told(
        self, workspace: Workspace, script: str | None, said: str
    ) -> None:
        node = workspace.folder / "node"
        if script:
            node.write_text(script)
            node.chmod(0o755)
        workspace.environment["JSII_NODE"] = str(node)
        ended = workspace.standby("synth")
        assert ended.returncode == 3
        assert said in ended.stderr
        assert len(ended.stderr.splitlines()) == 1


class TestNeighbours:
    def test_of_two_that_are_started_at_once_one_runs(self, workspace: Workspace) -> None:
        both = [workspace.begin("up") for _ in range(2)]
        refused = wait_for(lambda: next((up for up in both if up.poll() is not None), None))
        code, err = told(refused)
        assert code == 3
        assert "another twin" in err or "already running" in err
        assert wait_for(lambda: workspace.twin)
        for up in both:
            up.terminate()
            up.communicate()
        assert workspace.twin is None

    def test_a_copied_folder_has_no_twin(self, workspace: Workspace, tmp_path: Path) -> None:
        state = workspace.folder / lifecycle.STATE_DIR
        with lifecycle.running_twin(REGIONS, state) as twin:
            copy = Workspace(tmp_path / "copy")
            shutil.copytree(state, copy.folder / lifecycle.STATE_DIR)
            assert copy.standby("down").returncode == 3
            assert workspace.twin == twin

    def test_a_moved_folder_keeps_its_own(self, workspace: Workspace) -> None:
        state = workspace.folder / lifecycle.STATE_DIR
        with lifecycle.running_twin(REGIONS, state) as twin:
            moved = Workspace(workspace.folder / "moved")
            moved.folder.mkdir()
            state.rename(moved.folder / lifecycle.STATE_DIR)
            assert moved.standby("down").returncode == 0
            assert not Path(f"/proc/{twin.pid}/exe").exists()

    def test_what_a_killed_one_left_is_no_twin(self, workspace: Workspace) -> None:
        state = workspace.folder / lifecycle.STATE_DIR
        _, process = lifecycle.start(0, REGIONS, state_dir=state)
        process.kill()
        process.wait()
        assert workspace.twin is None
        with lifecycle.running_twin(REGIONS, state) as twin:
            assert workspace.twin == twin


def wait_for(condition: Callable[[], Any], seconds: float = 60) -> Any:
    """Wait until a condition holds, and give what it gave."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.02)
    return found
