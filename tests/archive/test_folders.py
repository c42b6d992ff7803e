"""What lies in the folders of an archive: everything is read, or named with a reason."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from seismag.archive.folders import find_below
from seismag.archive.listing import inspect_archive
from seismag.archive.survey import find_files, folder_of, survey_left_out
from seismag.domain import DataError, Station


def names(found, top: Path) -> tuple[list[str], dict[str, str]]:
    files = [path.relative_to(top).as_posix() for path in found.files]
    return files, {entry.path.relative_to(top).as_posix(): entry.reason for entry in found.left_out}


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    top = tmp_path / "archive"
    for name in ("ALR", "LUT"):
        (top / name).mkdir(parents=True)
        (top / name / "day").write_bytes(b"day")
    return top


def test_links_to_stations_are_followed_and_each_folder_is_read_once(archive: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "day").write_bytes(b"day")
    (archive / "GTO").symlink_to(tmp_path / "elsewhere")
    (archive / "GTO" / "up").symlink_to(archive)
    (archive / "AAA").symlink_to(archive / "LUT")  # the plain folder is read, not the link that comes first
    files, left_out = names(find_below(archive), archive)
    assert files == ["ALR/day", "GTO/day", "LUT/day"]
    assert left_out == {"AAA": "folder_twice", "GTO/up": "folder_twice"}


def test_folders_that_link_to_each_other_end(archive: Path) -> None:
    for one in range(12):
        (archive / f"S{one}").mkdir()
        for other in range(12):
            (archive / f"S{one}" / f"to{other}").symlink_to(archive / f"S{other}")
    files, left_out = names(find_below(archive), archive)
    assert files == ["ALR/day", "LUT/day"]
    assert len(left_out) == 144


def test_what_is_no_file_and_hidden_names_are_named(archive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(archive)
    os.mkfifo("ALR/pipe")
    socket.socket(socket.AF_UNIX).bind("ALR/sock")
    Path("ALR/null").symlink_to("/dev/null")
    Path(".LUT").mkdir()
    Path("ALR/.DS_Store").write_bytes(b"x")
    found = find_files(archive)
    expected = {".LUT": "hidden", "ALR/null": "not_a_file", "ALR/pipe": "not_a_file", "ALR/sock": "not_a_file"}
    assert names(found, archive) == (["ALR/day", "LUT/day"], expected)
    rows = survey_left_out(found, archive, {"ALR": Station("ALR", 0.0, 0.0)})
    assert [row.get("station") for row in rows] == [None, "ALR", "ALR", "ALR"]
    assert all(row["verdict"] == "refused" and str(archive) not in str(row["detail"]) for row in rows)


def test_inspect_warns_of_everything_that_is_not_read(archive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (archive / "locked").mkdir()
    (archive / "LUT" / "gone").symlink_to(archive / "nowhere")
    (archive / "LUT" / "secret\x1b[1m").write_bytes(b"x")
    find, opened = Path.iterdir, os.open

    def iterdir(folder):
        if folder.name == "locked":
            raise PermissionError(13, "Permission denied")
        return find(folder)

    def open_(path, *rest, **named):
        if "secret" in str(path):
            raise PermissionError(13, "Permission denied")
        return opened(path, *rest, **named)

    monkeypatch.setattr(Path, "iterdir", iterdir)
    monkeypatch.setattr("seismag.limits.os.open", open_)
    summary = inspect_archive(archive)
    assert [(entry["path"], entry["reason"]) for entry in summary.left_out] == [
        ("LUT/gone", "unreadable"), ("LUT/secret\\x1b[1m", "unreadable"), ("locked", "unreadable"),
    ]  # fmt: skip
    text = summary.describe()
    assert "warning     3 files or folders are not read: 3 unreadable" in text
    assert "locked: the folder cannot be listed" in text
    assert "\x1b" not in text


def test_an_archive_that_cannot_be_listed_or_holds_no_file_is_refused(tmp_path: Path, monkeypatch) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DataError, match=r"contains no file, apart from 1 .*pipe: a pipe"):
        find_files(tmp_path)

    def iterdir(_folder):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "iterdir", iterdir)
    with pytest.raises(DataError, match="cannot be listed"):
        find_files(tmp_path)


def test_a_folder_that_vanishes_is_refused_by_name(archive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    find = Path.iterdir

    def iterdir(folder):
        if folder.name == "LUT":
            raise FileNotFoundError(2, "No such file or directory")
        return find(folder)

    monkeypatch.setattr(Path, "iterdir", iterdir)
    assert names(find_below(archive), archive) == (["ALR/day", "LUT"], {})


def test_names_that_differ_by_case_or_by_composed_letters_are_one_station(archive: Path) -> None:
    assert folder_of(archive / "lut" / "day", archive) == folder_of(archive / "LUT" / "day", archive) == "LUT"
    assert folder_of(archive / "E\u0301" / "day", archive) == folder_of(archive / "\u00e9" / "day", archive)
