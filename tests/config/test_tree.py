from __future__ import annotations

from pathlib import Path

import pytest

from seismag.config import load_config
from seismag.config.tree import read_config_tree
from seismag.domain import UsageError


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_an_extended_file_is_merged_section_by_section_at_every_depth(tmp_path):
    write(tmp_path / "a.yaml", "simulate: {days: 5, emission: {snr: 3, low_mhz: 12}}\n")
    path = write(tmp_path / "b.yaml", "extends: a.yaml\nsimulate: {emission: {snr: 7}}\n")
    assert read_config_tree(path, []) == {"simulate": {"days": 5, "emission": {"snr": 7, "low_mhz": 12}}}


def test_an_override_reaches_a_nested_section():
    spec = load_config(None, ["simulate.emission.snr=3", "simulate.artefacts.gaps_per_day=0"]).simulate
    assert (spec.emission.snr, spec.artefacts.gaps_per_day) == (3.0, 0.0)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("simulate.emission.srn=3", r"simulate\.emission\.srn: not a known key; did you mean snr\?"),
        ("simulate.emission.snr=-1", r"simulate\.emission\.snr: .*greater than or equal to 0, not -1"),
        ("simulate.seed.x=1", r"seed: must be a mapping of keys, not 7"),
        ("simulate..days=1", "write it as section.key=value"),
        ("size=small", "size=small: this configuration has no sizes to choose from"),
    ],
)
def test_a_wrong_override_is_refused_with_the_way_out(tmp_path, entry, message):
    path = write(tmp_path / "c.yaml", "simulate: {seed: 7}\n")
    with pytest.raises(UsageError, match=message):
        load_config(path, [entry])


def test_the_first_size_is_the_default_and_set_chooses_another(tmp_path):
    path = write(
        tmp_path / "c.yaml",
        "simulate: {days: 1}\nsizes: {small: {simulate: {days: 2}}, full: {simulate: {days: 3, seed: 1}}}\n",
    )
    assert load_config(path).simulate.days == 2
    assert load_config(path, ["size=full"]).simulate.days == 3
    assert load_config(path, ["size=full", "simulate.days=4"]).simulate.days == 4


def test_prepare_is_another_name_for_keys_of_data(tmp_path):
    path = write(tmp_path / "c.yaml", "data: {seed: 3}\nprepare: {controls: all}\n")
    data = load_config(path).data
    assert (data.seed, data.controls) == (3, "all")


def test_a_key_in_prepare_and_data_with_two_values_is_refused(tmp_path):
    path = write(tmp_path / "c.yaml", "data: {controls: matched}\nprepare: {controls: all}\n")
    with pytest.raises(UsageError, match=r"prepare\.controls: also given as data\.controls, with another value"):
        load_config(path)


def test_an_expectation_names_one_test(tmp_path):
    path = write(tmp_path / "c.yaml", "expect:\n  - {audit: clock, prepare: implausible}\n")
    with pytest.raises(UsageError, match="each entry names one test"):
        load_config(path)


def test_an_impossible_pair_of_values_is_refused_once_and_names_both():
    with pytest.raises(UsageError, match=r"simulate\.emission\.high_mhz is 5\.0, not above low_mhz 10\.0"):
        load_config(None, ["simulate.emission.high_mhz=5"])
