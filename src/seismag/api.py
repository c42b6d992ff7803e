"""The public Python API: recordings, spectrograms, stores, models, labels, scores and audits for a notebook.

Everything here is a thin layer over the functions that the commands use, so the numbers are the same. Use it as
``import seismag``; docs/python.md is a tour.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from seismag.archive.catalogs import Catalog, read_catalogs
from seismag.archive.stations import read_stations
from seismag.config import Config, DataConfig, SplitConfig, load_config
from seismag.domain import Station
from seismag.files import write_table
from seismag.recordings import Recording, read_recording
from seismag.windows.store import Store

if TYPE_CHECKING:
    import pandas as pd
    import xarray
    from torch.utils.data import Dataset

    from seismag.cards import ModelCard
    from seismag.training.checkpoint import LoadedModel

PathLike = str | Path


def read(path: PathLike) -> Recording:
    """Read a recording of any supported format, plain or compressed.

    Args:
        path: FRG-604RC, IAGA-2002, ImagCDF, MagPy CDF or miniSEED; the format is found from the content.

    Raises:
        DataError: the file cannot be read, or is of no supported format.

    Example:
        >>> recording = read(day_file)
        >>> recording.station, recording.samples
        ('ALR', 86400)
    """
    return read_recording(Path(path))


def spectrogram(recording: Recording, config: DataConfig | None = None) -> xarray.Dataset:
    """Compute the spectrogram of a recording of any length, with artefacts masked as in a store.

    Args:
        recording: at 1 Hz.
        config: section ``data`` of a configuration; None: its defaults.

    Returns:
        ``power`` (component, frequency, time) in nT²/Hz, coordinates with units; NaN in masked time frames.

    Example:
        >>> spectrogram(read(day_file)).power.dims
        ('component', 'frequency', 'time')
    """
    from seismag.spectrograms.decibels import recording_spectrogram

    return recording_spectrogram(recording, config)


@dataclass(frozen=True)
class LabelledStore(Store):
    """A store with its labels: samples as a DataFrame, arrays as xarray and torch data sets."""

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
            Items are mappings: ``x`` (channel, frequency, time) float32, class indices ``magnitude`` and ``azimuth``.
        """
        import pandas as pd

        from seismag.training.dataset import SpectrogramDataset, iterate_power, role_indices
        from seismag.training.scaling import fit_scaling

        table = split if isinstance(split, pd.DataFrame) else pd.read_parquet(split)
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

    def __repr__(self) -> str:
        return f"Model({self.card.run_id}, {self.card.backbone})"

    def predict(
        self, data: Recording | Store | xarray.Dataset | PathLike, stations: PathLike | None = None
    ) -> pd.DataFrame:
        """Predict the classes of windows; the numbers are those of ``seismag predict``.

        Args:
            data: a recording (or the path of one), a store, or the spectrogram of one window.
            stations: station file, for the plausibility check of a recording; None: the BMKG stations.

        Returns:
            One row a window: station, start_utc, end_utc, usable, reason, p_event, p_magnitude_<Class>,
            p_azimuth_<Class>.

        Raises:
            SeismagError: the model cannot predict such data; the message gives the reason.
        """
        from seismag.models import predict as prediction

        if isinstance(data, Store):
            windows = prediction.predict_samples(self.loaded, data)
        elif isinstance(data, (str, Path, Recording)):
            recording = data if isinstance(data, Recording) else read(data)
            known = read_stations(Path(stations) if stations is not None else None)
            windows = prediction.predict_recording(self.loaded, recording, known)
        else:
            windows = [prediction.predict_spectrogram(self.loaded, data["power"].to_numpy())]
        table = prediction.Predictions("", self.card, 1, [], windows).to_table()
        return table.assign(p_event=1 - table["p_magnitude_Normal"])


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

    return Model(load_checkpoint(Path(path)))


def open_store(path: PathLike) -> LabelledStore:
    """Open a finished store.

    Raises:
        DataError: it is no store, unfinished or damaged.

    Example:
        >>> store = open_store(store_folder)
        >>> list(store.samples.columns[:3])
        ['sample_id', 'station', 'start_utc']
        >>> store.to_xarray().power.dims
        ('sample', 'component', 'frequency', 'time')
    """
    from seismag.windows import store as stores

    return LabelledStore(**vars(stores.open_store(Path(path))))


def label(
    windows: pd.DataFrame,
    catalog: PathLike | Sequence[PathLike] | Catalog,
    stations: PathLike | Mapping[str, Station] | None = None,
    *,
    kp: PathLike | None = None,
    dst: PathLike | None = None,
    config: DataConfig | None = None,
) -> pd.DataFrame:
    """Label windows by the earthquakes that follow.

    Args:
        windows: station, start_utc and end_utc (UTC, end not included).
        catalog: an earthquake catalogue, or several files of one.
        stations: station file or stations by code; None: the BMKG stations.
        kp, dst: indices; None: no space weather beside the labels.
        config: magnitude-distance criterion, horizon and exclusion interval; None: the defaults.

    Returns:
        The windows with magnitude_class, azimuth_class, event_id and the rest of samples.parquet; windows that can
        be neither event nor control windows have the class missing and a ``reason``.

    Example:
        >>> windows = pd.DataFrame({"station": ["ALR"], "start_utc": [pd.Timestamp("2025-01-01")],
        ...                         "end_utc": [pd.Timestamp("2025-01-01T06")]})
        >>> label(windows, catalog_file).magnitude_class.tolist()
        ['Medium']
    """
    import pandas as pd

    from seismag.archive.indices import read_index
    from seismag.windows.labels import label_windows

    events = catalog if isinstance(catalog, Catalog) else read_catalogs([Path(path) for path in _listed(catalog)])
    known = (
        dict(stations) if isinstance(stations, Mapping) else read_stations(None if stations is None else Path(stations))
    )
    kp_index = None if kp is None else read_index(Path(kp), "kp")
    dst_index = None if dst is None else read_index(Path(dst), "dst")
    labels = label_windows(windows, events, known, config or load_config().data, kp_index, dst_index)
    return pd.concat([labels.samples, labels.rejected], ignore_index=True)


def split(samples: pd.DataFrame, config: SplitConfig | None = None, *, reach_h: float = 54.0) -> pd.DataFrame:
    """Assign windows to training, validation and test set, by earthquake cluster, station, region or period.

    Args:
        samples: of a store.
        config: method, number of folds, seed; None: leave one event cluster out, ten folds.
        reach_h: window length plus horizon, h; windows of a station that start closer are not independent.

    Returns:
        sample_id, fold, role (train, val, test or ``purged``: excluded), split_group.

    Example:
        >>> table = split(open_store(store_folder).samples, SplitConfig(n_folds=2))
        >>> sorted(table.role.unique())
        ['purged', 'test', 'train', 'val']
    """
    from seismag.splits import assign_split

    return assign_split(samples, config or load_config().split, reach_h)


def evaluate(table: pd.DataFrame | PathLike, config: Config | None = None) -> dict[str, object]:
    """Score predictions of any origin, with intervals by event cluster.

    Args:
        table: the columns of PREDICTIONS (docs/data-formats.md), or y and p_event alone.
        config: its section ``evaluate`` counts; None: the defaults.

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

    spec = (config or load_config()).evaluate
    if not isinstance(table, pd.DataFrame):
        path = Path(table)
        table = pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path)
    if "p_event" in table and "p_magnitude_Normal" not in table:
        scores = evaluate_events(table, spec).to_json()
        return {**scores, "detection": scores.pop("scores")}
    return evaluate_predictions(table, config=spec).to_json()


def audit(
    table: pd.DataFrame | PathLike, label: str, groups: Sequence[str] | None = None, config: Config | None = None
) -> dict[str, Any]:
    """Check the integrity of a table of labels and metadata.

    Args:
        table: a DataFrame, or a CSV or parquet file.
        label: column of the class.
        groups: rows that are equal in these columns stay together; None: station and date, where there are such.
        config: its section ``audit`` counts; None: the defaults.

    Returns:
        The content of audit.json.

    Example:
        >>> audit(labels_file, label="magnitude_class", groups=["station", "date"])["gate"]
        'fail'
    """
    import tempfile

    import pandas as pd

    from seismag.audit.compute import audit_labels

    spec = (config or load_config()).audit
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "table.parquet"
        if isinstance(table, pd.DataFrame):
            plain = [name for name in table if not isinstance(table[name].iloc[0], (list, np.ndarray))]
            write_table(table[plain], path)
        else:
            path = Path(table)
        return audit_labels(path, label, groups, spec.features or None, spec).to_json()


def simulate(out: PathLike, config: Config | PathLike | None = None, workers: int = 1) -> Path:
    """Write a synthetic archive with known ground truth.

    Args:
        out: empty or new folder.
        config: its section ``simulate`` counts; or a configuration file.
        workers: processes.

    Returns:
        The folder.

    Example:
        >>> simulate(new_folder, load_config(None, ["simulate.days=1", "simulate.stations=[GTO]"])).name
        'synthetic'
    """
    from seismag.simulate import simulate_archive

    settings = config if isinstance(config, Config) else load_config(config)
    simulate_archive(settings.simulate, Path(out), workers)
    return Path(out)


def _listed(paths: PathLike | Sequence[PathLike]) -> Sequence[PathLike]:
    return [paths] if isinstance(paths, (str, Path)) else paths
