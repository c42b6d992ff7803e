"""Pictures: the same power has the same brightness everywhere, and what is missing is black or grey."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from fixtures.archive_files import FIRST, GTO, KEEP_ALL, quiet_day
from fixtures.plain_store import plain_attributes, plain_samples
from seismag.config import DataConfig
from seismag.domain import DataError
from seismag.recordings import Recording, read_recording
from seismag.recordings.days import days_of, field_of_day
from seismag.recordings.figure import ENDINGS, draw_day, require_figure_ending
from seismag.spectrograms.decibels import window_spectra
from seismag.windows.export import IMAGE_DB_LIMITS, export_images
from seismag.windows.store import create_arrays, finish_store, open_store, write_shard


def recording(field, start=FIRST, rate=1.0):
    return Recording("GTO", start.astype("datetime64[ms]"), rate, field, "FRG-604RC", "0" * 64)


def pixels(path):
    return np.asarray(Image.open(path).convert("RGB"))


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """Four samples: a ramp in H beyond the limits, a constant of -5 dB in D among other levels, masked columns."""
    folder = tmp_path_factory.mktemp("images")
    power = np.full((4, 3, 224, 224), -5.0, np.float16)
    power[0, 0] = np.linspace(*IMAGE_DB_LIMITS, 224)[:, None]  # rises with frequency
    power[0, 0, 0], power[0, 0, -1] = -90.0, 80.0  # clipped
    power[1, 0], power[1, 2] = 8.0, -45.0  # other levels in other components, as another class may have
    power[3, 1, :, 50:60] = np.nan
    power[3, :, :, 100:110] = np.nan
    ids = [f"GTO-2021-03-0{n}T00" for n in range(1, 5)]
    store = folder / "store"
    create_arrays(store, ids, DataConfig())
    write_shard(store, 0, power, None)
    start = pd.to_datetime([f"2021-03-0{n}" for n in range(1, 5)])
    samples = pd.DataFrame(
        {"sample_id": ids, "station": "GTO", "start_utc": start, "end_utc": start + pd.Timedelta(hours=6),
         "magnitude_class": ["Normal", "Moderate", "Medium", "Large"], "azimuth_class": ["Normal", "N", "E", "S"],
         "split_group": "g", "event_id": [None, "a", "b", "c"]}
    )  # fmt: skip
    tables = pd.DataFrame({"reason": []}), pd.DataFrame({"verdict": []})
    finish_store(store, plain_samples(samples), *tables, plain_attributes(DataConfig()))
    calls = []
    export_images(open_store(store), folder / "png", lambda *call: calls.append(call))
    return folder / "png", ids, calls


def test_a_picture_is_the_native_grid_in_rgb(images):
    folder, ids, calls = images
    for name in ids:
        with Image.open(folder / f"{name}.png") as image:
            assert (image.size, image.mode) == ((224, 224), "RGB")
            assert not image.info.get("text")  # no label hidden in the file
    assert calls[-1] == ("images", 4, 4)


def test_red_is_h_green_is_d_blue_is_z_and_high_frequencies_are_on_top(images):
    folder, ids, _ = images
    red, green, blue = np.moveaxis(pixels(folder / f"{ids[0]}.png").astype(int), -1, 0)
    assert red[0, 0] == 255  # the highest frequency holds the upper limit
    assert red[-1, 0] == 1  # the lowest the lower limit: darkest, but not the black of what is missing
    assert np.all(np.diff(red[:, 0]) <= 0)
    assert len(np.unique(green)) == len(np.unique(blue)) == 1


def test_the_same_power_has_the_same_brightness_in_every_picture(images):
    folder, ids, _ = images
    expected = int((-5 - IMAGE_DB_LIMITS[0]) / (IMAGE_DB_LIMITS[1] - IMAGE_DB_LIMITS[0]) * 254 + 1)
    greens = [pixels(folder / f"{name}.png")[:, :, 1] for name in ids]
    for green in greens:
        assert set(np.unique(green)) <= {0, expected}
    assert np.all(greens[0] == expected)


@pytest.mark.real
def test_pictures_of_real_days_are_neither_dark_nor_clipped(real_data):
    shares = []
    for path in [real_data / "bmkg" / "S250101.ALR", *sorted((real_data / "usgs_1s_201404").iterdir())]:
        file = read_recording(path)
        field = field_of_day([file], days_of(file)[0])
        power_db = window_spectra(field, KEEP_ALL).power_db.astype(np.float32)
        values = power_db[np.isfinite(power_db)]
        brightness = (np.median(values) - IMAGE_DB_LIMITS[0]) / (IMAGE_DB_LIMITS[1] - IMAGE_DB_LIMITS[0])
        assert 0.3 < brightness < 0.6, path.name
        shares.append([(values < IMAGE_DB_LIMITS[0]).mean(), (values > IMAGE_DB_LIMITS[1]).mean()])
        assert max(shares[-1]) < 0.04, path.name
    assert len(shares) == 19
    assert np.mean(shares, axis=0) == pytest.approx([0.0023, 0.0060], abs=0.0005)


def test_masked_columns_are_black_in_their_component(images):
    folder, ids, _ = images
    image = pixels(folder / f"{ids[3]}.png")
    black = image == 0
    expected = np.zeros((224, 3), bool)
    expected[50:60, 1] = True
    expected[100:110] = True
    np.testing.assert_array_equal(black, np.broadcast_to(expected, (224, 224, 3)))


def test_the_metadata_lists_every_picture_with_its_limits(images):
    folder, ids, _ = images
    table = pd.read_csv(folder / "metadata.csv")
    assert table["file"].tolist() == [f"{name}.png" for name in ids]
    assert all((folder / name).is_file() for name in table["file"])
    assert set(table["db_low"]) == {IMAGE_DB_LIMITS[0]}
    assert set(table["db_high"]) == {IMAGE_DB_LIMITS[1]}
    assert table["magnitude_class"].tolist() == ["Normal", "Moderate", "Medium", "Large"]
    assert table["start_utc"].tolist()[0].startswith("2021-03-01T00:00:00")


@pytest.fixture(scope="module")
def day_picture(tmp_path_factory):
    path = tmp_path_factory.mktemp("day") / "day.png"
    field = quiet_day(GTO, FIRST)
    field[:, 30_000:32_000] = np.nan
    draw_day(recording(field), KEEP_ALL, path)
    return pixels(path)


def test_a_day_is_drawn(day_picture):
    assert min(day_picture.shape[:2]) > 500
    assert len(np.unique(day_picture.reshape(-1, 3), axis=0)) > 100  # traces, colours, text: not blank


@pytest.mark.parametrize("ending", ENDINGS)
def test_every_ending_that_is_offered_works(ending, tmp_path):
    path = require_figure_ending(tmp_path / f"day{ending}")
    field = np.full((3, 86_400), np.nan)
    field[:, :30_000] = quiet_day(GTO, FIRST)[:, :30_000]
    draw_day(recording(field), KEEP_ALL.model_copy(update={"n_bins": 20}), path)
    assert path.stat().st_size > 1_000


def test_an_empty_day_cannot_be_drawn(tmp_path):
    with pytest.raises(DataError, match="no value"):
        draw_day(recording(np.full((3, 86_400), np.nan)), KEEP_ALL, tmp_path / "day.png")
    assert not (tmp_path / "day.png").exists()


def test_minute_means_cannot_be_drawn(tmp_path):
    with pytest.raises(DataError, match="1 sample per second"):
        draw_day(recording(np.zeros((3, 1_440)), rate=1 / 60), KEEP_ALL, tmp_path / "day.png")
