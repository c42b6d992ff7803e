"""The one schema of a configuration file; every section is named like the code that takes it.

``load_config(path, overrides)`` reads YAML or JSON, follows one level of ``extends:``, applies
``--set section.key=value`` and refuses what it does not know.
"""

from __future__ import annotations

import datetime
import difflib
import re
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from seismag.domain import UsageError


class Section(BaseModel):
    """A part of the configuration: immutable, unknown keys refused, no silent conversion."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class DataConfig(Section):
    """From day files to the store (``seismag prepare``)."""

    store: str = Field("data/store.zarr", description="Default of --data and --out.")
    window_h: Literal[1, 2, 3, 4, 6, 8, 12, 24] = Field(6, description="Length of a window, hours; divides a day.")
    segment_s: int = Field(600, ge=60, description="Length of a Hann segment, s; its inverse is the bin width.")
    step_s: int = Field(94, ge=1, description="Shift between segments, s; 94 s gives 224 columns in 6 h.")
    n_bins: int = Field(224, ge=8, description="Frequency bins kept, from bin 1 (bin 0 is the mean).")
    frequency_rows: Literal["linear", "log"] = Field("linear", description="Rows as bins, or averaged in log bands.")
    n_log_rows: int = Field(64, ge=8, description="Number of bands when frequency_rows is log (empty ones drop out).")
    cross_spectra: bool = Field(False, description="Store the unit phasors of XY, ZX and ZY as well.")
    max_gap_fraction: float = Field(0.2, ge=0, lt=1, description="Largest missing share of a window's seconds.")
    max_masked_fraction: float = Field(0.5, ge=0, lt=1, description="Largest share of columns touched by a gap.")
    max_interpolated_gap_s: int = Field(3, ge=0, le=10, description="Gaps up to this are bridged linearly.")
    main_field_tolerance: float = Field(0.05, gt=0, lt=1, description="Allowed deviation from IGRF, share of F.")
    range_rule: Literal["dobrovolsky", "hattori", "fixed", "es"] = Field(
        "dobrovolsky", description="Which earthquakes count at a station (docs/method.md)."
    )
    range_km: float = Field(500.0, gt=0, description="Radius of the rule fixed, km.")
    es_threshold: float = Field(1e8, gt=0, description="Daily sum that the rule es asks for.")
    min_magnitude: float = Field(4.0, ge=4.0, description="Smaller earthquakes are ignored.")
    max_depth_km: float | None = Field(None, gt=0, description="Deeper earthquakes are ignored.")
    horizon_h: int = Field(48, ge=1, description="An eligible origin lies within this after the window's end.")
    guard_ahead_d: float = Field(14, ge=0, description="Normal: no event this long after the window.")
    guard_behind_d: float = Field(7, ge=0, description="Normal: no event this long before the window.")
    controls: Literal["matched", "quiet_days", "all"] = Field(
        "matched", description="Which Normal windows are kept; quiet_days is for comparison only."
    )
    controls_per_positive: int = Field(1, ge=1, description="Matched Normal windows drawn for each positive.")
    match_kp: float | None = Field(1.0, ge=0, description="Largest difference of kp_max in a match; null: not asked.")
    match_day_of_year: int = Field(30, ge=0, le=183, description="Largest difference of the day of the year.")
    match_years: float = Field(2.0, gt=0, description="Largest distance in time, years.")
    seed: int = Field(20260205, ge=0, description="Draws the matched controls.")

    @field_validator("window_h", mode="before")
    @classmethod
    def _whole_number(cls, value: Any) -> Any:
        if type(value) is not int:  # Literal compares by ==, so it takes true for 1 and 6.0 for 6
            raise ValueError("must be a whole number")
        return value

    @model_validator(mode="after")
    def _check_shapes(self) -> DataConfig:
        if self.segment_s > self.window_h * 3600:
            raise ValueError(f"data.segment_s is {self.segment_s} s, longer than the window. Shorten it.")
        if self.n_bins >= self.segment_s // 2:
            raise ValueError(
                f"data.n_bins is {self.n_bins}, but a {self.segment_s} s segment has "
                f"{self.segment_s // 2 - 1} bins below Nyquist. Lower n_bins or lengthen segment_s."
            )
        return self


class SplitConfig(Section):
    """Who trains, who validates, who tests."""

    name: str = Field("loeo", pattern=r"^[A-Za-z0-9_-]+$", description="splits/NAME.parquet holds the split.")
    method: Literal["loeo"] = Field("loeo", description="Grouped k-fold by earthquake cluster, purged.")
    n_folds: int = Field(10, ge=2)
    fold: int = Field(1, ge=1, description="The fold that a single run tests on, from 1.")
    val_fraction: float = Field(0.15, gt=0, lt=0.5, description="Share of the training groups that validates.")
    seed: int = Field(20260205, ge=0)

    @model_validator(mode="after")
    def _check_fold(self) -> SplitConfig:
        if self.fold > self.n_folds:
            raise ValueError(f"split.fold is {self.fold}, but split.n_folds is {self.n_folds}.")
        return self


class ModelConfig(Section):
    """The network."""

    backbone: str = Field("convnext_tiny", description="A timm model name.")
    pretrained: bool = Field(False, description="Start from timm's ImageNet weights (needs its hub or cache).")
    head_width: int = Field(512, ge=1)
    head_dropout: float = Field(0.5, ge=0, lt=1, description="After the LayerNorm.")
    head_dropout_inner: float = Field(0.25, ge=0, lt=1, description="Before the last Linear.")


class TrainConfig(Section):
    """The optimisation."""

    run_name: str = Field("convnext_tiny", pattern=r"^[A-Za-z0-9_-]+$")
    runs_dir: str = Field("experiments_convnext", description="Run folders are made below this.")
    epochs: int = Field(50, ge=1)
    batch_size: int = Field(32, ge=1)
    learning_rate: float = Field(1e-4, gt=0)
    weight_decay: float = Field(0.05, ge=0)
    warmup_epochs: float = Field(2.0, ge=0, description="Linear warm-up, counted by step, before the cosine.")
    gradient_clip: float = Field(1.0, gt=0)
    azimuth_weight: float = Field(0.5, ge=0, description="L = L_magnitude + azimuth_weight * L_azimuth.")
    class_weights: Literal["balanced", "none"] = "balanced"
    patience: int = Field(10, ge=1, description="Epochs without a better validation loss before stopping.")
    precision: Literal["32-true", "bf16-mixed", "16-mixed"] = "32-true"
    num_workers: int = Field(0, ge=0, description="Data-loader processes.")
    seed: int = Field(20260205, ge=0)


class EvaluateConfig(Section):
    """Scores and their intervals."""

    bootstrap: int = Field(1000, ge=100, description="Replicates of the bootstrap by event cluster.")
    confidence: float = Field(0.95, gt=0, lt=1)
    seed: int = Field(20260205, ge=0)


class SimulateConfig(Section):
    """A small archive in real formats with known truth."""

    seed: int = Field(7, ge=0)
    start: str = Field("2021-03-01", pattern=r"^\d{4}-\d{2}-\d{2}$")
    days: int = Field(150, ge=1)
    stations: list[str] = Field(["GTO", "ALR", "TRT", "KPY"], min_length=1, description="Codes of shipped stations.")
    events_per_station: int = Field(5, ge=0, description="Mainshocks; one in 30 days leaves room for Normal windows.")
    emission_snr: float = Field(3.0, ge=0, description="Power of the planted emission over the background; 0: none.")
    missing_day_fraction: float = Field(0.03, ge=0, lt=1)

    @field_validator("start")
    @classmethod
    def _is_a_date(cls, value: str) -> str:
        datetime.date.fromisoformat(value)  # ValueError: day is out of range for month
        return value


class Config(Section):
    """A whole configuration file."""

    data: DataConfig = Field(default_factory=DataConfig)  # type: ignore[arg-type]
    split: SplitConfig = Field(default_factory=SplitConfig)  # type: ignore[arg-type]
    model: ModelConfig = Field(default_factory=ModelConfig)  # type: ignore[arg-type]
    train: TrainConfig = Field(default_factory=TrainConfig)  # type: ignore[arg-type]
    evaluate: EvaluateConfig = Field(default_factory=EvaluateConfig)  # type: ignore[arg-type]
    simulate: SimulateConfig = Field(default_factory=SimulateConfig)  # type: ignore[arg-type]


class _Loader(yaml.SafeLoader):
    """YAML 1.2 scalars: ``1e-4`` is a number, ``NO`` and ``on`` are text (a station may be NO)."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag not in _TAGS_REPLACED]
    for _TAGS_REPLACED in [
        {"tag:yaml.org,2002:bool", "tag:yaml.org,2002:int", "tag:yaml.org,2002:float", "tag:yaml.org,2002:timestamp"}
    ]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(\d+\.\d*([eE][-+]?\d+)?|\.\d+([eE][-+]?\d+)?|\d+[eE][-+]?\d+|\.inf|\.nan)$"),
    list("-+0123456789."),
)
_Loader.add_implicit_resolver("tag:yaml.org,2002:int", re.compile(r"^[-+]?\d+$"), list("-+0123456789"))


def _decimal(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> int:
    return int(loader.construct_scalar(node))


_Loader.add_constructor("tag:yaml.org,2002:int", _decimal)
_Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"^(true|false|True|False)$"), list("tTfF"))


def parse_yaml(text: str) -> Any:
    """Parse YAML (or JSON, which YAML contains) with the scalars of YAML 1.2."""
    return yaml.load(text, Loader=_Loader)


def load_config(path: str | Path | None = None, overrides: list[str] | None = None) -> Config:
    """Read a configuration file and the command line's overrides.

    Args:
        path: YAML or JSON file; None gives the defaults.
        overrides: entries ``section.key=value``, the value in YAML.

    Raises:
        UsageError: the file is missing, not YAML, or holds an unknown key or an impossible value.
    """
    tree = _read_tree(Path(path)) if path is not None else {}
    for entry in overrides or []:
        _apply_override(tree, entry)
    return build_config(tree)


def build_config(tree: dict[str, Any]) -> Config:
    """Turn nested dictionaries into a Config.

    Raises:
        UsageError: one sentence a problem, each naming key, value and the way out.
    """
    try:
        return Config.model_validate(_floats_where_asked(tree))
    except ValidationError as error:
        raise UsageError("\n".join(_sentence(entry) for entry in error.errors())) from None


def _read_tree(path: Path, inherited: bool = False) -> dict[str, Any]:
    try:
        tree = parse_yaml(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror}). Name an existing configuration.") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: not a text file in UTF-8.") from error
    except yaml.YAMLError as error:
        raise UsageError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from error
    if tree is None:
        tree = {}
    if not isinstance(tree, dict):
        raise UsageError(f"{path}: a configuration is a mapping of sections, not {type(tree).__name__}.")
    parent = tree.pop("extends", None)
    if parent is None:
        return tree
    if inherited:
        raise UsageError(f"{path}: extends: goes one level deep; this file is itself extended.")
    merged = _read_tree(path.parent / str(parent), inherited=True)
    for section, values in tree.items():
        if isinstance(values, dict) and isinstance(merged.get(section), dict):
            merged[section] = {**merged[section], **values}
        else:
            merged[section] = values
    return merged


def _apply_override(tree: dict[str, Any], entry: str) -> None:
    key, equals, text = entry.partition("=")
    section, dot, name = key.strip().partition(".")
    if not (equals and dot and name):
        raise UsageError(f"--set {entry}: write it as section.key=value, for example train.epochs=3.")
    try:
        value = parse_yaml(text)
    except yaml.YAMLError:
        raise UsageError(f"--set {entry}: the value is not valid YAML.") from None
    values = tree.setdefault(section, {})
    if not isinstance(values, dict):
        raise UsageError(f"{section}: must be a mapping of keys, not {values!r}.")
    values[name] = value


def _floats_where_asked(tree: dict[str, Any]) -> dict[str, Any]:
    """Write whole numbers as floats where the schema asks for a float (JSON and YAML write 1 for 1.0)."""
    result: dict[str, Any] = {}
    for section, values in tree.items():
        field = Config.model_fields.get(section)
        if field is None or not isinstance(values, dict):
            result[section] = values
            continue
        fields = field.annotation.model_fields  # type: ignore[union-attr]
        result[section] = {
            key: float(value)
            if type(value) is int and key in fields and fields[key].annotation in (float, float | None)
            else value
            for key, value in values.items()
        }
    return result


def _sentence(entry: Any) -> str:
    location = [str(part) for part in entry["loc"]]
    name = ".".join(location)
    if entry["type"] == "extra_forbidden":
        return f"{name}: not a known key" + _suggestion(location)
    if entry["type"] == "value_error" and len(location) < 2:
        return str(entry["ctx"]["error"])
    return f"{name}: {entry['msg'][0].lower()}{entry['msg'][1:]}, not {entry['input']!r}."


def _suggestion(location: list[str]) -> str:
    known = list(Config.model_fields)
    if len(location) > 1:
        known = list(Config.model_fields[location[0]].annotation.model_fields)  # type: ignore[union-attr]
    close = difflib.get_close_matches(location[-1], known, n=1)
    return f"; did you mean {close[0]}?" if close else f". Known keys: {', '.join(known)}."
