"""Why does a network need a stronger emission than a matched filter? Power alone, one step at a time.

    python benchmarks/bound.py --store build/learning/null.zarr [--folds 1 2] [--work build/bound] [--out bound.json]

Adds emissions of known SNR to the stored powers of an archive without any: before training to all event windows of
the training set, at one SNR; in the test to the control windows of held-out blocks, at each SNR. Every detector has
its threshold at 5 % false alarms of the same control windows. From the matched filter to the network one thing that
it knows is taken away at a time:

- ``matched, station``: knows the band, and the background of the station (``seismag.recovery.matched``);
- ``matched, all stations``: the same with one background for all stations;
- ``learnt filter S``: must learn the band: a linear discriminant of the time averages of all bins, from a training set
  with emissions of SNR S;
- ``network S``: the recipe of ``configs/laptop.yaml`` on power without ``augment.dilution``, from the same training
  set; ``diluted``: with it.

The emission has constant power in time, its direction is uniform, and its power in a bin is exponential as that of
noise is. Added to stored powers it has no cross term with the background, so that only the order of rows counts.
"""

from __future__ import annotations

import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"

import argparse  # noqa: E402
import logging  # noqa: E402
from contextlib import chdir  # noqa: E402
from dataclasses import dataclass  # noqa: E402
from pathlib import Path  # noqa: E402

import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis  # noqa: E402

from seismag.arrays import BoolArray, Float32Array, FloatArray, IndexArray  # noqa: E402
from seismag.config import Config, EmissionConfig, load_config  # noqa: E402
from seismag.files import write_json_atomic  # noqa: E402
from seismag.recovery.efficiency import false_alarm_threshold, fit_curve  # noqa: E402
from seismag.recovery.matched import Background, Bands, matched_features  # noqa: E402
from seismag.splits import assign_split  # noqa: E402
from seismag.text import format_table  # noqa: E402
from seismag.training.checkpoint import load_checkpoint  # noqa: E402
from seismag.training.dataset import role_indices  # noqa: E402
from seismag.training.inference import predict_power  # noqa: E402
from seismag.training.run import reach_h, run_training  # noqa: E402
from seismag.windows.store import Store, open_store, write_changed_store  # noqa: E402

CONFIGS = Path(__file__).resolve().parents[1] / "configs"
SNR = (0.03, 0.1, 0.2, 0.4, 0.8, 3.2, 13.0)
STRONG, FAINT = 30.0, 0.2  # of the training
FALSE_ALARMS, SEED = 0.05, 20260205


@dataclass(frozen=True)
class Injector:
    """Emissions for stored powers in dB; ``reference_nt2_hz``: by station, (F,) horizontal background."""

    inside: BoolArray
    reference_nt2_hz: dict[str, FloatArray]
    z_ratio: float

    @classmethod
    def of(cls, store: Store, emission: EmissionConfig) -> Injector:
        """The background is the median over the windows of a station."""
        inside = Bands.of(store.frequency_hz, emission).inside
        reference = {}
        for code, rows in store.samples.groupby("station").indices.items():
            power = 10 ** (np.asarray(store.power[:, :2], dtype=float)[rows] / 10)
            reference[str(code)] = np.where(inside, np.nanmedian(power.sum(axis=1), axis=(0, 2)), 0.0)
        return cls(inside, reference, emission.z_ratio)

    def add(self, power_db: Float32Array, stations: list[str], snr: float, rng: np.random.Generator) -> Float32Array:
        """Add an emission to windows (n, 3, F, T)."""
        azimuth = rng.uniform(0, 2 * np.pi, len(power_db))
        parts = np.stack([np.cos(azimuth) ** 2, np.sin(azimuth) ** 2, np.full(len(power_db), self.z_ratio)], axis=1)
        level = snr * np.stack([self.reference_nt2_hz[code] for code in stations])  # (n, F)
        noise = rng.exponential(size=(len(power_db), 1, *power_db.shape[2:]))
        emission = parts[:, :, None, None] * level[:, None, :, None] * noise
        return np.asarray(10 * np.log10(10 ** (power_db.astype(float) / 10) + emission), dtype=np.float32)


def averages(power_db: Float32Array) -> FloatArray:
    """Time averages of all bins, (n, 3 F)."""
    return np.asarray(np.nanmean(power_db, axis=3).reshape(len(power_db), -1), dtype=float)


def snr_at_half(statistics: dict[float, FloatArray], without: FloatArray) -> tuple[float, dict[float, float]]:
    """SNR at 50 % efficiency of a fitted curve, and the efficiencies."""
    threshold = false_alarm_threshold(without, FALSE_ALARMS)
    found = {snr: values > threshold for snr, values in statistics.items()}
    snr = np.repeat(list(found), [len(values) for values in found.values()])
    curve = fit_curve(snr, np.concatenate(list(found.values())), float((without > threshold).mean()))
    return curve.snr_at(0.5), {key: float(values.mean()) for key, values in found.items()}


def network_statistic(
    config: Config, store: Store, trained: Float32Array, versions: dict[float, Float32Array], work: Path, name: str
) -> dict[float, FloatArray]:
    """Train the recipe on changed powers; P(Event) of each version of the test windows."""
    path = work / f"{name}.zarr"
    if not path.exists():
        write_changed_store(store, path, store.samples, trained)
    train, split = config.train.model_copy(update={"run_name": name}), config.split.model_copy(update={"name": name})
    config = config.model_copy(update={"train": train, "split": split})
    with chdir(work):
        loaded = load_checkpoint(run_training(config, path).best_model)
    return {snr: 1 - predict_power(loaded, power_db)[0][:, 0] for snr, power_db in versions.items()}


def run_fold(store: Store, fold: int, config: Config, emission: EmissionConfig, work: Path) -> list[dict[str, object]]:
    """Every detector on the control windows of one test set."""
    split = assign_split(store.samples, config.split, reach_h(store))
    train, test = (role_indices(store.samples, split, fold, role) for role in ("train", "test"))
    is_event = (store.samples["magnitude_class"] != "Normal").to_numpy()
    test = test[~is_event[test]]
    station = store.samples["station"].astype(str).to_numpy()
    power_db = np.asarray(store.power[:], dtype=np.float32)
    injector, rng = Injector.of(store, emission), np.random.default_rng([SEED, fold])
    versions = {0.0: power_db[test]}
    versions |= {snr: injector.add(power_db[test], station[test].tolist(), snr, rng) for snr in SNR}
    trained = {}
    for snr in (STRONG, FAINT):
        trained[snr] = power_db.copy()
        trained[snr][is_event] = injector.add(power_db[is_event], station[is_event].tolist(), snr, rng)
    bands = Bands.of(store.frequency_hz, emission)
    quiet = train[~is_event[train]]
    statistics = {
        "matched, station": matched_statistic(power_db, quiet, versions, station, test, bands, of_station=True),
        "matched, all stations": matched_statistic(power_db, quiet, versions, station, test, bands, of_station=False),
    }
    for snr, changed in trained.items():
        learnt = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto")
        learnt.fit(averages(changed[train]), is_event[train])
        name = f"{snr:g}"
        statistics[f"learnt filter {name}"] = {
            key: np.asarray(learnt.decision_function(averages(values))) for key, values in versions.items()
        }
        run_name = f"bound{name}_{fold}".replace(".", "p")
        plain = config.model_copy(update={"augment": config.augment.model_copy(update={"dilution": 0.0})})
        statistics[f"network {name}"] = network_statistic(plain, store, changed, versions, work, run_name)
        if snr == STRONG:
            of_run = network_statistic(config, store, changed, versions, work, f"{run_name}_diluted")
            statistics[f"network {name}, diluted"] = of_run
    rows: list[dict[str, object]] = []
    for name, values in statistics.items():
        half, efficiency = snr_at_half({key: values[key] for key in SNR}, values[0.0])
        rows.append({"fold": fold, "detector": name, "snr_50": half, "efficiency": efficiency, "n": len(test)})
    return rows


def matched_statistic(
    power_db: Float32Array, quiet: IndexArray, versions: dict[float, Float32Array], station: np.ndarray,
    test: IndexArray, bands: Bands, of_station: bool,
) -> dict[float, FloatArray]:  # fmt: skip
    """Statistic of the matched filter with backgrounds from control windows of the training set."""
    backgrounds = {}
    for code in np.unique(station):
        rows = quiet[station[quiet] == code] if of_station else quiet
        backgrounds[code] = Background.of(matched_features(power_db[rows], None, bands), bands)
    result = {}
    for snr, values in versions.items():
        features = matched_features(values, None, bands)
        result[snr] = np.array(
            [backgrounds[code].statistic(features[k : k + 1])[0] for k, code in enumerate(station[test])]
        )
    return result


def main() -> None:
    """Parse the command line, run, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--store", type=Path, required=True)
    parser.add_argument("--folds", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--set", dest="overrides", nargs="+", default=[], metavar="KEY=VALUE", help="for the network")
    parser.add_argument("--work", type=Path, default=Path("build/bound"), help="folder of changed stores and runs")
    parser.add_argument("--out", type=Path, help="JSON file of the result")
    arguments = parser.parse_args()
    logging.getLogger("seismag").setLevel(logging.ERROR)
    arguments.work.mkdir(parents=True, exist_ok=True)
    store = open_store(arguments.store)
    emission = load_config(CONFIGS / "scenarios" / "injected_weak.yaml").simulate.emission
    rows = []
    for fold in arguments.folds:
        entries = ["model.input=power", f"split.fold={fold}", *arguments.overrides]
        config = load_config(CONFIGS / "laptop.yaml", entries)
        rows += run_fold(store, fold, config, emission, arguments.work.resolve())
    table = pd.DataFrame(rows)
    lines = []
    for name, of_name in table.groupby("detector", sort=False):
        halves = of_name["snr_50"].tolist()
        mean = {snr: float(np.mean([row[snr] for row in of_name["efficiency"]])) for snr in SNR}
        cells = [f"{mean[snr]:.2f}" for snr in SNR]
        lines.append([str(name), f"{np.exp(np.mean(np.log(halves))):.2g}", *cells])
    print(format_table(["detector", "50 % at", *(f"{snr:g}" for snr in SNR)], lines))
    if arguments.out is not None:
        write_json_atomic(arguments.out, {"rows": rows})


if __name__ == "__main__":
    main()
