"""Synthesis as whole processes: cold, from the cache, and under the CDK's own CLI."""

from collections.abc import Iterator

from bench import peer_app, process
from bench.figures import Figure, ratio
from bench.rig import PEER, ROOT, Rig
from bench.same import Size

COLD, CLI, CACHED = 2.1, 1.5, 0.1
"""Targets."""


def equal_size(rig: Rig) -> Size:
    """Synthesize both applications, prove that they are one, and give its size.

    Raises:
        AnswerIsNo: They differ.
    """
    ours, theirs = rig.scratch / "ours", rig.scratch / "peer"
    cold = [rig.standby, "synth", "--no-cache", "--output", str(ours)]
    for command in (cold, peer_app.command(theirs)):
        process.run(command, environment=rig.environment, folder=ROOT)
    return peer_app.prove_equal(ours, theirs)


def measure(rig: Rig) -> Iterator[Figure]:
    """Time both applications by themselves, ours from its cache, and both under the CLI."""
    ours = [rig.standby, "synth", "--output"]
    cold, theirs, cached = rig.take_turns(
        [*ours, str(rig.scratch / "ours"), "--no-cache"],
        peer_app.command(rig.scratch / "peer"),
        [*ours, str(rig.scratch / "cached")],
    )
    yield ratio("synth, cold", COLD, cold, theirs)
    yield ratio("synth, unchanged inputs", CACHED, cached, cold, note="other: ours, cold")
    yield _under_the_cli(rig)


def _under_the_cli(rig: Rig) -> Figure:
    cdk = [str(PEER / "node_modules" / ".bin" / "cdk"), "synth", "--quiet", "--no-notices"]
    ours, theirs = rig.take_turns(
        [*cdk, "--output", str(rig.scratch / "cdk-ours")],
        [
            *cdk,
            *("--output", str(rig.scratch / "cdk-peer")),
            *("--app", " ".join(peer_app.command(rig.scratch / "cdk-peer"))),
        ],
    )
    return ratio("npx aws-cdk@2 synth", CLI, ours, theirs)
