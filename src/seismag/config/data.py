"""The section ``data``: from recordings to the store."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from seismag.config.section import Section


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
