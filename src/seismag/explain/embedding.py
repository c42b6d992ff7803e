"""Two-dimensional view of the pooled features, and linear probes of what they encode."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from sklearn.model_selection import GroupKFold

from seismag.arrays import FloatArray
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
class EmbeddingView:
    """A view of windows by their embeddings."""

    table: pd.DataFrame  # sample_id, pca_1, pca_2, tsne_1, tsne_2, magnitude_class, azimuth_class, station, kp_max
    document: Mapping[str, Any]  # the keys of embeddings in explanation.json


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
    document = {
        "n_windows": len(rows), "n_drawn": len(table), "seed": seed, "features": int(x.shape[1]),
        "pca_explained_variance_share": pca.explained_variance_ratio_[:2].tolist(),
        "tsne_perplexity": float(perplexity), "tsne_iterations": 1000, "note": NO_EVIDENCE,
        "probes": {name: _probe_column(x, table, name, rng) for name in ("station", "magnitude_class")},
    }  # fmt: skip
    return EmbeddingView(coordinates, document)


def _probe_column(x: FloatArray, table: pd.DataFrame, column: str, rng: np.random.Generator) -> dict[str, object]:
    """Balanced accuracy of a linear probe of a column, out of fold by group, and for shuffled values.

    The station probe of the audit is the same with more shuffles.
    """
    labels, names = pd.factorize(table[column], sort=True)
    group = pd.factorize(table["split_group"])[0]
    n_folds = min(5, len(np.unique(group)))
    if len(names) < 2 or n_folds < 2:
        return {"balanced_accuracy": None, "undefined": f"{len(names)} values in {n_folds} groups: no probe."}
    reduced = PCA(min(PROBE_DIMENSIONS, *x.shape), svd_solver="full").fit_transform(x)
    folds = list(GroupKFold(n_folds).split(reduced, groups=group))
    shuffled = rng.permuted(np.tile(labels, (_SHUFFLES, 1)), axis=1)
    found = probe_accuracy(reduced, np.concatenate([labels[None], shuffled]), folds)
    null = Null(found[1:])
    return {
        "balanced_accuracy": float(found[0]), "shuffled": float(null.values.mean()),
        "p_value": null.p_value(found[0]), "n_classes": len(names),
    }  # fmt: skip


def draw_embedding_view(view: EmbeddingView, path: str | Path) -> None:
    """Draw PCA above and t-SNE below, coloured by class, station and Kp."""
    table, facts = view.table, view.document
    percent = [100 * value for value in (*facts["pca_explained_variance_share"], 0.0)]
    names = ((f"PCA 1 ({percent[0]:.0f} % of variance)", f"PCA 2 ({percent[1]:.0f} %)"), ("t-SNE 1", "t-SNE 2"))
    stations = dict(zip(sorted(table["station"].unique()), cycle(_STATION_COLOURS), strict=False))
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(7.1, 5.4))
        grid = figure.add_gridspec(
            2, 4, width_ratios=[1, 1, 1, 0.05], left=0.085, right=0.93, top=0.95, bottom=0.2, wspace=0.3, hspace=0.3
        )
        panels = np.array([[figure.add_subplot(grid[row, column]) for column in range(3)] for row in range(2)])
        for row, kind in enumerate(("pca", "tsne")):
            xy = table[[f"{kind}_1", f"{kind}_2"]].to_numpy()
            _draw_categories(panels[row, 0], xy, table["magnitude_class"], _CLASS_COLOURS)
            _draw_categories(panels[row, 1], xy, table["station"], stations)
            mesh = _draw_kp(panels[row, 2], xy, table["kp_max"])
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
            0.5, 0.01, f"{len(table)} of {facts['n_windows']} windows; perplexity "
            f"{facts['tsne_perplexity']:.0f}, seed {facts['seed']}. Clusters are not evidence of a signal.",
            ha="center",
        )  # fmt: skip
        save_figure(figure, path)


def _draw_categories(axes: Axes, xy: FloatArray, values: pd.Series, colours: Mapping[str, str]) -> None:
    for number, (name, colour) in enumerate(colours.items()):
        chosen = (values == name).to_numpy()
        if chosen.any():
            marker = _MARKERS[number % len(_MARKERS)]
            x, y = xy[chosen].T
            axes.scatter(x, y, s=8, color=colour, marker=marker, linewidths=0, alpha=0.8, label=name)


def _draw_kp(axes: Axes, xy: FloatArray, kp_max: pd.Series) -> Any:
    values = pd.to_numeric(kp_max, errors="coerce").to_numpy(dtype=float, na_value=np.nan)
    known = np.isfinite(values)
    axes.scatter(xy[~known, 0], xy[~known, 1], s=6, color="#BBBBBB", linewidths=0)
    if not known.any():
        axes.text(0.5, 0.5, "Kp is not known", ha="center", va="center", transform=axes.transAxes)
        return None
    x, y = xy[known].T
    return axes.scatter(x, y, s=6, c=values[known], cmap="viridis", vmin=0, vmax=9, linewidths=0)
