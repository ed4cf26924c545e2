"""What CDK, cfn-lint, cdk-nag and checkov say of every variant: nothing without a reason."""

import contextlib
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from assemblies import Assembly

from standby.blueprint import build
from standby.settings import resolve

CFN_LINT = Path(sys.executable).with_name("cfn-lint")


def region_of(stack: dict[str, Any]) -> str:
    return stack["environment"].rpartition("/")[2]


@pytest.mark.parametrize("region", ["eu-west-2", "eu-west-3"])
def test_cfn_lint_finds_nothing(every_variant: list[Assembly], region: str) -> None:
    templates = [
        variant.directory / stack["properties"]["templateFile"]
        for variant in every_variant
        for stack in variant.stacks.values()
        if region_of(stack) == region
    ]
    assert templates
    result = subprocess.run(
        [CFN_LINT, "--regions", region, "--", *templates],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.stdout == ""
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("flags", [{}, {"preset": "prod", "domainName": "example.org"}])
def test_cdk_and_cdk_nag_find_nothing_unacknowledged(flags: dict[str, str], tmp_path: Path) -> None:
    from aws_cdk import Validations
    from cdk_nag import AwsSolutionsChecks

    app = build(resolve(flags=flags, environ={}).settings, outdir=tmp_path, validate=True)
    Validations.of(app).add_plugins(AwsSolutionsChecks(app))
    with contextlib.suppress(RuntimeError):  # says less than the report
        app.synth()
    assert list(violations(tmp_path)) == []


def test_cdk_and_cdk_nag_do_look(tmp_path: Path) -> None:
    from aws_cdk import Stack, Validations
    from aws_cdk.aws_s3 import CfnBucket
    from cdk_nag import AwsSolutionsChecks

    app = build(resolve(environ={}).settings, outdir=tmp_path, validate=True)
    CfnBucket(Stack(app, "Faulty"), "Bucket", bucket_name="Not A Name")
    Validations.of(app).add_plugins(AwsSolutionsChecks(app))
    with contextlib.suppress(RuntimeError):
        app.synth()
    assert {plugin for plugin, _, _ in violations(tmp_path)} == {
        "AwsSolutions",
        "CloudFormation Validate",
    }


def violations(directory: Path) -> Iterator[tuple[str, str, list[str]]]:
    """Read what CDK's validation found: by which plugin, which rule, and where."""
    report: dict[str, Any] = json.loads((directory / "validation-report.json").read_text())
    for plugin in report["pluginReports"]:
        for violation in plugin["violations"]:
            at = [each["constructPath"] for each in violation["violatingConstructs"]]
            yield plugin["pluginName"], violation["ruleName"], at


@pytest.mark.skipif(
    shutil.which("checkov") is None,
    reason="no checkov on PATH; `make test` puts the one of .venv-checkov there",
)
def test_checkov_finds_nothing(every_variant: list[Assembly]) -> None:
    folders = [option for each in every_variant for option in ("--directory", each.directory)]
    result = subprocess.run(
        [
            "checkov",
            *folders,
            *("--framework", "cloudformation"),
            *("--output", "json"),
            "--skip-download",
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    reports = list(documents(result.stdout))
    assert len(reports) == len(every_variant)
    assert all(report["summary"]["passed"] > 0 for report in reports)
    assert [
        (check["check_id"], check["file_path"], check["resource"])
        for report in reports
        for check in report["results"]["failed_checks"]
    ] == []


def documents(text: str) -> Iterator[Any]:
    """Read one JSON document after another: checkov writes one for each folder."""
    while text := text.lstrip():
        document, end = json.JSONDecoder().raw_decode(text)
        yield document
        text = text[end:]
