"""What CDK, cfn-lint, cdk-nag and checkov say of every variant: nothing without a reason."""

import contextlib
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from assemblies import Assembly

from standby.blueprint import build, synthesize
from standby.settings import resolve


def violations(directory: Path, plugin: str) -> list[tuple[str, list[str]]]:
    """Read what a plugin of CDK's validation found: each rule, and where."""
    report: dict[str, Any] = json.loads((directory / "validation-report.json").read_text())
    (ran,) = (p for p in report["pluginReports"] if p["pluginName"] == plugin)
    return [
        (violation["ruleName"], [at["constructPath"] for at in violation["violatingConstructs"]])
        for violation in ran["violations"]
    ]


def test_cfn_lint_finds_nothing(variant: Assembly) -> None:
    templates = [str(path) for path in sorted(variant.directory.glob("*.template.json"))]
    result = subprocess.run(
        [sys.executable, "-m", "cfnlint", "--", *templates],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.stdout == ""
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("flags", [{}, {"preset": "prod", "domainName": "example.org"}])
class TestOnConstructs:
    def test_cdk_finds_nothing(self, flags: dict[str, str], tmp_path: Path) -> None:
        settings = resolve(flags=flags, environ={}).settings
        with contextlib.suppress(RuntimeError):  # says less than the report
            synthesize(settings, outdir=tmp_path, validate=True)
        assert violations(tmp_path, "CloudFormation Validate") == []

    def test_cdk_nag_finds_nothing_unacknowledged(
        self, flags: dict[str, str], tmp_path: Path
    ) -> None:
        from aws_cdk import Validations
        from cdk_nag import AwsSolutionsChecks

        app = build(resolve(flags=flags, environ={}).settings, outdir=tmp_path)
        Validations.of(app).add_plugins(AwsSolutionsChecks(app))
        with contextlib.suppress(RuntimeError):
            app.synth()
        assert violations(tmp_path, "AwsSolutions") == []


@pytest.mark.skipif(
    shutil.which("checkov") is None,
    reason="checkov pins its own boto3: install it apart (pipx install checkov) to run this",
)
def test_checkov_finds_nothing(variant: Assembly) -> None:
    result = subprocess.run(
        [
            "checkov",
            "-d",
            str(variant.directory),
            "--framework",
            "cloudformation",
            "--skip-download",
            "-o",
            "json",
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    report = json.loads(result.stdout)
    assert [
        (check["check_id"], check["file_path"], check["resource"])
        for check in report["results"]["failed_checks"]
    ] == []
