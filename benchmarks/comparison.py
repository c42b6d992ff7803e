"""Scores and cost of four models in identical folds, compared with the classical methods.

    python benchmarks/comparison.py --store injected_strong.zarr [--epochs 6] [--folds 2] [--models convnext_tiny vgg16]
        [--set train.batch_size=64 ...] [--work build/comparison] [--small]

Trains each configuration of ``configs/`` by ``seismag crossval`` in the same folds (a finished one is not trained
again), compares them with the first, and prints scores, paired differences, parameters, floating point operations and
latency. --small takes the smallest ConvNeXt for the two ConvNeXt rows, and the table names it.
"""

from __future__ import annotations

import argparse
import os
import time
from contextlib import chdir
from pathlib import Path

from seismag.compare.compute import compare_runs
from seismag.compare.text import format_comparison
from seismag.config import load_config
from seismag.files import write_json_atomic
from seismag.models.cost import LatencyPlan
from seismag.training.crossval import require_folds, run_crossval

CONFIGS = Path(__file__).resolve().parent.parent / "configs"
MODELS = ("convnext_tiny", "efficientnet_b0", "vgg16", "exp_v3")
SMALL = "convnext_atto"


def train(name: str, store: Path, arguments: argparse.Namespace) -> Path:
    """Cross-validate one configuration; return the folder of its results."""
    overrides = [f"train.epochs={arguments.epochs}", f"split.n_folds={arguments.folds}", *arguments.overrides]
    if arguments.small and name in ("convnext_tiny", "exp_v3"):
        overrides.append(f"model.backbone={SMALL}")
    config = load_config(CONFIGS / f"{name}.yaml", overrides)
    started = time.monotonic()
    state = run_crossval(config, store, out=Path(f"{name}_results"))
    require_folds(state)
    print(f"{name} ({config.model.backbone}): {time.monotonic() - started:.0f} s", flush=True)
    return state.results


def main() -> None:
    """Train, compare, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--store", type=Path, required=True)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--folds", type=int, default=2)
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS), help="the first is the reference")
    parser.add_argument("--set", dest="overrides", nargs="+", default=[], metavar="KEY=VALUE", help="for all models")
    parser.add_argument("--rounds", type=int, nargs=2, default=(30, 7), help="of latency, batch 1 and batch 32")
    parser.add_argument("--work", type=Path, default=Path("build/comparison"), help="folder of splits, runs, results")
    parser.add_argument("--small", action="store_true", help=f"{SMALL} in place of ConvNeXt-Tiny")
    arguments = parser.parse_args()
    os.environ.pop("SEISMAG_SMALL", None)
    store = arguments.store.resolve()
    arguments.work.mkdir(parents=True, exist_ok=True)
    with chdir(arguments.work):
        results = [train(name, store, arguments) for name in arguments.models]
        rounds = dict(zip((1, 32), arguments.rounds, strict=True))
        spec = load_config(CONFIGS / "convnext_tiny.yaml").evaluate
        document = compare_runs(results, spec, data=store, latency=LatencyPlan(rounds))
        write_json_atomic("comparison.json", document)
    print("\n" + format_comparison(document))
    print(f"written to  {arguments.work / 'comparison.json'}")


if __name__ == "__main__":
    main()
