"""The settings on the command line: a flag for each, made from the model, and what they come to."""

import functools
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from standby.errors import UsageError
from standby.settings import CONFIG_FILE, KEYS, Settings, resolve

_CONTEXT = "context"
_CONFIG = "config_file"


@dataclass(frozen=True)
class Choices:
    """What the user chose, in all layers.

    Attributes:
        settings: The values in force.
        origins: By context key, the layer each value came from.
        cdk_context: The CDK's own context keys (``-c @aws-cdk/...=...``).
        config_file: The TOML file that was read, or would have been if it existed.
    """

    settings: Settings
    origins: Mapping[str, str]
    cdk_context: Mapping[str, str]
    config_file: Path


def takes_settings(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command a flag for every setting, ``-c`` and ``--config``.

    Its first parameter receives the `Choices` they come to.
    """
    own = list(inspect.signature(command).parameters.values())[1:]

    @functools.wraps(command)
    def wrapper(**given: Any) -> None:
        flags = {key: given.pop(field) for key, field in KEYS.items()}
        command(_choose(flags, given.pop(_CONTEXT), given.pop(_CONFIG)), **given)

    parameters = [*own, *_shared(), *(_flag(field) for field in KEYS.values())]
    keyword = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in parameters]
    # What typer reads of a command.
    vars(wrapper)["__signature__"] = inspect.Signature(keyword)
    wrapper.__annotations__ = {p.name: p.annotation for p in keyword}
    return wrapper


def _choose(flags: Mapping[str, Any], context: list[str] | None, config: Path | None) -> Choices:
    entries = dict(_entry(text) for text in context or ())
    resolved = resolve(flags=flags, context=entries, config=config)
    return Choices(
        settings=resolved.settings,
        origins=resolved.origins,
        cdk_context={key: value for key, value in entries.items() if key not in KEYS},
        config_file=config or Path(CONFIG_FILE),
    )


def _entry(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise UsageError(f"-c {text!r} is not a context value; write -c key=value")
    return key, value


def _shared() -> list[inspect.Parameter]:
    return [
        _parameter(
            _CONTEXT,
            list[str] | None,
            typer.Option(
                "-c", "--context", metavar="KEY=VALUE", help="A setting, or the CDK's own context."
            ),
        ),
        _parameter(
            _CONFIG,
            Path | None,
            typer.Option(
                "--config", metavar="FILE", help=f"Settings file to read instead of {CONFIG_FILE}."
            ),
        ),
    ]


def _flag(field: str) -> inspect.Parameter:
    """Make a setting's flag; its value stays text, which the model reads like every layer's."""
    info = Settings.model_fields[field]
    name = f"--{field.replace('_', '-')}"
    if info.annotation is bool:
        option = typer.Option(f"{name}/--no-{name[2:]}", help=info.description)
        return _parameter(field, bool | None, option)
    return _parameter(field, str | None, typer.Option(name, metavar="VALUE", help=info.description))


def _parameter(name: str, annotation: Any, option: Any) -> inspect.Parameter:
    return inspect.Parameter(
        name,
        inspect.Parameter.KEYWORD_ONLY,
        default=None,
        annotation=Annotated[annotation, option],
    )
