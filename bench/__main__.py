"""Measures everything, prints one table, and says which targets were met.

A missed target does not fail the command: a busy machine is no defect. What cannot be measured
does: exit code 1 when the peer is not the same application or the twin refuses it, 3 when the
surroundings are not ready (no npm, no Node.js).
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from bench import machine, peer_app, startup, synth, table, twin
from bench.figures import Figure
from bench.rig import Rig
from standby.errors import StandbyError
from standby.files import write_atomically

SCHEMA = 1
RUNS = 7


def main(arguments: Sequence[str]) -> int:
    """Run the bench and give its exit code."""
    options = _parser().parse_args(arguments)
    try:
        with tempfile.TemporaryDirectory(prefix="standby-bench-") as scratch:
            return _bench(Rig(options.runs, Path(scratch)), options.json)
    except StandbyError as error:
        _say(str(error))
        return error.exit_code
    except KeyboardInterrupt:
        return 130


def _bench(rig: Rig, report: Path | None) -> int:
    temporary = rig.scratch / "tmp"
    temporary.mkdir()
    described = machine.describe()
    _say("building the peer ...")
    peer_app.build()
    size = synth.equal_size(rig)
    figures: list[Figure] = []
    problems: list[StandbyError] = []
    parts: dict[str, Callable[[], Iterable[Figure]]] = {
        "synth": lambda: synth.measure(rig),
        "start-up": lambda: [startup.measure(rig)],
        "twin": lambda: twin.measure(rig),
    }
    for name, measure in parts.items():
        _say(f"measuring {name} ...")
        try:
            figures += measure()
        except StandbyError as error:
            problems.append(error)
            _say(f"{name} is not measured: {error}")
    left = sorted(path.name for path in temporary.iterdir())
    facts = ", ".join(f"{name} {value}" for name, value in described.items())
    sys.stdout.write(
        f"machine: {facts}\n"
        f"peer: the same {size.stacks} stacks, {size.resources} resources of {size.types} types\n"
        f"runs: {rig.runs} of each, in turns, after a warm-up; ratios are medians of pairs\n"
        f"left in the temporary folder: {', '.join(left) or 'nothing'}\n\n"
        f"{table.render(figures)}\n"
    )
    if report:
        document = {
            "schema": SCHEMA,
            "machine": described,
            "peer": size._asdict(),
            "figures": [figure.as_json() for figure in figures],
            "problems": [str(problem) for problem in problems],
            "left_behind": left,
        }
        write_atomically(report, json.dumps(document, indent=2) + "\n")
    return problems[0].exit_code if problems else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--runs", type=_positive, default=RUNS, help="runs of each (%(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all runs to FILE too")
    return parser


def _positive(text: str) -> int:
    if (number := int(text)) < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
