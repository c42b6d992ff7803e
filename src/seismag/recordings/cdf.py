"""CDF files: INTERMAGNET's ImagCDF and the CDF files of MagPy, read with cdflib (extra ``cdf``).

ImagCDF names its variables ``GeomagneticFieldH``, ...; D is absolute and in degrees (or in
UNITS), and ``DEPEND_0`` names the time variable. MagPy names them x, y, z, and the
global attribute ``DataComponents`` (HEZ, XYZ, HDZ, ...) defines them; without it they are the axes of
the sensor. Neither states the azimuth of H for H, E, Z: it is NaN.
Times in CDF_EPOCH, CDF_EPOCH16 and TT2000 (leap seconds taken out) are rounded to milliseconds.

Sources: INTERMAGNET ImagCDF technical note, version 1.2; MagPy's magpy/lib/magpy_formats.
"""

from __future__ import annotations

import re
import struct
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seismag.domain import DataError
from seismag.machine import MachineError
from seismag.recordings.cdf_structure import MAGIC_V2, MAGIC_V3, check_structure
from seismag.recordings.components import (
    ARCMIN_DEG,
    DEGREE_DEG,
    DeclinationScale,
    blank_fill_values,
    to_hdz,
)
from seismag.recordings.identity import check_file_name, read_position
from seismag.recordings.reader import Reader
from seismag.recordings.recording import Recording
from seismag.recordings.regular_grid import place_on_grid

_FIELD = "GeomagneticField"
_TIME_TYPES = ("CDF_EPOCH", "CDF_EPOCH16", "CDF_TIME_TT2000")
_NUMBER_TYPES = ("CDF_DOUBLE", "CDF_REAL8", "CDF_FLOAT", "CDF_REAL4")
_POSITIONS = (
    ("Latitude", "Longitude"),
    ("DataAcquisitionLatitude", "DataAcquisitionLongitude"),
    ("StationLatitude", "StationLongitude"),
)
# What cdflib is known to raise on damaged files whose structure passed the check.
_CDFLIB_ERRORS = (
    ArithmeticError, AttributeError, EOFError, LookupError, NameError, OSError, RuntimeError, TypeError, ValueError,
    struct.error, zlib.error,
)  # fmt: skip


@contextmanager
def _temporary_copy(payload: bytes, where: str) -> Iterator[Path]:
    """Give a file with these bytes (MachineError: it cannot be written, and the recording may be good)."""
    with ExitStack() as stack:
        try:
            copy = Path(stack.enter_context(tempfile.TemporaryDirectory()), "recording.cdf")
            copy.write_bytes(payload)
        except OSError as error:
            raise MachineError(
                f"{where}: its temporary copy cannot be written ({error.strerror or error}). Set TMPDIR to a folder "
                "with free space that you may write into, and run the same command again: finished parts are kept."
            ) from error
        yield copy


def _detect(head: bytes) -> bool:
    return head.startswith((MAGIC_V3, MAGIC_V2))  # version 2.6 or later


def _read(payload: bytes, path: str | Path, sha256: str) -> Recording:
    """Read the vector components of one CDF file.

    Returns:
        The recording, format "ImagCDF" or "MagPyCDF"; fill values and missing times are NaN.

    Raises:
        DataError: ``missing_dependency``, ``truncated``, ``corrupt_file``, ``wrong_kind`` (another sort
            of CDF), ``wrong_units``, ``impossible_value``, ``components_missing``, ``no_data``, ``irregular_sampling``,
            ``contradicting_samples`` or ``name_mismatch``.
    """
    try:
        import cdflib
    except ImportError as error:
        raise DataError(
            f'{path}: CDF files need cdflib, which is not installed: pip install "seismag[cdf]".', "missing_dependency"
        ) from error
    content = _Content(cdflib, check_structure(payload, str(path)), str(path))
    return content.to_recording(Path(path), sha256)


class _Content:
    """Variables and attributes of the file, before they are interpreted."""

    def __init__(self, cdflib: ModuleType, payload: bytes, where: str) -> None:
        self.where = where
        self.attributes: dict[str, str] = {}
        self.elements: dict[str, NDArray[np.float64]] = {}
        self.units: dict[str, str] = {}
        self.times_ms: NDArray[np.int64] = np.empty(0, np.int64)
        self.kind = ""
        self.warnings: list[str] = []
        with _temporary_copy(payload, where) as copy:  # cdflib reads by path only
            try:
                self._take(cdflib, cdflib.CDF(copy))
            except _CDFLIB_ERRORS as error:
                detail = f"{type(error).__name__}: {error}"
                raise DataError(
                    f"{where}: the CDF file is damaged ({detail}). Copy it again from its source.",
                    "corrupt_file",
                ) from error

    def _take(self, cdflib: ModuleType, file: Any) -> None:
        info = file.cdf_info()
        names = [*info.zVariables, *info.rVariables]
        self.attributes = {name: str(values[0]).strip() for name, values in file.globalattsget().items() if values}
        letter_by_name = self._recognise(names)
        if len(letter_by_name) < 3:
            raise DataError(f"{self.where}: three components are needed, the file has {names}.", "components_missing")
        candidates = ("Epoch",) if self.kind == "MagPyCDF" else ("GeomagneticVectorTimes", "DataTimes")
        default_time = next((name for name in candidates if name in names), candidates[0])
        time_names = set()
        for name, letter in letter_by_name.items():
            attributes = file.varattsget(name)
            values = _column(file, name, _NUMBER_TYPES, self.where).astype(np.float64)
            fill = attributes.get("FILLVAL")
            if isinstance(fill, (int, float, np.number)):
                values[values == fill] = np.nan
            self.elements[letter] = values
            self.units[letter] = str(attributes.get("UNITS", attributes.get("units", "")) or "").strip().lower()
            time_names.add(str(attributes.get("DEPEND_0") or default_time))
        if len(time_names) > 1:
            raise DataError(f"{self.where}: the components have different times ({sorted(time_names)}).", "wrong_kind")
        for name in time_names:
            times = _column(file, name, _TIME_TYPES, self.where)
            self.times_ms = _to_ms(cdflib, times, file.varinq(name).Data_Type_Description)
        lengths = {values.size for values in self.elements.values()} | {self.times_ms.size}
        if len(lengths) > 1:
            raise DataError(f"{self.where}: variables of different length {sorted(lengths)}.", "corrupt_file")

    def _recognise(self, names: list[str]) -> dict[str, str]:
        imag = {name: name.removeprefix(_FIELD) for name in names if name.startswith(_FIELD)}
        if imag:
            self.kind = "ImagCDF"
            return {name: letter for name, letter in imag.items() if letter in tuple("XYZHDEUVW")}
        if "Epoch" not in names:
            raise DataError(f"{self.where}: a CDF file, but neither ImagCDF nor MagPy's ({names[:8]}).", "wrong_kind")
        self.kind = "MagPyCDF"
        letters = self.attributes.get("DataComponents", "").upper()[:3]
        if letters not in ("XYZ", "HEZ", "HDZ", "UVW"):
            self.warnings.append(f"DataComponents is {letters!r}: x, y, z were interpreted as the axes of the sensor.")
            letters = "UVW"
        return {name: letter for name, letter in zip("xyz", letters, strict=True) if name in names}

    def to_recording(self, path: Path, sha256: str) -> Recording:
        values = np.stack(list(self.elements.values()))
        blank_fill_values(values, self.where)
        rate = re.fullmatch(
            r"(\d{1,6}(?:\.\d+)?)\s*s(?:ec)?\w*", self.attributes.get("DataSamplingRate", ""), re.IGNORECASE
        )
        step_ms = (round(float(rate[1]) * 1000) or None) if rate else None
        grid = place_on_grid(self.times_ms, values, step_ms, self.where, self.warnings)
        elements = dict(zip(self.elements, grid.values, strict=True))
        horizontal = to_hdz(elements, self._declination_scale(), self.where, self.warnings)
        latitude_deg, longitude_deg = self._position()
        code = self.attributes.get("IagaCode") or self.attributes.get("StationIAGAcode", "")
        recording = Recording(
            station=code.upper() if code.isalnum() else "",
            start_utc=grid.start_utc,
            rate_hz=grid.rate_hz,
            field_nt=horizontal.field_nt,
            format=self.kind,
            sha256=sha256,
            h_axis_deg=horizontal.h_axis_deg,
            latitude_deg=latitude_deg,
            longitude_deg=longitude_deg,
            metadata={"header": self.attributes, "warnings": self.warnings},
        )
        check_file_name(path, recording)
        return recording

    def _declination_scale(self) -> DeclinationScale:
        """Return the unit of D; refuse units other than nT of the other elements."""
        for letter, unit in self.units.items():
            if letter != "D" and unit not in ("nt", "nanotesla", ""):
                raise DataError(f"{self.where}: {letter} is in {unit!r}, nT is needed.", "wrong_units")
        unit = self.units.get("D", "")
        if "min" in unit:
            return DeclinationScale(ARCMIN_DEG)
        if unit.startswith("deg") or (not unit and self.kind == "ImagCDF"):
            return DeclinationScale(DEGREE_DEG)
        if unit == "nt" or "D" not in self.units:
            return DeclinationScale(np.nan)
        raise DataError(f"{self.where}: D is in {unit!r}; degrees, minutes or nT are understood.", "wrong_units")

    def _position(self) -> tuple[float, float]:
        found: list[str] = []
        for names in _POSITIONS:
            latitude, longitude = (self.attributes.get(name) for name in names)
            position = read_position(latitude, longitude, found)
            if not np.isnan(position[0]):
                return position
        self.warnings.extend(found)
        return np.nan, np.nan


def _column(file: Any, name: str, types: tuple[str, ...], where: str) -> NDArray[Any]:
    """Read one scalar variable as (n,); other shapes are refused before they are loaded."""
    about = file.varinq(name)
    if about.Data_Type_Description not in types or about.Dim_Sizes not in ([], [1]) or about.Num_Elements != 1:
        raise DataError(
            f"{where}: variable {name} has type {about.Data_Type_Description} and shape {about.Dim_Sizes}.",
            "wrong_kind",
        )
    if about.Last_Rec < 0:
        raise DataError(f"{where}: variable {name} contains no record.", "no_data")
    return np.array(file.varget(name)).reshape(-1)


def _to_ms(cdflib: ModuleType, times: NDArray[Any], time_type: str) -> NDArray[np.int64]:
    """Milliseconds since 1970, without leap seconds."""
    if time_type == "CDF_EPOCH":  # milliseconds since year 0: exact in double precision
        exact = times - 62_167_219_200_000.0
        if not np.all(np.abs(exact) < 1e14):
            raise ValueError("a time stamp is no date")
        return np.rint(exact).astype(np.int64)
    stamps = cdflib.cdfepoch.to_datetime(times)
    if np.any(np.isnat(stamps)):
        raise ValueError("a time stamp is no date")
    nanoseconds = stamps.astype("datetime64[ns]").astype(np.int64)
    milliseconds: NDArray[np.int64] = (nanoseconds + 500_000) // 1_000_000
    return milliseconds


CDF = Reader("CDF", _detect, _read)
