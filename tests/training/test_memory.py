"""Errors for too little memory."""

from __future__ import annotations

import pytest
import torch

from seismag.domain import SeismagError
from seismag.training.fit import memory_errors_explained


def test_allocation_that_fails_on_the_cpu_names_the_batch_and_the_way_out() -> None:
    with (
        pytest.raises(SeismagError, match=r"train\.batch_size 32 .*Lower it, for example to 16, or .*model\.backbone"),
        memory_errors_explained(32),
    ):
        torch.empty(10**15)  # 4 PB: torch's own error


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nmore"),
        RuntimeError("not enough memory: you tried to allocate 100 bytes."),
        MemoryError("Unable to allocate 1 TiB"),
    ],
)
def test_every_shortage_is_recognised(error: Exception) -> None:
    with pytest.raises(SeismagError, match=r"batch_size 1 \([^\n]*\)\. It cannot be lower"), memory_errors_explained(1):
        raise error


def test_other_errors_pass_unchanged() -> None:
    with pytest.raises(RuntimeError, match="shapes differ"), memory_errors_explained(8):
        raise RuntimeError("shapes differ")
