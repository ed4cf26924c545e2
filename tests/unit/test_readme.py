"""What README says of settings and commands is what they are."""

from pathlib import Path

from standby.cli import COMMANDS
from standby.settings import KEYS, PRESETS, Settings, resolve

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")


def settings_table() -> str:
    """Give the table of every setting, as README has it."""
    defaults = resolve(environ={}).settings.model_dump(mode="json", by_alias=True)
    rows = ["| key | default | `prod` | meaning |", "|---|---|---|---|"]
    for key, field in KEYS.items():
        cells = [_code(key), _code(defaults[key])]
        cells.append(_code(PRESETS["prod"][key]) if key in PRESETS["prod"] else "")
        rows.append(f"| {' | '.join(cells)} | {Settings.model_fields[field].description} |")
    return "\n".join(rows)


def _code(value: object) -> str:
    if value is None:
        return "-"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def test_the_table_of_settings_is_the_model() -> None:
    assert settings_table() in README, f"the table of README should be:\n{settings_table()}"


def test_every_command_is_described() -> None:
    assert [name for name in COMMANDS if f"`standby {name}" not in README] == []
