"""The sections model, train and augment."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator, model_validator

from seismag.config.sections import Section


class ModelConfig(Section):
    """The network."""

    backbone: str = Field("convnext_tiny", description="A timm model name.")
    pretrained: bool = Field(False, description="Start from timm's ImageNet weights (needs its hub or cache).")
    depths: list[int] = Field([], description="ConvNeXt: blocks of its four stages; []: those of the backbone.")
    widths: list[int] = Field([], description="ConvNeXt: channels of its four stages; []: those of the backbone.")
    attention: Literal["none", "cbam"] = Field(
        "none", description="cbam: channel and spatial attention on the last feature map before pooling."
    )
    detection_head: bool = Field(
        False, description="One head for event or Normal in both tasks, so that p(Normal) is the same."
    )
    azimuth_head: Literal["flat", "hierarchical"] = Field(
        "flat", description="flat: nine classes; hierarchical: event, quadrant, direction."
    )
    head_width: int = Field(512, ge=1)
    head_dropout: float = Field(0.5, ge=0, lt=1, description="After the LayerNorm.")
    head_dropout_inner: float = Field(0.25, ge=0, lt=1, description="Before the last Linear.")
    input: Literal["power", "power_cross"] = Field(
        "power", description="power: H, D, Z; power_cross: also the coherency of XY, ZX, ZY, real and imaginary part."
    )
    average_rotations: bool = Field(
        False, description="Average predictions over the rotations of augment.rotate, azimuths rotated back."
    )
    coherency_columns: int = Field(5, ge=1, description="Time frames that a cross-spectrum is averaged over; odd.")
    coherency_rows: int = Field(3, ge=1, description="Frequency bins that a cross-spectrum is averaged over; odd.")

    @field_validator("depths", "widths")
    @classmethod
    def _is_of_four_stages(cls, value: list[int]) -> list[int]:
        if value and (len(value) != 4 or min(value) < 1):
            raise ValueError("must be four numbers from 1 on, one for each stage, such as [1, 1, 2, 1]")
        return value

    @field_validator("coherency_columns", "coherency_rows")
    @classmethod
    def _is_odd(cls, value: int) -> int:
        if value % 2 == 0:
            raise ValueError(f"must be odd, so that the box has a middle; {value - 1} or {value + 1} will do")
        return value

    @property
    def n_channels(self) -> int:
        """Channels of the input."""
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
    class_weights: Literal["balanced", "none"] = "balanced"
    loss: Literal["cross_entropy", "focal"] = "cross_entropy"
    focal_gamma: float = Field(2.0, ge=0, description="focal: exponent of (1 - p); 0 is cross-entropy.")
    label_smoothing: float = Field(0.0, ge=0, lt=1, description="Fraction of each label spread over the classes.")
    hierarchy_weight: float = Field(
        0.5, ge=0, description="azimuth_head hierarchical: weight of the losses of event and quadrant."
    )
    keep: Literal["best", "last"] = Field(
        "best", description="Epoch of the model: that of the lowest validation loss, or the last one."
    )
    patience: int = Field(10, ge=1, description="keep best: epochs without a better validation loss before stopping.")
    normalisation: Literal["training", "trailing"] = Field(
        "training",
        description="training: mean and deviation of each frequency bin over the training set; "
        "trailing: median and MAD of the windows of the station before each window.",
    )
    trailing_days: float = Field(45.0, gt=0, description="trailing: longest time before the window, days.")
    trailing_min: int = Field(20, ge=2, description="trailing: windows with fewer windows before them are left out.")
    init_from: str | None = Field(None, description="Checkpoint or run folder with the initial weights.")
    reinit_heads: bool = Field(False, description="init_from: the backbone alone; the heads start at random.")
    layer_decay: float = Field(
        1.0, gt=0, le=1, description="Factor of the learning rate from one stage of the backbone to the previous one."
    )
    scope: Literal["all", "last_stage", "heads"] = Field(
        "all", description="Trained part of the model; the rest keeps the weights of init_from or pretrained."
    )
    cache_features: bool = Field(
        True, description="scope last_stage, heads: compute the outputs of the frozen part once, not in each epoch."
    )
    accumulate: int = Field(1, ge=1, description="Batches whose gradients are summed in one step.")
    precision: Literal["32-true", "bf16-mixed", "16-mixed", "auto"] = Field(
        "32-true", description="auto: bf16-mixed where processor or GPU computes in bfloat16 itself, else 32-true."
    )
    compile: bool = Field(False, description="Compile the training step (torch.compile); for long runs.")
    devices: int = Field(1, ge=1, description="GPUs, or processes on a CPU; each takes batch_size windows a step.")
    num_workers: int = Field(0, ge=0, description="Data-loader processes.")
    seed: int = Field(20260205, ge=0)

    @property
    def keeps_features(self) -> bool:
        """Whether the outputs of the frozen part are computed once."""
        return self.scope != "all" and self.cache_features

    @model_validator(mode="after")
    def _check_start(self) -> TrainConfig:
        if self.reinit_heads and self.init_from is None:
            raise ValueError("train.reinit_heads is true, but there is no train.init_from to take a backbone from.")
        if self.keeps_features and self.compile:
            raise ValueError(
                f"train.scope {self.scope} leaves little to compile with cached features. Set train.compile=false, "
                "or train.cache_features=false."
            )
        return self


class AugmentConfig(Section):
    """Random changes of training windows, in this order; all off by default."""

    dilution: float = Field(
        0.0,
        ge=0,
        le=1,
        description="Probability that a window is mixed with a control window of its station, so that an emission "
        "becomes weaker.",
    )
    dilution_least: float = Field(0.002, gt=0, le=1, description="Smallest fraction of the window in the mixture.")
    rotate: bool = Field(
        False,
        description="Rotate H and D by a random multiple of 45 degrees, and the azimuth with them; without "
        "cross-spectra of 90 degrees.",
    )
    noise_probability: float = Field(0.0, ge=0, le=1, description="Probability that noise is added to a window.")
    noise_snr_low_db: float = Field(10.0, description="Lowest signal-to-noise ratio of a frequency bin, dB.")
    noise_snr_high_db: float = Field(30.0, description="Highest signal-to-noise ratio of a frequency bin, dB.")
    shift_columns: int = Field(0, ge=0, description="Largest shift in time, frames; the new ones are masked.")
    gain_db: float = Field(0.0, ge=0, description="Largest change of the level of all components, dB.")
    time_masks: int = Field(0, ge=0, description="Number of time masks in each window.")
    time_mask_columns: int = Field(32, ge=1, description="Widest time mask, frames.")
    frequency_masks: int = Field(0, ge=0, description="Number of frequency masks in each window.")
    frequency_mask_rows: int = Field(32, ge=1, description="Widest frequency mask, bins.")
    gridmask_probability: float = Field(
        0.0, ge=0, le=1, description="Probability that a grid of squares masks a window."
    )
    gridmask_ratio: float = Field(0.25, gt=0, lt=1, description="Fraction of the bins that the grid masks.")
    gridmask_min_cells: int = Field(32, ge=2, description="Smallest period of the grid, bins.")
    gridmask_max_cells: int = Field(64, ge=2, description="Largest period of the grid, bins.")
    mix_probability: float = Field(1.0, gt=0, le=1, description="Probability that a batch is mixed by MixUp or CutMix.")
    mixup_alpha: float = Field(0.0, ge=0, description="MixUp: weights from Beta(alpha, alpha); 0: off.")
    cutmix_alpha: float = Field(0.0, ge=0, description="CutMix: areas from Beta(alpha, alpha); 0: off.")

    @property
    def mixes(self) -> bool:
        """Whether labels are soft."""
        return self.mixup_alpha > 0 or self.cutmix_alpha > 0

    @property
    def masks(self) -> bool:
        """Whether bins are masked."""
        return self.time_masks > 0 or self.frequency_masks > 0 or self.gridmask_probability > 0

    @property
    def is_on(self) -> bool:
        """Whether a window differs from epoch to epoch."""
        return self.mixes or self.masks or self.changes_spectra

    @property
    def changes_spectra(self) -> bool:
        """Whether power or cross-spectra change, so that nothing computed from them can be cached."""
        spectra = self.dilution > 0 or self.rotate or self.noise_probability > 0
        return spectra or self.shift_columns > 0 or self.gain_db > 0

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
