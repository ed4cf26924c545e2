"""The twin: how soon both regions are deployed, what that occupies, and how soon it is verified."""

import statistics
import time
from collections.abc import Iterator

from bench import memory
from bench.figures import Figure
from bench.rig import Rig
from standby.assembly.read import read_assembly
from standby.cloud import Cloud
from standby.deploy import deploy
from standby.settings import Settings
from standby.synthesis import synthesize
from standby.twin.lifecycle import running_twin
from standby.verify import Outputs, all_probes, verify

DEPLOY_SECONDS, RESIDENT_MIB, VERIFY_SECONDS = 10, 400, 3
DEPLOYMENTS = 3
"""Each in a fresh twin."""


def measure(rig: Rig) -> Iterator[Figure]:
    """Do as ``standby up`` does, with fresh twins, and verify what it deployed.

    A twin starts, both regions are synthesized while it loads what it will need, and then deployed.

    Raises:
        AnswerIsNo: A stack could not be deployed.
        EnvironmentProblem: The twin did not start.
    """
    settings = Settings()
    regions = [settings.primary_region, settings.standby_region]
    starts, deployments, sizes, verifications, refused = [], [], [], [], set[str]()
    for number in range(min(rig.runs, DEPLOYMENTS)):
        begin = time.perf_counter()
        with running_twin(regions, rig.scratch / f"twin{number}") as twin:
            starts.append(time.perf_counter() - begin)
            cloud, directory = Cloud(twin.endpoint_url), rig.scratch / f"assembly{number}"
            synthesize(settings, directory, cache=False)
            begin = time.perf_counter()
            stacks = deploy(read_assembly(directory), cloud, lambda _: None)
            deployments.append(time.perf_counter() - begin)
            outputs = Outputs(settings.stack_name, stacks)
            begin = time.perf_counter()
            seen = list(verify(cloud, outputs, all_probes()))
            verifications.append(time.perf_counter() - begin)
            refused |= {each.id for each in seen if not each.ok}
            sizes.append(memory.resident_mib(twin.pid))
    note = f"the twin's start before synth: {statistics.median(starts):.1f} s"
    yield Figure("twin: all stacks, after synth", "s", deployments, DEPLOY_SECONDS, note=note)
    yield Figure("twin: resident", "MiB", sizes, RESIDENT_MIB, note=memory.WHAT)
    note = f"{len(seen)} probes" + (f", failed: {', '.join(sorted(refused))}" if refused else "")
    yield Figure("verify", "s", verifications, VERIFY_SECONDS, note=note)
