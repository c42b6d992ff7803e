"""Does the audit find each injected fault scenario, pass clean data, and find an injected signal?

    python benchmarks/audit.py [--parts scenarios nulls archives tables errors power cost naive]
        [--work build/audit] [--out audit.json] [--set train.epochs=1 ...]

- ``scenarios``: each file of configs/scenarios at its small size is simulated, prepared and audited; the tests of the
  audit that failed are printed with those that the scenario expects. Null and injected archives are cross-validated
  (ConvNeXt-atto, two folds) and their predictions audited too.
- ``nulls``: archives without a signal, other seeds, from day files to the audit of cross-validated predictions. Failed
  integrity checks, and skill that is claimed, are false alarms.
- ``archives``: stores of archives of other seeds, without a signal and with a strong one, audited without predictions.
- ``tables``: clean tables of labels and metadata, audited in table mode; failed integrity checks are false alarms, and
  the rate of p <= 0.05 of each check is printed.
- ``errors``: errors put into a clean table and into the arrays of a null store (audit_errors.py), each with the check
  that should name it: it fails, is a concern, or is informational.
- ``power``: tables of 100 to 1,000 rows in which Kp predicts the class with some accuracy: how often it is found.
- ``cost``: processor time of the audit of tables of 296 and 10,000 rows, without and with such a leak.
- ``naive``: the earlier procedure (Normal windows from two stations, each window and four slightly changed copies of it
  assigned to folds at random, the test fold chooses the epoch, classes not weighted) and ours on the same files of the
  null archive.

False alarms are printed with exact 95 % intervals and the nominal family-wise error of the integrity checks.
Archives, stores and finished rows stay in the work folder and are used again; --set needs a work folder of its own.
"""

from __future__ import annotations

import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"  # archives are worked on side by side, each with one thread

import argparse  # noqa: E402
import json  # noqa: E402
import logging  # noqa: E402
import shutil  # noqa: E402
import time  # noqa: E402
from collections.abc import Callable, Iterable  # noqa: E402
from concurrent.futures import ProcessPoolExecutor  # noqa: E402
from contextlib import chdir, nullcontext  # noqa: E402
from functools import partial  # noqa: E402
from multiprocessing import get_context  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Any  # noqa: E402

import audit_errors  # noqa: E402
import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402
import simulated_archive  # noqa: E402
from audit_lines import ERROR, check_lines, error_lines, naive_lines, rate_line, scenario_lines  # noqa: E402

from seismag.audit.compute import audit_labels, audit_predictions, audit_store  # noqa: E402
from seismag.audit.result import Audit  # noqa: E402
from seismag.config import AuditConfig, load_config  # noqa: E402
from seismag.domain import DataError  # noqa: E402
from seismag.estimate import CONCERN_P  # noqa: E402
from seismag.files import write_json_atomic  # noqa: E402
from seismag.runs import git_state  # noqa: E402
from seismag.training.crossval import run_crossval  # noqa: E402
from seismag.windows.store import SAMPLES_FILE, open_store, write_changed_store  # noqa: E402

CONFIGS = Path(__file__).resolve().parents[1] / "configs"
FAULT_SCENARIOS = [path.stem for path in sorted((CONFIGS / "scenarios").glob("fault_*.yaml"))]
COARSE = ["data.step_s=600", "data.frequency_rows=log", "data.n_log_rows=48"]  # 34 x 36: a fold trains in half a minute
TRAINED = ["null", "injected_weak", "injected_strong"]
FIRST_NULL_SEED = 101  # the checks' constants were chosen on archives of the seeds below
TRAINING = [
    "model.backbone=convnext_atto", "model.head_width=128", "model.head_dropout=0.2", "model.head_dropout_inner=0.1",
    "model.detection_head=true", "train.epochs=8", "train.learning_rate=1e-3", "train.patience=1000",
    "train.label_smoothing=0.05", "split.n_folds=2",
]  # fmt: skip
NAIVE = [
    "split.method=naive", "split.name=naive", "train.run_name=naive", "train.class_weights=none", "train.epochs=24",
]  # fmt: skip
COPIES, COPY_NOISE_DB = 4, 0.5  # of earlier systems' augmentation: a window's copies went to both sides
POWER_TABLES = 20
COST_AIMS_S = {296: 10, 10_000: 60}  # processor seconds by number of rows


def make_store(
    scenario: str, work: Path, changes: list[str], seed: int | None = None, controls: str | None = None
) -> tuple[Path, Path]:
    """Simulate a scenario's archive and prepare a store, or find both from an earlier call."""
    entries = [*COARSE, *changes, *([] if seed is None else [f"simulate.seed={seed}"])]
    entries += [] if controls is None else [f"prepare.controls={controls}"]
    config = load_config(CONFIGS / "scenarios" / f"{scenario}.yaml", entries)
    archive = work / (scenario if seed is None else f"{scenario}_{seed}")
    store = archive.with_name(f"{archive.name}{'' if controls is None else '_' + controls}.zarr")
    simulated_archive.make_store(config, archive, store)
    return archive, store


def kept(path: Path, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """A finished row from its file, else made and kept."""
    if path.exists():
        row: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return row
    row = make()
    write_json_atomic(path, row)
    return row


def audit_row(audit: Audit) -> dict[str, Any]:
    """The columns of the table for an audit."""
    with_p = [test for test in audit.tests if test.p_value is not None]
    skill = audit.test("skill_above_no_signal")
    return {
        "gate": "fail" if audit.failed else "pass",
        "failed": [test.name for test in audit.tests if test.verdict == "fail"],
        "noted": [test.name for test in with_p if test.verdict == "informational"],
        "skill": None if skill is None else skill.verdict,
        "skill_p": None if skill is None else skill.p_value,
        "concerns": [test.name for test in audit.concerns],
        "p_values": {test.name: test.p_value for test in with_p},
        "smallest_p": min((test.p_value, test.name) for test in with_p if test.blocking),
    }


def scenario_row(scenario: str, work: Path, changes: list[str]) -> dict[str, Any]:
    """Audit one scenario's store, and where it is trained on, its predictions."""
    logging.getLogger("seismag").setLevel(logging.ERROR)
    config = load_config(CONFIGS / "scenarios" / f"{scenario}.yaml", changes)
    expected = [entry.model_dump(exclude_none=True) for entry in config.expect]
    about = {"scenario": scenario, "expected": expected}
    try:
        archive, store = make_store(scenario, work, changes)
    except DataError:  # no window is left to audit: prepare refused the files
        reasons = pd.read_csv(work / f"{scenario}.zarr" / "rejected.csv")["reason"].value_counts()
        return about | {"windows": 0, "gate": None, "failed": [], "rejected": reasons.to_dict()}
    windows = len(pd.read_parquet(store / "samples.parquet"))
    if scenario in TRAINED:
        row = trained_row(archive.name, store, work, changes)
    else:
        row = audit_row(audit_store(store, None, config))
    return about | {"windows": windows} | row


def trained_row(name: str, store: Path, work: Path, changes: list[str]) -> dict[str, Any]:
    """Cross-validate one store and audit the joint table of predictions."""
    folder = work / f"study-{name}"
    folder.mkdir(exist_ok=True)
    config = load_config(None, [*TRAINING, *changes, f"train.run_name='{name}'"])  # a name may be null
    with chdir(folder):
        state = run_crossval(config, store)
        if state.final is None or state.metrics is None:
            raise RuntimeError(f"{name}: {state.failed}")
        audit = audit_predictions(state.results / "predictions.parquet", store, None, config)
    return audit_row(audit) | {"detection": headline(state.metrics)}


def null_row(seed: int, work: Path, changes: list[str]) -> dict[str, Any]:
    """One null archive from end to end."""
    logging.getLogger("seismag").setLevel(logging.ERROR)
    archive, store = make_store("null", work, changes, seed)
    return {"seed": seed} | trained_row(archive.name, store, work, changes)


def clean_table(seed: int) -> pd.DataFrame:
    """Labels without association: stations, days in spells, activity and quality by day, the class by group."""
    rng = np.random.default_rng(seed)
    stations = [f"S{i:02d}" for i in range(int(rng.integers(4, 25)))]
    n_groups = int(rng.integers(80, 300))
    day = np.sort(rng.integers(0, int(rng.integers(200, 1500)), n_groups))
    kp = np.clip(2 + np.convolve(rng.normal(0, 1.5, n_groups), np.ones(3) / 3, mode="same"), 0, 9).round(1)
    groups = pd.DataFrame(
        {
            "station": rng.choice(stations, n_groups),
            "date": (pd.Timestamp("2019-01-01") + pd.to_timedelta(day, unit="D")).strftime("%Y-%m-%d"),
            "kp_max": kp,
            "gap_fraction": rng.beta(1, 20, n_groups).round(3),
            "magnitude_class": rng.choice(["Normal", "Moderate", "Medium", "Large"], n_groups, p=[0.5, 0.2, 0.2, 0.1]),
        }
    ).drop_duplicates(["station", "date"])
    rows = groups.loc[groups.index.repeat(rng.integers(1, 5, len(groups)))].reset_index(drop=True)
    hour = 6 * rows.groupby(["station", "date"]).cumcount()
    return rows.assign(hour=hour, h_pc3_std=rng.lognormal(0, 0.3, len(rows)))


def archive_row(key: str, work: Path, changes: list[str]) -> dict[str, Any]:
    """Audit the store of one archive of a scenario and seed, ``null-101``."""
    logging.getLogger("seismag").setLevel(logging.ERROR)
    scenario, seed = key.rsplit("-", 1)
    config = load_config(CONFIGS / "scenarios" / f"{scenario}.yaml", changes)
    _, store = make_store(scenario, work, changes, int(seed))
    return {"archive": key} | audit_row(audit_store(store, None, config))


def table_row(seed: int, work: Path, changes: list[str]) -> dict[str, Any]:
    """Audit one clean table."""
    spec = load_config(None, ["audit.placebos=20", *changes]).audit  # placebos do not change the outcome
    return {"seed": seed} | audit_row(audit_frame(clean_table(seed), work / f"clean-{seed}.csv", spec))


def error_row(name: str, work: Path, changes: list[str]) -> dict[str, Any]:
    """Audit a table or store with one error."""
    logging.getLogger("seismag").setLevel(logging.ERROR)
    config = load_config(CONFIGS / "scenarios" / "null.yaml", ["audit.placebos=20", *changes])
    if name in audit_errors.store_errors():
        error, expected = audit_errors.store_errors()[name]
        _, clean = make_store("null", work, changes)
        store = audit_errors.spoil_store(clean, work / f"error_{name.replace(' ', '_')}.zarr", error)
        row = audit_row(audit_store(store, None, config))
        shutil.rmtree(store)
    else:
        table, expected = audit_errors.error_tables()[name]
        row = audit_row(audit_frame(table, work / f"error_{name.replace(' ', '_')}.csv", config.audit))
    return {"error": name, "expected": expected} | row


def audit_frame(table: pd.DataFrame, path: Path, spec: AuditConfig) -> Audit:
    """Audit a table by station and date, through a file."""
    table.to_csv(path, index=False)
    audit = audit_labels(path, "magnitude_class", ["station", "date"], spec)
    path.unlink()
    return audit


def power_row(key: tuple[int, float], work: Path, changes: list[str]) -> dict[str, Any]:
    """Audit tables of so many rows in which Kp predicts the class with this gain of accuracy over 0.5."""
    n_rows, gain = key
    spec = load_config(None, ["audit.placebos=20", *changes]).audit
    results, detectable = [], []
    for seed in range(POWER_TABLES):
        table = audit_errors.leaking_table(n_rows, gain, np.random.default_rng([n_rows, int(1000 * gain), seed]))
        test = audit_frame(table, work / f"power-{n_rows}-{gain}.csv", spec).test("class_by_space_weather")
        results.append(test.verdict if test else None)
        detectable.append(test.details["detectable_gain"] or np.nan if test else np.nan)
    counts = {verdict: results.count(verdict) for verdict in ("fail", "concern")}
    return {"rows": n_rows, "gain": gain, "detectable": float(np.mean(detectable)), "n": POWER_TABLES} | counts


def cost_row(key: tuple[int, float], work: Path, changes: list[str]) -> dict[str, Any]:
    """Processor seconds of the audit of a table of so many rows with this gain of accuracy by Kp."""
    n_rows, gain = key
    table = audit_errors.leaking_table(n_rows, gain, np.random.default_rng([n_rows, int(1000 * gain)]))
    before = time.process_time()
    audit = audit_frame(table, work / f"cost-{n_rows}-{gain}.csv", load_config(None, changes).audit)
    return {"rows": n_rows, "gain": gain, "processor_s": time.process_time() - before} | audit_row(audit)


def add_copies(store_path: Path) -> Path:
    """A store with each window and ``COPIES`` copies of it, changed a little, as earlier systems augmented theirs."""
    out = store_path.with_name(f"{store_path.stem}_copied.zarr")
    if (out / SAMPLES_FILE).is_file():
        return out
    store, rng = open_store(store_path), np.random.default_rng(17)
    power = np.asarray(store.power[:], dtype=np.float32)
    samples = pd.concat(
        [store.samples.assign(sample_id=store.samples["sample_id"] + f"-{k}") for k in range(1 + COPIES)],
        ignore_index=True,
    )
    copies = [power + (rng.normal(0, COPY_NOISE_DB, power.shape) if k else 0) for k in range(1 + COPIES)]
    write_changed_store(store, out, samples, np.concatenate(copies))
    return out


def naive_row(work: Path, changes: list[str]) -> dict[str, Any]:
    """The earlier procedure and ours on the same day files without a signal."""
    logging.getLogger("seismag").setLevel(logging.ERROR)
    result: dict[str, Any] = {}
    studies: dict[str, tuple[str | None, list[str]]] = {"naive": ("other_stations", NAIVE), "ours": (None, [])}
    for name, (controls, entries) in studies.items():
        _, store = make_store("null", work, changes, controls=controls)
        store = store if controls is None else add_copies(store)
        folder = work / f"study-naive-{name}"
        folder.mkdir(exist_ok=True)
        config = load_config(None, [*TRAINING, *entries, *changes])
        with chdir(folder):
            state = run_crossval(config, store)
            if state.metrics is None:
                raise RuntimeError(f"{name}: {state.failed}")
            audit = audit_predictions(state.results / "predictions.parquet", store, None, config)
        tasks = {task: headline(state.metrics, task) for task in ("magnitude", "azimuth", "detection")}
        result[name] = audit_row(audit) | {"warnings": state.metrics["warnings"], **tasks}
    return result


def headline(metrics: dict[str, Any], task: str = "detection") -> dict[str, Any]:
    """Accuracy, balanced accuracy and skill of a task."""
    result = metrics[task]
    skill = result["skill_above_best_baseline"]["balanced_accuracy"]
    ends = ("value", "low", "high")
    scores = {score: [result[score][key] for key in ends] for score in ("accuracy", "balanced_accuracy")}
    return {**scores, "skill": [skill[key] for key in ends], "baseline": skill["baseline"]}


def run_rows(
    make: Callable[..., dict[str, Any]], keys: Iterable[Any], work: Path, changes: list[str], workers: int
) -> list[dict[str, Any]]:
    """Make rows side by side; finished ones are taken from the work folder. One worker works in this process."""
    rows = []
    with nullcontext() if workers == 1 else ProcessPoolExecutor(workers, get_context("spawn")) as pool:
        each = map if pool is None else pool.map
        for key, row in zip(keys, each(partial(_kept_row, make, work, changes), keys), strict=True):
            rows.append(row)
            print(f"  row-{make.__name__}-{key}: gate {row.get('gate')}, failed {row.get('failed')}", flush=True)
    return rows


def _kept_row(make: Callable[..., dict[str, Any]], work: Path, changes: list[str], key: Any) -> dict[str, Any]:
    return kept(work / f"row-{make.__name__}-{key}.json", lambda: make(key, work, changes))


def main() -> None:
    """Parse the command line, run the parts, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parts = ("scenarios", "nulls", "archives", "tables", "errors", "power", "cost", "naive")
    parser.add_argument("--parts", nargs="+", choices=parts, default=list(parts))
    scenarios = [*TRAINED, *FAULT_SCENARIOS]
    parser.add_argument("--scenarios", nargs="+", choices=scenarios, default=scenarios)
    parser.add_argument("--tables", type=int, default=200)
    parser.add_argument("--archives", type=int, default=10)
    parser.add_argument("--workers", type=int, default=2, help="rows at once")
    parser.add_argument("--set", dest="changes", nargs="+", default=[], metavar="KEY=VALUE", help="for all parts")
    parser.add_argument("--work", default="build/audit")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    work, changes, workers = Path(arguments.work).resolve(), arguments.changes, arguments.workers
    work.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    result: dict[str, Any] = {"code": git_state(Path(__file__)), "family_wise_error": ERROR}
    lines: list[str] = []
    if "scenarios" in arguments.parts:
        result["scenarios"] = run_rows(scenario_row, arguments.scenarios, work, changes, workers)
        lines += scenario_lines(result["scenarios"])
    if "nulls" in arguments.parts:
        seeds = range(FIRST_NULL_SEED, FIRST_NULL_SEED + arguments.archives)
        rows = result["nulls"] = run_rows(null_row, seeds, work, changes, workers)
        lines.append(rate_line("null archives, checks failed", sum(r["gate"] == "fail" for r in rows), len(rows)))
        lines.append(rate_line("null archives, skill claimed", sum(r["skill"] == "skill" for r in rows), len(rows)))
    if "tables" in arguments.parts:
        rows = result["tables"] = run_rows(table_row, range(arguments.tables), work, changes, workers)
        lines.append(rate_line("clean tables, checks failed", sum(r["gate"] == "fail" for r in rows), len(rows)))
        n_checks = float(np.mean([sum(p is not None for p in r["p_values"].values()) for r in rows]))
        nominal = min(1.0, CONCERN_P * n_checks)  # of independent checks, each with an effect above the minimum
        lines.append(
            rate_line("clean tables with a concern", sum(bool(r["concerns"]) for r in rows), len(rows), nominal)
        )
        lines += check_lines(rows, "clean tables")
    if "archives" in arguments.parts:
        seeds = range(FIRST_NULL_SEED, FIRST_NULL_SEED + arguments.archives)
        keys = [f"{name}-{seed}" for seed in seeds for name in ("null", "injected_strong")]
        rows = result["archives"] = run_rows(archive_row, keys, work, changes, workers)
        lines.append(rate_line("archives, checks failed", sum(r["gate"] == "fail" for r in rows), len(rows)))
        lines += check_lines(rows, "archives without an error")
    if "errors" in arguments.parts:
        names = [*audit_errors.error_tables(), *audit_errors.store_errors()]
        result["errors"] = run_rows(error_row, names, work, changes, workers)
        lines += error_lines(result["errors"])
    if "power" in arguments.parts:
        designs = [(n, gain) for n in (100, 300, 1000) for gain in (0.1, 0.2, 0.3)]
        result["power"] = run_rows(power_row, designs, work, changes, workers)
        for row in result["power"]:
            lines.append("{rows:5d} rows, gain of accuracy {gain:g}: fail {fail}, concern {concern} of {n}; "
                         "detectable {detectable:.2f}".format(**row))  # fmt: skip
    if "cost" in arguments.parts:
        costs = [(n, gain) for n in COST_AIMS_S for gain in (0.0, 0.2)]
        result["cost"] = run_rows(cost_row, costs, work, changes, workers)
        for row in result["cost"]:
            aim = COST_AIMS_S[row["rows"]]
            lines.append("audit of {rows:5d} rows, gain of accuracy {gain:g}: {processor_s:.1f} s of processor time, "
                         "aim {aim}".format(**row, aim=aim))  # fmt: skip
    if "naive" in arguments.parts:
        result["naive"] = kept(work / "row-naive.json", lambda: naive_row(work, changes))
        lines += naive_lines(result["naive"])
    result["seconds"] = time.monotonic() - started
    print("\n".join(["", *lines, f"{result['seconds'] / 60:.0f} minutes"]))
    if arguments.out is not None:
        write_json_atomic(arguments.out, result)


if __name__ == "__main__":
    main()
