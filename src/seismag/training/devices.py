"""Several devices for one training (``train.devices``): a process for each, joined by Lightning (DDP)."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Callable
from multiprocessing import get_context
from typing import Any

import torch
from torch.multiprocessing.spawn import ProcessExitedException, ProcessRaisedException, start_processes

from seismag.domain import SeismagError, UsageError
from seismag.parallel import end_with_parent

_RANK = "SEISMAG_RANK"  # our own: a batch system sets LOCAL_RANK too


def in_group() -> bool:
    """Tell whether this is one of several processes that ``run_processes`` started."""
    return _RANK in os.environ


def process_rank() -> tuple[int, int]:
    """Return the rank of this process, from 0, and the number of processes."""
    return (int(os.environ[_RANK]), int(os.environ["WORLD_SIZE"])) if in_group() else (0, 1)


def require_devices(n_devices: int) -> None:
    """Refuse more GPUs than there are (UsageError); on a CPU each device is a process."""
    present = torch.cuda.device_count()
    if present and n_devices > present:
        raise UsageError(f"train.devices is {n_devices}, but there are {present} GPUs. Set train.devices={present}.")


def run_processes(function: Callable[..., object], arguments: tuple[Any, ...], n_processes: int) -> None:
    """Call ``function(*arguments)``, which a new process can import, in several new processes and wait for them.

    Raises:
        SeismagError: a process failed; with its own message where it had one.
    """
    context = get_context("spawn")
    failures = context.SimpleQueue()
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = int(listener.getsockname()[1])  # a free one
    group = start_processes(
        _run_rank,
        args=(function, arguments, n_processes, port, failures, logging.getLogger().getEffectiveLevel()),
        nprocs=n_processes,
        start_method="spawn",
        join=False,
    )
    try:
        while not group.join():
            pass
    except ProcessRaisedException as error:
        if not failures.empty():
            kind, text = failures.get()
            raise kind(text) from error
        raise
    except ProcessExitedException as error:
        raise SeismagError(
            f"train.devices {n_processes}: process {error.error_index} ended without a message (signal "
            f"{error.signal_name}); mostly that is too little memory. Lower train.devices or train.batch_size."
        ) from error
    finally:  # an interrupt of this process alone
        for process in group.processes:
            process.terminate()


def _run_rank(
    rank: int,
    function: Callable[..., object],
    arguments: tuple[Any, ...],
    n_processes: int,
    port: int,
    failures: Any,
    level: int,
) -> None:
    end_with_parent()
    os.environ |= {
        "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), _RANK: str(rank), "LOCAL_RANK": str(rank),
        "WORLD_SIZE": str(n_processes), "NODE_RANK": "0",
    }  # fmt: skip
    logging.basicConfig(level=level if rank == 0 else logging.ERROR, format="%(message)s")
    torch.set_num_threads(max(1, torch.get_num_threads() // n_processes))
    try:
        function(*arguments)
    except SeismagError as error:
        failures.put((type(error), str(error)))
        raise
