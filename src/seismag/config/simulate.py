"""The section ``simulate``, and the expected outcome of a scenario."""

from __future__ import annotations

import datetime
from typing import Literal

from pydantic import Field, field_validator, model_validator

from seismag.config.sections import Section

NARROWEST_MHZ = 0.1  # band of an emission: nine lines of the spectrum of a day


class EarthquakeConfig(Section):
    """The earthquakes: a simulated catalogue, or a real one."""

    catalog: str | None = Field(None, description="Catalogue file to use instead of a simulated one.")
    geometry: Literal["uniform", "arcs"] = Field(
        "uniform",
        description="uniform: around each station, azimuths uniform; arcs: along the subduction arcs of Indonesia.",
    )
    per_station_year: float = Field(
        12.0,
        ge=0,
        le=10_000,
        description="uniform: mainshocks in range of each station; one a month leaves room for Normal.",
    )
    spacing_d: float = Field(
        24.0,
        ge=0,
        le=365,
        description="uniform: shortest time between mainshocks of a station, days. A short one makes the rate of past "
        "earthquakes a weaker baseline.",
    )
    per_year: float = Field(
        300.0, ge=0, le=100_000, description="arcs: mainshocks from min_magnitude on, in the whole region."
    )
    min_magnitude: float = Field(4.5, ge=4.0, le=8.0, description="Smallest mainshock.")
    max_magnitude: float = Field(7.5, gt=4.0, le=9.5, description="Largest mainshock.")
    b_value: float = Field(1.0, gt=0, le=3, description="Gutenberg-Richter slope.")
    branching_ratio: float = Field(0.4, ge=0, lt=1, description="ETAS: mean number of direct aftershocks.")
    omori_c_d: float = Field(0.05, gt=0, description="ETAS: time constant c of Omori's formula, days.")
    omori_p: float = Field(1.2, gt=1, description="ETAS: exponent p of Omori's formula.")
    quiet_until: float = Field(0.0, ge=0, lt=1, description="No earthquake in range in this first fraction.")

    @model_validator(mode="after")
    def _check_magnitudes(self) -> EarthquakeConfig:
        if self.max_magnitude <= self.min_magnitude:
            raise ValueError(
                f"simulate.earthquakes.max_magnitude is {self.max_magnitude}, not above "
                f"min_magnitude {self.min_magnitude}."
            )
        return self


class EmissionConfig(Section):
    """A precursor: band-limited, linearly polarised towards the epicentre, its Z in quadrature."""

    snr: float = Field(
        0.0,
        ge=0,
        description="Power in the band over the mean background of a station at Kp 2, for M 5 at 100 km; 0: none.",
    )
    low_mhz: float = Field(10.0, gt=0, description="Lower edge of the band.")
    high_mhz: float = Field(40.0, gt=0, le=490, description="Upper edge of the band.")
    lead_h: float = Field(48.0, ge=0, le=8784, description="Onset before the origin time, hours.")
    duration_h: float = Field(48.0, gt=0, le=8784, description="Duration, hours.")
    magnitude_exponent: float = Field(0.0, ge=0, le=10, description="Decades of power per unit of magnitude.")
    distance_exponent: float = Field(0.0, ge=0, le=10, description="Power decreases with distance to this exponent.")
    z_ratio: float = Field(
        0.5, ge=0, le=10, description="Amplitude of Z relative to the horizontal one; Z leads by 90 degrees."
    )
    modulation_depth: float = Field(0.0, ge=0, le=1, description="Relative depth of a sinusoidal modulation.")
    modulation_period_min: float = Field(
        60.0, ge=2, description="Period of the modulation; a shorter one would leave the band."
    )
    mainshocks_only: bool = Field(True, description="Aftershocks have no emission of their own.")

    @model_validator(mode="after")
    def _check_band(self) -> EmissionConfig:
        if self.high_mhz <= self.low_mhz:
            raise ValueError(
                f"simulate.emission.high_mhz is {self.high_mhz}, not above low_mhz {self.low_mhz}. Swap them?"
            )
        if self.high_mhz - self.low_mhz < NARROWEST_MHZ:
            raise ValueError(
                f"simulate.emission: the band {self.low_mhz} to {self.high_mhz} mHz is narrower than "
                f"{NARROWEST_MHZ} mHz, too few lines of a day's spectrum. Widen it."
            )
        return self


class ArtefactConfig(Section):
    """Instrument artefacts, outages and cultural noise. Rates are means; 0 switches one off."""

    missing_day_fraction: float = Field(0.03, ge=0, lt=1, description="Single days without a file.")
    missing_blocks_per_year: float = Field(2.0, ge=0, le=10_000, description="Outages of several days.")
    missing_block_days: float = Field(6.0, gt=0, le=10_000, description="Their mean length.")
    gaps_per_day: float = Field(0.5, ge=0, le=86_400, description="Gaps; lengths log-normal, median 40 s.")
    spikes_per_day: float = Field(0.3, ge=0, le=86_400, description="Jumps of one second, 12 to 300 nT.")
    steps_per_day: float = Field(0.03, ge=0, le=86_400, description="Changes of the level until the end of the day.")
    drift_nt_per_day: float = Field(
        0.3, ge=0, le=1000, description="Standard deviation of a linear drift of each component."
    )
    dead_component_fraction: float = Field(0.002, ge=0, lt=1, description="Days with one component stuck.")
    relevels_per_year: float = Field(
        1.0, ge=0, le=10_000, description="Permanent changes of the baseline, up to 150 nT."
    )
    clock_error_s: float = Field(
        0.0, ge=0, le=86_400, description="Standard deviation of the clock error, constant within a month."
    )
    cultural_noise: float = Field(
        1.0, ge=0, le=1000, description="Scale of the traffic noise: by day, weaker on Sundays; 0: none."
    )
    instrument_change: bool = Field(False, description="A noisier sensor from the middle of the archive on.")


Defect = Literal["none", "clock", "duplicates", "positions", "decoder"]


class SimulateConfig(Section):
    """A synthetic archive with known ground truth, in real formats."""

    seed: int = Field(7, ge=0)
    start: str = Field("2021-03-01", pattern=r"^\d{4}-\d{2}-\d{2}$")
    days: int = Field(150, ge=1)
    stations: list[str] = Field(
        ["GTO", "ALR", "TRT", "KPY"], min_length=1, description="Their codes in the station table."
    )
    station_file: str | None = Field(None, description="Station table; null: the stations of BMKG.")
    kp: str | None = Field(None, description="Kp file to follow; null: simulated.")
    dst: str | None = Field(None, description="Dst file to follow; null: from the storms of the simulated Kp.")
    collected: Literal["all", "study", "stretches"] = Field(
        "all",
        description="study: only the days before events in range, and three times as many others at random; "
        "stretches: these days, and for every three of them a stretch of four days far from any event.",
    )
    defect: Defect = Field("none", description="Defect of a fault-injection scenario (docs/simulation.md).")
    earthquakes: EarthquakeConfig = Field(default_factory=EarthquakeConfig)
    emission: EmissionConfig = Field(default_factory=EmissionConfig)
    artefacts: ArtefactConfig = Field(default_factory=ArtefactConfig)

    @field_validator("start")
    @classmethod
    def _is_a_date(cls, value: str) -> str:
        datetime.date.fromisoformat(value)  # ValueError: day is out of range for month
        return value


class Expectation(Section):
    """The expected outcome of a scenario: a check of the audit that fails, or a refusal by ``prepare``."""

    audit: str | None = Field(None, description="Name of a check of the audit.")
    prepare: str | None = Field(None, description="Reason in rejected.csv for which all days are refused.")

    @model_validator(mode="after")
    def _check_one(self) -> Expectation:
        if (self.audit is None) == (self.prepare is None):
            raise ValueError("expect: each entry names one test, as audit: NAME or prepare: REASON.")
        return self
