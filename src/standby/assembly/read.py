"""Reads a cloud assembly: which stacks, in which order, where to, with which assets.

Source: the cloud assembly schema of the CDK (package ``cloud-assembly-schema``).
"""

import graphlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from standby.errors import EnvironmentProblem

SUPPORTED_MAJOR = 55
"""The newest major version of the assembly schema whose parts used here are known."""
AGNOSTIC = {"unknown-account", "unknown-region"}


@dataclass(frozen=True)
class FileAsset:
    """A file or folder that must be in a bucket before its stack is deployed.

    Attributes:
        bucket: Name of the bucket, with ``${AWS::AccountId}`` and the like still in it.
        zipped: Whether ``source`` is a folder to upload as a zip archive.
    """

    source: Path
    zipped: bool
    bucket: str
    key: str
    region: str | None


@dataclass(frozen=True)
class StackArtifact:
    """One stack of the assembly.

    Attributes:
        name: Name in CloudFormation.
        path: Construct path, for people.
        region: Region it goes to, or None where the assembly leaves it open.
        account: Account it goes to, or None where the assembly leaves it open.
        template_url: ``s3://`` address the CDK gives the template, with placeholders.
        dependencies: Ids of the stacks that must be there before.
    """

    id: str
    name: str
    path: str
    region: str | None
    account: str | None
    template: Mapping[str, Any]
    template_url: str | None
    tags: Mapping[str, str]
    termination_protection: bool
    assets: Sequence[FileAsset]
    dependencies: frozenset[str]


@dataclass(frozen=True)
class Assembly:
    """A cloud assembly; ``stacks`` come in an order in which they can be deployed."""

    directory: Path
    stacks: Sequence[StackArtifact]


def read_assembly(directory: Path) -> Assembly:
    """Read the cloud assembly in ``directory``, and see that all of it is there.

    Raises:
        EnvironmentProblem: There is none, it is half-written, or of an unknown version; it has no
            stacks, or is not what the CDK writes.
    """
    if not (directory / "manifest.json").is_file():
        raise EnvironmentProblem(
            f"no cloud assembly in {directory}: it has no manifest.json; run `standby synth` first"
        )
    manifest = _read_json(directory / "manifest.json")
    version, artifacts = manifest.get("version"), manifest.get("artifacts", {})
    if not isinstance(version, str) or not version.partition(".")[0].isdigit():
        raise EnvironmentProblem(f"{directory / 'manifest.json'} names no schema version")
    if int(version.partition(".")[0]) > SUPPORTED_MAJOR:
        raise EnvironmentProblem(
            f"{directory} is a cloud assembly of schema {version}; "
            f"this version of standby reads up to {SUPPORTED_MAJOR}"
        )
    try:
        stacks = _stacks(directory, artifacts)
    except (AttributeError, KeyError, TypeError) as error:
        raise EnvironmentProblem(
            f"{directory} is not a cloud assembly as the CDK writes it ({error}); "
            "run `standby synth` again"
        ) from error
    if not stacks:
        raise EnvironmentProblem(f"the cloud assembly in {directory} has no stacks")
    return Assembly(directory, stacks)


def _stacks(directory: Path, artifacts: Mapping[str, Any]) -> tuple[StackArtifact, ...]:
    found = {
        artifact_id: artifact
        for artifact_id, artifact in artifacts.items()
        if artifact.get("type") == "aws:cloudformation:stack"
    }
    graph = {key: set(found[key].get("dependencies", ())) & set(found) for key in found}
    try:
        order = tuple(graphlib.TopologicalSorter(graph).static_order())
    except graphlib.CycleError as error:
        raise EnvironmentProblem(
            f"the stacks of {directory} depend on each other in a circle: "
            f"{' -> '.join(error.args[1])}"
        ) from None
    return tuple(_stack(directory, key, artifacts, frozenset(graph[key])) for key in order)


def _stack(
    directory: Path,
    artifact_id: str,
    artifacts: Mapping[str, Any],
    dependencies: frozenset[str],
) -> StackArtifact:
    artifact = artifacts[artifact_id]
    properties = artifact.get("properties", {})
    account, region = _environment(artifact.get("environment", ""))
    template = directory / properties.get("templateFile", "")
    if not template.is_file():
        raise _missing(directory, f"template {template.name} of {artifact_id}")
    return StackArtifact(
        id=artifact_id,
        name=properties.get("stackName", artifact_id),
        path=artifact.get("displayName", artifact_id),
        region=region,
        account=account,
        template=_read_json(template),
        template_url=properties.get("stackTemplateAssetObjectUrl"),
        tags=properties.get("tags", {}),
        termination_protection=properties.get("terminationProtection", False),
        assets=tuple(
            asset
            for dependency in artifact.get("dependencies", ())
            if artifacts[dependency]["type"] == "cdk:asset-manifest"
            for asset in _assets(directory, artifacts[dependency]["properties"]["file"])
        ),
        dependencies=dependencies,
    )


def _environment(text: str) -> tuple[str | None, str | None]:
    """Split ``aws://account/region``; an agnostic half is None."""
    account, _, region = text.removeprefix("aws://").partition("/")
    return tuple(None if part in AGNOSTIC or not part else part for part in (account, region))  # type: ignore[return-value]


def _assets(directory: Path, file: str) -> list[FileAsset]:
    listing = _read_json(directory / file)
    if listing.get("dockerImages"):
        raise EnvironmentProblem(f"{directory / file} has container images; standby deploys files")
    return [
        FileAsset(
            source=_present(directory, entry["source"]["path"]),
            zipped=entry["source"].get("packaging") == "zip",
            bucket=destination["bucketName"],
            key=destination["objectKey"],
            region=destination.get("region"),
        )
        for entry in listing.get("files", {}).values()
        for destination in entry["destinations"].values()
    ]


def _present(directory: Path, asset: str) -> Path:
    if not (directory / asset).exists():
        raise _missing(directory, f"asset {asset}")
    return directory / asset


def _missing(directory: Path, what: str) -> EnvironmentProblem:
    return EnvironmentProblem(
        f"{directory} is half-written: {what} is missing; run `standby synth` again"
    )


def _read_json(path: Path) -> Mapping[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise EnvironmentProblem(f"cannot read {path}: {error.strerror}") from None
    except ValueError as error:
        raise EnvironmentProblem(
            f"{path} is not valid JSON ({error}); it may be half-written: run `standby synth` again"
        ) from None
    if not isinstance(content, dict):
        raise EnvironmentProblem(f"{path} is not a JSON object; run `standby synth` again")
    return content
