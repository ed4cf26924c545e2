"""`standby down`: the end of the local twin."""

from typing import Annotated

import typer

from standby.cloud import Cloud
from standby.deploy import destroy
from standby.errors import EnvironmentProblem
from standby.report.console import DeploymentProgress, say
from standby.twin import lifecycle
from standby.twin.bootstrap import STACK as BOOTSTRAP_STACK


def down(
    delete: Annotated[
        bool, typer.Option("--destroy", help="Delete every stack first, as AWS would.")
    ] = False,
) -> None:
    """Stop the local twin.

    Its state is gone with it. --destroy shows that the stacks can be deleted, and what stands in
    the way if they cannot; then the twin goes on running.
    """
    running = lifecycle.find()
    if running is None:
        raise EnvironmentProblem("no twin is running from this folder; `standby up` starts one")
    if delete:
        cloud = Cloud(running.endpoint_url)
        with DeploymentProgress() as progress:
            destroy(_stacks(cloud, running.regions), cloud, progress)
    lifecycle.stop(running)
    say(f"stopped the twin at {running.endpoint_url}")


def _stacks(cloud: Cloud, regions: tuple[str, ...]) -> list[tuple[str, str]]:
    """Give every stack but the CDK's own, as (name, region), the first made first."""
    stacks = [
        (stack["CreationTime"], stack["StackName"], region)
        for region in regions
        for stack in cloud.call("cloudformation:DescribeStacks", region)["Stacks"]
    ]
    return [(name, region) for _, name, region in sorted(stacks) if name != BOOTSTRAP_STACK]
