"""From Settings to a cloud assembly on disk."""

import os
from pathlib import Path

import aws_cdk as cdk

from standby.blueprint.tap_stack import TapStack
from standby.settings import Settings


def synthesize(settings: Settings, *, outdir: str | Path) -> None:
    """Write the cloud assembly of ``settings`` to ``outdir``."""
    app = cdk.App(outdir=str(outdir), context={"@aws-cdk/core:defaultCrossStackReferences": "weak"})
    TapStack(app, settings)
    app.synth()
