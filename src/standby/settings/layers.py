"""Where values come from: the layers, the stronger ones first, down to a preset and the default."""

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from standby.errors import UsageError
from standby.settings.model import KEYS, Settings, context_key, nearest

CONFIG_FILE = "standby.toml"
PRESETS: Mapping[str, Mapping[str, Any]] = {
    "dev": {},
    "prod": {
        "azCount": 3,
        "natGateways": 3,
        "instanceType": "m7i.large",
        "maxCapacity": 12,
        "databaseInstanceClass": "db.r6g.large",  # offered in every region; r7g is not in Paris
        "databaseStorageGib": 100,
        "backupRetentionDays": 14,
        "removalPolicy": "retain",
        "deletionProtection": True,
        "accessLogs": True,
    },
}
_CDK_OWN = re.compile("[:@]|^cli-telemetry$")
"""The context keys that the CDK and its command line read themselves."""


@dataclass(frozen=True)
class Layer:
    """One source of values: its name for messages, and what it says by context key."""

    origin: str
    values: Mapping[str, Any]


@dataclass(frozen=True)
class Resolved:
    """The settings in force and, by context key, the layer each value came from."""

    settings: Settings
    origins: Mapping[str, str]


def resolve(
    *,
    flags: Mapping[str, Any] | None = None,
    environ: Mapping[str, str] | None = None,
    context: Mapping[str, Any] | None = None,
    config: Path | None = None,
) -> Resolved:
    """Layer flags > environment > context > file > preset > default into validated settings.

    Args:
        flags: Values of command-line flags by context key; None values are unset.
        environ: The environment, ``os.environ`` unless given.
        context: CDK context (``-c key=value``); keys that the CDK itself reads pass.
        config: The TOML file; ``standby.toml`` in the working directory unless given.

    Raises:
        UsageError: An unknown key or an illegal value, with its layer and how to mend it.
    """
    environ = os.environ if environ is None else environ
    layers = [
        Layer("flag", {k: v for k, v in (flags or {}).items() if v is not None}),
        _environment_layer(environ),
        Layer("context -c", {k: v for k, v in (context or {}).items() if not _CDK_OWN.search(k)}),
        _file_layer(config),
    ]
    for layer in layers:
        for key in layer.values:
            if key not in KEYS:
                raise _unknown(key, layer.origin, KEYS)
    preset = next((layer.values["preset"] for layer in layers if "preset" in layer.values), "dev")
    layers.append(Layer(f"preset {preset}", PRESETS.get(str(preset), {})))
    layers.append(Layer("environment", _tag_variables(environ)))
    values: dict[str, Any] = {}
    origins = dict.fromkeys(KEYS, "default")
    for layer in reversed(layers):
        values |= layer.values
        origins |= dict.fromkeys(layer.values, layer.origin)
    try:
        return Resolved(Settings.model_validate(values), origins)
    except ValidationError as error:
        raise UsageError(_first_message(error, origins)) from None


def _environment_layer(environ: Mapping[str, str]) -> Layer:
    variables = {_variable(key): key for key in KEYS}
    values = {}
    for name, value in environ.items():
        if name in variables:
            values[variables[name]] = value
        elif name.startswith("STANDBY_"):
            raise _unknown(name, "environment", variables)
    return Layer("environment", values)


def _unknown(name: str, origin: str, known: Mapping[str, str]) -> UsageError:
    hint = nearest(name, known) or "; `standby config` lists them all"
    return UsageError(f"unknown setting {name!r} ({origin}){hint}")


def _tag_variables(environ: Mapping[str, str]) -> dict[str, str]:
    """Read the tag variables that CI systems of the naming contract export (DESIGN)."""
    names = {"REPOSITORY": "repository", "COMMIT_AUTHOR": "author"}
    return {key: environ[name] for name, key in names.items() if environ.get(name)}


def _file_layer(path: Path | None) -> Layer:
    if path is None:
        path = Path(CONFIG_FILE)
        if not path.exists():
            return Layer(CONFIG_FILE, {})
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UsageError(f"{path} is not UTF-8 text") from None
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise UsageError(f"{path} is not valid TOML: {error}") from None
    return Layer(str(path), _flatten(table))


def _flatten(table: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in table.items():
        if isinstance(value, Mapping):
            flat |= _flatten(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat


def _variable(key: str) -> str:
    return "STANDBY_" + KEYS[key].upper()


def _first_message(error: ValidationError, origins: Mapping[str, str]) -> str:
    """Turn pydantic's first complaint into one line that names the key and its layer."""
    first = error.errors()[0]
    if first["type"] == "value_error" and not first["loc"]:
        return str(first["ctx"]["error"])
    key = ".".join(str(part) for part in first["loc"][:1])
    key = key if key in KEYS else context_key(key)
    problem = first["msg"].removeprefix("Value error, ")
    return f"{key} = {first['input']!r} ({origins[key]}): {problem[0].lower()}{problem[1:]}"
