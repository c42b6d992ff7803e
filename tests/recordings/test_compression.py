import gzip
import io
import zipfile
import zlib

import pytest

from seismag.domain import DataError
from seismag.recordings.compression import decompress

CONTENT = b"2014-04-07 00:00:00.000 097     20886.60     -7.09\n" * 400


def zipped(*names: str, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name in names:
            archive.writestr(name, CONTENT)
    return buffer.getvalue()


def test_a_file_that_is_no_archive_comes_back_as_it_is():
    assert decompress(CONTENT, "day.sec") is CONTENT
    assert decompress(b"\xcd\xf3\x00\x01\xcc\xcc\x00\x01", "day.cdf") == b"\xcd\xf3\x00\x01\xcc\xcc\x00\x01"


def test_the_content_and_not_the_name_tells_an_archive():
    assert decompress(gzip.compress(CONTENT), "day.sec") == CONTENT
    assert decompress(zipped("day.sec"), "day.gz") == CONTENT


def test_gzip_members_in_a_row_and_zero_padding_are_one_file():
    assert decompress(gzip.compress(CONTENT) + gzip.compress(b"more") + b"\0" * 512, "day.gz") == CONTENT + b"more"


@pytest.mark.parametrize("kept", [3, 12, 60, -9, -1])
def test_a_cut_gzip_is_refused(kept):
    with pytest.raises(DataError, match="gzip archive is damaged") as caught:
        decompress(gzip.compress(CONTENT)[:kept], "day.gz")
    assert caught.value.reason == "corrupt_archive"


def test_a_flipped_bit_in_gzip_is_refused_by_its_checksum():
    raw = bytearray(gzip.compress(CONTENT, compresslevel=0))
    raw[300] ^= 1
    with pytest.raises(DataError) as caught:
        decompress(bytes(raw), "day.gz")
    assert caught.value.reason == "corrupt_archive"


def test_garbage_behind_gzip_is_refused_as_such():
    with pytest.raises(DataError, match=r"day\.gz: 26 bytes that are not gzip follow the archive") as caught:
        decompress(gzip.compress(CONTENT) + b"garbage behind the archive", "day.gz")
    assert caught.value.reason == "trailing_garbage"


def test_a_cut_member_behind_a_whole_one_ends_too_early():
    with pytest.raises(DataError, match="it is truncated") as caught:
        decompress(gzip.compress(CONTENT) + gzip.compress(CONTENT)[:-9], "day.gz")
    assert caught.value.reason == "corrupt_archive"


@pytest.mark.parametrize("kept", [10, 60, -30])
def test_a_cut_zip_is_refused(kept):
    with pytest.raises(DataError, match="zip archive is damaged") as caught:
        decompress(zipped("day.sec")[:kept], "day.zip")
    assert caught.value.reason == "corrupt_archive"


def test_a_flipped_bit_in_zip_is_refused_by_its_checksum():
    raw = bytearray(zipped("day.sec", method=zipfile.ZIP_STORED))
    raw[300] ^= 1
    with pytest.raises(DataError, match="CRC"):
        decompress(bytes(raw), "day.zip")


def test_a_zip_of_several_files_is_refused_by_name():
    with pytest.raises(DataError, match=r"2 files \(a.sec, b.sec\)") as caught:
        decompress(zipped("a.sec", "b.sec"), "days.zip")
    assert caught.value.reason == "several_members"


def test_folders_and_the_litter_of_desktops_do_not_count_as_files():
    assert decompress(zipped("day/", "day/a.sec", "__MACOSX/day/._a.sec", "day/.DS_Store"), "day.zip") == CONTENT


def test_a_member_whose_name_was_lost_is_no_crash():
    """``ZipInfo.is_dir`` fails on an empty name."""
    raw = zipped("a")
    central = raw.index(b"PK\x01\x02")
    nameless = raw[: central + 28] + b"\0\0" + raw[central + 30 :]
    with pytest.raises(DataError):
        decompress(nameless, "day.zip")


def test_a_zip_without_files_is_refused():
    with pytest.raises(DataError) as caught:
        decompress(zipped(), "day.zip")
    assert caught.value.reason == "empty_archive"


def test_an_archive_that_unpacks_without_end_is_refused(monkeypatch):
    monkeypatch.setattr("seismag.recordings.compression.UNPACKED_LIMIT", 1000)
    for raw in (gzip.compress(CONTENT), zipped("day.sec")):
        with pytest.raises(DataError, match="more than") as caught:
            decompress(raw, "bomb")
        assert caught.value.reason == "too_large"


def test_an_encrypted_zip_is_refused():
    raw = bytearray(zipped("day.sec"))
    raw[6] |= 1
    raw[raw.index(b"PK\x01\x02") + 8] |= 1
    with pytest.raises(DataError, match="encrypted"):
        decompress(bytes(raw), "day.zip")


def test_isal_inflates_what_zlib_deflates():
    stream = zlib.compressobj(9, zlib.DEFLATED, 31)
    assert decompress(stream.compress(CONTENT) + stream.flush(), "day.gz") == CONTENT
