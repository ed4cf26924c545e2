import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from assemblies import Assembly

from standby.settings import resolve

ROOT = Path(__file__).parents[3]
PRIMARY, STANDBY = "eu-west-2", "eu-west-3"
STACKS = {
    "TapStackdev": (PRIMARY, set()),
    "TapStackdev-VpcStack-Primary": (PRIMARY, {"VpcId", "VpcCidr"}),
    "TapStackdev-VpcStack-Standby": (STANDBY, {"VpcId", "VpcCidr"}),
    "TapStackdev-SecurityPrimary": (PRIMARY, {"KmsKeyArn"}),
    "TapStackdev-SecurityStandby": (STANDBY, {"KmsKeyArn"}),
    "TapStackdev-StoragePrimary": (PRIMARY, {"EfsId", "EfsDnsName"}),
    "TapStackdev-StorageStandby": (STANDBY, {"EfsId", "EfsDnsName"}),
    "TapStackdev-DatabasePrimary": (PRIMARY, {"DbEndpoint", "DbCredentialsSecret"}),
    "TapStackdev-DatabaseStandby": (STANDBY, {"DbEndpoint"}),
    "TapStackdev-ComputePrimary": (PRIMARY, {"LoadBalancerDns", "AutoScalingGroupName"}),
    "TapStackdev-ComputeStandby": (STANDBY, {"LoadBalancerDns", "AutoScalingGroupName"}),
    "TapStackdev-VpcPeering": (PRIMARY, {"VpcPeeringConnectionId"}),
    "TapStackdev-VpcPeeringRoutes": (STANDBY, {"VpcPeeringConnectionId"}),
    "TapStackdev-Dns": (STANDBY, {"PrimaryHealthCheckId", "StandbyHealthCheckId"}),
    "TapStackdev-MonitoringPrimary": (PRIMARY, {"AlarmTopicArn"}),
    "TapStackdev-MonitoringStandby": (STANDBY, {"AlarmTopicArn"}),
    "TapStackdev-Resilience": (PRIMARY, {"ResilienceHubAppArn", "ExperimentTemplateId"}),
}
"""The naming contract of the design: region and outputs of every stack."""


def references(template: Any) -> Iterator[dict[str, str]]:
    """Find every ``Fn::GetStackOutput`` in a template."""
    if isinstance(template, dict):
        if "Fn::GetStackOutput" in template:
            yield template["Fn::GetStackOutput"]
        for value in template.values():
            yield from references(value)
    elif isinstance(template, list):
        for value in template:
            yield from references(value)


@pytest.fixture(scope="module")
def from_cli(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run ``app.py`` as the CDK CLI does, in a process of its own."""
    outdir = tmp_path_factory.mktemp("cli")
    context = json.loads((ROOT / "cdk.json").read_text())["context"]
    result = run_app(CDK_OUTDIR=str(outdir), CDK_CONTEXT_JSON=json.dumps(context))
    assert result.returncode == 0, result.stderr
    return outdir


def run_app(**environ: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-O", "app.py"],
        cwd=ROOT,
        env=os.environ | {"CDK_VALIDATION": "false"} | environ,
        capture_output=True,
        text=True,
        check=False,
    )


class TestContract:
    def test_every_stack_has_its_name_region_and_outputs(self, variant: Assembly) -> None:
        assert STACKS.keys() <= variant.keys()
        assert variant.keys() - STACKS.keys() <= {"TapStackdev-DnsZone"}
        for name, (region, outputs) in STACKS.items():
            assert variant.stacks[name]["environment"] == f"aws://unknown-account/{region}"
            assert outputs <= variant[name].get("Outputs", {}).keys(), name

    def test_the_suffix_ends_every_stack_and_physical_name(
        self, assembly: Callable[..., Assembly]
    ) -> None:
        other = assembly(resolve(flags={"environmentSuffix": "blue"}, environ={}).settings)
        assert all(name.startswith("TapStackblue") for name in other)
        assert "dev" not in {
            word for template in other.values() for word in json.dumps(template).split("-")
        }

    def test_every_resource_that_can_be_is_tagged_and_every_stack_too(
        self, assembly: Callable[..., Assembly]
    ) -> None:
        flags = {"repository": "acme/shop", "author": "Ada"}
        expected = {"Environment": "dev", "Repository": "acme/shop", "Author": "Ada"}
        tagged = assembly(resolve(flags=flags, environ={}).settings)
        for name, template in tagged.items():
            assert tagged.stacks[name]["properties"]["tags"] == expected
            for id, resource in template.get("Resources", {}).items():
                if tags := resource["Properties"].get("Tags"):
                    pairs = {t["Key"]: t["Value"] for t in tags} if isinstance(tags, list) else tags
                    assert expected.items() <= pairs.items(), (name, id)

    def test_stacks_are_protected_where_data_is(self, dev: Assembly, prod: Assembly) -> None:
        assert not any(s["properties"].get("terminationProtection") for s in dev.stacks.values())
        assert all(s["properties"]["terminationProtection"] for s in prod.stacks.values())


class TestReferences:
    def test_are_weak_and_name_the_region_they_read(self, variant: Assembly) -> None:
        text = json.dumps(dict(variant))
        assert "Fn::ImportValue" not in text
        assert "Custom::" not in text
        for template in variant.values():
            for reference in references(template):
                region = variant.stacks[reference["StackName"]]["environment"].split("/")[-1]
                assert reference["Region"] == region
                assert reference["OutputName"] in variant[reference["StackName"]]["Outputs"]

    def test_let_what_serves_in_the_standby_change_with_the_primary_region_gone(
        self, variant: Assembly
    ) -> None:
        for stack in ("VpcStack-", "Security", "Monitoring", "Storage", "Database", "Compute"):
            for reference in references(variant[f"TapStackdev-{stack}Standby"]):
                assert reference["Region"] == STANDBY, reference

    def test_are_created_before_they_are_read(self, variant: Assembly) -> None:
        artifacts = variant.manifest["artifacts"]

        def before(id: str) -> set[str]:
            direct = set(artifacts[id].get("dependencies", []))
            return direct.union(*(before(other) for other in direct))

        ids = {name: stack["properties"]["templateFile"] for name, stack in variant.stacks.items()}
        for name, template in variant.items():
            earlier = before(ids[name].removesuffix(".template.json"))
            for reference in references(template):
                source = ids[reference["StackName"]].removesuffix(".template.json")
                assert source in earlier, (name, reference)


class TestDeterminism:
    def test_the_cdk_cli_and_standby_write_the_same_bytes(
        self, from_cli: Path, dev: Assembly
    ) -> None:
        ours = {p.relative_to(dev.directory): p for p in dev.directory.rglob("*") if p.is_file()}
        theirs = {p.relative_to(from_cli): p for p in from_cli.rglob("*") if p.is_file()}
        assert ours.keys() == theirs.keys()
        for name, path in ours.items():
            assert path.read_bytes() == theirs[name].read_bytes(), name

    def test_no_assembly_names_this_machine(self, dev: Assembly) -> None:
        for path in dev.directory.glob("*.json"):
            assert str(ROOT) not in path.read_text(), path.name


class TestFeatureFlags:
    def test_are_the_ones_this_library_recommends_but_for_two(self) -> None:
        import aws_cdk

        flags = json.loads((ROOT / "cdk.json").read_text())["context"]
        recommended = recommended_flags(Path(aws_cdk.__file__).parent / "_jsii")
        assert {key for key in recommended if flags.get(key) != recommended[key]} == {
            "@aws-cdk/core:target-partitions",
            "@aws-cdk/core:enableAdditionalMetadataCollection",
        }
        assert flags.keys() == recommended.keys() | {"cli-telemetry"}


def recommended_flags(library: Path) -> dict[str, Any]:
    """Read the flags from the library's package, where the CDK CLI takes them from."""
    import tarfile

    (package,) = library.glob("aws-cdk-lib@*.jsii.tgz")
    with tarfile.open(package) as archive:
        file = archive.extractfile("package/recommended-feature-flags.json")
        assert file is not None
        flags: dict[str, Any] = json.load(file)
    return flags


@pytest.mark.parametrize(
    ("context", "message"),
    [
        ({"azCount": "9"}, "azCount"),
        ({"primaryRegion": "eu-west-3"}, "both"),
        ({"nonsense": 1}, "unknown setting"),
    ],
)
def test_a_wrong_setting_is_one_line_and_exit_code_2(
    context: dict[str, Any], message: str, tmp_path: Path
) -> None:
    result = run_app(CDK_CONTEXT_JSON=json.dumps(context), CDK_OUTDIR=str(tmp_path / "out"))
    assert result.returncode == 2
    assert message in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert result.stdout == ""
    assert not (tmp_path / "out").exists()
