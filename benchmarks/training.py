"""How fast are a step of our training and our predictions, and what does bfloat16 save?

    python benchmarks/training.py [--model convnext_atto] [--size 128] [--batch 16] [--steps 12] [--rounds 3]
    python benchmarks/training.py --device cuda --model convnext_tiny --size 224 --batch 64 --precision bf16-mixed

1. Images/s of ``seismag train`` compared with a bare timm + PyTorch loop: same network (backbone, two heads), batch,
   precision, AdamW, clipping, number of threads. Ours reads windows from a store by its loader (scaling, labels,
   augmentation off), checks each loss, records the history; the loop repeats batches that are ready in memory. Both run
   in turn in one process; the first epoch of each round is not counted. The ratio of a round is ours over the mean of
   the bare loop before and after it; the median of the rounds counts. In addition to the wall clock the processor
   time of the process is printed, which other work on the machine moves less (meaningful with --workers 0 on a CPU
   only).
2. Images/s of predictions, in the same way: ours reads the windows from the store, scales them and gives
   probabilities, the loop repeats forward passes of batches in memory.
3. ConvNeXt-Tiny at 224 x 224 (--precision-size), the bare step in bfloat16 compared with float32.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import numpy as np
import pandas as pd
import torch
import zarr
from numpy.typing import NDArray

from seismag.cards import ModelCard
from seismag.config import Config, build_config
from seismag.domain import AZIMUTH_CLASSES, MAGNITUDE_CLASSES
from seismag.runs import create_run
from seismag.training import loop
from seismag.training.checkpoint import LoadedModel
from seismag.training.dataset import read_power
from seismag.training.inference import predict_power
from seismag.training.loop import parameter_groups
from seismag.training.losses import MultiTaskLoss
from seismag.training.model import ConvNeXtMultiTask
from seismag.training.scaling import fit_scaling
from seismag.training.train import train_model

Clocks = NDArray[np.float64]  # by wall clock, by processor time
AIM_TRAINER, AIM_BF16 = 0.95, 1.4
WARM_UP_STEPS = 2


def make_store(folder: Path, n: int, size: int) -> tuple[Any, pd.DataFrame]:
    """Noise as a store of ``n`` training windows and a few others, and its split."""
    rng = np.random.default_rng(7)
    total = n + 8
    group = zarr.create_group(folder / "store")
    power = rng.normal(-20, 5, (total, 3, size, size)).astype(np.float16)
    group.create_array("power", data=power, chunks=(1, 3, size, size))
    ids = [f"s{i:05d}" for i in range(total)]
    magnitude = np.arange(total) % 4
    samples = pd.DataFrame(
        {
            "sample_id": ids,
            "station": "GTO",
            "magnitude_class": np.array(MAGNITUDE_CLASSES)[magnitude],
            "azimuth_class": np.array(AZIMUTH_CLASSES)[np.where(magnitude == 0, 0, 1 + np.arange(total) // 4 % 8)],
        }
    )
    split = pd.DataFrame({"sample_id": ids, "fold": 1, "role": ["train"] * n + ["val"] * 4 + ["test"] * 4})
    store = SimpleNamespace(
        path=folder / "store", samples=samples, power=zarr.open_group(folder / "store", mode="r")["power"], cross=None,
        frequency_hz=np.arange(1, size + 1) / 600, time_s=94.0 * np.arange(size),
        attributes={"dataset_id": "noise", "preprocessing": {}},
    )  # fmt: skip
    return store, split


def our_rate(store: Any, split: pd.DataFrame, config: Config, folder: Path, n_images: int) -> Clocks:
    """Images/s of the second epoch of a training, steps alone (no validation, no checkpoint)."""
    times: list[Clocks] = []
    start, validate = loop.TrainingLoop.on_train_epoch_start, loop.TrainingLoop.on_validation_epoch_start

    def started(module: Any) -> None:
        start(module)
        times.append(clocks())

    def ended(module: Any) -> None:
        times.append(clocks())
        validate(module)

    with patch.multiple(loop.TrainingLoop, on_train_epoch_start=started, on_validation_epoch_start=ended):
        train_model(store, split, config, create_run(folder, "trial", config))
    return n_images / (times[-1] - times[-2])


def bare_step(config: Config, size: int, device: str) -> Callable[[], None]:
    """One step of a bare loop on a batch that lies in memory."""
    torch.manual_seed(1)
    model = ConvNeXtMultiTask(config.model).to(device).train()
    batch = config.train.batch_size
    y = np.arange(batch) % 4
    loss = MultiTaskLoss(y, y, config.train).to(device)
    optimizer = torch.optim.AdamW(parameter_groups(model, 0.05, 1e-4))
    x, labels = torch.randn(batch, 3, size, size), torch.from_numpy(y)

    def step() -> None:
        bf16 = config.train.precision == "bf16-mixed"
        inputs, y_true = x.to(device, non_blocking=True), labels.to(device, non_blocking=True)
        with torch.autocast(device, dtype=torch.bfloat16) if bf16 else nullcontext():
            value = loss(model(inputs), y_true, y_true)
        optimizer.zero_grad()
        value.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()

    return step


def bare_rate(step: Callable[[], None], n_steps: int, batch: int) -> Clocks:
    """Images/s of the step."""
    for _ in range(WARM_UP_STEPS):
        step()
    began = clocks()
    for _ in range(n_steps):
        step()
    return n_steps * batch / (clocks() - began)


def clocks() -> Clocks:
    """Wall clock and processor time of this process, s, once the GPU has finished."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return np.array([time.perf_counter(), time.process_time()])


def our_predictions(loaded: LoadedModel, store: Any, n_images: int, batch: int) -> Clocks:
    """Images/s of predictions of a store."""
    began = clocks()
    for first in range(0, n_images, batch):
        indices = np.arange(first, min(first + batch, n_images))
        predict_power(loaded, read_power(store.power, indices), batch)
    return n_images / (clocks() - began)


def bare_forward(loaded: LoadedModel, size: int, batch: int, device: str) -> Callable[[], None]:
    """A forward pass of a batch that lies in memory."""
    x = torch.randn(batch, 3, size, size)

    @torch.inference_mode()
    def step() -> None:
        outputs = loaded.model(x.to(device, non_blocking=True))
        outputs.magnitude.cpu(), outputs.azimuth.cpu()

    return step


def compare_rates(
    options: argparse.Namespace, name: str, ours: Callable[[int], Clocks], step: Callable[[], None]
) -> None:
    """Run ours between bare loops, and print a table; ``ours`` gets the number of the round."""
    rates, bare, ratios = [], [], []
    for index in range(options.rounds):
        bare.append(bare_rate(step, options.steps, options.batch))
        rates.append(ours(index))
        bare.append(bare_rate(step, options.steps, options.batch))
        ratios.append(rates[-1] / np.mean(bare[-2:], axis=0))
    setting = f"batch {options.batch}, {options.precision}, {options.device}"
    print(f"{options.model} {options.size} x {options.size}, {setting}; median of {options.rounds} rounds")
    print("                   images/s   images/s of processor time")
    for label, found in (("bare loop", bare), (name, rates)):
        print(f"  {label:<15} {'{:9.1f}  {:9.1f}'.format(*np.median(found, axis=0))}")
    print(f"  {'ratio':<15} {'{:9.3f}  {:9.3f}'.format(*np.median(ratios, axis=0))}  aim {AIM_TRAINER}", flush=True)


def compare_trainer(options: argparse.Namespace) -> None:
    """Print the tables of training and of predictions."""
    n_images = options.batch * options.steps
    config = build_config(
        {
            "model": {"backbone": options.model},
            "train": {
                "epochs": 2, "batch_size": options.batch, "precision": options.precision,
                "num_workers": options.workers, "run_name": "trial",
            },
        }
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        store, split = make_store(folder, n_images, options.size)
        step = bare_step(config, options.size, options.device)
        compare_rates(
            options, "seismag train",
            lambda index: our_rate(store, split, config, folder / f"runs{index}", n_images), step,
        )  # fmt: skip
        scaling = fit_scaling([read_power(store.power, np.arange(options.batch))])
        model = ConvNeXtMultiTask(config.model).to(options.device).eval()
        loaded = LoadedModel(folder, model, scaling, ModelCard())
        forward = bare_forward(loaded, options.size, options.batch, options.device)
        compare_rates(
            options, "seismag predict", lambda _: our_predictions(loaded, store, n_images, options.batch), forward
        )


def compare_precision(options: argparse.Namespace) -> None:
    """Print the second table."""
    rates: dict[str, list[Clocks]] = {"32-true": [], "bf16-mixed": []}
    for _ in range(options.rounds):
        for precision, found in rates.items():
            train = {"batch_size": 8, "precision": precision}
            config = build_config({"model": {"backbone": "convnext_tiny"}, "train": train})
            found.append(bare_rate(bare_step(config, options.precision_size, options.device), 2, 8))
    size = options.precision_size
    print(f"convnext_tiny {size} x {size}, batch 8, {options.device}; median of {options.rounds} rounds")
    for precision, found in rates.items():
        print(f"  {precision:<13} {'{:9.1f}  {:9.1f}'.format(*np.median(found, axis=0))}")
    ratios = np.array(rates["bf16-mixed"]) / np.array(rates["32-true"])
    print(f"  {'ratio':<13} {'{:9.3f}  {:9.3f}'.format(*np.median(ratios, axis=0))}  aim {AIM_BF16}")


def main() -> None:
    """Run both comparisons."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="convnext_atto")
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=0, help="train.num_workers of ours")
    parser.add_argument("--precision", default="32-true", choices=["32-true", "bf16-mixed"])
    parser.add_argument("--precision-size", type=int, default=224, help="of the second comparison")
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--only", choices=["trainer", "precision"], help="one of the two comparisons")
    options = parser.parse_args()
    if options.device == "cuda" and not torch.cuda.is_available():
        parser.error("--device cuda: torch sees no GPU here")
    if options.device == "cpu" and torch.cuda.is_available():
        parser.error("--device cpu: our trainer takes the GPU that is here; hide it with CUDA_VISIBLE_DEVICES=")
    if options.only != "precision":
        compare_trainer(options)
    if options.only != "trainer":
        compare_precision(options)


if __name__ == "__main__":
    main()
