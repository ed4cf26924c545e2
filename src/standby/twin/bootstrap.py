"""What ``cdk bootstrap`` leaves in an account and region, so that the twin starts with it.

The stack has the names of the CDK's own bootstrap template (qualifier ``hnb659fds``); running
``cdk bootstrap`` against the twin updates it like any other stack.
"""

import json
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from standby.twin.twin import Twin

STACK = "CDKToolkit"
QUALIFIER = "hnb659fds"
VERSION = "30"
"""Version of the bootstrap template whose resources these are; CDK apps ask for 6 or more."""


def _role(name: str) -> dict[str, Any]:
    return {
        "Type": "AWS::IAM::Role",
        "Properties": {
            "RoleName": {
                "Fn::Sub": f"cdk-{QUALIFIER}-{name}-role-${{AWS::AccountId}}-${{AWS::Region}}"
            },
            "AssumeRolePolicyDocument": {
                "Version": "2012-10-17",
                "Statement": [
                    {
                        "Effect": "Allow",
                        "Action": "sts:AssumeRole",
                        "Principal": {"AWS": {"Ref": "AWS::AccountId"}},
                    }
                ],
            },
        },
    }


TEMPLATE: dict[str, Any] = {
    "Description": "The CDK's bootstrap resources, as the twin starts with them",
    "Resources": {
        "StagingBucket": {
            "Type": "AWS::S3::Bucket",
            "Properties": {
                "BucketName": {
                    "Fn::Sub": f"cdk-{QUALIFIER}-assets-${{AWS::AccountId}}-${{AWS::Region}}"
                }
            },
        },
        "FilePublishingRole": _role("file-publishing"),
        "ImagePublishingRole": _role("image-publishing"),
        "LookupRole": _role("lookup"),
        "DeploymentActionRole": _role("deploy"),
        "CloudFormationExecutionRole": _role("cfn-exec"),
        "CdkBootstrapVersion": {
            "Type": "AWS::SSM::Parameter",
            "Properties": {
                "Type": "String",
                "Name": f"/cdk-bootstrap/{QUALIFIER}/version",
                "Value": VERSION,
            },
        },
    },
    "Outputs": {
        "BucketName": {"Value": {"Ref": "StagingBucket"}},
        "BucketDomainName": {"Value": {"Fn::GetAtt": ["StagingBucket", "RegionalDomainName"]}},
        "BootstrapVersion": {"Value": VERSION},
    },
}


def bootstrap(twin: "Twin", region: str) -> None:
    """Deploy the bootstrap stack into one region of the twin.

    Raises:
        RuntimeError: It failed, which is a defect of the twin.
    """
    cloudformation = twin.client("cloudformation", region)
    cloudformation.create_stack(StackName=STACK, TemplateBody=json.dumps(TEMPLATE))
    while True:
        stack = cloudformation.describe_stacks(StackName=STACK)["Stacks"][0]
        if not stack["StackStatus"].endswith("_IN_PROGRESS"):
            break
        time.sleep(0.01)
    if stack["StackStatus"] != "CREATE_COMPLETE":
        raise RuntimeError(f"{STACK} in {region} is {stack['StackStatus']}")
