"""What the machine lacks is no damage: no day is refused, no store is called damaged, the remedy fits."""

import errno
import os
import tempfile

import pytest
import zarr

from fixtures.archive_files import FIRST, GTO, KEEP_ALL, day_bytes, day_name, quiet_day
from seismag import limits
from seismag.archive import content, folders
from seismag.archive.survey import find_files, survey_file
from seismag.machine import MachineError, raise_if_of_machine
from seismag.recordings import cdf, decode_recording
from seismag.windows import store as stores


def full_table(*_args, **_keywords):
    raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))


@pytest.fixture
def day(tmp_path):
    path = tmp_path / "GTO" / day_name(GTO, FIRST)
    path.parent.mkdir()
    path.write_bytes(day_bytes(GTO, FIRST, quiet_day(GTO, FIRST)))
    return path


def test_a_day_is_not_refused_for_want_of_open_files(day, tmp_path, monkeypatch):
    monkeypatch.setattr(limits.os, "open", full_table)
    with pytest.raises(MachineError, match=r"open files.*not damage.*ulimit -n"):
        survey_file(day, tmp_path, {"GTO": GTO}, KEEP_ALL)
    with pytest.raises(MachineError):
        content.file_contents(tmp_path, [day])


def test_a_station_folder_is_not_left_out_for_want_of_open_files(day, tmp_path, monkeypatch):
    plain = folders.Path.iterdir
    monkeypatch.setattr(folders.Path, "iterdir", lambda path: full_table() if path == day.parent else plain(path))
    with pytest.raises(MachineError, match="GTO"):
        find_files(tmp_path)


def test_a_store_is_not_called_damaged_for_want_of_open_files(tmp_path, monkeypatch):
    zarr.open_group(tmp_path / "store", mode="w")
    monkeypatch.setattr(zarr, "open_group", full_table)
    with pytest.raises(MachineError, match="not damage"):
        stores.open_store(tmp_path / "store")

    class Array:
        __getitem__ = full_table

    with pytest.raises(MachineError, match="not damage"):
        stores.read_samples(Array(), 0, 1)


def test_a_recording_is_not_refused_for_want_of_a_temporary_folder(monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "absent"))
    monkeypatch.setattr(cdf, "check_structure", lambda payload, _where: payload)
    with pytest.raises(MachineError, match="TMPDIR"):
        decode_recording(cdf.MAGIC_V3 + bytes(4096), tmp_path / "day.cdf")


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ESTALE, "Stale file handle"),
        ImportError("libtorch.so: failed to map segment from shared object"),
        RuntimeError("can't start new thread"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes"),
    ],
)
def test_what_an_error_came_from_counts(error):
    damage = ValueError("damaged")
    damage.__cause__ = error
    with pytest.raises(MachineError, match="same command again"):
        raise_if_of_machine(damage, "a file")


def test_damage_is_not_of_the_machine():
    raise_if_of_machine(OSError(errno.EIO, "Input/output error"), "a file")
    raise_if_of_machine(ValueError("damaged"), "a file")
