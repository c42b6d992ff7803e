"""The configuration: files, inheritance, overrides, and what is refused with which words."""

import json

import pytest

from fixtures.commands import run_seismag
from seismag.config import Config, build_config, load_config
from seismag.config.tree import parse_yaml
from seismag.domain import UsageError


def write(path, text):
    path.write_text(text, encoding="utf-8")
    return path


def refuse(match, path=None, overrides=None):
    with pytest.raises(UsageError, match=match) as caught:
        load_config(path, overrides)
    assert caught.value.exit_code == 2


def test_nothing_given_means_the_defaults(tmp_path):
    assert load_config() == load_config(write(tmp_path / "c.yaml", "# nothing\n")) == Config()


def test_a_file_changes_what_it_names(tmp_path):
    config = load_config(write(tmp_path / "c.yaml", "train:\n  epochs: 3\ndata:\n  window_h: 12\n"))
    assert (config.train.epochs, config.data.window_h) == (3, 12)
    assert config.train.batch_size == Config().train.batch_size


def test_json_is_read_the_same_way(tmp_path):
    path = write(tmp_path / "c.json", json.dumps({"train": {"epochs": 3, "learning_rate": 1e-4, "weight_decay": 1}}))
    config = load_config(path)
    assert (config.train.epochs, config.train.learning_rate, config.train.weight_decay) == (3, 1e-4, 1.0)


def test_extends_goes_one_level_deep(tmp_path):
    write(tmp_path / "a.yaml", "train: {epochs: 3}")
    write(tmp_path / "b.yaml", "extends: a.yaml")
    refuse("extends: goes one level deep", write(tmp_path / "c.yaml", "extends: b.yaml"))
    refuse("extends: goes one level deep", write(tmp_path / "self.yaml", "extends: self.yaml"))


def test_overrides_come_last_and_are_yaml(tmp_path):
    path = write(tmp_path / "c.yaml", "train: {epochs: 3}")
    config = load_config(
        path, ["train.epochs=7", "data.controls=all", "data.match_kp=null", "simulate.stations=[NO, ALR]"]
    )
    assert config.train.epochs == 7
    assert config.data.controls == "all"
    assert config.data.match_kp is None
    assert config.simulate.stations == ["NO", "ALR"]


@pytest.mark.parametrize("entry", ["epochs=3", "train.epochs", "train=3", "=3", ".=3", "train.=3"])
def test_a_malformed_override_shows_how_to_write_it(entry):
    refuse(r"section\.key=value", None, [entry])


def test_an_override_that_is_no_yaml_is_refused():
    refuse("not valid YAML", None, ["train.epochs=[1"])


def test_an_unknown_key_is_refused_with_a_suggestion(tmp_path):
    refuse(r"^train\.batchsize: not a known key; did you mean batch_size\?$",
           write(tmp_path / "c.yaml", "train: {batchsize: 8}"))  # fmt: skip
    refuse(r"^trian: not a known key; did you mean train\?$", write(tmp_path / "d.yaml", "trian: {epochs: 8}"))
    refuse(r"train\.xyzzy: not a known key. Known keys: .*batch_size", None, ["train.xyzzy=1"])


def test_all_problems_are_told_at_once():
    with pytest.raises(UsageError) as caught:
        load_config(None, ["train.batchsize=8", "train.epochs=0", "data.window_h=5"])
    assert len(str(caught.value).splitlines()) == 3


def test_the_command_exits_with_2_and_no_traceback():
    done = run_seismag("simulate", "--out", "/nonexistent/x", "--set", "simulate.dayz=1")
    assert done.returncode == 2
    assert done.stderr == "seismag: simulate.dayz: not a known key; did you mean days?\n"
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("text", "value"),
    [("1e-4", 1e-4), ("1E5", 1e5), ("1.5e-3", 1.5e-3), ("-2e3", -2e3), (".5", 0.5), ("5.", 5.0), ("1.0", 1.0)],
)
def test_numbers_with_exponents_are_numbers(text, value):
    assert parse_yaml(text) == value
    assert isinstance(parse_yaml(text), float)


@pytest.mark.parametrize("text", ["NO", "no", "yes", "on", "Off", "y", "2021-03-01", "12:30:00", "ALR", "e5", "1e"])
def test_what_yaml_1_2_calls_text_stays_text(text):
    assert parse_yaml(text) == text


@pytest.mark.parametrize(("text", "value"), [("010", 10), ("007", 7)])
def test_a_leading_zero_is_not_octal(text, value):
    """YAML 1.1 reads 010 as 8; a day or a seed would silently change."""
    assert parse_yaml(text) == value


@pytest.mark.parametrize(("text", "value"), [("true", True), ("False", False), ("null", None), ("~", None), ("3", 3)])
def test_true_false_and_null_are_what_they_say(text, value):
    assert parse_yaml(text) is value or parse_yaml(text) == value
    assert type(parse_yaml(text)) is type(value)


def test_a_station_named_no_stays_a_station(tmp_path):
    config = load_config(write(tmp_path / "c.yaml", "simulate:\n  stations: [NO, ON]\n  start: 2021-03-01\n"))
    assert config.simulate.stations == ["NO", "ON"]
    assert config.simulate.start == "2021-03-01"


@pytest.mark.parametrize(
    "entry",
    ["train.epochs=true", "train.learning_rate=true", "train.epochs='3'", "train.epochs=3.0", "train.epochs=3.5",
     "data.cross_spectra=1", "data.cross_spectra='yes'", "data.cross_spectra=yes", "train.run_name=3",
     "data.window_h=true", "data.window_h=6.0", "simulate.stations=GTO", "train.learning_rate='1e-4'", "train.epochs="],
)  # fmt: skip
def test_nothing_is_converted_silently(entry):
    refuse(rf"^{entry.partition('=')[0].replace('.', '[.]')}: ", None, [entry])


def test_a_whole_number_is_a_number_where_a_float_is_asked_for():
    config = load_config(None, ["train.warmup_epochs=2", "data.max_depth_km=100", "data.range_km=300"])
    assert (config.train.warmup_epochs, config.data.max_depth_km, config.data.range_km) == (2.0, 100.0, 300.0)
    assert isinstance(config.data.max_depth_km, float)


@pytest.mark.parametrize(
    "entry",
    ["train.epochs=0", "data.max_gap_fraction=1", "data.max_gap_fraction=-0.1", "data.min_magnitude=3.9",
     "data.window_h=5", "data.max_interpolated_gap_s=11", "split.fold=0", "split.val_fraction=0.5",
     "train.learning_rate=0", "train.learning_rate=.nan", "split.name='a b'", "train.run_name=../x",
     "simulate.stations=[]", "data.range_rule=mine"],
)  # fmt: skip
def test_impossible_values_are_refused_by_name(entry):
    name, _, _ = entry.partition("=")
    refuse(rf"^{name.replace('.', '[.]')}: ", None, [entry])


@pytest.mark.parametrize("start", ["2021-02-30", "2021-13-01", "March 2021"])
def test_a_start_that_is_no_date_is_refused(start):
    refuse("simulate.start", None, [f"simulate.start={start}"])


def test_problems_between_keys_tell_both_and_the_way_out():
    refuse(r"data\.n_bins is 300, but a 600 s segment has 299 bins.*Lower n_bins", None, ["data.n_bins=300"])
    refuse(r"data\.segment_s is 7200 s, longer than the window", None, ["data.window_h=1", "data.segment_s=7200"])
    refuse(r"split\.fold is 11, but split\.n_folds is 10", None, ["split.fold=11"])
    assert load_config(None, ["data.n_bins=299"]).data.n_bins == 299


@pytest.mark.parametrize(
    ("text", "match"),
    [("train: [", "not valid YAML"), ("- a\n- b", "mapping of sections, not list"), ("just text", "not str"),
     ("train: 3", "^train: "), ("train:\n", "^train: "), ("\tx: 1", "not valid YAML")],
)  # fmt: skip
def test_files_that_are_no_configuration_are_refused(text, match, tmp_path):
    refuse(match, write(tmp_path / "c.yaml", text))


def test_missing_and_binary_files_are_refused(tmp_path):
    refuse("cannot be read", tmp_path / "none.yaml")
    refuse(r"a folder, not a file\. Name a file\. Name an existing", tmp_path)
    (tmp_path / "b.yaml").write_bytes(b"\xff\xfe\x00x")
    refuse("UTF-8", tmp_path / "b.yaml")


def test_yaml_cannot_run_code(tmp_path):
    refuse("not valid YAML", write(tmp_path / "c.yaml", "train: !!python/object/apply:os.system ['true']"))


def test_what_is_written_is_read_back_the_same():
    config = load_config(None, ["data.max_depth_km=70", "simulate.stations=[NO]", "train.learning_rate=1e-5"])
    assert build_config(json.loads(config.model_dump_json())) == config
    assert build_config(parse_yaml(config.model_dump_json())) == config


def test_shipped_configurations_are_valid():
    from pathlib import Path

    files = sorted((Path(__file__).parents[1] / "configs").glob("*.yaml"))
    assert files
    for path in files:
        load_config(path)
