"""Comparison of simulated with real recordings, and the speed of the simulation.

    python benchmarks/simulate.py [--data ../shared/data] [--realisations 24]

Station by station and day by day: ratio of simulated to real band power (10-45, 45-100, 100-400 mHz; H, D, Z) on the
real 1 Hz days of USGS observatories (April 2014) and of BMKG (Alor, January 2025), with the real Kp; the coherence
between stations, real and simulated, by distance; and station-days per second, written to gzipped FRG-604RC files.
"""

from __future__ import annotations

import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"

import argparse  # noqa: E402
import itertools  # noqa: E402
import resource  # noqa: E402
import tempfile  # noqa: E402
import time  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Any  # noqa: E402

import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402

from seismag.config import DataConfig, SimulateConfig  # noqa: E402
from seismag.domain import Station  # noqa: E402
from seismag.recordings import read_recording  # noqa: E402
from seismag.simulate.activity import Activity, make_activity  # noqa: E402
from seismag.simulate.background import simulate_background  # noqa: E402
from seismag.simulate.sites import Site, make_site  # noqa: E402
from seismag.simulate.synthetic_archive import simulate_archive  # noqa: E402
from seismag.spectrograms.artefacts import mask_artefacts  # noqa: E402
from seismag.windows.criteria import EARTH  # noqa: E402

BANDS_MHZ = ((10, 45), (45, 100), (100, 400))
COHERENCE_BANDS_MHZ = ((1.7, 7), (10, 45), (45, 100))
QUIET_KP = 2.0
DISTANCES_KM = (0, 500, 1500, 3500, 5500, 20_000)
ELSEWHERE = {  # files without a usable position
    "wic20220810vsec.zip": Station("WIC", 47.93, 15.86),
    "NXX_vario_2017-11-02.cdf": Station("WIC", 47.93, 15.86),  # another instrument at Conrad observatory
    "SXY20200303vsec.zip": Station("AIA", -65.25, -64.27),
}
SEGMENT_S = 600
FREQUENCY_MHZ = np.fft.rfftfreq(SEGMENT_S) * 1000
JUMP_RATIO = 20.0  # a jump of one second stands out of its segment's median by this: an artefact


def segment_spectra(field: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Hann spectra (3, 144, 301) of 600 s segments without overlap; |.|² is the one-sided density. NaN: missing."""
    segments = field.reshape(3, -1, SEGMENT_S)
    time_s = np.arange(SEGMENT_S) - (SEGMENT_S - 1) / 2
    segments = segments - segments.mean(axis=-1, keepdims=True)
    segments = segments - (segments @ time_s / (time_s @ time_s))[..., None] * time_s
    taper = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(SEGMENT_S) / SEGMENT_S)
    return np.fft.rfft(segments * taper, axis=-1) * np.sqrt(2 / np.sum(taper**2))


def without_artefacts(field: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Blank 600 s segments in which one jump stands out: small steps that the quality check lets pass."""
    segments = field.reshape(3, -1, SEGMENT_S)
    jumps = np.abs(np.diff(segments, axis=-1))
    bad = jumps.max(axis=-1) > JUMP_RATIO * np.maximum(np.median(jumps, axis=-1), 0.01)
    return np.where(bad[..., None], np.nan, segments).reshape(field.shape)


def band_power(spectra: np.ndarray[Any, Any], band: tuple[float, float]) -> np.ndarray[Any, Any]:
    """Mean power (3,) of a day in a band, nT²."""
    rows = (band[0] <= FREQUENCY_MHZ) & (band[1] > FREQUENCY_MHZ)
    return np.nanmean((np.abs(spectra[..., rows]) ** 2).sum(axis=-1), axis=-1) / SEGMENT_S


def coherence(a: np.ndarray[Any, Any], b: np.ndarray[Any, Any], band: tuple[float, float]) -> np.ndarray[Any, Any]:
    """Magnitude-squared coherence (3,) of the same component at two stations, mean over a band."""
    rows = (band[0] <= FREQUENCY_MHZ) & (band[1] > FREQUENCY_MHZ)
    a, b = a[..., rows], b[..., rows]
    good = np.isfinite(a).all(axis=-1) & np.isfinite(b).all(axis=-1)
    result = []
    for component in range(3):
        x, y = (v[component, good[component]] for v in (a, b))
        x, y = (v / np.sqrt((np.abs(v) ** 2).mean(axis=-1, keepdims=True)) for v in (x, y))  # each segment counts alike
        cross, px, py = (x.conj() * y).mean(axis=0), (abs(x) ** 2).mean(axis=0), (abs(y) ** 2).mean(axis=0)
        result.append(max(0.0, float((abs(cross) ** 2 / (px * py)).mean()) - 1 / len(x)))  # bias of few segments
    return np.array(result)


def real_days(data: Path) -> dict[tuple[str, str], tuple[Station, np.ndarray[Any, Any]]]:
    """Spectra of the real days by station and day."""
    found = {}
    files: dict[Path, Station | None] = dict.fromkeys(sorted((data / "usgs_1s_201404").glob("*.gz")))
    files |= {data / "bmkg" / "S250101.ALR": None}
    files |= {data / "magpy_formats" / name: station for name, station in ELSEWHERE.items()}
    for path, known in files.items():
        recording = read_recording(path)
        station = known or Station(recording.station, recording.latitude_deg, recording.longitude_deg)
        spectra = segment_spectra(without_artefacts(mask_artefacts(recording.field_nt, DataConfig())))
        found[station.code, str(recording.start_utc.astype("M8[D]"))] = station, spectra
    return found


def simulated_day(site: Site, index: int, day: str, activity: Activity, seed: int) -> np.ndarray[Any, Any]:
    """Spectra of a simulated day with the real Kp of that day (the recordings' start)."""
    field = simulate_background(site, site, index, 0, activity, seed, np.datetime64(day))
    return segment_spectra(np.round(field, 2))


def activity_of(day: str, data: Path) -> Activity:
    """Real Kp of a day; Dst by the simulator's model."""
    kp = data / "indices" / ("kp_2018_2026.csv.gz" if day > "2018" else "GFZ_Potsdam_Kp.csv.gz")
    return make_activity(SimulateConfig(start=day, days=1, kp=str(kp)))


def compare_power(real: dict[Any, Any], data: Path, realisations: int) -> dict[Any, Any]:
    """Print the table of ratios; gives the simulated spectra of the first realisation."""
    print(f"simulated / real power, mean of {realisations} realisations")
    print("station day         Kp    " + "".join(f"{low:>4}-{high} mHz: H    D    Z   " for low, high in BANDS_MHZ))
    activities = {day: activity_of(day, data) for _, day in real}
    counts: dict[str, list[int]] = {"quiet": [0, 0, 0], "disturbed": [0, 0, 0]}
    first: dict[Any, Any] = {}
    codes = sorted({code for code, _ in real})
    for (code, day), (station, spectra) in real.items():
        powers = []
        for seed in range(realisations):
            simulated = simulated_day(make_site(station, seed, codes.index(code)), codes.index(code), day,
                                      activities[day], seed)  # fmt: skip
            first.setdefault((code, day), simulated)
            powers.append([band_power(simulated, band) for band in BANDS_MHZ])
        ratio = np.mean(powers, axis=0) / np.array([band_power(spectra, band) for band in BANDS_MHZ])
        kp = activities[day].kp_at(np.arange(0, 86_400, 600.0)).mean()
        print(
            f"{code:<8}{day}  {kp:4.1f}   " + "   ".join("      " + " ".join(f"{v:4.2f}" for v in row) for row in ratio)
        )
        here = int(((ratio >= 0.5) & (ratio <= 2)).sum()), int(((ratio >= 2 / 3) & (ratio <= 1.5)).sum()), ratio.size
        kind = "quiet" if kp < QUIET_KP else "disturbed"
        counts[kind] = [a + b for a, b in zip(counts[kind], here, strict=True)]
    for kind, (inside, within, total) in counts.items():
        limit = f"below mean Kp {QUIET_KP:g}" if kind == "quiet" else f"from mean Kp {QUIET_KP:g} on"
        print(f"{kind} days ({limit}): within a factor of 2: {inside} of {total}; within 1.5: {within}")
    print()
    return first


def compare_coherence(real: dict[Any, Any], simulated: dict[Any, Any]) -> None:
    """Print the coherence between stations by distance, real and simulated side by side."""
    rows = []
    for (first, day), (second, other) in itertools.combinations(real, 2):
        if day != other or first == second:
            continue
        a, b = real[first, day][0], real[second, day][0]
        distance = EARTH.inv(a.longitude_deg, a.latitude_deg, b.longitude_deg, b.latitude_deg)[2] / 1000
        for band in COHERENCE_BANDS_MHZ:
            seen = coherence(real[first, day][1], real[second, day][1], band)
            made = coherence(simulated[first, day], simulated[second, day], band)
            rows.append({"band": band, "km": distance, "real": seen, "simulated": made})
    table = pd.DataFrame(rows)
    table["class"] = pd.cut(table["km"], DISTANCES_KM, right=False)
    print("magnitude-squared coherence between stations, mean of pairs, real / simulated")
    print("km                 mHz          H             D             Z        pairs")
    for (distance, band), part in table.groupby(["class", "band"], observed=True):
        seen, made = np.mean(part["real"].tolist(), axis=0), np.mean(part["simulated"].tolist(), axis=0)
        cells = "  ".join(f"{x:4.2f} / {y:4.2f}" for x, y in zip(seen, made, strict=True))
        print(f"{distance!s:<18} {band[0]:>4}-{band[1]:<4}  {cells}   {len(part)}")


def measure_speed(days: int) -> None:
    """Print station-days per second of a whole simulation, on one core."""
    spec = SimulateConfig(days=days)
    with tempfile.TemporaryDirectory() as folder:
        clock = time.perf_counter()
        simulate_archive(spec, Path(folder) / "archive")
        spent = time.perf_counter() - clock
        written = len(list((Path(folder) / "archive").glob("*/*.gz")))
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"\n{written} station-days in {spent:.1f} s: {written / spent:.1f} a second on one core, "
          f"files written; largest memory {memory:.0f} MB")  # fmt: skip


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--realisations", type=int, default=24)
    parser.add_argument("--days", type=int, default=60, help="of four stations, for the speed")
    arguments = parser.parse_args()
    measure_speed(arguments.days)
    real = real_days(arguments.data)
    compare_coherence(real, compare_power(real, arguments.data, arguments.realisations))


if __name__ == "__main__":
    main()
