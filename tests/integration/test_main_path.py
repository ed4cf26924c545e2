"""The main path as a user goes it: up, verify, change, verify, down; all of it as processes."""

import json
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from workspace import Workspace

from standby.cloud import Cloud
from standby.deploy import destroy
from standby.twin import lifecycle

REGIONS = ("eu-west-2", "eu-west-3")


def wait_for(condition: Callable[[], Any], seconds: float = 60) -> Any:
    """Wait until a condition holds, and give what it gave."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.05)
    return found


class TestDeployed:
    def test_up_says_how_to_reach_the_twin(self, deployed: Workspace) -> None:
        assert deployed.twin
        line = f"export AWS_ENDPOINT_URL={deployed.twin.endpoint_url}\n"
        assert deployed.environment["UP_SAID"] == line

    def test_outputs_are_those_of_the_naming_contract(self, deployed: Workspace) -> None:
        outputs, flat = deployed.outputs(), deployed.outputs("flat-outputs.json")
        assert outputs["TapStackdev-VpcStack-Standby"]["VpcCidr"] == "10.1.0.0/16"
        assert flat["VpcCidr"] == "10.0.0.0/16"
        assert flat["VpcId"] == outputs["TapStackdev-VpcStack-Primary"]["VpcId"]
        assert flat["ApplicationUrl"] == "https://app.example.org"
        assert ":eu-west-2:" in flat["KmsKeyArn"]
        assert {"EfsId", "DbEndpoint", "DbCredentialsSecret", "LoadBalancerDns"} <= flat.keys()

    def test_verify_finds_everything_as_it_should_be(self, deployed: Workspace) -> None:
        ended = deployed.standby("verify", "--format", "json", "--format", "junit:report.xml")
        seen = json.loads(ended.stdout)
        assert [each for each in seen["observations"] if not each["ok"]] == []
        assert ended.returncode == 0
        assert len({each["id"] for each in seen["observations"]}) >= 40
        assert all(each["calls"] for each in seen["observations"])
        suites = ET.parse(deployed.folder / "report.xml").getroot()  # noqa: S314 - our own file
        assert int(suites.attrib["tests"]) == len(seen["observations"])
        assert "results are in report.xml\n" in ended.stderr

    def test_status_shows_every_stack(self, deployed: Workspace) -> None:
        ended = deployed.standby("status", "--format", "json")
        states = {each["name"]: each["status"] for each in json.loads(ended.stdout)["stacks"]}
        assert states.keys() == deployed.outputs().keys()
        assert set(states.values()) == {"CREATE_COMPLETE"}

    def test_a_second_twin_is_refused(self, deployed: Workspace) -> None:
        ended = deployed.standby("up")
        assert ended.returncode == 3
        assert "already running" in ended.stderr
        assert len(ended.stderr.splitlines()) == 1

    def test_a_probe_fails_on_what_is_broken_and_the_exit_code_says_so(
        self, deployed: Workspace
    ) -> None:
        assert deployed.twin
        ec2 = Cloud(deployed.twin.endpoint_url).client("ec2", "eu-west-3")
        of_vpc = [
            {
                "Name": "vpc-id",
                "Values": [deployed.outputs()["TapStackdev-VpcStack-Standby"]["VpcId"]],
            }
        ]
        table, route = next(
            (table["RouteTableId"], route)
            for table in ec2.describe_route_tables(Filters=of_vpc)["RouteTables"]
            for route in table["Routes"]
            if "VpcPeeringConnectionId" in route
        )
        block = route["DestinationCidrBlock"]
        ec2.delete_route(RouteTableId=table, DestinationCidrBlock=block)
        ended = deployed.standby("verify", "peering")
        ec2.create_route(
            RouteTableId=table,
            DestinationCidrBlock=block,
            VpcPeeringConnectionId=route["VpcPeeringConnectionId"],
        )
        assert ended.returncode == 1
        assert "✗ routes" in ended.stdout
        assert "probes failed, first peering." in ended.stderr
        assert deployed.standby("verify", "peering").returncode == 0


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    """A twin of its own, for tests that change it and end it."""
    space = Workspace(tmp_path_factory.mktemp("changes"))
    assert space.standby("up", "--detach").returncode == 0
    yield space
    space.down()


class TestChanges:
    def test_a_changed_setting_changes_the_resources_it_means_and_no_stack_else(
        self, small: Workspace
    ) -> None:
        again = small.standby("deploy")
        assert again.returncode == 0, again.stderr
        assert again.stderr.count("unchanged") == len(small.outputs()) + 1  # and the synthesis
        changed = small.standby("deploy", "--max-capacity", "8")
        assert changed.returncode == 0, changed.stderr
        updated = [line for line in changed.stderr.splitlines() if "  updated" in line]
        assert {name for line in updated for name in line.split() if "TapStack" in name} == {
            f"TapStackdev-{stack}{side}"
            for stack in ("Compute", "Database")
            for side in ("Primary", "Standby")
        }
        assert small.twin
        name = small.outputs()["TapStackdev-ComputeStandby"]["AutoScalingGroupName"]
        (group,) = (
            Cloud(small.twin.endpoint_url)
            .client("autoscaling", "eu-west-3")
            .describe_auto_scaling_groups(AutoScalingGroupNames=[name])["AutoScalingGroups"]
        )
        assert group["MaxSize"] == 8

    def test_a_change_that_needs_a_reboot_is_told_until_it_has_had_it(
        self, small: Workspace
    ) -> None:
        assert small.twin
        assert small.standby("deploy", "--max-capacity", "9").returncode == 0
        pending = small.standby("verify", "database.tls-forced")  # max_connections is static
        assert pending.returncode == 1
        assert pending.stdout.count("pending-reboot") == len(REGIONS)
        cloud = Cloud(small.twin.endpoint_url)
        for region, role in zip(REGIONS, ("primary", "replica"), strict=True):
            cloud.call("rds:RebootDBInstance", region, DBInstanceIdentifier=f"db-{role}-dev")
        everything = small.standby("verify")
        assert everything.returncode == 0, everything.stdout

    def test_down_destroy_leaves_nothing(self, small: Workspace) -> None:
        assert small.twin
        cloud = Cloud(small.twin.endpoint_url)
        stacks = sorted(
            (stack["CreationTime"], stack["StackName"], region)
            for region in REGIONS
            for stack in cloud.call("cloudformation:DescribeStacks", region)["Stacks"]
            if stack["StackName"] != "CDKToolkit"
        )
        destroy([(name, region) for _, name, region in stacks], cloud, lambda _: None)
        left = {
            f"{operation} {region}": found
            for region in REGIONS
            for operation, key, is_ours in LEFT_BEHIND
            if (found := [e for e in cloud.call(operation, region)[key] if is_ours(e)])
        }
        assert left == {}
        ended = small.standby("down", "--destroy")
        assert ended.returncode == 0, ended.stderr
        assert small.twin is None


def anything(_: Any) -> bool:
    return True


LEFT_BEHIND: list[tuple[str, str, Callable[[Any], bool]]] = [
    ("ec2:DescribeVpcs", "Vpcs", lambda vpc: not vpc["IsDefault"]),
    ("ec2:DescribeVpcPeeringConnections", "VpcPeeringConnections",
     lambda each: each["Status"]["Code"] != "deleted"),
    ("ec2:DescribeNatGateways", "NatGateways", lambda each: each["State"] != "deleted"),
    ("ec2:DescribeAddresses", "Addresses", anything),
    ("ec2:DescribeInstances", "Reservations",
     lambda each: any(i["State"]["Name"] != "terminated" for i in each["Instances"])),
    ("ec2:DescribeNetworkInterfaces", "NetworkInterfaces", anything),
    ("ec2:DescribeLaunchTemplates", "LaunchTemplates", anything),
    ("ec2:DescribeFlowLogs", "FlowLogs", anything),
    ("kms:ListAliases", "Aliases", lambda each: not each["AliasName"].startswith("alias/aws/")),
    ("efs:DescribeFileSystems", "FileSystems", anything),
    ("rds:DescribeDBInstances", "DBInstances", anything),
    ("rds:DescribeDBSubnetGroups", "DBSubnetGroups", anything),
    ("rds:DescribeDBParameterGroups", "DBParameterGroups",
     lambda each: not each["DBParameterGroupName"].startswith("default.")),
    ("secretsmanager:ListSecrets", "SecretList", anything),
    ("elbv2:DescribeLoadBalancers", "LoadBalancers", anything),
    ("elbv2:DescribeTargetGroups", "TargetGroups", anything),
    ("autoscaling:DescribeAutoScalingGroups", "AutoScalingGroups", anything),
    ("autoscaling:DescribePolicies", "ScalingPolicies", anything),
    ("cloudwatch:DescribeAlarms", "MetricAlarms", anything),
    ("cloudwatch:ListDashboards", "DashboardEntries", anything),
    ("sns:ListTopics", "Topics", anything),
    ("logs:DescribeLogGroups", "logGroups", anything),
    ("route53:ListHealthChecks", "HealthChecks", anything),
    ("fis:ListExperimentTemplates", "experimentTemplates", anything),
    ("resiliencehub:ListApps", "appSummaries", anything),
    ("resiliencehub:ListResiliencyPolicies", "resiliencyPolicies", anything),
    ("iam:ListRoles", "Roles", lambda each: not each["RoleName"].startswith("cdk-")),
]  # fmt: skip


class TestFaults:
    def test_a_taken_port_is_named(self, workspace: Workspace) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            ended = workspace.standby("up", "--twin-port", str(port))
        assert ended.returncode == 3
        assert f"port {port} on 127.0.0.1 is taken" in ended.stderr
        assert workspace.twin is None

    @pytest.mark.parametrize(
        ("resource", "said"),
        [
            (
                {"Type": "AWS::Nonsense::Thing"},
                "no handler for resource type 'AWS::Nonsense::Thing'",
            ),
            (
                {"Type": "AWS::SNS::Topic", "Properties": {"Nonsense": 1}},
                "unknown property 'Nonsense'",
            ),
        ],
    )
    def test_what_the_twin_does_not_know_stops_the_deployment_by_name(
        self, resource: dict[str, Any], said: str, workspace: Workspace, make_assembly: Any
    ) -> None:
        make_assembly(workspace.folder / "broken", {"Thing": resource})
        ended = workspace.standby("up", "--assembly", "broken")
        assert ended.returncode == 1, ended.stderr
        assert said in ended.stderr.splitlines()[-1]
        assert workspace.twin is None
        assert not (workspace.folder / "cfn-outputs").exists()

    def test_a_failed_deployment_is_rolled_back_and_tells_the_reason(
        self, workspace: Workspace, make_assembly: Any
    ) -> None:
        good = {"Type": "AWS::SNS::Topic"}
        # It comes last, and names a VPC that does not exist.
        bad = {
            "Type": "AWS::EC2::Subnet",
            "DependsOn": "Topic",
            "Properties": {"VpcId": "vpc-00000000", "CidrBlock": "10.0.0.0/24"},
        }
        with lifecycle.running_twin(REGIONS, workspace.folder / lifecycle.STATE_DIR) as twin:
            make_assembly(workspace.folder / "broken", {"Topic": good, "Subnet": bad})
            ended = workspace.standby("deploy", "--assembly", "broken")
            topics = Cloud(twin.endpoint_url).call("sns:ListTopics", "eu-west-2")["Topics"]
        assert ended.returncode == 1
        last = ended.stderr.splitlines()[-1]
        assert "ended as ROLLBACK_COMPLETE: Subnet (AWS::EC2::Subnet)" in last
        assert "vpc-00000000" in last
        assert topics == []

    @pytest.mark.parametrize("moment", [None, "answers at", "CREATE_COMPLETE"])
    def test_ctrl_c_leaves_no_process_and_no_half_written_file(
        self, moment: str | None, workspace: Workspace
    ) -> None:
        up = workspace.begin("up", process_group=0)
        twin = wait_for(lambda: workspace.twin)
        if moment:
            wait_for(lambda: moment in up.stderr.readline())
        os.killpg(up.pid, signal.SIGINT)
        _, err = up.communicate(timeout=30)
        assert up.returncode == 130
        if moment:  # before, the twin has not been told of, so neither need its end be
            assert err.splitlines()[-1] == f"stopped the twin at {twin.endpoint_url}"
        assert "Traceback" not in err
        assert not Path(f"/proc/{twin.pid}").exists()
        assert not (workspace.folder / "cfn-outputs").exists()
        assert [p.name for p in workspace.folder.iterdir() if p.name.startswith(".cdk")] == []

    def test_a_killed_command_takes_its_twin_with_it(self, workspace: Workspace) -> None:
        up = workspace.begin("up")
        twin = wait_for(lambda: workspace.twin)
        up.kill()
        up.communicate()
        wait_for(lambda: not Path(f"/proc/{twin.pid}").exists())

    @pytest.mark.parametrize("command", ["verify", "status"])
    def test_a_question_to_a_twin_that_is_gone_says_so(
        self, command: str, workspace: Workspace, deployed: Workspace
    ) -> None:
        (workspace.folder / "cfn-outputs").symlink_to(deployed.folder / "cfn-outputs")
        ended = workspace.standby(command, "--endpoint-url", "http://127.0.0.1:9")
        assert (ended.returncode, ended.stdout) == (3, "")
        assert ended.stderr == (
            "standby: cannot reach http://127.0.0.1:9/; is the twin running (`standby up`)?\n"
        )
