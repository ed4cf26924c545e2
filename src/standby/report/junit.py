"""Results as JUnit XML, which every CI system shows: a suite per pillar, a case per observation."""

import re
from collections.abc import Sequence
from itertools import groupby
from xml.etree import ElementTree as ET

from standby.verify import Observation

_ILLEGAL = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 cannot carry, escaped or not; AWS's answers may hold anything."""


def observations(seen: Sequence[Observation]) -> str:
    """Give what `standby verify` saw as a JUnit XML document."""
    root = ET.Element("testsuites", {"name": "standby verify", **_counts(seen)})
    for pillar, members in groupby(seen, key=lambda each: each.pillar):
        group = list(members)
        suite = ET.SubElement(root, "testsuite", {"name": pillar, **_counts(group)})
        for each in group:
            _add_case(suite, each)
    ET.indent(root)
    document: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return document.decode() + "\n"


def _add_case(suite: ET.Element, seen: Observation) -> None:
    case = ET.SubElement(
        suite,
        "testcase",
        classname=f"standby.{seen.pillar}",
        name=f"{seen.id.partition('.')[2]} [{seen.region}]",
        time=f"{seen.seconds:.3f}",
    )
    evidence = _legal(
        "\n".join(
            (
                seen.title,
                f"expected: {seen.expected}",
                f"seen: {seen.seen}",
                f"calls: {', '.join(seen.calls)}",
            )
        )
    )
    if seen.ok:
        ET.SubElement(case, "system-out").text = evidence
    else:
        failure = ET.SubElement(case, "failure", type="probe", message=_legal(seen.seen))
        failure.text = evidence


def _counts(seen: Sequence[Observation]) -> dict[str, str]:
    return {
        "tests": str(len(seen)),
        "failures": str(sum(not each.ok for each in seen)),
        "errors": "0",
        "skipped": "0",
        "time": f"{sum(each.seconds for each in seen):.3f}",
    }


def _legal(text: str) -> str:
    return _ILLEGAL.sub("\ufffd", text)
