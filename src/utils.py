"""Configurations, run folders, checksums and whole files, under the file name of earlier systems."""

from seismag.cards import read_card
from seismag.config import Config, load_config
from seismag.files import file_sha256, write_json_atomic
from seismag.runs import Run, create_run, read_run

__all__ = ["Config", "Run", "create_run", "file_sha256", "load_config", "read_card", "read_run", "write_json_atomic"]
