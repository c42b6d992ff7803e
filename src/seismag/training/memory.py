"""Too little memory, in words that help."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from seismag.domain import SeismagError

_CPU_SHORTAGES = ("can't allocate memory", "not enough memory")  # Linux, Windows: a plain RuntimeError


@contextmanager
def memory_shortage_named(batch_size: int) -> Iterator[None]:
    """Turn torch's ways of running out of memory into a sentence that names the batch.

    Raises:
        SeismagError: there is too little memory; other errors pass.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        text = str(error).strip().partition("\n")[0]
        of_cpu = isinstance(error, MemoryError) or any(words in text for words in _CPU_SHORTAGES)
        if not (of_cpu or isinstance(error, torch.OutOfMemoryError)):
            raise
        smaller = f"Lower it, for example to {batch_size // 2}" if batch_size > 1 else "It cannot be lower"
        raise SeismagError(
            f"too little memory for a step with train.batch_size {batch_size} ({text}). {smaller}, or take a smaller "
            "model.backbone, or fewer rows or columns (data section)."
        ) from error
