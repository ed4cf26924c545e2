"""Settings: which layer wins, where each value came from, and why one is refused."""

import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from standby.errors import UsageError
from standby.settings import KEYS, PRESETS, Settings, resolve, subnet_prefix

Configure = Callable[[str], Path]


@pytest.fixture
def config(tmp_path: Path) -> Configure:
    """Write a ``standby.toml``."""

    def write(text: str) -> Path:
        path = tmp_path / "standby.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def refusal(**layers: Any) -> str:
    """Give the one line with which `resolve` refuses the layers."""
    with pytest.raises(UsageError) as error:
        resolve(**{"environ": {}} | layers)
    (line,) = str(error.value).splitlines()
    return line


class TestLayers:
    def test_each_layer_is_overruled_by_the_one_before(self, config: Configure) -> None:
        layers = {
            "flags": {"azCount": "3"},
            "environ": {"STANDBY_AZ_COUNT": "2"},
            "context": {"azCount": "3"},
            "config": config("azCount = 2"),
        }
        expected = [(3, "flag"), (2, "environment"), (3, "context -c"), (2, str(layers["config"]))]
        for layer, (value, origin) in zip(list(layers), expected, strict=True):
            resolved = resolve(**{"environ": {}} | layers)
            assert (resolved.settings.az_count, resolved.origins["azCount"]) == (value, origin)
            del layers[layer]

    def test_a_number_may_be_text_even_where_only_some_are_allowed(self) -> None:
        resolved = resolve(environ={"STANDBY_HEALTH_CHECK_INTERVAL": "30"})
        assert resolved.settings.health_check_interval == 30

    def test_a_preset_comes_after_what_the_user_says_and_before_the_defaults(self) -> None:
        resolved = resolve(flags={"preset": "prod"}, environ={"STANDBY_MAX_CAPACITY": "8"})
        assert resolved.settings.max_capacity == 8
        assert resolved.settings.az_count == PRESETS["prod"]["azCount"]
        assert resolved.origins["maxCapacity"] == "environment"
        assert resolved.origins["azCount"] == "preset prod"
        assert resolved.origins["primaryRegion"] == "default"

    @pytest.mark.parametrize("layer", ["flags", "environ", "context", "config"])
    def test_any_layer_may_name_the_preset(self, layer: str, config: Configure) -> None:
        value: Any = {"STANDBY_PRESET": "prod"} if layer == "environ" else {"preset": "prod"}
        layers = {layer: config('preset = "prod"') if layer == "config" else value}
        assert resolve(**{"environ": {}} | layers).settings.deletion_protection

    def test_a_flag_that_is_not_given_says_nothing(self) -> None:
        assert resolve(flags={"azCount": None}, environ={}).origins["azCount"] == "default"

    def test_every_key_has_an_origin(self) -> None:
        assert resolve(environ={}).origins == dict.fromkeys(KEYS, "default")

    def test_the_file_is_standby_toml_of_the_working_directory(
        self, config: Configure, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(config('environmentSuffix = "blue"').parent)
        resolved = resolve(environ={})
        assert resolved.settings.stack_name == "TapStackblue"
        assert resolved.origins["environmentSuffix"] == "standby.toml"

    def test_no_file_is_no_fault(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        assert resolve(environ={}).settings == Settings()

    def test_a_table_of_the_file_is_a_key_with_a_dot(self, config: Configure) -> None:
        path = config('[workload]\npath = "shop"')
        assert resolve(environ={}, config=path).settings.workload_path == Path("shop")

    def test_keys_of_the_cdk_itself_pass_in_the_context(self) -> None:
        context = {"aws:cdk:toolkit": True, "@aws-cdk/core:x": 1}
        assert resolve(environ={}, context=context).settings == Settings()

    def test_ci_systems_name_the_tags_in_variables_of_their_own(self) -> None:
        environ = {"REPOSITORY": "acme/shop", "COMMIT_AUTHOR": "Ada"}
        settings = resolve(environ=environ).settings
        assert (settings.repository, settings.author) == ("acme/shop", "Ada")
        assert resolve(environ=environ, flags={"author": "Bo"}).settings.author == "Bo"


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_is_valid_in_itself(preset: str) -> None:
    settings = resolve(flags={"preset": preset}, environ={}).settings
    dumped = settings.model_dump(mode="json", by_alias=True)
    assert PRESETS[preset].items() <= dumped.items()
    assert resolve(flags=dumped, environ={}).settings == settings


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("15m", 900), ("1h", 3600), ("45", 45), (45, 45)]
)
def test_an_objective_is_a_number_with_a_unit(text: object, seconds: int) -> None:
    assert resolve(flags={"rto": text}, environ={}).settings.rto == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["90s", "15m", "2h"])
def test_an_objective_is_shown_as_it_is_written(text: str) -> None:
    settings = resolve(flags={"rto": text}, environ={}).settings
    assert settings.model_dump(mode="json")["rto"] == text


class TestRefusals:
    @pytest.mark.parametrize(
        ("flags", "reason"),
        [
            ({"primaryRegion": "eu-west-3"}, "both 'eu-west-3'"),
            ({"primaryRegion": "eu-wst-2"}, "did you mean 'eu-west-2'"),
            ({"standbyRegion": "mars-1"}, "not an AWS region"),
            ({"standbyCidr": "10.0.128.0/17"}, "overlap"),
            ({"standbyCidr": "10.1.0.0/25"}, "too small.*choose a /23 or larger"),
            ({"azCount": 3, "primaryCidr": "10.0.0.0/24"}, "too small.*choose a /22 or larger"),
            ({"primaryCidr": "10.0.0.0/8"}, "between /16 and /28"),
            ({"primaryCidr": "10.0.0.1/16"}, r"did you mean 10.0.0.0/16\?"),
            ({"primaryCidr": "10.0/16"}, "write one like 10.0.0.0/16"),
            ({"primaryCidr": True}, "write one like 10.0.0.0/16"),
            ({"environmentSuffix": "Dev"}, "lower-case"),
            ({"environmentSuffix": "a--b"}, "single hyphens"),
            ({"environmentSuffix": "a" * 19}, "33 characters long; AWS allows 32"),
            ({"azCount": 4}, "less than or equal to 3"),
            ({"natGateways": True}, r"natGateways = True \(flag\): write a number"),
            ({"natGateways": 3}, "above azCount 2"),
            ({"minCapacity": 7}, "minCapacity 7 is above maxCapacity 6"),
            ({"standbyMinCapacity": 7}, "standbyMinCapacity 7 is above maxCapacity 6"),
            ({"minCapacity": 1}, "greater than or equal to 2"),
            ({"databaseMaxStorageGib": 22, "databaseStorageGib": 21}, "at least 10% above"),
            ({"databaseInstanceClass": "t4g.medium"}, "not a class of RDS"),
            ({"databaseName": "my-app"}, "underscores"),
            ({"instanceType": "large"}, "not an instance type"),
            ({"instanceType": "m7g.large"}, "ARM processors"),
            ({"healthCheckInterval": "20"}, "10 or 30"),
            ({"preset": "prod", "backupRetentionDays": 6}, "below the 7"),
            ({"preset": "test"}, "'dev' or 'prod'"),
            ({"domainName": "-bad-.org"}, "not a lower-case domain name"),
            ({"domainName": "example.org", "recordName": "a.b"}, "not a host name"),
            ({"hostedZoneId": "Z0123"}, "domainName is not"),
            ({"domainName": "example.org", "hostedZoneId": "zone"}, "not a hosted zone's id"),
            ({"rto": "0"}, "at least one"),
            ({"rto": 1.5}, "whole seconds"),
            ({"rpo": "soon"}, "rpo = 'soon'"),
            ({"rto": "9000h"}, "more than 365 days"),
            ({"rto": "90x"}, "as in 90s, 15m or 1h"),
            ({"rto": "9" * 400}, "as in 90s, 15m or 1h"),
            ({"rto": True}, "as in 90s, 15m or 1h"),
            ({"alarmEmail": "nobody"}, "not an e-mail address"),
            ({"removalPolicy": "shred"}, "'destroy', 'snapshot' or 'retain'"),
            ({"deletionProtection": "perhaps"}, "boolean"),
        ],
    )
    def test_an_illegal_value_says_why(self, flags: dict[str, Any], reason: str) -> None:
        assert re.search(reason, refusal(flags=flags))

    def test_a_value_that_is_no_such_thing_says_which_layer_it_came_from(self) -> None:
        assert refusal(environ={"STANDBY_AZ_COUNT": "two"}).startswith(
            "azCount = 'two' (environment): "
        )

    @pytest.mark.parametrize(
        ("layers", "nearest"),
        [
            ({"flags": {"primaryRegoin": "eu-west-1"}}, "'primaryRegion'"),
            ({"context": {"primarycidr": "10.0.0.0/16"}}, "'primaryCidr'"),
            ({"environ": {"STANDBY_RT0": "1h"}}, "'STANDBY_RTO'"),
        ],
    )
    def test_an_unknown_key_is_told_the_nearest_one(
        self, layers: dict[str, Any], nearest: str
    ) -> None:
        assert refusal(**layers).endswith(f"did you mean {nearest}?")

    def test_a_key_that_is_near_to_none_is_told_none(self) -> None:
        assert refusal(flags={"zzz": 1}).endswith("; `standby config` lists them all")

    @pytest.mark.parametrize(
        ("content", "reason"),
        [
            (b"azCount = ", "not valid TOML"),
            (b"\xff\xfe", "not UTF-8"),
            (b"[azCount]\nx = 1", "unknown setting 'azCount.x'"),
        ],
    )
    def test_a_file_that_cannot_be_read_is_named(
        self, content: bytes, reason: str, tmp_path: Path
    ) -> None:
        path = tmp_path / "mine.toml"
        path.write_bytes(content)
        line = refusal(config=path)
        assert reason in line
        assert str(path) in line

    def test_a_file_that_is_asked_for_must_exist(self, tmp_path: Path) -> None:
        assert "No such file" in refusal(config=tmp_path / "absent.toml")


class TestAnyInput:
    anything = st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
        max_leaves=5,
    )
    values = st.dictionaries(st.sampled_from(sorted(KEYS)), anything, max_size=4)
    lines = st.text(st.characters(codec="utf-8"), max_size=60)

    @given(flags=values, context=values)
    def test_is_settings_or_refused_in_one_line(
        self, flags: dict[str, Any], context: dict[str, Any]
    ) -> None:
        self.settings_or_one_line(flags=flags, context=context)

    @given(keys=st.dictionaries(st.text(), st.text(), max_size=3))
    def test_keys_too(self, keys: dict[str, str]) -> None:
        self.settings_or_one_line(context=keys)
        self.settings_or_one_line(environ={f"STANDBY_{key}": keys[key] for key in keys})

    @given(text=lines)
    def test_files_too(self, text: str, config: Configure) -> None:
        self.settings_or_one_line(config=config(text))

    def settings_or_one_line(self, **layers: Any) -> None:
        try:
            resolved = resolve(**{"environ": {}} | layers)
        except UsageError as error:
            (line,) = str(error).splitlines()
            assert line.strip()
        else:
            assert resolved.origins.keys() == KEYS.keys()
            again = resolved.settings.model_dump(mode="json", by_alias=True)
            assert resolve(flags=again, environ={}).settings == resolved.settings


@given(az_count=st.integers(2, 3), prefix=st.integers(16, 22))
def test_equal_subnets_of_every_tier_and_zone_fit(az_count: int, prefix: int) -> None:
    settings = Settings(primary_cidr=f"10.0.0.0/{prefix}", standby_cidr="10.1.0.0/16")
    subnets = list(
        settings.primary_cidr.subnets(new_prefix=subnet_prefix(settings.primary_cidr, az_count))
    )
    assert len(subnets) >= 3 * az_count
    assert len(subnets) < 2 * 3 * az_count
