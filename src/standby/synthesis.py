"""From Settings to a cloud assembly, in a process of its own, or from memory.

The CDK runs in a child: its Python without assertions, its Node.js, their 200 MB and their
chatter stay out of the caller, and an interrupted or failed run leaves the old assembly in place.
Unchanged inputs are answered from a record (`standby.memo`). Importing this module costs almost
nothing, so that such an answer is instant.
"""

import contextlib
import json
import os
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn, Self

from standby import memo
from standby.errors import EnvironmentProblem, StandbyError, UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from standby.settings import Settings

RECORDS = os.path.join(".standby", "synth")
_PACKAGE = os.path.dirname(__file__)
_VARIABLES = ("AWS_DEFAULT_REGION", "AWS_REGION", "COMMIT_AUTHOR", "PYTHONPATH", "REPOSITORY")
_PREFIXES = ("CDK_", "JSII_", "NODE_", "STANDBY_")
"""The environment that an assembly may depend on."""
_CLI_OWN = {"CDK_CONTEXT_JSON", "CDK_OUTDIR"}
"""How the CDK's CLI speaks to an app; nobody else's words may reach ours."""
_NOT_SYNTHESIZED = {"twin_port"}
"""The settings that no assembly depends on."""
_ASSEMBLY_MARK = "cdk.out"
"""The file that makes a folder a cloud assembly; only such a folder is ever replaced."""
_STOP_SECONDS = 5.0


class Synthesis(NamedTuple):
    """An assembly that is on disk, and what it was made from.

    Attributes:
        summary: How many stacks it has, for the user.
        unchanged: Whether an earlier run had made it.
        inputs: Digests by path.
    """

    summary: str
    unchanged: bool
    inputs: Mapping[str, str]


def synthesize(
    settings: "Settings",
    outdir: "Path",
    *,
    cache: bool = True,
    validate: bool = False,
    context: Mapping[str, Any] | None = None,
    worker: "Worker | None" = None,
) -> Synthesis:
    """Write the cloud assembly of ``settings`` to ``outdir``, replacing an older one.

    Args:
        settings: What to build.
        outdir: Folder of the assembly.
        cache: Answer from memory when nothing has changed.
        validate: Check the templates with the CDK's own rules too (about 1.5 s).
        context: CDK context beyond the settings: feature flags and the like.
        worker: A worker that was started ahead; one is started when it is needed without.

    Raises:
        UsageError: ``outdir`` holds something else, or a setting cannot be built.
        EnvironmentProblem: No Node.js, or the disk is full.
        StandbyError: The CDK refused, which is a bug of the blueprint.
    """
    from standby.files import replaced_folder

    request = {
        "settings": settings.model_dump_json(by_alias=True, exclude=_NOT_SYNTHESIZED),
        "validate": validate,
        "context": dict(context or {}),
    }
    name = memo.key("settings", request, os.fspath(outdir), _surroundings())
    inputs = _digests(_PACKAGE, settings.workload_path)
    if cache and (summary := memo.recall(RECORDS, name)):
        return Synthesis(summary, unchanged=True, inputs=inputs)
    _refuse_to_replace(outdir)
    # The worker ends first: nobody may write into a folder that is being moved or removed.
    with replaced_folder(outdir) as fresh, worker or Worker() as running:
        running.run(request | {"outdir": str(fresh.absolute())})
        summary = _summary(fresh)
    _store(name, summary, inputs, outdir)
    return Synthesis(summary, unchanged=False, inputs=inputs)


def recall(command: Sequence[str]) -> str | None:
    """Give the summary of an earlier run of the same command line, if nothing has changed since."""
    return memo.recall(RECORDS, memo.key("command", command, _surroundings()))


def remember(
    command: Sequence[str], made: Synthesis, outdir: "Path", files: Sequence["Path"]
) -> None:
    """Let `recall` answer this command line while also ``files``, read for it, are the same."""
    name = memo.key("command", command, _surroundings())
    _store(name, made.summary, {**made.inputs, **_digests(*files)}, outdir)


class Worker:
    """A Python of its own that imports the CDK at once, and then synthesizes one assembly.

    Started before the command line is read, it imports while that happens.
    """

    def __init__(self) -> None:
        import subprocess

        self._answered = False
        self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
            [sys.executable, "-O", "-P", "-m", __name__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            # In a group of its own, so that Ctrl-C reaches it through us alone and only once.
            process_group=0,
            env={name: value for name, value in os.environ.items() if name not in _CLI_OWN},
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def run(self, request: Mapping[str, Any]) -> None:
        """Have the request carried out.

        Raises:
            StandbyError: Whatever went wrong there, with its exit code.
        """
        reply = self._ask(json.dumps(request))
        if not reply:
            raise EnvironmentProblem(f"the synthesis ended early (exit {self._process.wait()})")
        self._answered = True
        if error := json.loads(reply)["error"]:
            failure = StandbyError(error["message"])
            failure.exit_code = error["exit_code"]
            raise failure from _Elsewhere(error["traceback"])

    def close(self) -> None:
        """End the worker, whatever it is doing."""
        import subprocess

        if not self._answered:
            self._process.terminate()
        try:
            # Not `wait`, which looks for the end only every 50 ms.
            self._process.communicate(timeout=_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()

    def _ask(self, line: str) -> bytes:
        requests, replies = self._process.stdin, self._process.stdout
        # A worker that could not even load the CDK has answered already, and reads nothing.
        with contextlib.suppress(BrokenPipeError):
            requests.write(line.encode() + b"\n")  # type: ignore[union-attr]
            requests.flush()  # type: ignore[union-attr]
        return replies.readline()  # type: ignore[union-attr]


class _Elsewhere(Exception):  # noqa: N818 - carries the worker's traceback for `--debug`
    def __str__(self) -> str:
        return f"\n{self.args[0]}"


def _surroundings() -> list[object]:
    """List what else an assembly depends on: where we are, the environment, what is installed."""
    variables = {
        name: value
        for name, value in os.environ.items()
        if name in _VARIABLES or name.startswith(_PREFIXES)
    }
    installed = sorted(
        entry
        for folder in sys.path
        if os.path.basename(folder) == "site-packages" and os.path.isdir(folder)
        for entry in os.listdir(folder)
        if entry.endswith(".dist-info")
    )
    return [os.getcwd(), sys.version, sys.prefix, variables, installed]


def _digests(*paths: "str | Path") -> dict[str, str]:
    try:
        return {os.fspath(path): memo.digest(path) for path in paths}
    except OSError as error:
        raise UsageError(f"cannot read {error.filename}: {error.strerror}") from None


def _store(name: str, summary: str, inputs: Mapping[str, str], outdir: "Path") -> None:
    with contextlib.suppress(EnvironmentProblem):  # the assembly is good, only not remembered
        memo.store(RECORDS, name, summary=summary, inputs=inputs, outputs=[os.fspath(outdir)])


def _refuse_to_replace(outdir: "Path") -> None:
    if outdir.is_dir() and any(outdir.iterdir()) and not (outdir / _ASSEMBLY_MARK).exists():
        raise UsageError(
            f"{outdir} is not empty and not a cloud assembly; choose another --output or empty it"
        )
    if outdir.exists() and not outdir.is_dir():
        raise UsageError(f"{outdir} is a file; choose another --output")


def _summary(assembly: "Path") -> str:
    artifacts = json.loads((assembly / "manifest.json").read_bytes())["artifacts"].values()
    stacks = [each for each in artifacts if each["type"] == "aws:cloudformation:stack"]
    regions = {stack["environment"].rpartition("/")[2] for stack in stacks}
    return f"{len(stacks)} stacks in {' and '.join(sorted(regions))}"


def run_app() -> NoReturn:
    """Be the app that the CDK's own command line runs, and end this process.

    The command line tells by its environment where to write, and which context it was given.
    """
    try:
        _load_cdk()
        from standby.settings import resolve

        context = json.loads(os.environ.get("CDK_CONTEXT_JSON", "{}"))
        settings = resolve(context=context).settings

        from standby.blueprint import synthesize

        synthesize(settings, outdir=os.environ.get("CDK_OUTDIR", "cdk.out"), validate=True)
    except Exception as error:
        message, code = _explain(error)
        print(message, file=sys.stderr)  # noqa: T201 - what the CDK's command line shows
        sys.exit(code)
    _leave()


def _work() -> None:
    """Be the worker: read one request from standard input, answer it on standard output."""
    import signal

    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what the CDK prints is no answer
    signal.signal(signal.SIGTERM, _stop)
    error = _carry_out()
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # it ends anyway
    with contextlib.suppress(BrokenPipeError):  # a caller that was killed reads no answer
        answers.write(json.dumps({"error": error}) + "\n")
        answers.flush()  # and left open: its end tells the reader that this process has ended
    _leave()


def _stop(*_: object) -> NoReturn:
    import signal

    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # once is enough
    sys.exit()


def _end_with_caller() -> None:
    """End this process once the caller, however it ended, no longer holds its end of the pipe."""
    import signal

    while os.read(0, 1):
        continue
    os.kill(os.getpid(), signal.SIGTERM)


def _load_cdk() -> None:
    """Have Node.js load the CDK's library, while this process goes on."""
    import gc

    from standby import node

    gc.disable()  # the imports make a million objects and hardly any garbage
    node.start()


def _leave() -> NoReturn:
    """End Node.js and this process, without Python's own clearing up: a tenth of a second."""
    from standby import node

    node.stop()
    os._exit(0)


def _carry_out() -> dict[str, Any] | None:
    """Load the CDK, read one request, carry it out; give what went wrong, if anything did."""
    import threading
    from pathlib import Path

    try:
        _load_cdk()
        from standby.blueprint import synthesize
        from standby.settings import Settings

        request = json.loads(sys.stdin.readline() or sys.exit())
        threading.Thread(target=_end_with_caller, daemon=True).start()
        synthesize(
            Settings.model_validate_json(request["settings"]),
            outdir=Path(request["outdir"]),
            validate=request["validate"],
            context=request["context"],
        )
    except Exception as error:
        import traceback

        message, code = _explain(error)
        return {"message": message, "exit_code": code, "traceback": traceback.format_exc()}
    return None


def _explain(error: Exception) -> tuple[str, int]:
    """Say in one line what went wrong, and with which exit code to end."""
    if isinstance(error, StandbyError):
        return str(error), error.exit_code
    first = (str(error).strip() or type(error).__name__).splitlines()[0]
    if "ENOSPC" in first:
        return f"cannot write the assembly: {first}", EnvironmentProblem.exit_code
    return f"the CDK refused: {first}", StandbyError.exit_code


if __name__ == "__main__":
    _work()
