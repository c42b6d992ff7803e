"""The sections split, evaluate and audit."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from seismag.config.section import Section


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

    bootstrap: int = Field(1000, ge=100, description="Replicates of the bootstrap by cluster.")
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
        [0.1, 0.3, 1.0, 3.0, 10.0, 30.0], description="Injected power over the quiet background of the station."
    )
    windows: int = Field(200, ge=1, description="Control windows that get emissions, of all models together.")
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
