"""`standby status`: what runs, and in what state its stacks are."""

import json
from typing import Annotated, Literal

import typer
from botocore.exceptions import ClientError

from standby.cli.connection import EndpointUrl, Profile, connect
from standby.cloud import Cloud
from standby.errors import EnvironmentProblem
from standby.report.console import print_stacks
from standby.verify import Outputs, Side

SCHEMA = "standby.status/1"
_Row = tuple[str, str, str]


def status(
    endpoint_url: EndpointUrl = None,
    profile: Profile = None,
    output_format: Annotated[
        Literal["console", "json"], typer.Option("--format", help="console or json.")
    ] = "console",
) -> None:
    """Show the stacks of both regions, as AWS or the twin tells them.

    It knows the stacks from the outputs of the last deployment. A region that does not answer is
    shown as such; exit code 3 if none does.
    """
    outputs = Outputs.read()
    cloud = connect(endpoint_url, profile)
    rows: list[_Row] = []
    problems: list[EnvironmentProblem] = []
    for side in Side:
        region, names = outputs.region(side), outputs.stack_names(side)
        try:
            rows += [(name, region, _state(cloud, name, region)) for name in names]
        except EnvironmentProblem as problem:
            problems.append(problem)
            rows += [(name, region, "no answer") for name in names]
    if len(problems) == len(Side):
        raise problems[0]
    if output_format == "json":
        stacks = [dict(zip(("name", "region", "status"), row, strict=True)) for row in rows]
        typer.echo(json.dumps({"schema": SCHEMA, "stacks": stacks}, indent=2))
    else:
        print_stacks(rows)


def _state(cloud: Cloud, name: str, region: str) -> str:
    try:
        answer = cloud.call("cloudformation:DescribeStacks", region, StackName=name)
    except ClientError as error:
        if "does not exist" in str(error):
            return "absent"
        raise
    return str(answer["Stacks"][0]["StackStatus"])
