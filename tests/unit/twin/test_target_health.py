"""The health of a target: a matter of when it was registered, when it serves, and the checks."""

import pytest

from standby.twin.services.load_balancing import Checks

CHECKS = {
    "LoadBalancerArns": ["arn"],
    "HealthCheckIntervalSeconds": 10,
    "HealthyThresholdCount": 2,
    "UnhealthyThresholdCount": 3,
}


@pytest.mark.parametrize(
    ("now", "serving", "state"),
    [
        (0, None, "initial"),
        (19, None, "initial"),
        (20, None, "unhealthy"),
        (0, -5, "healthy"),
        (9, 5, "initial"),
        (10, 5, "healthy"),
        (30, 25, "unhealthy"),
        (39, 25, "unhealthy"),
        (40, 25, "healthy"),
    ],
)
def test_a_new_target_must_pass_one_check_and_a_given_up_one_two(
    now: float, serving: float | None, state: str
) -> None:
    assert Checks.of(CHECKS, speed=1).health(now, 0, serving)[0] == state


def test_checks_run_on_the_twins_clock() -> None:
    assert Checks.of(CHECKS, speed=10).health(2, 0, None)[0] == "unhealthy"


def test_a_target_group_without_a_load_balancer_checks_nothing() -> None:
    health = Checks.of(CHECKS | {"LoadBalancerArns": []}, speed=1).health(0, 0, 0)
    assert health[:2] == ("unused", "Target.NotInUse")


def test_without_health_checks_nobody_knows() -> None:
    health = Checks.of(CHECKS | {"HealthCheckEnabled": False}, speed=1).health(0, 0, 0)
    assert health[:2] == ("unavailable", "Target.HealthCheckDisabled")
