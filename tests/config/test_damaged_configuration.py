"""Configurations of any content end in one short message."""

from __future__ import annotations

from pathlib import Path

import pytest

from seismag.config import load_config
from seismag.domain import UsageError

LAUGHS = "a0: &a0 [lol, lol]\n" + "".join(f"a{k}: &a{k} [{', '.join([f'*a{k - 1}'] * 9)}]\n" for k in range(1, 12))
MERGED = "m0: &m0 {k: 1}\n" + "".join(f"m{k}: &m{k} {{<<: [{', '.join([f'*m{k - 1}'] * 9)}]}}\n" for k in range(1, 12))

DAMAGED = {
    "brackets": "[" * 5000,
    "brackets that close": "data: " + "[" * 5000 + "]" * 5000,
    "braces of JSON": '{"a":' * 5000 + "1" + "}" * 5000,
    "aliases": LAUGHS + "data: *a11",
    "aliases below a section": LAUGHS + "data:\n  window_h: *a11",
    "aliases in a list": LAUGHS + "simulate:\n  stations: *a11",
    "merged aliases": MERGED,
    "an alias of itself": "data: &a\n  window_h: *a",
    "a long number": "data:\n  window_h: " + "9" * 5000,
    "a long text": "data:\n  window_h: " + "x" * 2_000_000,
    "a long key": "data:\n  ? " + "x" * 2_000_000 + "\n  : 1",
    "many keys": "data:\n" + "".join(f"  key{k}: 1\n" for k in range(5000)),
    "a tag for another content": "data: !!int abc",
    "a flag that is none": "data: !!bool maybe",
    "a time that is none": "data: !!timestamp maybe",
    "a number that is none": "data: !!float maybe",
    "a tag of Python": "data: !!python/object/apply:os.system ['true']",
    "a list as a key": "? [data]\n: 1",
    "a number as a key": "1: 2",
    "text": "a configuration",
    "a control character": "data: \x01",
    "an entry of a list that is not known": "expect:\n- {unknown: 1}",
    "an entry of a list that is none": "expect: [1]",
    "null": "data: null",
    "a section that is a list": "data: [1, 2]",
    "sizes that are a list": "sizes: [1]",
    "sizes with a number as a name": "sizes: {1: {data: {}}}\nsize: 2",
    "a size that is a mapping": "sizes: {small: {}}\nsize: {a: b}",
    "prepare that is a list": "prepare: [1]",
    "extends that is a list": "extends: [1]",
    "extends with a NUL": 'extends: "a\\0b"',
    "extends with a long name": "extends: " + "x" * 5000,
    "not a number": "train:\n  learning_rate: .nan",
    "infinite": "train:\n  learning_rate: 1e999",
}


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_configuration_is_refused_in_few_words(name: str, tmp_path: Path):
    path = tmp_path / "config.yaml"
    path.write_text(DAMAGED[name])
    with pytest.raises(UsageError) as caught:
        load_config(path)
    assert len(str(caught.value)) < 5000
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("value", ["[" * 5000, "!!int abc", "x" * 2_000_000, "!!bool maybe"])
def test_so_is_a_value_of_the_command_line(value: str):
    with pytest.raises(UsageError) as caught:
        load_config(None, [f"train.epochs={value}"])
    assert len(str(caught.value)) < 1000


def test_an_alias_is_still_understood(tmp_path: Path):
    path = tmp_path / "config.yaml"
    path.write_text("data: {n_bins: &n 40, n_log_rows: *n}")
    assert load_config(path).data.n_log_rows == 40
