"""One process holds the networks: the numbers are the same, and nobody disturbs anybody."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from inference import device as device_module
from inference.device import HUNG, Calls, DeviceServer, RemoteSession, remote_network
from inference.engine import EngineOptions, LoadedNetwork, open_network
from inference.hand_over import Side
from inference.worker import WorkerPool
from node.domain.errors import ModelError, WorkerError
from tests.inference import device_jobs
from tests.inference.specs import network_spec, tensor

LIMITS: dict[str, Any] = {"time_limit_s": 30.0, "memory_mb": 500}


def image(number: int, seed: int = 1) -> NDArray[np.float32]:
    return np.random.default_rng(seed).random((number, 1, 16, 16), np.float32)


@pytest.fixture
def server(tmp_path: Path) -> DeviceServer:
    held = {
        name: open_network(network_spec(name), EngineOptions(threads=1))
        for name in ("flat", "free", "logarithm")
    }

    def find(model: str, network: str) -> LoadedNetwork:
        if model != "m":
            raise WorkerError(f"model {model} is just being loaded")
        return held[network]

    running = DeviceServer(tmp_path / "device", find, limit_s=60)
    running.start()
    return running


@pytest.fixture
def address(tmp_path: Path, server: DeviceServer) -> Path:
    return tmp_path / "device"


def test_a_network_elsewhere_gives_what_it_gives_here(address: Path) -> None:
    spec = network_spec("free", windows=replace(network_spec().windows, batch=3))
    remote = remote_network(address, "m", spec)
    here = open_network(spec, EngineOptions(threads=1))
    assert remote.provider == "CPUExecutionProvider"
    for number in (1, 7, 2):
        np.testing.assert_array_equal(remote.run(image(number)), here.run(image(number)))
    large = np.random.default_rng(3).random((1, 150, 170), np.float32)
    np.testing.assert_allclose(
        remote.run_windows(large), here.run_windows(large), rtol=1e-5, atol=1e-5
    )


def test_windows_of_several_workers_share_a_call_and_each_gets_its_own(
    server: DeviceServer, address: Path
) -> None:
    spec = network_spec("flat", windows=replace(network_spec().windows, batch=8))
    server.calls._linger_s = 0.2
    networks = [remote_network(address, "m", spec) for _ in range(4)]
    network = server._find("m", "flat")
    network._spec = replace(network._spec, windows=spec.windows)
    found: dict[int, NDArray[np.float32]] = {}
    gate = threading.Barrier(4)

    def work(number: int) -> None:
        gate.wait()
        found[number] = networks[number].run(image(2, seed=number))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    here = open_network(spec, EngineOptions(threads=1))
    for number in range(4):
        expected = here.run(image(2, seed=number))
        np.testing.assert_allclose(found[number], expected, rtol=1e-5, atol=1e-6)
    assert server.calls.windows == 8
    assert server.calls.made < 4
    assert server.calls.shared >= 1


def test_a_study_that_gives_no_numbers_fails_alone(server: DeviceServer, address: Path) -> None:
    spec = network_spec("logarithm")
    server.calls._linger_s = 0.3
    good, bad = (remote_network(address, "m", spec) for _ in range(2))
    outcome: dict[str, Any] = {}
    gate = threading.Barrier(2)

    def work(name: str, network: LoadedNetwork, windows: NDArray[np.float32]) -> None:
        gate.wait()
        try:
            outcome[name] = network.run(windows)
        except ModelError as error:
            outcome[name] = error

    threads = [
        threading.Thread(target=work, args=("good", good, np.ones((2, 1, 16, 16), np.float32))),
        threading.Thread(target=work, args=("bad", bad, -np.ones((2, 1, 16, 16), np.float32))),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert not outcome["good"].any()
    assert str(outcome["bad"]) == "network logarithm gave values that are no numbers"


def test_networks_with_other_shapes_or_outputs_never_share_a_call(tmp_path: Path) -> None:
    calls = Calls(tmp_path / "now", linger_s=0.1)
    calls.joined(2)
    flat = open_network(network_spec("flat"), EngineOptions(threads=1))
    free = open_network(
        network_spec("free", windows=replace(network_spec().windows, batch=8)),
        EngineOptions(threads=1),
    )
    results: list[Any] = []
    threads = [
        threading.Thread(
            target=lambda network=network: results.append(
                calls.make("m", network, {"image": image(1)}, ["logits"])
            )
        )
        for network in (flat, free, flat)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert len(results) == 3
    assert calls.made >= 2


def test_a_model_that_is_not_held_is_tried_again_and_nobody_there_as_well(
    address: Path, tmp_path: Path
) -> None:
    with pytest.raises(WorkerError, match="just being loaded"):
        remote_network(address, "other", network_spec(), return_s=0.1)
    with pytest.raises(WorkerError, match="ended"):
        remote_network(tmp_path / "nobody", "m", network_spec(), return_s=0.1)


def test_waiting_for_a_process_that_comes_back_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[float] = []
    monkeypatch.setattr(device_module, "tell_waited", waited.append)
    started = time.monotonic()
    with pytest.raises(WorkerError):
        RemoteSession(tmp_path / "nobody", "m", "net", return_s=1.0)
    assert len(waited) > 1
    assert 0.5 * (time.monotonic() - started) < sum(waited) <= time.monotonic() - started


def test_a_stranger_at_the_socket_disturbs_nobody(address: Path) -> None:
    for junk in (b"", b"\x00\x00", b"\xff" * 64, b"\x00\x00\x00\x02[]", b"\x00\x00\x00\x02{}"):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as stranger:
            stranger.connect(str(address))
            stranger.sendall(junk)
    assert remote_network(address, "m", network_spec("flat")).run(image(1)).shape == (1, 2, 16, 16)


def test_arrays_cross_without_a_name_in_the_file_system() -> None:
    ours, theirs = socket.socketpair()
    sender, receiver = Side(ours), Side(theirs)
    for size in (3, 400_000, 5, 2_000_000):
        arrays = {
            "a": np.arange(size, dtype=np.float32),
            "b": np.arange(size % 7, dtype=np.uint8).reshape(1, -1),
        }
        thread = threading.Thread(target=sender.send, args=({"n": size}, arrays))
        thread.start()
        message, found = receiver.receive()
        thread.join()
        assert message == {"n": size}
        for name, array in arrays.items():
            np.testing.assert_array_equal(found[name], array)
    sender.close()
    with pytest.raises(EOFError):
        receiver.receive()
    receiver.close()


@pytest.fixture
def pools(tmp_path: Path) -> Iterator[tuple[WorkerPool, WorkerPool, Path]]:
    address = tmp_path / "device"
    device = WorkerPool(1, initializer=device_jobs.serve, argument=(str(address), 1.5))
    workers = WorkerPool(2)
    device.start()
    workers.start()
    yield device, workers, address
    workers.stop()
    device.stop()


def test_a_worker_that_is_killed_in_a_call_leaves_the_device_and_the_others_alone(
    pools: tuple[WorkerPool, WorkerPool, Path],
) -> None:
    device, workers, address = pools
    with pytest.raises(WorkerError, match="longer than"):
        workers.run(device_jobs.run_slowly, (str(address), 0.8), time_limit_s=0.4, memory_mb=500)
    first = workers.run(device_jobs.run_flat, str(address), **LIMITS)
    assert first == workers.run(device_jobs.run_flat, str(address), **LIMITS)
    assert device.run(device_jobs.pid, None, **LIMITS) > 0


def test_a_call_that_hangs_ends_the_device_which_comes_back(
    pools: tuple[WorkerPool, WorkerPool, Path],
) -> None:
    device, workers, address = pools
    before = device.run(device_jobs.pid, None, **LIMITS)
    with pytest.raises(WorkerError, match="the process that runs the networks ended"):
        workers.run(device_jobs.run_slowly, (str(address), 60.0), **LIMITS)
    assert workers.run(device_jobs.run_flat, str(address), **LIMITS)
    assert device.run(device_jobs.pid, None, **LIMITS) != before
    assert HUNG == 70


def test_windows_that_wait_behind_a_call_that_hangs_are_run_when_the_device_is_back(
    pools: tuple[WorkerPool, WorkerPool, Path],
) -> None:
    """The call that hung fails; who only waited behind it does not notice."""
    _device, workers, address = pools
    expected = workers.each(device_jobs.run_flat, str(address), **LIMITS)[0]
    failed: list[str] = []

    def hang() -> None:
        try:
            workers.run(device_jobs.run_slowly, (str(address), 60.0), **LIMITS)
        except WorkerError as error:
            failed.append(str(error))

    thread = threading.Thread(target=hang)
    thread.start()
    time.sleep(0.5)
    assert workers.run(device_jobs.run_flat, str(address), **LIMITS) == expected
    thread.join(30)
    assert failed == ["the process that runs the networks ended while it ran slow"]


def test_a_device_that_dies_in_a_call_is_the_failure_of_that_call(
    pools: tuple[WorkerPool, WorkerPool, Path],
) -> None:
    device, workers, address = pools
    victim = device.run(device_jobs.pid, None, **LIMITS)
    workers.each(device_jobs.run_flat, str(address), **LIMITS)
    threading.Timer(0.3, lambda: os.kill(victim, signal.SIGKILL)).start()
    with pytest.raises(WorkerError, match="ended"):
        workers.run(device_jobs.run_slowly, (str(address), 1.2), **LIMITS)


def test_several_tensors_cross_with_their_types(tmp_path: Path) -> None:
    spec = network_spec(
        "two_heads",
        inputs=(tensor("image", "CT"), replace(tensor("mask", "body"), dtype="uint8")),
        outputs=(tensor("logits", "a"), replace(tensor("half", "a"), stride=(2, 2))),
    )
    here = open_network(spec, EngineOptions(threads=1))
    DeviceServer(tmp_path / "two", lambda _model, _network: here, limit_s=60).start()
    feeds = {"image": image(5), "mask": np.full((5, 1, 16, 16), 2, np.uint8)}
    found = remote_network(tmp_path / "two", "m", spec).run(feeds)
    for name, array in here.run(feeds).items():
        np.testing.assert_array_equal(found[name], array)
