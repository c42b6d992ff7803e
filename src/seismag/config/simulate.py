"""The section of simulated archives, and what a scenario must lead to."""

from __future__ import annotations

import datetime
from typing import Literal

from pydantic import Field, field_validator, model_validator

from seismag.config.section import Section

NARROWEST_MHZ = 0.1  # band of an emission: nine lines of a day's spectrum


class EarthquakeConfig(Section):
    """Where, when and how large: a simulated catalogue, or a real one."""

    catalog: str | None = Field(None, description="Catalogue file to use instead of a simulated one.")
    geometry: Literal["uniform", "arcs"] = Field(
        "uniform",
        description="uniform: around each station, every azimuth alike; arcs: along the subduction arcs of Indonesia.",
    )
    per_station_year: float = Field(
        12.0,
        ge=0,
        le=10_000,
        description="uniform: mainshocks in range of each station; one a month leaves room for Normal.",
    )
    per_year: float = Field(
        300.0, ge=0, le=100_000, description="arcs: mainshocks from min_magnitude on, in the whole region."
    )
    min_magnitude: float = Field(4.5, ge=4.0, le=8.0, description="Smallest mainshock.")
    max_magnitude: float = Field(7.5, gt=4.0, le=9.5, description="Largest mainshock.")
    b_value: float = Field(1.0, gt=0, le=3, description="Gutenberg-Richter slope.")
    branching_ratio: float = Field(0.4, ge=0, lt=1, description="ETAS: direct aftershocks an event has on average.")
    omori_c_d: float = Field(0.05, gt=0, description="ETAS: time constant of the Omori law, days.")
    omori_p: float = Field(1.2, gt=1, description="ETAS: exponent of the Omori law.")
    quiet_until: float = Field(0.0, ge=0, lt=1, description="No earthquake in range before this share of the archive.")

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
        0.0, ge=0, description="Power in the band over the station's mean background at Kp 2, M 5 at 100 km; 0: none."
    )
    low_mhz: float = Field(10.0, gt=0, description="Lower edge of the band.")
    high_mhz: float = Field(40.0, gt=0, le=490, description="Upper edge of the band.")
    lead_h: float = Field(48.0, ge=0, le=8784, description="It begins this long before the origin.")
    duration_h: float = Field(48.0, gt=0, le=8784, description="It lasts this long.")
    magnitude_exponent: float = Field(0.0, ge=0, le=10, description="Decades of power for one unit of magnitude.")
    distance_exponent: float = Field(0.0, ge=0, le=10, description="Power falls as distance to this power.")
    z_ratio: float = Field(
        0.5, ge=0, le=10, description="Amplitude of Z over the horizontal one; Z leads by 90 degrees."
    )
    modulation_depth: float = Field(0.0, ge=0, le=1, description="Relative depth of a sinusoidal modulation.")
    modulation_period_min: float = Field(
        60.0, ge=2, description="Period of that modulation; a shorter one would leave the band."
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
    """What goes wrong at real observatories. Rates are means; every one can be set to 0."""

    missing_day_fraction: float = Field(0.03, ge=0, lt=1, description="Days without a file, one by one.")
    missing_blocks_per_year: float = Field(2.0, ge=0, le=10_000, description="Outages of several days.")
    missing_block_days: float = Field(6.0, gt=0, le=10_000, description="Their mean length.")
    gaps_per_day: float = Field(0.5, ge=0, le=86_400, description="Gaps; lengths log-normal, median 40 s.")
    spikes_per_day: float = Field(0.3, ge=0, le=86_400, description="Jumps of one second, 12 to 300 nT.")
    steps_per_day: float = Field(0.03, ge=0, le=86_400, description="The level jumps and stays until the day's end.")
    drift_nt_per_day: float = Field(
        0.3, ge=0, le=1000, description="Standard deviation of a linear drift of each component."
    )
    dead_component_fraction: float = Field(0.002, ge=0, lt=1, description="Days with one component stuck.")
    relevels_per_year: float = Field(
        1.0, ge=0, le=10_000, description="The baseline changes for good, by up to 150 nT."
    )
    clock_error_s: float = Field(
        0.0, ge=0, le=86_400, description="Standard deviation of the clock error of a station-month."
    )
    cultural_noise: float = Field(
        1.0, ge=0, le=1000, description="Scale of traffic noise: by day, less at weekends; 0: none."
    )
    instrument_change: bool = Field(False, description="A noisier sensor from the middle of the archive on.")


Trap = Literal["none", "clock", "duplicates", "positions", "decoder"]


class SimulateConfig(Section):
    """An archive in real formats whose truth is known."""

    seed: int = Field(7, ge=0)
    start: str = Field("2021-03-01", pattern=r"^\d{4}-\d{2}-\d{2}$")
    days: int = Field(150, ge=1)
    stations: list[str] = Field(["GTO", "ALR", "TRT", "KPY"], min_length=1, description="Codes of shipped stations.")
    station_file: str | None = Field(None, description="Station table to take the codes from, instead of the shipped.")
    kp: str | None = Field(None, description="Kp file to follow; null: simulated.")
    dst: str | None = Field(None, description="Dst file to follow; null: from the storms of the simulated Kp.")
    collected: Literal["all", "study"] = Field(
        "all", description="study: only the days before events in range and three times as many others, at random."
    )
    trap: Trap = Field("none", description="A fault planted on purpose (docs/simulation.md).")
    earthquakes: EarthquakeConfig = Field(default_factory=EarthquakeConfig)  # type: ignore[arg-type]
    emission: EmissionConfig = Field(default_factory=EmissionConfig)  # type: ignore[arg-type]
    dirt: ArtefactConfig = Field(default_factory=ArtefactConfig)  # type: ignore[arg-type]

    @field_validator("start")
    @classmethod
    def _is_a_date(cls, value: str) -> str:
        datetime.date.fromisoformat(value)  # ValueError: day is out of range for month
        return value


class Expectation(Section):
    """What a scenario must lead to: a test of the audit that names the fault, or a refusal by ``prepare``."""

    audit: str | None = Field(None, description="Name of the audit's test.")
    prepare: str | None = Field(None, description="Reason in rejected.csv with which every day is refused.")

    @model_validator(mode="after")
    def _check_one(self) -> Expectation:
        if (self.audit is None) == (self.prepare is None):
            raise ValueError("expect: each entry names one test, as audit: NAME or prepare: REASON.")
        return self
