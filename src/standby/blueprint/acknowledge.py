"""Acknowledged findings: what a security scanner reports and we leave as it is, with the reason.

Three scanners read the templates, each with its own way to be told. Here a finding has one form,
its rule and the reason, next to the resource it is about.
"""

import re
from collections.abc import Mapping

from aws_cdk import Acknowledgment, CfnResource, Validations
from constructs import IConstruct


def acknowledge(construct: IConstruct, reasons: Mapping[str, str]) -> None:
    """Record why each finding on a construct is accepted.

    Args:
        construct: The resource the findings are about; the high-level form will do.
        reasons: By rule: ``AwsSolutions-...`` of cdk-nag and ``CloudFormation-Validate::...`` of
            CDK itself, ``CKV...`` of checkov, or ``E1234`` and ``W1234`` of cfn-lint.
    """
    checkov = [
        {"id": rule, "comment": reason}
        for rule, reason in reasons.items()
        if rule.startswith("CKV")
    ]
    cfn_lint = [rule for rule in reasons if re.fullmatch(r"[EW]\d{4}", rule)]
    cdk = [
        Acknowledgment(id=rule, reason=reason) for rule, reason in reasons.items() if "-" in rule
    ]
    resource = construct if isinstance(construct, CfnResource) else construct.node.default_child
    if checkov:
        resource.add_metadata("checkov", {"skip": checkov})
    if cfn_lint:
        resource.add_metadata("cfn-lint", {"config": {"ignore_checks": cfn_lint}})
    if cdk:
        Validations.of(construct).acknowledge(*cdk)
