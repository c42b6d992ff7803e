"""The section of what a model is trained on: data."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from seismag.config.section import Section


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
    controls: Literal["matched", "quiet_days", "other_stations", "all"] = Field(
        "matched", description="Which Normal windows are kept; quiet_days and other_stations are for comparison only."
    )
    controls_per_positive: int = Field(1, ge=1, description="Matched Normal windows drawn for each positive.")
    match_kp: float | None = Field(1.0, ge=0, description="Largest difference of kp_max in a match; null: not asked.")
    match_day_of_year: int = Field(30, ge=0, le=183, description="Largest difference of the day of the year.")
    match_years: float = Field(2.0, gt=0, description="Largest distance in time, years.")
    placebo: Literal["none", "after_event", "shifted", "wrong_station"] = Field(
        "none", description="Labels that no precursor can explain; such a store judges a model and trains none."
    )
    placebo_shift_d: float = Field(
        20.0, gt=0, description="Of placebo shifted: days between placebo windows and the true ones they precede."
    )
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
