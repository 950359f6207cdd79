"""Where the networks of the workers are held: in each of them, or in one process for a device."""

from __future__ import annotations

from pathlib import Path

from config.schema import Appliance

#: Where the driver of an NVIDIA GPU says its version.
NVIDIA_DRIVER = Path("/proc/driver/nvidia/version")


def shares_device(appliance: Appliance, driver: Path = NVIDIA_DRIVER) -> bool:
    """Does one process hold the networks for all workers?

    On a GPU the weights are then there once and calls are larger; on a CPU each worker's own
    session measures better (bench: device).
    """
    workers = appliance.workers
    if workers.one_process_per_device is not None:
        return workers.one_process_per_device
    on_gpu = {"tensorrt", "cuda"} & set(workers.providers) and driver.exists()
    return workers.count > len(workers.gpus or (0,)) and bool(on_gpu)
