"""Reading a cloud assembly: what is in it, and what is wrong with a broken one."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from standby.assembly.read import read_assembly
from standby.errors import EnvironmentProblem

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write an assembly of two stacks, the second depending on the first."""

    def assembly(**changes: Any) -> Path:
        def stack(name: str, region: str, *dependencies: str) -> dict[str, Any]:
            return {
                "type": "aws:cloudformation:stack",
                "environment": f"aws://unknown-account/{region}",
                "dependencies": [*dependencies, f"{name}.assets"],
                "properties": {"templateFile": f"{name}.template.json", "stackName": f"my-{name}"},
                "displayName": f"App/{name}",
            }

        def assets(name: str) -> dict[str, Any]:
            return {"type": "cdk:asset-manifest", "properties": {"file": f"{name}.assets.json"}}

        manifest = {
            "version": "55.0.0",
            "artifacts": {
                "B": stack("B", "eu-west-3", "A"),
                "A": stack("A", "eu-west-2"),
                "A.assets": assets("A"),
                "B.assets": assets("B"),
                "Tree": {"type": "cdk:tree"},
            },
        } | changes
        (tmp_path / "manifest.json").write_text(json.dumps(manifest))
        (tmp_path / "app").mkdir()
        for name in "AB":
            files = {
                "files": {
                    "h": {
                        "source": {"path": "app", "packaging": "zip"},
                        "destinations": {
                            "d": {"bucketName": "b-${AWS::AccountId}", "objectKey": "h.zip"}
                        },
                    }
                }
            }
            (tmp_path / f"{name}.assets.json").write_text(json.dumps(files))
            (tmp_path / f"{name}.template.json").write_text('{"Resources": {}}')
        return tmp_path

    return assembly


def test_stacks_come_in_an_order_in_which_they_can_be_deployed(write: Write) -> None:
    stacks = read_assembly(write()).stacks
    assert [(s.name, s.region, s.account) for s in stacks] == [
        ("my-A", "eu-west-2", None),
        ("my-B", "eu-west-3", None),
    ]


def test_a_stack_knows_its_assets(write: Write) -> None:
    (asset,) = read_assembly(write()).stacks[0].assets
    assert (asset.zipped, asset.bucket, asset.key) == (True, "b-${AWS::AccountId}", "h.zip")


def test_a_folder_without_manifest_is_no_assembly(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentProblem, match=r"no manifest\.json; run `standby synth`"):
        read_assembly(tmp_path)


def test_a_truncated_manifest_is_named(write: Write) -> None:
    directory = write()
    manifest = directory / "manifest.json"
    manifest.write_text(manifest.read_text()[:100])
    with pytest.raises(EnvironmentProblem, match=r"manifest\.json is not valid JSON"):
        read_assembly(directory)


def test_a_missing_template_is_named(write: Write) -> None:
    directory = write()
    (directory / "B.template.json").unlink()
    with pytest.raises(EnvironmentProblem, match=r"template B\.template\.json of B is missing"):
        read_assembly(directory)


def test_a_missing_asset_is_named(write: Write) -> None:
    directory = write()
    (directory / "app").rmdir()
    with pytest.raises(EnvironmentProblem, match="half-written: asset app is missing"):
        read_assembly(directory)


def test_a_truncated_template_is_named_before_anything_is_deployed(write: Write) -> None:
    directory = write()
    (directory / "B.template.json").write_text('{"Resources": ')
    with pytest.raises(EnvironmentProblem, match=r"B\.template\.json is not valid JSON"):
        read_assembly(directory)


@pytest.mark.parametrize(
    "artifacts",
    [
        None,
        [],
        {"A": 3},
        {"A": {"type": "aws:cloudformation:stack", "environment": 5}},
        {
            "A": {
                "type": "aws:cloudformation:stack",
                "dependencies": ["nothing"],
                "properties": {"templateFile": "A.template.json"},
            }
        },
    ],
)
def test_what_the_cdk_would_not_write_is_refused(write: Write, artifacts: Any) -> None:
    with pytest.raises(EnvironmentProblem, match="not a cloud assembly as the CDK writes it"):
        read_assembly(write(artifacts=artifacts))


def test_an_assembly_without_stacks_is_refused(write: Write) -> None:
    with pytest.raises(EnvironmentProblem, match="has no stacks"):
        read_assembly(write(artifacts={"Tree": {"type": "cdk:tree"}}))


@pytest.mark.parametrize(
    ("version", "complaint"), [("99.0.0", "schema 99.0.0"), (7, "no schema version"), ("x", "no")]
)
def test_an_assembly_of_another_version_is_refused(
    write: Write, version: Any, complaint: str
) -> None:
    with pytest.raises(EnvironmentProblem, match=complaint):
        read_assembly(write(version=version))


def test_stacks_that_depend_on_each_other_are_refused(write: Write) -> None:
    directory = write()
    manifest = json.loads((directory / "manifest.json").read_text())
    manifest["artifacts"]["A"]["dependencies"].append("B")
    (directory / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(EnvironmentProblem, match="in a circle: "):
        read_assembly(directory)
