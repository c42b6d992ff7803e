"""The schema of a configuration file; each section is named like the code that uses it."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field, ValidationError, model_validator

from seismag.config.sections import AuditConfig, DataConfig, EvaluateConfig, RecoverConfig, Section, SplitConfig
from seismag.config.simulate import ArtefactConfig, EarthquakeConfig, EmissionConfig, Expectation, SimulateConfig
from seismag.config.training import AugmentConfig, ModelConfig, TrainConfig
from seismag.config.tree import read_config_tree
from seismag.domain import UsageError
from seismag.text import one_line, shortened

__all__ = [
    "ArtefactConfig", "AuditConfig", "AugmentConfig", "Config", "DataConfig", "EarthquakeConfig", "EmissionConfig",
    "EvaluateConfig", "Expectation", "ModelConfig", "RecoverConfig", "Section", "SimulateConfig", "SplitConfig",
    "TrainConfig", "build_config", "load_config",
]  # fmt: skip

_MOST_SENTENCES = 10  # of one message


class Config(Section):
    """A whole configuration file."""

    data: DataConfig = Field(default_factory=DataConfig)
    split: SplitConfig = Field(default_factory=SplitConfig)
    model: ModelConfig = Field(default_factory=ModelConfig)
    train: TrainConfig = Field(default_factory=TrainConfig)
    augment: AugmentConfig = Field(default_factory=AugmentConfig)
    evaluate: EvaluateConfig = Field(default_factory=EvaluateConfig)
    recover: RecoverConfig = Field(default_factory=RecoverConfig)
    audit: AuditConfig = Field(default_factory=AuditConfig)
    simulate: SimulateConfig = Field(default_factory=SimulateConfig)
    expect: list[Expectation] = Field(default_factory=list, description="Expected outcome; not used by any command.")

    @model_validator(mode="after")
    def _check_embargo(self) -> Config:
        trailing, days = self.train.normalisation == "trailing", self.train.trailing_days
        if self.split.method == "blocked" and trailing and self.split.embargo_d < days:
            raise ValueError(
                f"split.embargo_d is {self.split.embargo_d:g}, but windows are normalised by the {days:g} days before "
                "them (train.trailing_days), so those days would be in training and test. "
                f"Set split.embargo_d={days:g} or more, or lower train.trailing_days."
            )
        return self

    @model_validator(mode="after")
    def _check_initial_weights(self) -> Config:
        if self.train.keeps_features and self.augment.is_on:
            raise ValueError(
                f"train.scope {self.train.scope} computes the outputs of the frozen backbone once, but the section "
                "augment changes the windows in each epoch. Set train.cache_features=false, or omit augment."
            )
        if self.train.init_from is not None and self.model.pretrained:
            raise ValueError(
                "train.init_from and model.pretrained both set the initial weights. Set model.pretrained=false, "
                "or train.init_from=null."
            )
        if self.train.scope != "all" and self.train.init_from is None and not self.model.pretrained:
            raise ValueError(
                f"train.scope {self.train.scope} keeps the initial backbone, whose weights are random. Name a "
                "checkpoint (train.init_from), or set model.pretrained=true or train.scope=all."
            )
        return self


def load_config(path: str | Path | None = None, overrides: list[str] | None = None) -> Config:
    """Read a configuration file and the command line's overrides.

    Args:
        path: YAML or JSON; None gives the defaults.
        overrides: entries ``section.key=value``, the value in YAML.

    Raises:
        UsageError: the file is missing, not YAML, or contains an unknown key or an impossible value.
    """
    return build_config(read_config_tree(Path(path) if path is not None else None, overrides or []))


def build_config(tree: Mapping[str, object]) -> Config:
    """Validate nested dictionaries; UsageError: one sentence for each error, with key, value and remedy."""
    try:
        return Config.model_validate(_with_floats(tree, Config))
    except ValidationError as error:
        entries = error.errors(include_url=False)
        sentences = [_sentence(entry) for entry in entries[:_MOST_SENTENCES]]
        more = [f"{len(entries) - _MOST_SENTENCES} more errors."] if len(entries) > _MOST_SENTENCES else []
        raise UsageError("\n".join([*sentences, *more])) from None


def _with_floats(tree: Mapping[str, object], schema: type[BaseModel]) -> dict[str, object]:
    """Convert whole numbers to floats where the schema has a float (JSON and YAML write 1 for 1.0)."""
    result: dict[str, object] = {}
    for key, value in tree.items():
        wanted = schema.model_fields[key].annotation if key in schema.model_fields else None
        if isinstance(value, dict) and isinstance(wanted, type) and issubclass(wanted, BaseModel):
            result[key] = _with_floats(value, wanted)
        elif type(value) is int and wanted in (float, float | None):
            result[key] = float(value)
        else:
            result[key] = value
    return result


def _sentence(entry: Any) -> str:
    location = [one_line(part, 80) for part in entry["loc"]]
    name = ".".join(location)
    if entry["type"] == "extra_forbidden":
        return f"{name}: not a known key" + _suggestion(location)
    if entry["type"] == "value_error" and isinstance(entry["input"], dict):  # of a section: the message names the keys
        return one_line(entry["ctx"]["error"], 1000)
    return f"{name}: {entry['msg'][0].lower()}{one_line(entry['msg'][1:])}, not {shortened(entry['input'])}."


def _suggestion(location: list[str]) -> str:
    schema: Any = Config
    for section in location[:-1]:
        schema = schema.model_fields[section].annotation if section in schema.model_fields else None
        if not (isinstance(schema, type) and issubclass(schema, BaseModel)):  # an entry of a list
            return "."
    close = difflib.get_close_matches(location[-1], list(schema.model_fields), n=1)
    return f"; did you mean {close[0]}?" if close else f". Known keys: {', '.join(schema.model_fields)}."
