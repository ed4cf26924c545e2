"""Which AWS a command means: an endpoint URL, a profile, or the twin that runs from here."""

from typing import Annotated

import typer

from standby.cloud import ENDPOINT_VARIABLE, Cloud
from standby.report.console import say
from standby.twin import lifecycle

EndpointUrl = Annotated[
    str | None,
    typer.Option(
        "--endpoint-url",
        metavar="URL",
        envvar=ENDPOINT_VARIABLE,
        help="Where the AWS API is; the twin that runs from here, else AWS itself.",
    ),
]
Profile = Annotated[
    str | None, typer.Option("--profile", metavar="NAME", help="Profile of the AWS configuration.")
]


def connect(endpoint_url: str | None, profile: str | None) -> Cloud:
    """Open the door to what the user means.

    Neither an endpoint nor a profile means the twin that was started from this folder, if one
    runs, and says so; a profile without an endpoint means AWS.
    """
    if not endpoint_url and not profile and (running := lifecycle.find()):
        say(f"using the twin at {running.endpoint_url}")
        endpoint_url = running.endpoint_url
    return Cloud(endpoint_url, profile)
