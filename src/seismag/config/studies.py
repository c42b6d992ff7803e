"""The sections of studies: who is judged, how, and what an audit asks (split, evaluate, audit)."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from seismag.config.section import Section


class SplitConfig(Section):
    """Who trains, who validates, who tests."""

    name: str = Field(
        "loeo", pattern=r"^[A-Za-z0-9_-]+$", description="splits/NAME.parquet holds the split; default: the method."
    )
    method: Literal["loeo", "loso", "region", "blocked", "naive"] = Field(
        "loeo",
        description="What a fold leaves out: loeo earthquake clusters, loso stations, region groups of stations, "
        "blocked a stretch of time, all purged. naive: random windows, epoch chosen on the test fold, for comparison.",
    )
    n_folds: int = Field(10, ge=2, description="loso, region: at most so many; fewer where there are fewer stations.")
    fold: int = Field(1, ge=1, description="The fold that a single run tests on, from 1.")
    val_fraction: float = Field(0.15, gt=0, lt=0.5, description="Share of the training groups that validates.")
    embargo_d: float = Field(45.0, ge=0, description="blocked: days around a test block in which no station trains.")
    region_km: float = Field(600.0, gt=0, description="region: largest distance between two stations of one, km.")
    station_file: str | None = Field(None, description="region: positions; null: the shipped BMKG stations.")
    sealed_fraction: float = Field(
        0.0, ge=0, lt=0.5, description="Share of the time span, the last, that no fold trains, validates or tests on."
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

    bootstrap: int = Field(1000, ge=100, description="Replicates of the bootstrap by event cluster.")
    confidence: float = Field(0.95, gt=0, lt=1)
    events: Literal["mainshocks", "all"] = Field(
        "mainshocks", description="Event windows of the headline: those that point at a mainshock, or all."
    )
    reliability_bins: int = Field(10, ge=2, description="Bins of equal mass of reliability diagrams and ECE.")
    coverage: float = Field(0.9, gt=0, lt=1, description="Probability with which a conformal set holds the truth.")
    distance_km: float = Field(500.0, gt=0, description="Fixed radius among the distance rules of the tables.")
    alarm_fraction: float = Field(
        0.2,
        gt=0,
        lt=1,
        description="Share of ordinary time that alarms may take: tau of the power and of the sealed test.",
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
    """The questions of ``seismag audit``."""

    family_wise_error: float = Field(
        0.01, gt=0, lt=0.5, description="Probability that the gate fails a study in which nothing is wrong."
    )
    permutations: int = Field(9999, ge=999, description="Draws of each null; the smallest p is 1 / (draws + 1).")
    partitions: int = Field(20, ge=1, description="Seeded partitions into folds that an accuracy is averaged over.")
    folds: int = Field(10, ge=2, description="Folds of a partition, by group.")
    features: list[str] = Field([], description="Of a table: columns that must not predict the class; []: by kind.")
    placebo: list[str] = Field([], description="Of predictions: stores of placebo windows, predicted by their models.")
    claim: str | None = Field(None, description="What is claimed; the audit report quotes it.")
    placebos: int = Field(200, ge=20, description="Data sets without a fault on which each test is tried.")
    seed: int = Field(20260205, ge=0)
