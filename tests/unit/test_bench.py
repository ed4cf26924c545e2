"""The bench's arithmetic, its comparison of two assemblies, and its table."""

import json
import os
import sys
from pathlib import Path

import pytest

from bench import memory, process, same, table
from bench.figures import Figure, Usage, ratio, ratios
from standby.errors import EnvironmentProblem

TEMPLATE = {
    "Resources": {
        "Key": {"Type": "AWS::KMS::Key", "Properties": {"EnableKeyRotation": True}},
        "Other": {"Type": "AWS::KMS::Key"},
        "Topic": {"Type": "AWS::SNS::Topic"},
    }
}


def changed(**properties: object) -> dict[str, object]:
    key = {"Type": "AWS::KMS::Key", "Properties": properties}
    return {"Resources": TEMPLATE["Resources"] | {"Key": key}}


def test_ratios_are_taken_pair_by_pair() -> None:
    assert ratios([2.0, 9.0], [1.0, 3.0]) == [2.0, 3.0]


def test_runs_without_a_partner_are_refused() -> None:
    with pytest.raises(ValueError, match="shorter"):
        ratios([2.0, 9.0], [1.0])


def test_one_slow_minute_of_the_machine_does_not_move_a_ratio() -> None:
    ours = [Usage(2.0, 2.0), Usage(20.0, 2.1), Usage(2.2, 2.2)]
    theirs = [Usage(1.0, 1.0), Usage(10.0, 1.0), Usage(1.0, 1.0)]

    figure = ratio("synth", 2.1, ours, theirs)

    assert figure.value == 2.0
    assert figure.is_met
    assert figure.cpu_ratio == pytest.approx(2.1)


def test_a_figure_without_a_partner_has_no_ratio_of_cpu() -> None:
    assert Figure("help", "s", [0.2], 0.3).cpu_ratio is None


def test_a_target_is_met_by_the_median_not_by_the_best_run() -> None:
    assert not Figure("help", "s", [0.1, 0.4, 0.5], 0.3).is_met
    assert Figure("help", "s", [0.1, 0.2, 0.5], 0.3).is_met


def test_a_figure_can_be_kept_with_all_its_runs() -> None:
    figure = ratio("synth", 2.1, [Usage(2.0, 2.5)], [Usage(1.0, 1.0)], note="why")

    assert json.loads(json.dumps(figure.as_json())) == {
        "name": "synth",
        "unit": "x",
        "median": 2.0,
        "min": 2.0,
        "max": 2.0,
        "target": 2.1,
        "met": True,
        "cpu_ratio": 2.5,
        "ours": [{"wall": 2.0, "cpu": 2.5}],
        "other": [{"wall": 1.0, "cpu": 1.0}],
        "note": "why",
    }


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [(2.345, "x", "2.35x"), (0.123, "s", "0.12 s"), (212.4, "MiB", "212 MiB")],
)
def test_amounts_carry_their_unit(value: float, unit: str, text: str) -> None:
    assert table.amount(value, unit) == text


def test_the_table_says_what_was_missed() -> None:
    lines = table.render(
        [
            ratio("synth, cold", 2.1, [Usage(2.5, 3.0)], [Usage(1.0, 1.0)]),
            Figure("verify", "s", [1.25], 3, note="47 probes"),
        ]
    ).splitlines()

    assert len(lines) == 3
    assert "MISSED" in lines[1]
    assert "2.50x" in lines[1]
    assert "3.00x" in lines[1]
    assert lines[2].endswith("<= 3 s  met (47 probes)")
    assert lines[1].index("MISSED") == lines[2].index("met")


def test_equal_templates_are_equal_in_any_order() -> None:
    assert same.difference({"a": 1, "b": [TEMPLATE]}, {"b": [TEMPLATE], "a": 1}) is None


def test_json_in_a_string_is_compared_as_data() -> None:
    assert same.difference({"Body": '{"a": [1, 2]}'}, {"Body": '{"a":[1,2]}'}) is None
    assert same.difference({"Body": '{"a": 1}'}, {"Body": '{"a": 2}'}) == (
        "Body > JSON > a is 1 in ours and 2 in the peer"
    )


def test_a_string_that_only_begins_like_json_is_text() -> None:
    assert same.normal("[Resource::*]") == "[Resource::*]"


def test_another_wording_is_the_same_work_but_none_is_not() -> None:
    one, other = changed(Description="A key"), changed(Description="The key")

    assert same.difference(one, other) is None
    assert same.difference(one, changed()) is not None


def test_the_first_difference_is_named_by_its_place() -> None:
    found = same.difference({"S": TEMPLATE}, {"S": changed(EnableKeyRotation=False)})

    assert found == (
        "S > Resources > Key > Properties > EnableKeyRotation is true in ours and false in the peer"
    )


def test_a_missing_part_is_named_by_who_has_it() -> None:
    assert same.difference({"a": 1}, {}) == "a is in ours only"
    assert same.difference({}, {"a": 1}) == "a is in the peer only"


def test_lists_of_other_lengths_differ_and_are_shown_in_short() -> None:
    found = same.difference({"a": ["x" * 99]}, {"a": []})

    assert found is not None
    assert found.startswith('a is ["xxx')
    assert found.endswith("... in ours and [] in the peer")


def test_an_application_is_sized_over_all_its_stacks() -> None:
    assert same.size({"One": TEMPLATE, "Two": TEMPLATE, "Empty": {}}) == (3, 6, 2)


def test_a_run_counts_the_processes_below_it(tmp_path: Path) -> None:
    burn = "import time\nwhile time.process_time() < 0.2: pass"
    above = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {burn!r}])"

    usage = process.run([sys.executable, "-c", above], environment=os.environ, folder=tmp_path)

    assert usage.cpu >= 0.2
    assert usage.wall >= 0.2


def test_a_failed_run_says_its_last_words(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "import sys; print('first', flush=True); sys.exit('no space')"]

    with pytest.raises(EnvironmentProblem, match=r"failed \(exit 1\): no space"):
        process.run(command, environment=os.environ, folder=tmp_path)


def test_a_command_that_is_not_there_is_a_problem_of_the_environment(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentProblem, match="cannot run nowhere: No such file"):
        process.run(["nowhere"], environment={}, folder=tmp_path)


def test_memory_is_counted_of_a_living_process_and_none_of_a_dead_one() -> None:
    assert memory.resident_mib(os.getpid()) > 1
    assert memory.resident_mib(2**22 + 1) == 0
