"""How fast is ``seismag prepare``, and where does the time go?

    python benchmarks/prepare.py [--days 96] [--rounds 3]

Simulates an archive of gzipped FRG-604RC day files without gaps, spikes or earthquakes, then times, in turn and in one
process on one core:
``prepare`` from files to a finished store (power only, all windows kept); a plain reference (numpy reader,
``scipy.signal.spectrogram`` window by window, one file a sample); and the bare kernel without which no store
can be made (gunzip, unpack, segments, rfft, log, zstd). Prints station-days per second, ratios, each step, and
what the checksums of a store cost.
"""

from __future__ import annotations

import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLOSC_NTHREADS", "NUMBA_NUM_THREADS"):
    os.environ[_name] = "1"

import argparse  # noqa: E402
import gzip  # noqa: E402
import resource  # noqa: E402
import shutil  # noqa: E402
import statistics  # noqa: E402
import tempfile  # noqa: E402
import time  # noqa: E402
from collections.abc import Callable  # noqa: E402
from dataclasses import dataclass  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Any  # noqa: E402

import numcodecs  # noqa: E402
import numpy as np  # noqa: E402
from isal import igzip  # noqa: E402
from scipy import fft, signal  # noqa: E402
from zarr.codecs import ZstdCodec  # noqa: E402

from seismag.archive import survey as archives  # noqa: E402
from seismag.archive.noise import noise_floor_nt  # noqa: E402
from seismag.archive.stations import read_stations  # noqa: E402
from seismag.config import DataConfig, SimulateConfig  # noqa: E402
from seismag.recordings import read_recording  # noqa: E402
from seismag.simulate import simulate_archive  # noqa: E402
from seismag.spectrograms.artefacts import mask_artefacts  # noqa: E402
from seismag.spectrograms.compute import power_spectrogram, split_windows, to_decibel  # noqa: E402
from seismag.windows import store as stores  # noqa: E402
from seismag.windows.inputs import read_inputs  # noqa: E402
from seismag.windows.prepare import prepare_store  # noqa: E402
from seismag.windows.store_checksums import CHECKSUMS_FILE, read_checksums, require_unchanged, write_checksums  # noqa: E402

SPEC = DataConfig(controls="all", match_kp=None)
SHARD_DAYS = stores.SHARD_SAMPLES // 4
COMPLETE = {  # every window becomes a sample, and the plain reference meets no NaN
    "missing_day_fraction": 0.0, "missing_blocks_per_year": 0.0, "gaps_per_day": 0.0, "spikes_per_day": 0.0,
    "steps_per_day": 0.0, "dead_component_fraction": 0.0,
}  # fmt: skip


def run_prepare(archive: Path, out: Path) -> None:
    """The product: files to a finished store, one process."""
    inputs = read_inputs(archive, archive / "stations.csv", [archive / "catalogue.csv"], None, None)
    prepared = prepare_store(inputs, out, SPEC)
    if prepared.n_samples != 4 * len(list(archive.glob("*/*.gz"))):
        raise SystemExit(f"not every window became a sample: {prepared}")


def run_reference(archive: Path, out: Path) -> None:
    """The plain way: read, cut, scipy window by window, one file a sample."""
    out.mkdir()
    for path in sorted(archive.glob("*/*.gz")):
        raw = np.frombuffer(gzip.decompress(path.read_bytes()), dtype=np.uint8)
        blocks = raw[: 144 * 10_230].reshape(144, 10_230)[:, 30:].reshape(-1, 17)[:, :9].astype(np.int32)
        counts = blocks[:, 0::3] | blocks[:, 1::3] << 8 | blocks[:, 2::3] << 16
        field = np.where(counts >= 1 << 23, counts - (1 << 24), counts) / 100.0
        field[field == 83_886.07] = np.nan
        for window in range(4):
            power = [
                signal.spectrogram(component, 1.0, "hann", 600, 506, detrend="linear")[2][1:225]
                for component in field[window * 21_600 : (window + 1) * 21_600].T
            ]
            np.savez_compressed(
                out / f"{path.stem}_{window}.npz", power=(10 * np.log10(np.array(power))).astype(np.float16)
            )


def run_kernel(archive: Path, out: Path) -> None:  # noqa: ARG001
    """What cannot be left out: gunzip, unpack, segments, rfft, log, zstd; nothing is written."""
    codec = numcodecs.Blosc("zstd", clevel=1, shuffle=numcodecs.Blosc.SHUFFLE)
    taper = signal.get_window("hann", 600).astype(np.float32)
    for path in sorted(archive.glob("*/*.gz")):
        payload = igzip.decompress(path.read_bytes())
        counts = np.lib.stride_tricks.as_strided(
            np.frombuffer(payload, dtype="<i4", count=1, offset=29), (144, 600, 3), (10_230, 17, 3)
        ).copy() >> 8  # fmt: skip
        field = (counts.reshape(-1, 3).T.reshape(3, 4, 21_600) * 0.01).astype(np.float32)
        segments = np.lib.stride_tricks.sliding_window_view(field, 600, axis=-1)[..., ::94, :] * taper
        spectra = fft.rfft(segments, axis=-1)[..., 1:225]
        with np.errstate(divide="ignore"):  # without detrending, float32 leaves some zeros
            power_db = (10 * np.log10(spectra.real**2 + spectra.imag**2)).astype(np.float16)
        for window in range(4):
            codec.encode(np.ascontiguousarray(power_db[:, window]))


def steps(archive: Path, out: Path) -> dict[str, float]:
    """Milliseconds a station-day of each step of ``prepare``, called one after the other."""
    stations = read_stations(archive / "stations.csv")
    paths = sorted(archive.glob("*/*.gz"))[:32]
    stores.create_arrays(out, [f"{n}" for n in range(4 * len(paths))], SPEC)
    spent: dict[str, float] = {}

    def timed(name: str, function: Callable[..., Any], *arguments: Any) -> Any:
        clock = time.perf_counter()
        result = function(*arguments)
        spent[name] = spent.get(name, 0.0) + (time.perf_counter() - clock) * 1000 / len(paths)
        return result

    shard: list[Any] = []
    for number, path in enumerate(paths, start=1):
        recording = timed("read (checksum, gunzip, unpack), once; prepare reads twice", read_recording, path)
        station = stations[recording.station]
        day = recording.start_utc.astype("datetime64[D]")
        held = archives.cut_day([recording], station, day)
        timed("survey: assess the day", archives.assess_stored_day, held, station, day, SPEC)
        masked = timed("look for jumps and stuck values again", mask_artefacts, held.field_nt, SPEC)
        power = timed("power (segments, trend, taper, rfft)", power_spectrogram, split_windows(masked, SPEC), SPEC)
        timed("noise floor", noise_floor_nt, power, SPEC)
        shard.append(np.ascontiguousarray(timed("decibel, float16", to_decibel, power)))
        if number % SHARD_DAYS == 0 or number == len(paths):
            first = 4 * (number - len(shard))
            timed("write (zstd, Zarr)", stores.write_shard, out, first, np.concatenate(shard), None)
            shard.clear()
    return spent


@dataclass(frozen=True)
class ChecksumCost:
    """What checksums add to a store, with and without them in turn: processor seconds, and bytes."""

    frames_s: float  # in the zstd frames
    file_s: float  # checksums.json
    opening_s: float  # verifying it
    frames_bytes: int
    file_bytes: int
    store_bytes: int


def checksum_cost(store: Path, out: Path, rounds: int) -> ChecksumCost:
    """Write the samples of a finished store with and without checksums, ``rounds`` times in turn."""
    opened = stores.open_store(store)
    n, size = len(opened.samples), stores.SHARD_SAMPLES
    blocks = [stores.read_samples(opened.power, first, min(first + size, n)) for first in range(0, n, size)]
    checked = stores.COMPRESSION
    spent: dict[bool, list[float]] = {False: [], True: []}
    written = {}
    try:
        for number in range(2 * rounds + 1):
            with_sum = number % 2 == 1
            stores.COMPRESSION = checked if with_sum else ZstdCodec(level=1)
            shutil.rmtree(out, ignore_errors=True)
            stores.create_arrays(out, opened.samples["sample_id"].tolist(), SPEC)
            clock = time.process_time()
            for index, block in enumerate(blocks):
                stores.write_shard(out, index * size, block, None)
            spent[with_sum].append(time.process_time() - clock)
            written[with_sum] = sum(path.stat().st_size for path in (out / "power" / "c").rglob("*") if path.is_file())
    finally:
        stores.COMPRESSION = checked
    sums = read_checksums(store)
    assert sums is not None
    tables = (stores.REJECTED_FILE, stores.DAYS_FILE, stores.CATALOG_FILE, stores.SAMPLES_FILE)
    clock = time.process_time()
    write_checksums(store, {name: store / name for name in tables}, sums.fingerprint)
    file_s = time.process_time() - clock
    clock = time.process_time()
    require_unchanged(store, sums)
    return ChecksumCost(
        # the first one, without, also fills the caches
        statistics.median(b - a for a, b in zip(spent[False][1:], spent[True], strict=True)),
        file_s,
        time.process_time() - clock,
        written[True] - written[False],
        (store / CHECKSUMS_FILE).stat().st_size,
        sum(path.stat().st_size for path in store.rglob("*") if path.is_file()),
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--days", type=int, default=96, help="station-days")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    root = Path(tempfile.mkdtemp(prefix="seismag-bench-"))
    try:
        archive = root / "archive"
        settings = {"stations": ["GTO"], "days": arguments.days, "earthquakes": {"per_station_year": 0.0}}
        simulate_archive(SimulateConfig.model_validate({**settings, "artefacts": COMPLETE}), archive)
        runs: dict[str, Callable[[Path, Path], None]] = {
            "seismag prepare": run_prepare, "plain reference": run_reference, "bare kernel": run_kernel,
        }  # fmt: skip
        seconds: dict[str, list[float]] = {name: [] for name in runs}
        run_prepare(archive, root / "warm-up")
        cpu: list[float] = []
        for number in range(arguments.rounds):
            for name, function in runs.items():
                out = root / f"{name}-{number}"
                clock, process = time.perf_counter(), time.process_time()
                function(archive, out)
                seconds[name].append(time.perf_counter() - clock)
                if function is run_prepare:
                    cpu.append(time.process_time() - process)
                shutil.rmtree(out, ignore_errors=True)
        spent = steps(archive, root / "steps")
        cost = checksum_cost(root / "warm-up", root / "checksums", arguments.rounds)
    finally:
        shutil.rmtree(root)
    rates = {name: arguments.days / statistics.median(values) for name, values in seconds.items()}
    print(f"{arguments.days} station-days, one core, median of {arguments.rounds} rounds in turn")
    for name, rate in rates.items():
        print(f"  {name:<18}{rate:7.1f} station-days/s{1000 / rate:9.1f} ms each")
    ratios = [b / a for a, b in zip(seconds["seismag prepare"], seconds["plain reference"], strict=True)]
    print(f"  prepare is {statistics.median(ratios):.1f} times as fast as the reference (by rounds: "
          f"{', '.join(f'{ratio:.1f}' for ratio in ratios)})")  # fmt: skip
    print("steps, ms a station-day")
    for name, value in spent.items():
        print(f"  {name:<60}{value:6.2f}")
    added_s, whole_s = cost.frames_s + cost.file_s + cost.opening_s, statistics.median(cpu)
    added_bytes = cost.frames_bytes + cost.file_bytes
    print("checksums, processor time and bytes with and without in turn")
    print(f"  {'time, of prepare: zstd frames, checksums.json, opening':<60}{100 * added_s / whole_s:6.2f} %  "
          f"({', '.join(f'{1000 * part:.1f}' for part in (cost.frames_s, cost.file_s, cost.opening_s))} "
          f"of {1000 * whole_s:.0f} ms)")  # fmt: skip
    print(f"  {'size, of the store: zstd frames, checksums.json':<60}{100 * added_bytes / cost.store_bytes:6.3f} %  "
          f"({cost.frames_bytes}, {cost.file_bytes} of {cost.store_bytes} bytes)")  # fmt: skip
    print(f"largest memory of this process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")


if __name__ == "__main__":
    main()
