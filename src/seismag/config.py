"""The one schema of a configuration file; every section is named like the code that takes it.

``load_config(path, overrides)`` reads a file (``seismag.config_tree``) and refuses what it does not know.
"""

from __future__ import annotations

import datetime
import difflib
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from seismag.config_tree import read_config_tree
from seismag.domain import UsageError

NARROWEST_MHZ = 0.1  # band of an emission: nine lines of a day's spectrum


class Section(BaseModel):
    """A part of the configuration: immutable, unknown keys refused, no silent conversion, no infinite number."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


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
    attention: Literal["none", "cbam"] = Field(
        "none", description="cbam: weigh channels, then places, of the last feature map before pooling."
    )
    directional_features: bool = Field(
        False, description="Add band means of the H/D and Z power ratios and of the coherency to the pooled features."
    )
    detection_head: bool = Field(
        False, description="One head decides event or Normal for both tasks, so that they agree on p(Normal)."
    )
    magnitude_head: Literal["softmax", "ordinal"] = Field(
        "softmax", description="ordinal: cumulative logits over Moderate < Medium < Large, given an event."
    )
    azimuth_head: Literal["flat", "hierarchical", "circular"] = Field(
        "flat", description="Nine classes; event, quadrant, direction; or a von Mises density over the sectors."
    )
    head_width: int = Field(512, ge=1)
    head_dropout: float = Field(0.5, ge=0, lt=1, description="After the LayerNorm.")
    head_dropout_inner: float = Field(0.25, ge=0, lt=1, description="Before the last Linear.")
    input: Literal["power", "power_cross"] = Field(
        "power", description="power: H, D, Z; power_cross: also the coherency of XY, ZX, ZY, real and imaginary part."
    )
    coherency_columns: int = Field(5, ge=1, description="Columns that a cross-spectrum is averaged over; odd.")
    coherency_rows: int = Field(3, ge=1, description="Rows that a cross-spectrum is averaged over; odd.")

    @field_validator("coherency_columns", "coherency_rows")
    @classmethod
    def _is_odd(cls, value: int) -> int:
        if value % 2 == 0:
            raise ValueError(f"must be odd, so that the box has a middle; {value - 1} or {value + 1} will do")
        return value

    @property
    def n_channels(self) -> int:
        """Channels of the network's input."""
        return {"power": 3, "power_cross": 9}[self.input]


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
    task_weighting: Literal["fixed", "uncertainty"] = Field(
        "fixed", description="uncertainty: both weights are learnt, from 1 and azimuth_weight on."
    )
    class_weights: Literal["balanced", "none"] = "balanced"
    loss: Literal["cross_entropy", "focal", "logit_adjusted"] = Field(
        "cross_entropy", description="logit_adjusted corrects for class frequencies, so it excludes class_weights."
    )
    focal_gamma: float = Field(2.0, ge=0, description="focal: exponent of (1 - p); 0 is cross-entropy.")
    logit_adjustment_tau: float = Field(1.0, ge=0, description="logit_adjusted: factor of the log class frequency.")
    label_smoothing: float = Field(0.0, ge=0, lt=1, description="Share of each label spread over the classes.")
    hierarchy_weight: float = Field(
        0.5, ge=0, description="Azimuth hierarchical: weight of the losses of event and of quadrant beside the class."
    )
    patience: int = Field(10, ge=1, description="Epochs without a better validation loss before stopping.")
    normalisation: Literal["training", "trailing"] = Field(
        "training",
        description="training: mean and deviation of each row over the training role; "
        "trailing: median and MAD of the station's windows before each window.",
    )
    trailing_days: float = Field(45.0, gt=0, description="trailing: how far back the windows may start, days.")
    trailing_min: int = Field(20, ge=2, description="trailing: a window with fewer windows before it is left out.")
    init_from: str | None = Field(None, description="Checkpoint or run folder whose weights are the start.")
    reinit_heads: bool = Field(False, description="init_from: take the backbone alone; the rest starts at random.")
    layer_decay: float = Field(
        1.0, gt=0, le=1, description="Factor of the learning rate from each stage of the backbone to the one before."
    )
    scope: Literal["all", "last_stage", "heads"] = Field(
        "all", description="What is trained; the rest of the backbone stays as init_from or pretrained gives it."
    )
    cache_features: bool = Field(
        True, description="scope last_stage, heads: compute what the frozen part says once, not in each epoch."
    )
    ema_decay: float = Field(
        0.0, ge=0, lt=1, description="Moving average of the weights, which is what is judged and kept; 0: off."
    )
    accumulate: int = Field(1, ge=1, description="Batches whose gradients make one step.")
    resize: list[list[int]] = Field(
        [], description="[[epoch, cells], ...]: from this epoch on, average training windows over cells x cells."
    )
    precision: Literal["32-true", "bf16-mixed", "16-mixed"] = "32-true"
    compile: bool = Field(False, description="Compile the training step (torch.compile); pays off in long runs.")
    devices: int = Field(1, ge=1, description="GPUs, or processes on a CPU; each takes batch_size windows a step.")
    num_workers: int = Field(0, ge=0, description="Data-loader processes.")
    seed: int = Field(20260205, ge=0)

    @field_validator("resize")
    @classmethod
    def _is_a_schedule(cls, value: list[list[int]]) -> list[list[int]]:
        pairs = all(len(entry) == 2 and min(entry) >= 1 for entry in value)
        epochs = [entry[0] for entry in value]
        if not pairs or epochs != sorted(set(epochs)):
            raise ValueError("must be pairs [epoch, cells], both from 1 on, epochs rising, such as [[1, 4], [10, 1]]")
        return value

    def cells_at(self, epoch: int) -> int:
        """Side of the squares that training windows are averaged over in an epoch, from 1."""
        return next((cells for first, cells in reversed(self.resize) if epoch >= first), 1)

    @property
    def keeps_features(self) -> bool:
        """Whether what the frozen part of the backbone says is computed once."""
        return self.scope != "all" and self.cache_features

    @model_validator(mode="after")
    def _check_start(self) -> TrainConfig:
        if self.reinit_heads and self.init_from is None:
            raise ValueError("train.reinit_heads is true, but there is no train.init_from to take a backbone from.")
        if self.keeps_features and self.resize:
            raise ValueError(
                f"train.scope {self.scope} keeps what the frozen backbone says of the full grid, but train.resize "
                "changes the grid. Set train.resize=[], or train.cache_features=false."
            )
        if self.keeps_features and self.compile:
            raise ValueError(
                f"train.scope {self.scope} leaves little to compile when features are kept. Set train.compile=false, "
                "or train.cache_features=false."
            )
        return self

    @model_validator(mode="after")
    def _check_loss(self) -> TrainConfig:
        if self.loss == "logit_adjusted" and self.class_weights == "balanced":
            raise ValueError(
                "train.loss logit_adjusted and train.class_weights balanced both correct for the class frequencies. "
                "Set train.class_weights=none."
            )
        if self.task_weighting == "uncertainty" and self.azimuth_weight == 0:
            raise ValueError(
                "train.task_weighting uncertainty starts from train.azimuth_weight, which is 0. "
                "Raise it, or set train.task_weighting=fixed."
            )
        return self


class AugmentConfig(Section):
    """Random changes of training windows, in the order in which they happen; all off by default."""

    rotate: bool = Field(
        False, description="Turn the horizontal field by a random multiple of 45 degrees, and the azimuth with it."
    )
    noise_probability: float = Field(0.0, ge=0, le=1, description="Share of windows that get noise.")
    noise_snr_low_db: float = Field(10.0, description="Lowest signal-to-noise ratio of each row, dB.")
    noise_snr_high_db: float = Field(30.0, description="Highest signal-to-noise ratio of each row, dB.")
    shift_columns: int = Field(0, ge=0, description="Largest shift in time, columns; what comes in is masked.")
    gain_db: float = Field(0.0, ge=0, description="Largest change of the level of all components together, dB.")
    time_masks: int = Field(0, ge=0, description="Bands of columns masked in each window.")
    time_mask_columns: int = Field(32, ge=1, description="Widest of these, columns.")
    frequency_masks: int = Field(0, ge=0, description="Bands of rows masked in each window.")
    frequency_mask_rows: int = Field(32, ge=1, description="Widest of these, rows.")
    gridmask_probability: float = Field(0.0, ge=0, le=1, description="Share of windows masked by a grid of squares.")
    gridmask_ratio: float = Field(0.25, gt=0, lt=1, description="Share of the cells that the grid masks.")
    gridmask_min_cells: int = Field(32, ge=2, description="Smallest period of the grid, rows and columns.")
    gridmask_max_cells: int = Field(64, ge=2, description="Largest period of the grid, rows and columns.")
    mix_probability: float = Field(1.0, gt=0, le=1, description="Share of batches that MixUp or CutMix mixes.")
    mixup_alpha: float = Field(0.0, ge=0, description="MixUp: shares are drawn from Beta(alpha, alpha); 0: off.")
    cutmix_alpha: float = Field(0.0, ge=0, description="CutMix: areas are drawn from Beta(alpha, alpha); 0: off.")

    @property
    def mixes(self) -> bool:
        """Whether labels are shares of classes instead of classes."""
        return self.mixup_alpha > 0 or self.cutmix_alpha > 0

    @property
    def masks(self) -> bool:
        """Whether cells are masked."""
        return self.time_masks > 0 or self.frequency_masks > 0 or self.gridmask_probability > 0

    @property
    def is_on(self) -> bool:
        """Whether a window differs from epoch to epoch."""
        return self.mixes or self.masks or self.changes_spectra

    @property
    def changes_spectra(self) -> bool:
        """Whether power and cross-spectra themselves change, so that nothing computed of them can be kept."""
        return self.rotate or self.shift_columns > 0 or self.noise_probability > 0 or self.gain_db > 0

    @model_validator(mode="after")
    def _check_ranges(self) -> AugmentConfig:
        for low, high in (
            ("noise_snr_low_db", "noise_snr_high_db"),
            ("gridmask_min_cells", "gridmask_max_cells"),
        ):
            if getattr(self, low) > getattr(self, high):
                raise ValueError(
                    f"augment.{low} is {getattr(self, low)}, above augment.{high} {getattr(self, high)}. Swap them?"
                )
        return self


class PretrainConfig(Section):
    """Self-supervised first phase of a run: masked reconstruction, without labels; ConvNeXt only."""

    epochs: int = Field(0, ge=0, description="0: none.")
    store: str | None = Field(
        None,
        description="Store of unlabelled windows, those near validation or test left out; null: training role.",
    )
    mask_ratio: float = Field(0.6, gt=0, lt=1, description="Share of the patches that is masked.")
    patch_rows: int = Field(32, ge=1, description="Height of a patch, rows; a multiple of 4 fits the backbone's stem.")
    patch_columns: int = Field(32, ge=1, description="Width of a patch, columns.")
    decoder_width: int = Field(256, ge=1)
    learning_rate: float = Field(1e-3, gt=0)
    weight_decay: float = Field(0.05, ge=0)
    warmup_epochs: float = Field(2.0, ge=0, description="Linear warm-up, counted by step, before the cosine.")


class EvaluateConfig(Section):
    """Scores and their intervals."""

    bootstrap: int = Field(1000, ge=100, description="Replicates of the bootstrap by event cluster.")
    confidence: float = Field(0.95, gt=0, lt=1)
    seed: int = Field(20260205, ge=0)


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


class DirtConfig(Section):
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
    dirt: DirtConfig = Field(default_factory=DirtConfig)  # type: ignore[arg-type]

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


class Config(Section):
    """A whole configuration file."""

    data: DataConfig = Field(default_factory=DataConfig)  # type: ignore[arg-type]
    split: SplitConfig = Field(default_factory=SplitConfig)  # type: ignore[arg-type]
    model: ModelConfig = Field(default_factory=ModelConfig)  # type: ignore[arg-type]
    train: TrainConfig = Field(default_factory=TrainConfig)  # type: ignore[arg-type]
    augment: AugmentConfig = Field(default_factory=AugmentConfig)  # type: ignore[arg-type]
    pretrain: PretrainConfig = Field(default_factory=PretrainConfig)  # type: ignore[arg-type]
    evaluate: EvaluateConfig = Field(default_factory=EvaluateConfig)  # type: ignore[arg-type]
    simulate: SimulateConfig = Field(default_factory=SimulateConfig)  # type: ignore[arg-type]
    expect: list[Expectation] = Field(default_factory=list, description="Of a scenario; nothing computes with it.")

    @model_validator(mode="after")
    def _check_rotation(self) -> Config:
        if self.augment.rotate and self.model.input != "power_cross":
            raise ValueError(
                f"augment.rotate is true, but model.input is {self.model.input}: turning the field takes the phase "
                "between its components. Set model.input=power_cross (on a store prepared with "
                "data.cross_spectra=true), or augment.rotate=false."
            )
        return self

    @model_validator(mode="after")
    def _check_start(self) -> Config:
        if self.train.keeps_features and self.augment.is_on:
            raise ValueError(
                f"train.scope {self.train.scope} computes what the frozen backbone says once, but the section augment "
                "changes the windows in each epoch. Set train.cache_features=false, or leave augment out."
            )
        if self.train.init_from is not None and self.model.pretrained:
            raise ValueError(
                "train.init_from and model.pretrained both say where the weights start. Set model.pretrained=false, "
                "or train.init_from=null."
            )
        if self.pretrain.epochs and (self.train.init_from is not None or self.model.pretrained):
            raise ValueError(
                "pretrain.epochs, train.init_from and model.pretrained each say where the weights start. Keep one."
            )
        start_given = self.train.init_from is not None or self.model.pretrained or self.pretrain.epochs > 0
        if self.train.scope != "all" and not start_given:
            raise ValueError(
                f"train.scope {self.train.scope} keeps the backbone as it starts, which is at random. Name a "
                "checkpoint (train.init_from), or set model.pretrained=true, pretrain.epochs or train.scope=all."
            )
        return self


def load_config(path: str | Path | None = None, overrides: list[str] | None = None) -> Config:
    """Read a configuration file and the command line's overrides.

    Args:
        path: YAML or JSON file; None gives the defaults.
        overrides: entries ``section.key=value``, the value in YAML.

    Raises:
        UsageError: the file is missing, not YAML, or holds an unknown key or an impossible value.
    """
    return build_config(read_config_tree(Path(path) if path is not None else None, overrides or []))


def build_config(tree: dict[str, Any]) -> Config:
    """Turn nested dictionaries into a Config.

    Raises:
        UsageError: one sentence a problem, each naming key, value and the way out.
    """
    try:
        return Config.model_validate(_floats_where_asked(tree))
    except ValidationError as error:
        raise UsageError("\n".join(_sentence(entry) for entry in error.errors())) from None


def _floats_where_asked(tree: dict[str, Any], schema: type[BaseModel] | None = None) -> dict[str, Any]:
    """Write whole numbers as floats where the schema asks for a float (JSON and YAML write 1 for 1.0)."""
    fields = (schema or Config).model_fields
    result: dict[str, Any] = {}
    for key, value in tree.items():
        asked = fields[key].annotation if key in fields else None
        if isinstance(value, dict) and isinstance(asked, type) and issubclass(asked, BaseModel):
            result[key] = _floats_where_asked(value, asked)
        elif type(value) is int and asked in (float, float | None):
            result[key] = float(value)
        else:
            result[key] = value
    return result


def _sentence(entry: Any) -> str:
    location = [str(part) for part in entry["loc"]]
    name = ".".join(location)
    if entry["type"] == "extra_forbidden":
        return f"{name}: not a known key" + _suggestion(location)
    if entry["type"] == "value_error" and isinstance(entry["input"], dict):  # of a whole section: it names its keys
        return str(entry["ctx"]["error"])
    return f"{name}: {entry['msg'][0].lower()}{entry['msg'][1:]}, not {entry['input']!r}."


def _suggestion(location: list[str]) -> str:
    schema: Any = Config
    for section in location[:-1]:
        schema = schema.model_fields[section].annotation
    close = difflib.get_close_matches(location[-1], list(schema.model_fields), n=1)
    return f"; did you mean {close[0]}?" if close else f". Known keys: {', '.join(schema.model_fields)}."
