"""The public Python API: recordings, spectrograms, stores, models, labels, scores and audits for a notebook.

Everything here is a thin layer over the functions that the commands use, so the numbers are the same. Use it as
``import seismag``; docs/python.md is a tour. ``config`` is a whole configuration (``seismag.load_config``), of which
each function reads the sections that it names; None stands for the default values.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from seismag.archive.catalogs import Catalog, read_catalogs
from seismag.arguments import (
    WINDOW,
    PathLike,
    checked_windows,
    path_of,
    read_table_file,
    recording_of,
    require_columns,
    stations_of,
    whole_config,
)
from seismag.config import Config, load_config
from seismag.domain import DataError, Station, UsageError
from seismag.files import write_table
from seismag.recordings import Recording, read_recording
from seismag.windows.schema import prepared_with
from seismag.windows.store import Store

if TYPE_CHECKING:
    import pandas as pd
    import xarray
    from torch.utils.data import Dataset

    from seismag.cards import ModelCard
    from seismag.training.checkpoint import LoadedModel


def read(path: PathLike) -> Recording:
    """Read a recording of any supported format, plain or compressed.

    Args:
        path: FRG-604RC, IAGA-2002, ImagCDF, MagPy CDF or miniSEED; the format is found from the content.

    Raises:
        DataError: the file cannot be read, or is of no supported format.

    Example:
        >>> recording = read(day_file)
        >>> recording.station, recording.samples
        ('GTO', 86400)
    """
    return read_recording(path_of(path, "path"))


def spectrogram(recording: Recording | PathLike, config: Config | None = None) -> xarray.Dataset:
    """Compute the spectrogram of a recording of any length, with artefacts masked as in a store.

    Args:
        recording: at 1 Hz, or the path of one.
        config: section data. ``store.config`` and ``model.config`` give the grid of a store or a model.

    Returns:
        ``power`` (component, frequency, time) in nT²/Hz, coordinates with units; NaN in masked time frames.

    Example:
        >>> spectrogram(read(day_file)).power.dims
        ('component', 'frequency', 'time')
    """
    from seismag.recordings.spectrogram import recording_spectrogram

    return recording_spectrogram(recording_of(recording), whole_config(config).data)


@dataclass(frozen=True)
class LabelledStore(Store):
    """A store with its labels: samples as a DataFrame, arrays as xarray and torch data sets."""

    def __repr__(self) -> str:
        return f"LabelledStore({self.path}, {len(self.samples)} samples of shape {self.power.shape[1:]})"

    @property
    def config(self) -> Config:
        """The configuration by which the store was prepared (section data)."""
        return Config(data=prepared_with(self.attributes, self.path))

    def to_xarray(self) -> xarray.Dataset:
        """Open the arrays lazily, with the labels of the samples as coordinates.

        Returns:
            ``power`` (sample, component, frequency, time) in dB re 1 nT²/Hz, ``cross`` where the store has it.
        """
        import xarray

        data = xarray.open_zarr(self.path)
        labels = {name: ("sample", self.samples[name].to_numpy()) for name in self.samples if name != "sample_id"}
        plain = {name: value for name, value in labels.items() if not isinstance(value[1][0], (list, np.ndarray))}
        return data.assign_coords(sample=self.samples["sample_id"].to_numpy(), **plain)

    def torch_dataset(self, split: PathLike | pd.DataFrame, subset: str, fold: int = 1) -> Dataset[Any]:
        """Give the windows of one subset of a split, scaled as in a training.

        Args:
            split: splits/NAME.parquet, or a table as from ``seismag.split``.
            subset: train, val or test.
            fold: of the split, from 1.

        Returns:
            Items (x, magnitude, azimuth): x (channel, frequency, time) float32, and the indices of the classes in
            ``seismag.domain.MAGNITUDE_CLASSES`` and ``AZIMUTH_CLASSES``. Samples are in the order of the store.

        Raises:
            SeismagError: no such subset or fold, or the split is of another store.
        """
        import pandas as pd

        from seismag.training.dataset import SpectrogramDataset, iterate_power, role_indices
        from seismag.training.scaling import fit_scaling

        if subset not in ("train", "val", "test"):
            raise UsageError(f"subset {subset!r}: choose train, val or test.")
        table = split if isinstance(split, pd.DataFrame) else read_table_file(split, "split")
        require_columns(table, ["sample_id", "fold", "role"], "split")
        training = role_indices(self.samples, table, fold, "train")
        scaling = fit_scaling(iterate_power(self.power, training))
        return SpectrogramDataset(self, role_indices(self.samples, table, fold, subset), scaling)


@dataclass(frozen=True)
class Model:
    """A stored model.

    Attributes:
        loaded: network, scaling and model card.
    """

    loaded: LoadedModel

    @property
    def card(self) -> ModelCard:
        """The model card: data set, split, scores, versions."""
        return self.loaded.card

    @property
    def config(self) -> Config:
        """The configuration of the windows that the model predicts (section data)."""
        from seismag.models.predict import require_recordings

        return Config(data=require_recordings(self.loaded))

    def __repr__(self) -> str:
        return f"Model({self.card.run_id}, {self.card.backbone})"

    def predict(
        self,
        data: Recording | Store | xarray.Dataset | PathLike,
        stations: PathLike | Mapping[str, Station] | None = None,
    ) -> pd.DataFrame:
        """Predict the classes of windows; the numbers are those of ``seismag predict``.

        Args:
            data: a recording, a store (or the path of either), or the spectrogram of one window on the model's grid:
                ``seismag.spectrogram(recording, model.config)``. The windows of a recording begin at 00, 06, 12 and
                18 UTC; one that it does not fill is not usable.
            stations: station file or stations by code, for the plausibility check of a recording; None: the BMKG
                stations.

        Returns:
            One row a window: station, start_utc, end_utc (UTC, naive), usable, reason, origin, in_training, p_event,
            p_magnitude_<Class>, p_azimuth_<Class>, and of a store its sample_id; and, compared with the reference of
            the model, the attributes of ``seismag.scoring.reference.Placement``, percentile and base_rate among them.

        Raises:
            SeismagError: the model cannot predict such data; the message gives the reason.
        """
        import pandas as pd
        import xarray

        from seismag.models import predict as prediction

        if isinstance(data, (str, Path)) and Path(data).is_dir():
            data = open_store(data)
        if isinstance(data, Store):
            windows = prediction.predict_samples(self.loaded, data)
        elif isinstance(data, xarray.Dataset):
            windows = [prediction.predict_spectrogram(self.loaded, data["power"].to_numpy())]
        else:
            windows = prediction.predict_recording(self.loaded, recording_of(data), stations_of(stations))
        table = prediction.Predictions("", self.card, 1, [], windows).to_table()
        table["reason"] = table["reason"].astype(object).where(table["reason"].notna(), None)
        for name in ("start_utc", "end_utc"):
            table[name] = pd.to_datetime(table[name], utc=True).dt.tz_localize(None).astype("datetime64[ms]")
        if isinstance(data, Store):
            table.insert(0, "sample_id", data.samples["sample_id"].to_numpy())
        return table


def load_model(path: PathLike) -> Model:
    """Load a checkpoint and verify its checksum.

    Args:
        path: ``.pth`` with its model card beside it.

    Raises:
        SeismagError: no such file, another checksum, or a damaged checkpoint.

    Example:
        >>> load_model(model_file).predict(day_file).p_event.between(0, 1).all()
        np.True_
    """
    from seismag.training.checkpoint import load_checkpoint

    return Model(load_checkpoint(path_of(path, "path")))


def open_store(path: PathLike) -> LabelledStore:
    """Open a finished store.

    Raises:
        DataError: it is no store, unfinished or damaged.

    Example:
        >>> store = open_store(store_folder)
        >>> store.to_xarray().power.dims
        ('sample', 'component', 'frequency', 'time')
    """
    from seismag.windows import store as stores

    return LabelledStore(**vars(stores.open_store(path_of(path, "path"))))


def label(
    windows: pd.DataFrame,
    catalog: PathLike | Sequence[PathLike] | Catalog,
    stations: PathLike | Mapping[str, Station] | None = None,
    *,
    kp: PathLike | None = None,
    dst: PathLike | None = None,
    config: Config | None = None,
) -> pd.DataFrame:
    """Label windows by the earthquakes that follow.

    Args:
        windows: station, start_utc and end_utc (UTC, end not included).
        catalog: an earthquake catalogue, or several files of one.
        stations: station file or stations by code; None: the BMKG stations.
        kp, dst: indices; None: no space weather beside the labels.
        config: section data: magnitude-distance criterion, horizon and exclusion interval.

    Returns:
        The windows in their order, with magnitude_class, azimuth_class, event_id and the other columns of labels of
        samples.parquet. A window that can be neither event nor control window has no class, but ``reason`` and
        ``detail``.

    Raises:
        SeismagError: a column or a time is missing, a window ends before it starts, or a station or file is unknown.

    Example:
        >>> samples = open_store(store_folder).samples
        >>> windows = samples[["station", "start_utc", "end_utc"]]
        >>> label(windows, catalog_file, station_file).magnitude_class.equals(samples.magnitude_class)
        True
    """
    import pandas as pd

    from seismag.archive.indices import read_index
    from seismag.windows.labels import label_windows

    known = stations_of(stations)
    keys = checked_windows(windows, known)
    if not isinstance(catalog, Catalog):
        paths = [catalog] if isinstance(catalog, (str, Path)) else list(catalog)
        catalog = read_catalogs([path_of(path, "catalog") for path in paths])
    kp_index = None if kp is None else read_index(path_of(kp, "kp"), "kp")
    dst_index = None if dst is None else read_index(path_of(dst, "dst"), "dst")
    labels = label_windows(keys.drop_duplicates(), catalog, known, whole_config(config).data, kp_index, dst_index)
    found = pd.concat([labels.samples, labels.rejected], ignore_index=True)
    not_given = [name for name, index in (("kp_max", kp_index), ("dst_min_nt", dst_index)) if index is None]
    found = keys.merge(found.drop(columns=not_given), on=WINDOW, how="left").drop(columns=WINDOW)
    return pd.concat([windows.drop(columns=found.columns, errors="ignore"), found.set_index(windows.index)], axis=1)


def split(samples: pd.DataFrame, config: Config | None = None) -> pd.DataFrame:
    """Assign windows to training, validation and test set, by earthquake cluster, station, region or period.

    Args:
        samples: of a store.
        config: section split (method, number of folds, seed; by default event clusters are left out, in ten folds);
            of section data the window's length and the horizon, within which windows of a station are dependent.

    Returns:
        sample_id, fold, role (train, val, test or ``purged``: excluded), split_group.

    Example:
        >>> table = split(open_store(store_folder).samples, load_config(None, ["split.n_folds=2"]))
        >>> sorted(set(table.role) - {"purged"})
        ['test', 'train', 'val']
    """
    from seismag.splits import assign_split

    needed = ["sample_id", "station", "start_utc", "split_group", "cluster_ids", "magnitude_class"]
    settings = whole_config(config)
    require_columns(samples, needed, "samples")
    return assign_split(samples, settings.split, settings.data.window_h + settings.data.horizon_h)


def evaluate(table: pd.DataFrame | PathLike, config: Config | None = None) -> dict[str, object]:
    """Score predictions of any origin, with intervals by event cluster.

    Args:
        table: a DataFrame, or a CSV or parquet file, with the columns of PREDICTIONS (docs/data-formats.md), or y
            (0 or 1, or class names with Normal) and p_event alone; split_group, where rows depend on each other.
        config: section evaluate.

    Returns:
        The content of metrics.json; of a table with y and p_event, the scores of detection alone.

    Example:
        >>> table = pd.DataFrame({"y": [0, 0, 1, 1] * 10, "p_event": [0.1, 0.4, 0.6, 0.9] * 10})
        >>> evaluate(table)["detection"]["balanced_accuracy"]["value"]
        1.0
    """
    import pandas as pd

    from seismag.scoring.compute import evaluate_predictions
    from seismag.scoring.events import evaluate_events

    spec = whole_config(config).evaluate
    if not isinstance(table, pd.DataFrame):
        table = read_table_file(table, "table")
    if "p_magnitude_Normal" not in table:
        scores = evaluate_events(table, spec).to_json()
        return {**scores, "detection": scores.pop("scores")}
    return evaluate_predictions(table, config=spec).to_json()


def audit(
    table: pd.DataFrame | PathLike, label: str, groups: str | Sequence[str] | None = None, config: Config | None = None
) -> dict[str, Any]:
    """Check the integrity of a table of labels and metadata.

    Args:
        table: a DataFrame, or a CSV or parquet file.
        label: column of the class.
        groups: rows that are equal in these columns stay together; None: station and date, where there are such.
        config: section audit.

    Returns:
        The content of audit.json.

    Example:
        >>> audit(labels_file, label="magnitude_class", groups="split_group")["gate"]
        'pass'
    """
    import tempfile

    import pandas as pd

    from seismag.audit.compute import audit_labels

    spec = whole_config(config).audit
    groups = [groups] if isinstance(groups, str) else groups
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "table.parquet"
        if isinstance(table, pd.DataFrame):
            if table.empty:
                raise DataError("table: it has no rows.")
            plain = [name for name in table if not isinstance(table[name].iloc[0], (list, np.ndarray))]
            write_table(table[plain], path)
        else:
            path = path_of(table, "table")
        return audit_labels(path, label, groups, spec).to_json()


def simulate(out: PathLike, config: Config | PathLike | None = None, workers: int = 1) -> Path:
    """Write a synthetic archive with known ground truth.

    Args:
        out: empty or new folder.
        config: section simulate; or a configuration file.
        workers: processes.

    Returns:
        The folder.

    Example:
        >>> simulate(new_folder, load_config(None, ["simulate.days=1", "simulate.stations=[GTO]"])).is_dir()
        True
    """
    from seismag.simulate import simulate_archive

    settings = load_config(config) if isinstance(config, (str, Path)) else whole_config(config)
    simulate_archive(settings.simulate, path_of(out, "out"), workers)
    return Path(out)
