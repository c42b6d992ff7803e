"""Two-dimensional view of the pooled features, and linear probes of what they encode."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from sklearn.model_selection import GroupKFold

from seismag.domain import DataError
from seismag.scoring.figure import STYLE, save_figure
from seismag.scoring.linear_probe import PROBE_DIMENSIONS, probe_accuracy
from seismag.scoring.null import Null

MAX_ROWS = 2000  # t-SNE of more takes minutes
PERPLEXITY = 30.0
MIN_ROWS = 5
_SHUFFLES = 99
NO_EVIDENCE = (
    "Clusters in this view are not evidence of a signal: t-SNE forms clusters from noise, and stations or magnetic "
    "storms form clusters as well. The probes measure what the features encode."
)
_CLASS_COLOURS = {"Normal": "#999999", "Moderate": "#56B4E9", "Medium": "#E69F00", "Large": "#D55E00"}
_MARKERS = "os^Dv<>phX*"
_STATION_COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9", "#000000")  # Okabe and Ito


@dataclass(frozen=True)
class Probe:
    """A linear probe of a column.

    Attributes:
        balanced_accuracy: out of fold by group; None if undefined.
        shuffled: mean for shuffled values.
        p_value: fraction of shuffles that reach the balanced accuracy.
        n_classes: values of the column.
        undefined: reason.
    """

    balanced_accuracy: float | None
    shuffled: float | None = None
    p_value: float | None = None
    n_classes: int = 0
    undefined: str = ""

    def to_json(self) -> dict[str, object]:
        """Give the numbers, or the reason why they are undefined."""
        if self.undefined:
            return {"balanced_accuracy": None, "undefined": self.undefined}
        return {name: value for name, value in asdict(self).items() if name != "undefined"}


@dataclass(frozen=True)
class EmbeddingView:
    """Coordinates of the windows in the view.

    Attributes:
        table: sample_id, pca_1, pca_2, tsne_1, tsne_2, magnitude_class, azimuth_class, station, kp_max.
        n_windows: before sampling.
        seed: of the sample, of t-SNE and of the probes.
        n_features: of an embedding.
        explained_variance: fraction of the variance of the first two principal components.
        perplexity: of t-SNE.
        probes: by column.
    """

    table: pd.DataFrame
    n_windows: int
    seed: int
    n_features: int
    explained_variance: list[float]
    perplexity: float
    probes: dict[str, Probe]

    def to_json(self) -> dict[str, object]:
        """Give the keys of ``embeddings`` in explanation.json."""
        return {
            "n_windows": self.n_windows, "n_drawn": len(self.table), "seed": self.seed, "features": self.n_features,
            "pca_explained_variance_share": self.explained_variance, "tsne_perplexity": self.perplexity,
            "tsne_iterations": 1000, "note": NO_EVIDENCE,
            "probes": {name: probe.to_json() for name, probe in self.probes.items()},
        }  # fmt: skip


def view_embeddings(embeddings: NDArray[Any], rows: pd.DataFrame, seed: int) -> EmbeddingView:
    """Project features by PCA and by t-SNE.

    Args:
        embeddings: (n, C) pooled features.
        rows: n windows: sample_id, station, split_group, magnitude_class, azimuth_class, kp_max.
        seed: of the sample of at most ``MAX_ROWS`` rows, of t-SNE, and of the shuffles of the probes.

    Raises:
        DataError: fewer than five rows, lengths that differ, or a value that is not finite.

    Source: t-SNE, van der Maaten & Hinton (2008), JMLR 9, 2579-2605, started from the PCA.
    """
    if len(embeddings) != len(rows):
        raise DataError(f"embeddings: {len(embeddings)} rows for {len(rows)} windows. Use those of the same run.")
    if len(rows) < MIN_ROWS:
        raise DataError(f"embeddings: {len(rows)} windows are too few for a view (at least {MIN_ROWS}).")
    if not np.isfinite(embeddings).all():
        raise DataError("embeddings: a value is not finite. Predict again; a model that diverged has no embeddings.")
    rng = np.random.default_rng([seed, 67])
    shown = np.sort(rng.choice(len(rows), min(MAX_ROWS, len(rows)), replace=False))
    x, table = embeddings[shown].astype(float), rows.iloc[shown].reset_index(drop=True)
    pca = PCA(min(50, *x.shape), svd_solver="full")
    scores = pca.fit_transform(x)
    flat = np.zeros((len(x), 2))
    flat[:, : min(2, scores.shape[1])] = scores[:, :2]
    perplexity = min(PERPLEXITY, (len(x) - 1) / 3)
    tsne = TSNE(2, perplexity=perplexity, init="pca", random_state=seed).fit_transform(scores.astype(np.float32))
    coordinates = pd.DataFrame(
        {
            "sample_id": table["sample_id"], "pca_1": flat[:, 0], "pca_2": flat[:, 1],
            "tsne_1": tsne[:, 0], "tsne_2": tsne[:, 1],
            **{name: table.get(name) for name in ("magnitude_class", "azimuth_class", "station", "kp_max")},
        }
    )  # fmt: skip
    explained = [float(value) for value in pca.explained_variance_ratio_[:2]]
    probes = {name: _probe_column(x, table, name, rng) for name in ("station", "magnitude_class")}
    return EmbeddingView(coordinates, len(rows), seed, int(x.shape[1]), explained, float(perplexity), probes)


def _probe_column(x: NDArray[Any], table: pd.DataFrame, column: str, rng: np.random.Generator) -> Probe:
    """Balanced accuracy of a linear probe of a column, out of fold by group, and for shuffled values.

    The station probe of the audit is the same with more shuffles.
    """
    labels, names = pd.factorize(table[column], sort=True)
    group = pd.factorize(table["split_group"])[0]
    n_folds = min(5, len(np.unique(group)))
    if len(names) < 2 or n_folds < 2:
        return Probe(None, undefined=f"{len(names)} values in {n_folds} groups: no probe.")
    reduced = PCA(min(PROBE_DIMENSIONS, *x.shape), svd_solver="full").fit_transform(x)
    folds = list(GroupKFold(n_folds).split(reduced, groups=group))
    shuffled = rng.permuted(np.tile(labels, (_SHUFFLES, 1)), axis=1)
    found = probe_accuracy(reduced, np.concatenate([labels[None], shuffled]), folds)
    return Probe(float(found[0]), float(found[1:].mean()), Null(found[1:]).p_value(found[0]), len(names))


def draw_embedding_view(view: EmbeddingView, path: str | Path) -> None:
    """Draw PCA above and t-SNE below, coloured by class, station and Kp."""
    table = view.table
    percent = [100 * value for value in (*view.explained_variance, 0.0)]
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(7.1, 5.4))
        FigureCanvasAgg(figure)
        grid = figure.add_gridspec(
            2, 4, width_ratios=[1, 1, 1, 0.05], left=0.085, right=0.93, top=0.95, bottom=0.2, wspace=0.3, hspace=0.3
        )
        panels = np.array([[figure.add_subplot(grid[row, column]) for column in range(3)] for row in range(2)])
        names = ((f"PCA 1 ({percent[0]:.0f} % of variance)", f"PCA 2 ({percent[1]:.0f} %)"), ("t-SNE 1", "t-SNE 2"))
        for row, kind in enumerate(("pca", "tsne")):
            x, y = table[f"{kind}_1"], table[f"{kind}_2"]
            _draw_classes(panels[row, 0], x, y, table["magnitude_class"])
            _draw_stations(panels[row, 1], x, y, table["station"])
            mesh = _draw_kp(panels[row, 2], x, y, table["kp_max"])
            for axes in panels[row]:
                axes.set_xlabel(names[row][0])
                if kind == "tsne":
                    axes.set(xticks=[], yticks=[])
            panels[row, 0].set_ylabel(names[row][1])
            if mesh is not None:
                figure.colorbar(mesh, cax=figure.add_subplot(grid[row, 3]), label="largest Kp in the window")
        for axes, title in zip(panels[0], ("class", "station", "Kp"), strict=True):
            axes.set_title(title, loc="left", fontweight="bold")
        for column in (0, 1):
            handles, labels = panels[0, column].get_legend_handles_labels()
            left = panels[1, column].get_position().x0
            figure.legend(
                handles, labels, loc="upper left", bbox_to_anchor=(left, 0.145), frameon=False, handletextpad=0.0,
                ncols=2 if column == 0 else -(-len(labels) // 3), columnspacing=0.6, borderaxespad=0.0, borderpad=0.0,
            )  # fmt: skip
        figure.text(
            0.5, 0.01, f"{len(table)} of {view.n_windows} windows; perplexity "
            f"{view.perplexity:.0f}, seed {view.seed}. Clusters are not evidence of a signal.",
            ha="center",
        )  # fmt: skip
        save_figure(figure, path)


def _draw_classes(axes: Axes, x: pd.Series, y: pd.Series, classes: pd.Series) -> None:
    for number, (name, colour) in enumerate(_CLASS_COLOURS.items()):
        chosen = (classes == name).to_numpy()
        if chosen.any():
            _scatter(axes, x[chosen], y[chosen], colour, _MARKERS[number], name)


def _draw_stations(axes: Axes, x: pd.Series, y: pd.Series, stations: pd.Series) -> None:
    for number, name in enumerate(sorted(stations.unique())):
        chosen = (stations == name).to_numpy()
        colour = _STATION_COLOURS[number % len(_STATION_COLOURS)]
        _scatter(axes, x[chosen], y[chosen], colour, _MARKERS[number % len(_MARKERS)], str(name))


def _draw_kp(axes: Axes, x: pd.Series, y: pd.Series, kp_max: pd.Series) -> Any:
    values = pd.to_numeric(kp_max, errors="coerce").to_numpy(dtype=float, na_value=np.nan)
    known = np.isfinite(values)
    axes.scatter(x[~known], y[~known], s=6, color="#BBBBBB", linewidths=0)
    if not known.any():
        axes.text(0.5, 0.5, "Kp is not known", ha="center", va="center", transform=axes.transAxes)
        return None
    return axes.scatter(x[known], y[known], s=6, c=values[known], cmap="viridis", vmin=0, vmax=9, linewidths=0)


def _scatter(axes: Axes, x: pd.Series, y: pd.Series, colour: str, marker: str, label: str) -> None:
    axes.scatter(x, y, s=8, color=colour, marker=marker, linewidths=0, alpha=0.8, label=label)
