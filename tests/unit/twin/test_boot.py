"""Machines of the twin: what their user data tells CloudFormation, and when they serve."""

import threading
import time

import pytest

from standby.twin.boot import (
    BOOT_SECONDS,
    Machine,
    Machines,
    Outcome,
    Signal,
    signals_of,
    simulated,
)
from standby.twin.twin import Twin

FAST = Twin(speed=BOOT_SECONDS / 0.05)


def machine(script: str) -> Machine:
    return Machine("i-1", "eu-west-2", script)


@pytest.mark.parametrize(
    ("script", "status"),
    [
        ("/opt/aws/bin/cfn-signal --stack S --resource G", "SUCCESS"),
        ("cfn-signal -e 0 --stack=S --resource=G", "SUCCESS"),
        ('cfn-signal --exit-code "$?" --stack "S" --resource "G" || echo no', "SUCCESS"),
        ("cfn-signal -e $outcome \\\n  --stack S \\\n  --resource G", "SUCCESS"),
        ("cfn-signal --exit-code 3 --stack S --resource G", "FAILURE"),
        ("cfn-signal --success false --stack S --resource G", "FAILURE"),
        ("mount /x && cfn-signal -s true --stack S --resource G; exit", "SUCCESS"),
    ],
)
def test_a_call_of_cfn_signal_is_read_as_a_shell_reads_it(script: str, status: str) -> None:
    (signal,) = signals_of(machine(f"#!/bin/bash\n{script}\n"))
    assert signal == Signal("S", "G", "eu-west-2", "i-1", status)


def test_options_name_another_region_and_sender() -> None:
    script = "cfn-signal --region eu-west-3 --id me --stack S --resource G"
    (signal,) = signals_of(machine(script))
    assert (signal.region, signal.unique_id) == ("eu-west-3", "me")


@pytest.mark.parametrize(
    "script",
    [
        "",
        "# cfn-signal --stack S --resource G",
        'echo "cfn-signal --stack S --resource G"',
        "cfn-signal 'https://a.wait-condition.handle/'",
        "echo 'open || cfn-signal --stack S --resource G",
        "cfn-signal --stack S; echo --resource G",
    ],
)
def test_what_is_no_call_signals_nothing(script: str) -> None:
    assert list(signals_of(machine(script))) == []


@pytest.mark.parametrize(
    ("script", "serves"),
    [
        ("", False),
        ("python main.py", True),
        ("cfn-signal -e 1 --stack S --resource G", False),
    ],
)
def test_an_application_serves_unless_there_is_none_or_it_failed(script: str, serves: bool) -> None:
    assert simulated(machine(script)).serves is serves


def test_a_machine_serves_only_after_its_boot() -> None:
    booted = threading.Event()

    def program(m: Machine) -> Outcome:
        booted.wait(30)
        return simulated(m)

    machines = Machines(program)
    before = time.monotonic()
    machines.start(FAST, machine("serve"))
    assert machines.serving_since("i-1") is None
    booted.set()
    since = _eventually(machines)
    assert since is not None
    assert since - before >= 0.05


def test_a_machine_that_is_stopped_while_it_boots_never_serves() -> None:
    machines = Machines()
    machines.start(Twin(speed=1), machine("serve"))
    machines.stop("i-1")
    assert _eventually(machines) is None


def test_another_program_decides_what_a_machine_does() -> None:
    ran: list[str] = []

    def program(m: Machine) -> Outcome:
        ran.append(m.user_data)
        return Outcome(serves=False)

    machines = Machines(program)
    machines.start(FAST, machine("serve"))
    assert _eventually(machines) is None
    assert ran == ["serve"]


def test_closing_ends_every_boot() -> None:
    machines = Machines()
    machines.start(Twin(speed=1), machine("serve"))
    machines.close()
    deadline = time.monotonic() + 20
    while _boots() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert _boots() == []


def _boots() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "boot of i-1"]


def _eventually(machines: Machines) -> float | None:
    deadline = time.monotonic() + 20
    while (since := machines.serving_since("i-1")) is None and time.monotonic() < deadline:
        if not _boots():
            return machines.serving_since("i-1")
        time.sleep(0.005)
    return since
