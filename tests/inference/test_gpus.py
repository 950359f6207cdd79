"""Each worker process sees its own GPU, also after it was replaced."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from inference.gpus import address_here, environments, of_one_kind
from inference.providers import Probe
from inference.worker import WorkerPool
from node.domain.errors import ModelError, WorkerError

H100 = Probe(compiled=("CUDAExecutionProvider",), runtime="1.31.1", gpu="NVIDIA H100 sm90")


def seen(_: object) -> tuple[str | None, str | None, str]:
    """In a worker: what CUDA would read, and where it finds the process of its device."""
    device = address_here(Path("/run/device"))
    names = ("CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER")
    visible, order = (os.environ.get(name) for name in names)
    return visible, order, str(device)


def end(_: object) -> None:
    """In a worker: gone."""
    os._exit(3)


def test_workers_are_dealt_out_among_the_gpus_and_so_are_those_that_replace_them() -> None:
    pool = WorkerPool(3, environments=environments([2, 0]))
    limits = {"time_limit_s": 60.0, "memory_mb": 500}
    wanted = [
        ("2", "PCI_BUS_ID", "/run/device-2"),
        ("0", "PCI_BUS_ID", "/run/device-0"),
        ("2", "PCI_BUS_ID", "/run/device-2"),
    ]
    try:
        assert list(pool.each(seen, None, **limits)) == wanted
        with pytest.raises(WorkerError, match="exit status 3"):
            pool.each(end, None, **limits)
        assert list(pool.each(seen, None, **limits)) == wanted
    finally:
        pool.stop()


def test_without_named_gpus_nothing_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.delenv("CUDA_DEVICE_ORDER", raising=False)
    pool = WorkerPool(1, environments=environments(()))
    try:
        found = pool.run(seen, None, time_limit_s=60, memory_mb=500)
        assert found == (None, None, "/run/device")
    finally:
        pool.stop()


def test_gpus_of_one_kind_are_told_as_one() -> None:
    assert of_one_kind([0, 1], [H100, H100]) is H100
    nothing = replace(H100, gpu="")
    # None answers: the node goes on with what is left, as without a GPU.
    assert of_one_kind([0, 1], [nothing, nothing]) is nothing


@pytest.mark.parametrize(
    ("other", "told"),
    [("NVIDIA L4 sm89", "GPU 3: NVIDIA L4 sm89"), ("", "GPU 3: does not answer")],
)
def test_gpus_of_several_kinds_are_refused_by_number_and_name(other: str, told: str) -> None:
    with pytest.raises(ModelError) as refused:
        of_one_kind([0, 3], [H100, replace(H100, gpu=other)])
    assert f"GPU 0: NVIDIA H100 sm90; {told}" in str(refused.value)
    assert "workers.gpus" in str(refused.value)
