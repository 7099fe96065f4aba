"""Fair timing of modules: after a warm-up, in turns, by the median of many rounds, on a fixed number of threads.

Each round runs all modules in turn, so that a temporary slowdown of the machine affects all of them equally.
"""

from __future__ import annotations

import io
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from nas.core.cpu_tuning import keep_freed_memory
from nas.core.errors import InputError

Call = Callable[[], object]
EAGER, ONNXRUNTIME = BACKENDS = ("eager", "onnxruntime")
CHANNELS_LAST, COMPILED = "channels_last", "compiled"
EVERY_BACKEND = (EAGER, CHANNELS_LAST, COMPILED, ONNXRUNTIME)
WARM_UP, LEAST_CALLS, CALL_S = 3, 1, 0.002


def runner(module: nn.Module, shape: Sequence[int], device: str, backend: str, threads: int) -> Call:
    """Return a function that runs a module once on random values of ``shape`` and waits until it has finished.

    Args:
        module: module that maps one tensor to another.
        shape: shape of the input.
        device: ``cpu`` or ``cuda``.
        backend: ``eager``; ``channels_last``, eager in that memory order; ``compiled``, by torch.compile and in
            channels_last too; ``onnxruntime``.
        threads: CPU threads of onnxruntime; ``fixed_threads`` sets those of torch.

    Raises:
        InputError: if the backend is not installed, or the device is not available.
    """
    module = module.eval()
    values = torch.randn(*shape, generator=torch.Generator().manual_seed(0))
    if backend == ONNXRUNTIME:
        return _onnx_runner(module, values, device, threads)
    if device == "cuda":
        _check_cuda()
    else:
        keep_freed_memory()  # as servers' allocators do; else operator times do not sum to network times
    module, values = module.to(device), values.to(device)
    if backend != EAGER and values.ndim == 4:
        module = module.to(memory_format=torch.channels_last)
        values = values.to(memory_format=torch.channels_last)
    if backend == COMPILED:
        logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)  # it logs missing CUDA on CPU machines
        module.compile()

    def run() -> None:
        with torch.inference_mode():
            module(values)
        if device == "cuda":
            torch.cuda.synchronize()

    return run


def interleaved_medians(calls: Sequence[Call], rounds: int) -> NDArray[np.float64]:
    """Return the median milliseconds of each call, ``(n,)``, over ``rounds`` rounds through all of them.

    Calls too short for the clock are repeated within a round.
    """
    repeats = []
    for call in calls:
        for _ in range(WARM_UP):
            call()
        start = time.perf_counter()
        call()
        repeats.append(max(LEAST_CALLS, round(CALL_S / max(time.perf_counter() - start, 1e-7))))
    times = np.empty((rounds, len(calls)))
    for round_ in range(rounds):
        for index, (call, repeat) in enumerate(zip(calls, repeats, strict=True)):
            start = time.perf_counter()
            for _ in range(repeat):
                call()
            times[round_, index] = (time.perf_counter() - start) / repeat
    return np.asarray(1000 * np.median(times, axis=0))


@contextmanager
def fixed_threads(threads: int) -> Iterator[None]:
    """Set the number of torch's threads inside the context, and restore it afterwards."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _check_cuda() -> None:
    if not torch.cuda.is_available():
        raise InputError("--device: expected a CUDA device, found none; use --device cpu")


def _onnx_runner(module: nn.Module, values: torch.Tensor, device: str, threads: int) -> Call:
    try:
        import onnxruntime
    except ImportError:
        raise InputError("--backend onnxruntime: not installed; pip install 'mnas[onnx]'") from None
    wanted = "CUDAExecutionProvider" if device == "cuda" else "CPUExecutionProvider"
    if wanted not in onnxruntime.get_available_providers():
        raise InputError(f"--backend onnxruntime: this installation has no {wanted}; use --device cpu")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(exported(module, values), options, providers=[wanted])
    feed: dict[str, Any] = {session.get_inputs()[0].name: values.numpy()}
    return lambda: session.run(None, feed)


def exported(module: nn.Module, values: torch.Tensor) -> bytes:
    """Return a module as ONNX, traced on ``values``."""
    import warnings

    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(module, (values,), buffer, dynamo=False, verbose=False)  # type: ignore[arg-type]
    return buffer.getvalue()
