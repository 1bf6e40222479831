"""What a caller has set for a whole process or thread, put aside while the library computes."""

import random
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import numpy as np
import torch

# Global generators are one for all threads: who seeds them has them alone.
_LOCK = threading.RLock()
_entered, _callers_dtype = 0, torch.float32


@contextmanager
def settled() -> Iterator[None]:
    """Compute in float32, with gradients where the code asks for them, whatever the caller has set.

    Put aside inside the block, and given back: torch's default dtype and device, ``no_grad``,
    ``inference_mode`` and ``autocast``, and scikit-learn's kinds of output. Also a decorator.
    """
    global _entered, _callers_dtype
    with ExitStack() as stack:
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.enable_grad())
        for kind in ("cpu", "cuda"):
            if torch.is_autocast_enabled(kind):
                # Inside another autocast, weights once cast would be kept while they are trained.
                stack.enter_context(torch.autocast(kind, enabled=False, cache_enabled=False))
        if torch.get_default_device().type != "cpu":
            stack.enter_context(torch.device("cpu"))
        if sklearn := sys.modules.get("sklearn"):  # else the caller has set nothing there
            plain = {"array_api_dispatch": False, "transform_output": "default"}
            stack.enter_context(sklearn.config_context(**plain))
        with _LOCK:  # The dtype is one for all threads: the first one in sets it.
            if _entered == 0:
                _callers_dtype = torch.get_default_dtype()
                torch.set_default_dtype(torch.float32)
            _entered += 1
        try:
            yield
        finally:
            with _LOCK:
                _entered -= 1
                if _entered == 0:
                    torch.set_default_dtype(_callers_dtype)


@contextmanager
def seeded(seed: int, device: torch.device | None = None) -> Iterator[None]:
    """Seed torch and NumPy inside the block and give the global generators back as they were.

    Initial weights, dropout and PyOD's detectors draw from global generators; nothing else may
    notice, and threads take turns. Besides the CPU's generator that of `device` is seeded, by
    default those of all GPUs. What :func:`settled` puts aside is put aside.
    """
    kind, devices = "cuda", None
    if device is not None:
        kind = device.type if device.type != "cpu" else "cuda"
        devices = [] if device.type == "cpu" else [device.index or 0]
    with _LOCK, settled(), torch.random.fork_rng(devices=devices, device_type=kind):
        state, pythons = np.random.get_state(), random.getstate()  # noqa: NPY002
        np.random.seed(seed % 2**32)  # noqa: NPY002
        torch.manual_seed(seed)
        try:
            yield
        finally:
            np.random.set_state(state)  # noqa: NPY002
            random.setstate(pythons)
