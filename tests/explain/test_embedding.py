"""Features in two dimensions: coordinates, probes, picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from seismag.domain import DataError
from seismag.explain import embedding as embedding_view
from seismag.explain.embedding import draw_embedding_view, view_embeddings


def make_rows(n: int, rng: np.random.Generator) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "sample_id": [f"w{i}" for i in range(n)], "station": np.where(np.arange(n) % 3 == 0, "ALR", "GTO"),
            "split_group": [f"g{i // 4}" for i in range(n)],
            "magnitude_class": rng.choice(["Normal", "Large"], n), "azimuth_class": "N", "kp_max": rng.uniform(0, 6, n),
        }
    )  # fmt: skip


def test_the_probe_reads_what_is_in_the_features_and_nothing_else(rng: np.random.Generator) -> None:
    rows = make_rows(60, rng)
    features = rng.normal(0, 1, (60, 12))
    features[:, 3] += 6.0 * (rows["station"] == "ALR")
    view = view_embeddings(features, rows, seed=1)
    station, magnitude = view.document["probes"]["station"], view.document["probes"]["magnitude_class"]
    assert station["balanced_accuracy"] > 0.95
    assert station["p_value"] == 0.01
    assert magnitude["p_value"] > 0.05
    assert list(view.table) == [
        "sample_id", "pca_1", "pca_2", "tsne_1", "tsne_2", "magnitude_class", "azimuth_class", "station", "kp_max",
    ]  # fmt: skip
    assert view.table.notna().all().all()
    again = view_embeddings(features, rows, seed=1).table
    pd.testing.assert_frame_equal(view.table, again)


def test_pca_of_a_line_has_one_direction(rng: np.random.Generator) -> None:
    along = rng.normal(0, 1, 20)
    view = view_embeddings(np.outer(along, [3.0, 4.0]), make_rows(20, rng), seed=1)
    assert view.document["pca_explained_variance_share"][0] == pytest.approx(1.0)
    np.testing.assert_allclose(np.abs(view.table["pca_1"]), 5 * np.abs(along - along.mean()), atol=1e-9)


def test_more_rows_than_the_limit_are_sampled_by_seed(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedding_view, "MAX_ROWS", 15)
    view = view_embeddings(rng.normal(0, 1, (40, 5)), make_rows(40, rng), seed=2)
    assert (view.document["n_windows"], view.document["n_drawn"], len(view.table)) == (40, 15, 15)


@pytest.mark.parametrize("kp_known", [True, False])
def test_the_picture_is_not_empty(tmp_path: Path, rng: np.random.Generator, kp_known: bool) -> None:
    rows = make_rows(30, rng)
    if not kp_known:
        rows["kp_max"] = np.nan
    draw_embedding_view(view_embeddings(rng.normal(0, 1, (30, 6)), rows, seed=1), tmp_path / "view.png")
    with Image.open(tmp_path / "view.png") as image:
        assert image.width == 2130
        assert len(image.convert("L").getcolors()) > 50


def test_what_cannot_be_shown_is_named(rng: np.random.Generator) -> None:
    rows = make_rows(10, rng)
    with pytest.raises(DataError, match="3 windows are too few"):
        view_embeddings(np.ones((3, 4)), rows.iloc[:3], seed=1)
    with pytest.raises(DataError, match="9 rows for 10 windows"):
        view_embeddings(np.ones((9, 4)), rows, seed=1)
    with pytest.raises(DataError, match="not finite"):
        view_embeddings(np.full((10, 4), np.nan), rows, seed=1)
