"""Export of spectrograms as RGB images."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from seismag.files import atomic_path
from seismag.folder_lock import one_writer
from seismag.parallel import Progress, silent
from seismag.table_files import write_csv
from seismag.windows.store import Store, read_samples

# Fixed for all images. On 19 real days from quiet to auroral storm the median is -33 dB, mostly sensor noise, at 98 of
# 255; 0.2 % of the values lie below the limits and 0.6 % above.
IMAGE_DB_LIMITS = (-60.0, 10.0)
_IMAGE_COLUMNS = [
    "sample_id", "station", "start_utc", "end_utc", "magnitude_class", "azimuth_class", "magnitude", "azimuth_deg",
    "distance_km", "event_id", "split_group", "kp_max",
]  # fmt: skip


@one_writer(lambda given: given["folder"])
def export_images(store: Store, folder: Path, progress: Progress = silent) -> None:
    """Write one RGB image for each sample (R=H, G=D, B=Z), one pixel for each bin, and ``metadata.csv``.

    Brightness is power between fixed limits (``IMAGE_DB_LIMITS``); masked time frames are black. High frequencies are
    at the top.
    """
    from PIL import Image

    folder.mkdir(parents=True, exist_ok=True)
    low, high = IMAGE_DB_LIMITS
    for index, sample_id in enumerate(store.samples["sample_id"]):
        power = read_samples(store.power, index, index + 1)[0].astype(np.float32)  # (3, F, T)
        scaled = np.clip((power - low) / (high - low), 0, 1) * 254 + 1
        pixels = np.where(np.isnan(power), 0, scaled).astype(np.uint8)
        with atomic_path(folder / f"{sample_id}.png") as temporary:
            Image.fromarray(np.ascontiguousarray(pixels.transpose(1, 2, 0)[::-1])).save(temporary)
        progress("images", index + 1, len(store.samples))
    metadata = store.samples.reindex(columns=_IMAGE_COLUMNS).assign(
        file=store.samples["sample_id"] + ".png", db_low=low, db_high=high
    )
    with atomic_path(folder / "metadata.csv") as temporary:
        write_csv(metadata, temporary)
