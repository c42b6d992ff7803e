"""The named scenarios: what they are, what must come of them, and that nothing downstream knows which one it sees."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from isal import igzip

from seismag.config import load_config
from seismag.domain import DataError, UsageError
from seismag.recordings.frg604rc import BLOCK_BYTES, DAY_BLOCKS
from seismag.simulate import simulate_archive
from seismag.simulate.plan import make_plan
from seismag.windows.inputs import read_inputs
from seismag.windows.prepare import prepare_store
from seismag.windows.store import open_store, read_table

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "configs" / "scenarios"
NAMES = {
    "null", "injected_strong", "injected_weak", "fault_other_stations", "fault_quiet_days", "fault_instrument_change",
    "fault_clock", "fault_duplicates", "fault_azimuth_column", "fault_decoder", "bmkg_2018_2023",
}  # fmt: skip
TINY = ["simulate.days=24", "simulate.stations=[GTO, ALR]", "simulate.earthquakes.per_year=900", "data.n_bins=40"]


def tiny(name: str, out: Path, *settings: str):
    config = load_config(FOLDER / f"{name}.yaml", [*TINY, *settings])
    simulate_archive(config.simulate, out)
    return config


def prepare(archive: Path, config, out: Path):
    inputs = read_inputs(
        archive, archive / "stations.csv", [archive / "catalogue.csv"], archive / "kp.csv", archive / "dst.csv"
    )
    return prepare_store(inputs, out, config.data)


@pytest.mark.parametrize("size", ["small", "full"])
@pytest.mark.parametrize("name", sorted(NAMES))
def test_every_scenario_is_a_valid_configuration_in_both_sizes(name, size):
    config = load_config(FOLDER / f"{name}.yaml", [f"size={size}"])
    injected = name.startswith("injected")
    assert (config.simulate.emission.snr > 0) == injected
    assert bool(config.expect) == (injected or name.startswith("fault"))
    assert config.simulate.days == {"small": 300, "full": 1095}[size] or name == "bmkg_2018_2023"


def test_the_folder_holds_these_scenarios_and_no_other():
    assert {path.stem for path in FOLDER.glob("*.yaml")} == NAMES


def test_an_unknown_scenario_names_the_known_ones():
    with pytest.raises(UsageError, match=r"fault_moon\.yaml: cannot be read .*In .*scenarios: .*fault_clock\.yaml"):
        load_config(FOLDER / "fault_moon.yaml")


def test_an_unknown_size_names_the_known_ones():
    with pytest.raises(UsageError, match=r"size=huge: not a size of this configuration\. Known sizes: small, full"):
        load_config(FOLDER / "null.yaml", ["size=huge"])


def test_a_setting_of_the_command_line_wins_over_the_size():
    assert load_config(FOLDER / "null.yaml", ["simulate.days=7", "size=full"]).simulate.days == 7


def test_the_large_null_has_the_size_of_the_published_data_set():
    spec = load_config(FOLDER / "bmkg_2018_2023.yaml", ["size=full"]).simulate
    plan = make_plan(spec)
    assert len(plan.sites) == 24
    assert 1000 < plan.written.sum() < 3000  # a study's days, of 52,584


def test_nothing_downstream_knows_the_scenario_its_truth_or_its_origin(tmp_path):
    """Stripped of every mark, and moved, an archive gives the same windows, labels and spectra."""
    short = ("simulate.days=12", "simulate.earthquakes.per_station_year=100")
    config = tiny("injected_strong", tmp_path / "injected_strong", *short)
    marked = prepare(tmp_path / "injected_strong", config, tmp_path / "a")
    plain = tmp_path / "plain"
    (tmp_path / "injected_strong").rename(plain)
    (plain / "simulation.json").unlink()
    (plain / "truth.parquet").unlink()
    for path in plain.glob("*/*.gz"):
        payload = bytearray(igzip.decompress(path.read_bytes()))
        for block in range(DAY_BLOCKS):
            payload[block * BLOCK_BYTES + 10 : block * BLOCK_BYTES + 18] = bytes(8)
        path.write_bytes(igzip.compress(bytes(payload), compresslevel=1, mtime=0))
    stripped = prepare(plain, config, tmp_path / "b")
    assert marked.n_samples == stripped.n_samples > 20
    first, second = open_store(tmp_path / "a"), open_store(tmp_path / "b")
    assert set(first.samples["origin"]) == {"simulated"}
    assert set(second.samples["origin"]) == {"observed"}
    known = ["origin", "source_sha256"]
    pd.testing.assert_frame_equal(first.samples.drop(columns=known), second.samples.drop(columns=known))
    np.testing.assert_array_equal(first.power[:], second.power[:])
    np.testing.assert_array_equal(first.cross[:], second.cross[:])
    pd.testing.assert_frame_equal(read_table(first.path, "rejected.csv"), read_table(second.path, "rejected.csv"))


def test_what_a_wrong_decoder_left_is_refused_on_every_day(tmp_path):
    config = tiny("fault_decoder", tmp_path / "archive", "simulate.days=6")
    assert [expectation.prepare for expectation in config.expect] == ["implausible"]
    with pytest.raises(DataError, match="no usable window"):
        prepare(tmp_path / "archive", config, tmp_path / "store")
    reasons = read_table(tmp_path / "store", "rejected.csv")["reason"]
    assert set(reasons) - {"no_file"} == {"implausible"}


def test_the_control_rules_stand_in_the_part_prepare():
    config = load_config(FOLDER / "fault_other_stations.yaml")
    assert config.data.controls == "other_stations"
    assert load_config(FOLDER / "fault_quiet_days.yaml").data.controls == "quiet_days"
    assert load_config(FOLDER / "null.yaml").data.controls == "matched"
