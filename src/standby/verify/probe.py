"""What a probe is: a question about a deployment whose answer carries its evidence.

A probe is a function of a `Site` that returns a `Verdict`, found by its module's place under
`standby.verify.probes`. Its docstring's first line says what it expects, in the present tense.
"""

import importlib
import inspect
import pkgutil
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from standby.verify.outputs import Outputs, Side
from standby.verify.site import Site

PILLARS = (
    "stacks",
    "network",
    "peering",
    "security",
    "storage",
    "database",
    "compute",
    "dns",
    "monitoring",
    "failover",
    "resilience",
)
"""The pillars in the order of a deployment, which is the order of every report."""


@dataclass(frozen=True)
class Verdict:
    """A probe's answer: whether what it saw is what it expected, and both in words."""

    ok: bool
    expected: str
    seen: str


@dataclass(frozen=True)
class Observation:
    """What one probe saw on one side.

    Attributes:
        id: Name of the probe, ``database.replica-replicates``.
        pillar: Part of the id before the dot.
        side: Side of the deployment that was looked at.
        region: Region of that side.
        title: What the probe is about, as a sentence.
        ok: Whether what was seen is what was expected.
        expected: What should have been seen.
        seen: What was seen, or why nothing could be.
        calls: The API calls that were made for it, with their regions.
        seconds: How long it took; answers shared with other probes cost nothing.
    """

    id: str
    pillar: str
    side: Side
    region: str
    title: str
    ok: bool
    expected: str
    seen: str
    calls: tuple[str, ...]
    seconds: float


@dataclass(frozen=True)
class Probe:
    """A question that can be asked of a deployment, on the sides where it makes sense."""

    id: str
    sides: tuple[Side, ...]
    applies: Callable[[Outputs], bool]
    question: Callable[[Site], Verdict]

    @property
    def pillar(self) -> str:
        """Part of the id before the dot."""
        return self.id.partition(".")[0]

    @property
    def title(self) -> str:
        """First line of the question's docstring."""
        return (inspect.getdoc(self.question) or self.id).splitlines()[0]

    def observe(self, site: Site) -> Observation:
        """Ask the question; one that cannot be answered is a failed observation with its reason."""
        begin = time.perf_counter()
        try:
            verdict = self.question(site)
        except Exception as error:  # whatever the reason, "unknown" must not pass for "good"
            verdict = Verdict(ok=False, expected=self.title, seen=_reason(error))
        return Observation(
            id=self.id,
            pillar=self.pillar,
            side=site.side,
            region=site.region,
            title=self.title,
            ok=verdict.ok,
            expected=verdict.expected,
            seen=verdict.seen,
            calls=tuple(site.calls),
            seconds=time.perf_counter() - begin,
        )


def probe(
    id: str,
    *sides: Side,
    when: Callable[[Outputs], bool] = lambda outputs: True,
) -> Callable[[Callable[[Site], Verdict]], Probe]:
    """Make a probe of a function.

    Args:
        id: Its name, ``<pillar>.<what-is-true>``.
        sides: Sides to ask it of; both unless given.
        when: Whether the question makes sense for a deployment, from its outputs.
    """
    return lambda question: Probe(id, sides or tuple(Side), when, question)


def all_probes() -> list[Probe]:
    """Give every probe there is, by pillar and then as its module lists them."""
    import standby.verify.probes as package

    modules = [module.name for module in pkgutil.iter_modules(package.__path__)]
    return [
        value
        for name in sorted(modules, key=PILLARS.index)
        for value in vars(importlib.import_module(f"{package.__name__}.{name}")).values()
        if isinstance(value, Probe)
    ]


def expect(ok: bool, expected: str, seen: object) -> Verdict:
    """Give a verdict on a condition."""
    return Verdict(ok, expected, str(seen))


def expect_fields(record: Mapping[str, Any], **wanted: object) -> Verdict:
    """Give a verdict on the fields of a record: each must equal what is wanted."""
    seen = {name: record.get(name) for name in wanted}
    return Verdict(seen == wanted, _words(wanted), _words(seen))


def expect_faultless(
    expected: str, things: Collection[object], faults: Iterable[str | None]
) -> Verdict:
    """Give a verdict on every one of some things: there must be some, and none at fault."""
    found = [fault for fault in faults if fault]
    if not things:
        return Verdict(ok=False, expected=expected, seen="there is none")
    seen = "; ".join(found) or f"{len(things)} of {len(things)}: {expected}"
    return Verdict(not found, expected, seen)


def _words(value: object) -> str:
    """Put what an API answers into words: fields by name, and no brackets or quotes."""
    match value:
        case None:
            return "absent"
        case Mapping():
            return ", ".join(f"{name} {_words(each)}" for name, each in value.items()) or "none"
        case list() | tuple():
            return " and ".join(map(_words, value)) or "none"
    return str(value)


def _reason(error: Exception) -> str:
    if isinstance(error, ClientError):
        answer = error.response.get("Error", {})
        code, message = answer.get("Code", "no code"), answer.get("Message")
        return f"{error.operation_name}: " + (f"{message} ({code})" if message else code)
    text = str(error) or "no details"
    if isinstance(error, (KeyError, IndexError, TypeError, AttributeError, ValueError)):
        return f"the answer of AWS lacks what the probe reads ({type(error).__name__}: {text})"
    return text
