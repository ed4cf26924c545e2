"""From Settings to a cloud assembly on disk."""

import importlib.resources
import json
from collections.abc import Mapping
from pathlib import Path

import aws_cdk as cdk

from standby.blueprint.tap_stack import TapStack, tags
from standby.settings import Settings


def synthesize(
    settings: Settings,
    *,
    outdir: str | Path,
    validate: bool = False,
    context: Mapping[str, object] | None = None,
) -> None:
    """Write the cloud assembly of ``settings`` to ``outdir``.

    Args:
        settings: What to build.
        outdir: Directory of the assembly; CDK's own ``CDK_OUTDIR`` when its CLI runs the app.
        validate: Check the templates with CDK's own rules too (about 1.5 s).
        context: CDK context that overrides the feature flags of ``cdk.json``.
    """
    build(settings, outdir=outdir, validate=validate, context=context).synth()


def build(
    settings: Settings,
    *,
    outdir: str | Path,
    validate: bool = False,
    context: Mapping[str, object] | None = None,
) -> cdk.App:
    """Build the tree of constructs; ``synthesize`` writes it."""
    app = cdk.App(
        outdir=str(outdir),
        # Creation stacks name directories of this machine and run: no two outputs would be equal.
        context=_feature_flags()
        | {"aws:cdk:disable-creation-stack-traces": True}
        | dict(context or {}),
        analytics_reporting=False,
        builtin_cloud_formation_validation=validate,
        stack_traces=False,
    )
    for tag, value in tags(settings).items():
        cdk.Tags.of(app).add(tag, value)
    TapStack(app, settings)
    return app


def _feature_flags() -> dict[str, object]:
    """Read CDK's feature flags from ``cdk.json``, for the processes that its CLI does not run."""
    cdk_json = importlib.resources.files(__package__).joinpath("cdk.json")
    flags: dict[str, object] = json.loads(cdk_json.read_text(encoding="utf-8"))["context"]
    return flags
