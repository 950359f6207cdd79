"""What the device tests run in real processes; top-level, so that it can be sent there."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import numpy as np

from inference.device import DeviceServer, remote_network
from inference.engine import EngineOptions, LoadedNetwork, open_network
from tests.inference.specs import network_spec


class Slow:
    """A network that takes as long as its first value says; as a hung kernel does."""

    batch = 1

    def described(self) -> dict[str, str]:
        return {"provider": "X", "word": "cpu", "name": "X", "precision": "fp32"}

    def run_some(self, feeds: Any, wanted: Any) -> dict[str, Any]:
        time.sleep(float(feeds["image"].flat[0]))
        return {"logits": np.zeros((1, 2, 16, 16), np.float32)}


def serve(setup: tuple[str, float]) -> None:
    address, limit_s = setup
    flat = open_network(network_spec("flat"), EngineOptions(threads=1))

    def find(model: str, network: str) -> LoadedNetwork:
        return flat if model == "m" else Slow()  # type: ignore[return-value]

    DeviceServer(Path(address), find, limit_s=limit_s).start()


def pid(_: object) -> int:
    return os.getpid()


def run_flat(address: str) -> float:
    network = remote_network(Path(address), "m", network_spec("flat"))
    return float(network.run(np.ones((2, 1, 16, 16), np.float32)).sum())


def run_slowly(task: tuple[str, float]) -> None:
    address, seconds = task
    network = remote_network(Path(address), "slow", network_spec("flat"))
    network.run(np.full((1, 1, 16, 16), seconds, np.float32))
