"""Every accepted Settings synthesizes; every refused one says why, in one line."""

from collections.abc import Callable
from typing import Any

from assemblies import Assembly
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from standby.errors import UsageError
from standby.settings import known_regions, resolve

sometimes_wrong = st.fixed_dictionaries(
    {},
    optional={
        "environmentSuffix": st.sampled_from(["dev", "a", "blue-2", "x" * 20, "Upper", "", "a--b"]),
        "preset": st.sampled_from(["dev", "prod"]),
        "primaryRegion": st.sampled_from(sorted(known_regions())),
        "standbyRegion": st.sampled_from(["eu-west-3", "us-east-1", "mars-1"]),
        "primaryCidr": st.sampled_from(
            ["10.0.0.0/16", "10.1.0.0/17", "172.16.0.0/22", "10.0.0.1/16"]
        ),
        "azCount": st.integers(1, 4),
        "natGateways": st.integers(0, 4),
        "domainName": st.sampled_from(["example.org", "a.b.example", "-bad-", "UPPER.org"]),
        "hostedZoneId": st.sampled_from(["Z0123456789ABC", "zone"]),
        "minCapacity": st.integers(1, 9),
        "maxCapacity": st.integers(1, 9),
        "backupRetentionDays": st.integers(0, 36),
        "removalPolicy": st.sampled_from(["destroy", "snapshot", "retain", "shred"]),
        "deletionProtection": st.booleans(),
        "accessLogs": st.booleans(),
        "rto": st.sampled_from(["90s", "15m", "1h", "0", "soon"]),
        "rpo": st.sampled_from(["1s", "5m", "1d"]),
        "alarmEmail": st.sampled_from(["ops@example.org", "nobody"]),
    },
)


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(flags=sometimes_wrong)
def test_settings_are_refused_with_a_reason_or_synthesize(
    flags: dict[str, Any], assembly: Callable[..., Assembly]
) -> None:
    try:
        accepted = resolve(flags=flags, environ={}).settings
    except UsageError as error:
        (refusal,) = str(error).splitlines()
        assert refusal.strip()
        return
    templates = assembly(accepted)
    assert templates.keys() >= {accepted.stack_name, f"{accepted.stack_name}-DatabaseStandby"}
