"""The path from a recording to decibels is the same for the store, for predictions and by hand."""

import ast
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import seismag
from fixtures.archive_files import FIRST, GTO, KEEP_ALL, day_bytes, day_name, prepare_days, quiet_day
from seismag.cards import ModelCard
from seismag.config import DataConfig
from seismag.domain import AZIMUTH_CLASSES, MAGNITUDE_CLASSES, DataError
from seismag.models import predict
from seismag.recordings import Recording, read_recording
from seismag.recordings.spectrogram import recording_spectrogram
from seismag.spectrograms.compute import to_decibel
from seismag.spectrograms.decibels import window_spectra
from seismag.windows.store import PREPROCESSING_KEYS, open_store

SPEC = KEEP_ALL.model_copy(update={"n_bins": 40, "step_s": 300, "cross_spectra": True})


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """One day with a spike, a step, a stuck hour, a short gap and a long one."""
    folder = tmp_path_factory.mktemp("decibels") / "archive"
    (folder / "GTO").mkdir(parents=True)
    field = quiet_day(GTO, FIRST)
    field[0, 5_000] += 80
    field[1, 30_000:] += 50
    field[2, 70_000:71_000] = field[2, 70_000]
    field[:, 10_000:10_002] = np.nan
    field[1, 50_000:50_100] = np.nan
    (folder / "GTO" / day_name(GTO, FIRST)).write_bytes(day_bytes(GTO, FIRST, field))
    return folder


def test_prepare_predict_and_the_function_give_the_same_bits(archive, tmp_path, monkeypatch):
    path = archive / "GTO" / day_name(GTO, FIRST)
    spectra = window_spectra(read_recording(path).field_nt, SPEC, cross=True)
    assert np.isnan(spectra.power).any(axis=(1, 2, 3)).all()  # every window has an artefact or a gap
    store = open_store(prepare_days(archive, tmp_path, SPEC)[0].store)
    np.testing.assert_array_equal(store.power[:].view(np.uint16), spectra.power_db.view(np.uint16))
    np.testing.assert_array_equal(store.cross[:].view(np.uint16), spectra.phasors.view(np.uint16))

    given = {}

    def predict_power(_loaded, power_db, phasors):
        given.update(power_db=power_db, phasors=phasors)
        return *(np.full((len(power_db), len(c)), 1 / len(c)) for c in (MAGNITUDE_CLASSES, AZIMUTH_CLASSES)), None

    monkeypatch.setattr(predict, "predict_power", predict_power)
    card = ModelCard(run_id="trial", preprocessing={key: getattr(SPEC, key) for key in PREPROCESSING_KEYS})
    model = SimpleNamespace(config=SimpleNamespace(input="power_cross"))
    loaded = SimpleNamespace(path=None, card=card, model=model, trained_on=())
    predict.predict_recording(loaded, read_recording(path), {"GTO": GTO})
    np.testing.assert_array_equal(given["power_db"].view(np.uint16), spectra.power_db.view(np.uint16))
    np.testing.assert_array_equal(given["phasors"].view(np.uint16), spectra.phasors.view(np.uint16))


def test_a_recording_of_one_window_has_the_decibels_of_the_store(archive):
    recording = read_recording(archive / "GTO" / day_name(GTO, FIRST))
    window = recording.field_nt[:, 43_200:64_800]
    six_hours = Recording("GTO", recording.start_utc + np.timedelta64(12, "h"), 1.0, window, "FRG-604RC", "")
    power = recording_spectrogram(six_hours, SPEC)["power"]
    expected = window_spectra(recording.field_nt, SPEC).power_db[2]
    assert np.isnan(expected).any()
    np.testing.assert_array_equal(to_decibel(power.values).view(np.uint16), expected.view(np.uint16))


def test_a_spectrogram_of_any_length_has_axes_with_units(archive):
    day = read_recording(archive / "GTO" / day_name(GTO, FIRST))
    spectrogram = recording_spectrogram(day, SPEC)
    assert dict(spectrogram.sizes) == {"component": 3, "frequency": 40, "time": 287}  # 1 + (86400 - 600) // 300
    assert spectrogram["power"].attrs["units"] == "nT^2/Hz"
    assert spectrogram["frequency"].attrs["units"] == "Hz"
    assert spectrogram["time"].values[[0, -1]].astype("M8[s]").tolist() == [
        np.datetime64("2021-03-01T00:05:00").item(), np.datetime64("2021-03-01T23:55:00").item()
    ]  # fmt: skip
    assert spectrogram["elapsed"].values[[0, 1]].tolist() == [300.0, 600.0]
    spike = spectrogram["power"].sel(component="H").sel(time="2021-03-01T01:23:20", method="nearest")
    assert bool(spike.isnull().all())


def test_a_recording_too_short_or_of_another_rate_is_refused_with_a_remedy():
    start = np.datetime64("2021-03-01T00:00", "ms")
    short = Recording("GTO", start, 1.0, np.zeros((3, 599)), "miniSEED", "")
    with pytest.raises(DataError, match=r"GTO: 599 s are shorter than one segment \(600 s\)\. Use a longer recording"):
        recording_spectrogram(short)
    minutes = Recording("GTO", start, 1 / 60, np.zeros((3, 1440)), "IAGA-2002", "")
    with pytest.raises(DataError, match="need 1 per second"):
        recording_spectrogram(minutes, DataConfig())


def test_no_other_module_leaves_out_a_step():
    """Whoever needs power goes through ``decibels``, so that nobody forgets the artefacts."""
    callers = set()
    root = Path(seismag.__file__).parent
    for path in root.rglob("*.py"):
        names = {node.id for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Name)}
        if names & {"power_spectrogram", "power_and_phasors", "mask_artefacts"}:
            callers.add(path.relative_to(root).as_posix())
    assert callers == {"spectrograms/compute.py", "spectrograms/decibels.py"}
