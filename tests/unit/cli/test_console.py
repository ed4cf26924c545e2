"""What people see of a deployment and of a verification, on a terminal and elsewhere."""

import re

import pytest

from standby.deploy import Progress
from standby.report.console import DeploymentProgress, ObservationPrinter
from standby.verify import Observation, Side

STYLE = re.compile(r"\x1b\[[0-9;]*m")
LONG = "arn:aws:kms:eu-west-2:123456789012:key/" + "0" * 36


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have what is printed go to a terminal of 80 columns."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.delenv("NO_COLOR", raising=False)


def printed(capsys: pytest.CaptureFixture[str], *, ok: bool, evidence: bool) -> list[str]:
    """Print one observation and give its lines, without their style."""
    printer = ObservationPrinter(evidence=evidence)
    printer.add(
        Observation(
            id="storage.encrypted",
            pillar="storage",
            side=Side.PRIMARY,
            region="eu-west-2",
            title="The file system is encrypted.",
            ok=ok,
            expected=f"KmsKeyId {LONG}",
            seen=f"KmsKeyId {LONG}",
            calls=("efs:DescribeFileSystems eu-west-2",),
            seconds=0.1,
        )
    )
    printer.finish()
    return STYLE.sub("", capsys.readouterr().out).splitlines()


@pytest.mark.usefixtures("terminal")
def test_on_a_terminal_an_observation_that_is_good_has_one_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    line = printed(capsys, ok=True, evidence=False)[2]
    assert len(line) == 80
    assert line.startswith("  ✓ encrypted  ")
    assert line.endswith("…")


def test_elsewhere_nothing_is_cut(capsys: pytest.CaptureFixture[str]) -> None:
    assert printed(capsys, ok=True, evidence=False)[2].endswith(LONG)


@pytest.mark.usefixtures("terminal")
@pytest.mark.parametrize(("ok", "evidence"), [(False, False), (True, True)])
def test_evidence_is_told_whole_even_on_a_terminal(
    capsys: pytest.CaptureFixture[str], ok: bool, evidence: bool
) -> None:
    lines = printed(capsys, ok=ok, evidence=evidence)
    assert [line.split()[0] for line in lines[3:6]] == ["expected", "seen", "by"]
    assert all(line.endswith(LONG) for line in lines[3:5])


@pytest.mark.parametrize(("count", "words"), [(1, "1 resource,"), (2, "2 resources,")])
def test_a_stack_that_is_done_says_how_many_resources_changed(
    capsys: pytest.CaptureFixture[str], count: int, words: str
) -> None:
    place = ("TapStackdev", "eu-west-2", 1, 1)
    with DeploymentProgress() as progress:
        for number in range(count):
            progress(Progress(*place, f"Topic{number}", "AWS::SNS::Topic", "CREATE_COMPLETE", None))
        progress(Progress(*place, None, "AWS::CloudFormation::Stack", "CREATE_COMPLETE", None))
    assert f"[1/1] TapStackdev eu-west-2  created, {words}" in capsys.readouterr().err
