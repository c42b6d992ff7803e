"""The base class of all sections, and the sections data, split, evaluate, recover and audit."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator


class Section(BaseModel):
    """A section: immutable, no unknown key, no conversion of types, no infinite number."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class DataConfig(Section):
    """From day files to the store (``seismag prepare``)."""

    store: str = Field("data/store.zarr", description="Default of --data and --out.")
    window_h: Literal[1, 2, 3, 4, 6, 8, 12, 24] = Field(6, description="Length of a window, hours; divides a day.")
    segment_s: int = Field(600, ge=60, description="Length of a Hann segment, s; its inverse is the bin width.")
    step_s: int = Field(94, ge=1, description="Hop between segments, s; 94 s gives 224 time frames in 6 h.")
    n_bins: int = Field(224, ge=8, description="Frequency bins kept, from bin 1 on (bin 0 is the mean).")
    frequency_rows: Literal["linear", "log"] = Field("linear", description="Single bins, or log bands.")
    n_log_rows: int = Field(64, ge=8, description="Number of bands when frequency_rows is log (empty ones drop out).")
    cross_spectra: bool = Field(False, description="Store the unit phasors of XY, ZX and ZY as well.")
    max_gap_fraction: float = Field(0.2, ge=0, lt=1, description="Largest fraction of missing seconds in a window.")
    max_masked_fraction: float = Field(0.5, ge=0, lt=1, description="Largest fraction of time frames with a gap.")
    max_interpolated_gap_s: int = Field(3, ge=0, le=10, description="Longest gap to interpolate linearly, s.")
    main_field_tolerance: float = Field(0.05, gt=0, lt=1, description="Allowed deviation from IGRF, fraction of F.")
    range_rule: Literal["dobrovolsky", "hattori", "fixed", "es"] = Field(
        "dobrovolsky", description="Magnitude-distance criterion of the earthquakes of a station (docs/method.md)."
    )
    range_km: float = Field(500.0, gt=0, description="fixed: radius, km.")
    es_threshold: float = Field(1e8, gt=0, description="es: threshold of the daily sum of seismic energy.")
    min_magnitude: float = Field(4.0, ge=4.0, description="Smaller earthquakes are ignored.")
    max_depth_km: float | None = Field(None, gt=0, description="Deeper earthquakes are ignored.")
    horizon_h: int = Field(48, ge=1, description="Longest time from the end of an event window to the origin, h.")
    guard_ahead_d: float = Field(14, ge=0, description="Normal: exclusion interval after the window, days.")
    guard_behind_d: float = Field(7, ge=0, description="Normal: exclusion interval before the window, days.")
    controls: Literal["matched", "quiet_days", "other_stations", "all"] = Field(
        "matched", description="Choice of Normal windows; quiet_days and other_stations are for comparison only."
    )
    controls_per_positive: int = Field(1, ge=1, description="Matched control windows of each event window.")
    match_kp: float | None = Field(1.0, ge=0, description="Largest difference of kp_max in a match; null: no limit.")
    match_day_of_year: int = Field(30, ge=0, le=183, description="Largest difference of the day of year in a match.")
    match_years: float = Field(2.0, gt=0, description="Largest distance in time of a match, years.")
    placebo: Literal["none", "after_event", "shifted", "wrong_station"] = Field(
        "none", description="Labels without a precursor before them, to test a model; not for training."
    )
    placebo_shift_d: float = Field(20.0, gt=0, description="placebo shifted: days by which the windows are earlier.")
    seed: int = Field(20260205, ge=0, description="Of the choice of controls.")

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
        if 24 * self.placebo_shift_d <= self.window_h + self.horizon_h:
            raise ValueError(
                f"data.placebo_shift_d is {self.placebo_shift_d:g}: placebo windows would overlap the true ones. "
                f"Set it above {(self.window_h + self.horizon_h) / 24:g} days, best above guard_ahead_d."
            )
        if self.n_bins >= self.segment_s // 2:
            raise ValueError(
                f"data.n_bins is {self.n_bins}, but a {self.segment_s} s segment has "
                f"{self.segment_s // 2 - 1} bins below Nyquist. Lower n_bins or lengthen segment_s."
            )
        return self


class SplitConfig(Section):
    """Assignment of windows to training, validation and test."""

    name: str = Field(
        "loeo", pattern=r"^[A-Za-z0-9_-]+$", description="Name of the file splits/NAME.parquet; default: the method."
    )
    method: Literal["loeo", "loso", "region", "blocked", "naive"] = Field(
        "loeo",
        description="Left out by a fold: earthquake clusters (loeo), stations (loso), groups of stations (region), a "
        "period (blocked). naive: random windows, epoch chosen on the test fold, for comparison.",
    )
    n_folds: int = Field(10, ge=2, description="Number of folds; loso, region: at most the number of stations.")
    fold: int = Field(1, ge=1, description="Test fold of a single run, from 1.")
    val_fraction: float = Field(0.15, gt=0, lt=0.5, description="Fraction of the training groups for validation.")
    embargo_d: float = Field(45.0, ge=0, description="blocked: days without training windows around a test block.")
    region_km: float = Field(600.0, gt=0, description="region: largest distance between two stations of a region, km.")
    station_file: str | None = Field(None, description="region: station table; null: the stations of BMKG.")
    sealed_fraction: float = Field(
        0.0, ge=0, lt=0.5, description="Locked hold-out set: the last fraction of the time span, left out of all folds."
    )
    seed: int = Field(20260205, ge=0)

    @model_validator(mode="before")
    @classmethod
    def _name_by_method(cls, values: Any) -> Any:
        if isinstance(values, dict) and "name" not in values and isinstance(values.get("method"), str):
            return {**values, "name": values["method"]}
        return values

    @model_validator(mode="after")
    def _check_fold(self) -> SplitConfig:
        if self.fold > self.n_folds:
            raise ValueError(f"split.fold is {self.fold}, but split.n_folds is {self.n_folds}.")
        return self


class EvaluateConfig(Section):
    """Scores and their intervals."""

    bootstrap: int = Field(1000, ge=100, description="Draws of the null distribution of alarms.")
    confidence: float = Field(0.95, gt=0, lt=1)
    events: Literal["mainshocks", "all"] = Field(
        "mainshocks", description="Event windows of the main scores: those before a mainshock, or all."
    )
    reliability_bins: int = Field(10, ge=2, description="Bins of equal count of reliability diagrams and ECE.")
    coverage: float = Field(0.9, gt=0, lt=1, description="Nominal coverage of conformal prediction sets.")
    distance_km: float = Field(500.0, gt=0, description="Radius of the tables by fixed distance, km.")
    alarm_fraction: float = Field(
        0.2,
        gt=0,
        lt=1,
        description="Alarm fraction tau of the power and of the test on the locked hold-out set.",
    )
    seed: int = Field(20260205, ge=0)


class RecoverConfig(Section):
    """The injection-recovery test (``seismag recover``)."""

    snr: list[float] = Field(
        [0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0], description="Injected power over the quiet background of the station."
    )
    windows: int = Field(200, ge=1, description="Control windows that get emissions, of all models; as many by day.")
    false_alarm_fraction: float = Field(
        0.05, gt=0, lt=1, description="Fraction of control windows that may exceed the detection threshold."
    )


class AuditConfig(Section):
    """The checks of ``seismag audit``."""

    family_wise_error: float = Field(
        0.01, gt=0, lt=0.5, description="Probability that a valid study fails the integrity checks."
    )
    permutations: int = Field(9999, ge=999, description="Permutations of each null; the smallest p is 1 / (n + 1).")
    partitions: int = Field(20, ge=1, description="Partitions into folds that an accuracy is averaged over.")
    folds: int = Field(10, ge=2, description="Folds of a partition, by group.")
    features: list[str] = Field([], description="Of a table: columns that must not predict the class; []: by kind.")
    placebo: list[str] = Field([], description="Of predictions: stores of placebo windows, predicted by their models.")
    claim: str | None = Field(None, description="What is claimed; the audit report quotes it.")
    placebos: int = Field(200, ge=20, description="Data sets without a defect, for the placebo rate.")
    seed: int = Field(20260205, ge=0)
