"""`standby deploy`: both regions, to AWS or to a running twin."""

import sys
from typing import Annotated

import typer
from botocore.exceptions import ClientError

from standby.assembly.read import Assembly, read_assembly
from standby.cli.assemblies import AssemblyOption, assembly_of
from standby.cli.choices import Choices, takes_settings
from standby.cli.connection import EndpointUrl, Profile, connect
from standby.cloud import Cloud
from standby.deploy import deploy as deploy_stacks
from standby.errors import AnswerIsNo, UsageError
from standby.report.console import DeploymentProgress, print_stacks, say
from standby.verify import OUTPUTS_FILE, write_outputs


@takes_settings
def deploy(
    choices: Choices,
    *,
    assembly: AssemblyOption = None,
    endpoint_url: EndpointUrl = None,
    profile: Profile = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    confirm_account: Annotated[
        str | None,
        typer.Option("--confirm-account", metavar="ID", help="The account that --yes is for."),
    ] = None,
) -> None:
    """Deploy both regions to AWS or to a running twin.

    AWS must be bootstrapped in both regions (`npx aws-cdk@2 bootstrap`). Before anything changes
    there, the plan is shown and asked about; --yes needs --confirm-account.
    """
    cloud = connect(endpoint_url, profile)
    planned = read_assembly(assembly_of(choices, assembly))
    if not cloud.is_local:
        _confirm(cloud, planned, confirm_account if yes else None, asks=not yes)
    with DeploymentProgress() as progress:
        outputs = deploy_stacks(planned, cloud, progress)
    write_outputs(outputs)
    say(f"outputs are in {OUTPUTS_FILE}")


def _confirm(cloud: Cloud, planned: Assembly, account: str | None, *, asks: bool) -> None:
    """Show what is going to change where, and have the user agree.

    Raises:
        UsageError: ``--yes`` names no account or another one, or nobody can be asked.
        AnswerIsNo: The user does not agree.
    """
    actual = cloud.account(planned.stacks[0].region or "us-east-1")
    if not asks and account != actual:
        named = f"names {account}" if account else "is missing"
        raise UsageError(
            f"--yes needs --confirm-account with the account of the credentials, {actual}; "
            f"it {named}"
        )
    print_stacks(
        (stack.name, stack.region or "-", _act(cloud, stack.name, stack.region))
        for stack in planned.stacks
    )
    if not asks:
        return
    if not sys.stdin.isatty():
        raise UsageError(
            f"nobody can be asked here; add --yes --confirm-account {actual} if this is wanted"
        )
    if not typer.confirm(
        f"Deploy these {len(planned.stacks)} stacks to account {actual}?", err=True
    ):
        raise AnswerIsNo("nothing was changed")


def _act(cloud: Cloud, stack: str, region: str | None) -> str:
    try:
        cloud.call("cloudformation:DescribeStacks", region or "us-east-1", StackName=stack)
    except ClientError as error:
        if "does not exist" in str(error):
            return "create"
        raise
    return "update"
