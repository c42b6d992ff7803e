"""The command config: every key of the configuration."""

from __future__ import annotations

import textwrap
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from seismag.cli.options import JsonOption, example
from seismag.cli.terminal import print_json

if TYPE_CHECKING:
    from pydantic import BaseModel
    from pydantic.fields import FieldInfo

configuration_app = typer.Typer(rich_markup_mode=None)
_UNITS = {
    "_h": "h", "_s": "s", "_d": "days", "_days": "days", "_km": "km", "_deg": "degrees", "_nt": "nT", "_hz": "Hz",
    "_mhz": "mHz", "_fraction": "fraction", "_years": "years",
}  # fmt: skip


@dataclass(frozen=True)
class _Key:
    """A key of the configuration."""

    key: str
    default: object
    unit: str
    meaning: str


@configuration_app.command(epilog=example("seismag config train", "seismag config --json"))
def config(
    section: Annotated[str | None, typer.Argument(metavar="SECTION", help="data, split, model, train ...")] = None,
    as_json: JsonOption = False,
) -> None:
    """Print every key of the configuration with its default."""
    from seismag.config import Config
    from seismag.domain import UsageError

    keys = _list_keys(Config, "")
    if section is not None:
        keys = [key for key in keys if key.key.startswith(f"{section}.")]
    if not keys:
        raise UsageError(f"{section}: no such section; there are {', '.join(Config.model_fields)}.")
    if as_json:
        print_json({"keys": [asdict(key) for key in keys]})
    else:
        print("\n".join(_describe(key) for key in keys))


def _list_keys(schema: type[BaseModel], prefix: str) -> list[_Key]:
    from pydantic import BaseModel

    keys: list[_Key] = []
    for name, field in schema.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            keys += _list_keys(inner, f"{prefix}{name}.")
        else:
            keys.append(_key(f"{prefix}{name}", name, field))
    return keys


def _key(key: str, name: str, field: FieldInfo) -> _Key:
    unit = next((unit for ending, unit in _UNITS.items() if name.endswith(ending)), "")
    default = field.get_default(call_default_factory=True, validated_data={})
    return _Key(key, default, unit, field.description or "")


def _describe(key: _Key) -> str:
    head = f"{key.key} = {_yaml(key.default)}" + (f"  ({key.unit})" if key.unit else "")
    lines = textwrap.wrap(head, 78, subsequent_indent="        ", break_on_hyphens=False)
    lines += textwrap.wrap(key.meaning, 74, initial_indent="    ", subsequent_indent="    ")
    return "\n".join(lines)


def _yaml(value: object) -> str:
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else str(value)
