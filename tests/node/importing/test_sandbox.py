"""A foreign model is read where it can do no harm; what does not hold is said."""

from __future__ import annotations

import os
import socket
import sys
import time
from pathlib import Path

import pytest

from node.domain.errors import ImportRefused, WorkerError
from node.importing import sandbox
from node.importing.environment import ImportEnvironment, find_environment
from node.importing.sandbox import Outcome, Sandbox, SandboxLimits

HERE = Path(__file__).resolve().parent
HERE_TOO = ImportEnvironment(Path(sys.executable))


def _run(
    tmp_path: Path, deed: str, limits: SandboxLimits | None = None, **request: object
) -> Outcome:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    box = Sandbox(
        environment=HERE_TOO, readable=(HERE.parents[1],), limits=limits or SandboxLimits()
    )
    return box.run("tests.node.importing.captive", {"deed": deed, **request}, scratch)


@pytest.fixture(params=["as the system allows", "without namespaces"])
def _each_way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "without namespaces":
        monkeypatch.setattr(sandbox, "_namespaces", tuple)


@pytest.mark.usefixtures("_each_way")
def test_foreign_code_reaches_no_network_no_patient_file_and_no_secret_of_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VIGIE_TEST_SECRET", "x")
    secret = tmp_path / "patients" / "ledger.sqlite"
    secret.parent.mkdir()
    secret.write_text("x")
    checkout = HERE.parents[2] / "appliance.yaml"
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        outcome = _run(
            tmp_path, "everything", port=port, secret=str(secret), checkout=str(checkout)
        )
    report = outcome.report
    assert report["connect"].startswith("refused")
    assert report["connect in a child"] != 0
    assert "VIGIE_TEST_SECRET" not in report["variables"]
    assert report["scratch"] == "done"
    assert "seccomp" in outcome.isolation.network
    assert report["unix"].startswith("refused")
    if outcome.isolation.files != "Landlock":
        pytest.skip(f"files are {outcome.isolation.files}")
    assert report["read"].startswith("refused")
    assert report["checkout"].startswith("refused")
    assert report["write"].startswith("refused")


@pytest.mark.usefixtures("_each_way")
def test_what_hangs_is_killed_with_the_children_that_hid_in_another_session(
    tmp_path: Path,
) -> None:
    mark = f"vigie-{os.getpid()}-{time.monotonic_ns()}"
    with pytest.raises(WorkerError, match="did not end within 2 s"):
        _run(tmp_path, "outlive", SandboxLimits(time_s=2), mark=mark)
    assert (tmp_path / "scratch" / "child").exists(), "the child was never started"
    time.sleep(0.3)
    assert not _running(mark)


def test_memory_is_limited_and_the_message_says_so(tmp_path: Path) -> None:
    with pytest.raises(WorkerError, match="MB of memory, allowed are 300 MB"):
        _run(tmp_path, "memory", SandboxLimits(memory_mb=300))


def test_a_crash_is_told_with_its_last_words(tmp_path: Path) -> None:
    with pytest.raises(WorkerError, match=r"status 3.*the last words"):
        _run(tmp_path, "silent")


def test_memory_that_does_not_suffice_is_a_fault_with_a_remedy(tmp_path: Path) -> None:
    with pytest.raises(ImportRefused, match="--memory-mb"):
        _run(tmp_path, "starve")


def test_the_first_cause_of_a_failure_is_told(tmp_path: Path) -> None:
    with pytest.raises(WorkerError, match=r"cause: TypeError: the first cause"):
        _run(tmp_path, "stumble")


def test_without_an_import_environment_the_message_names_the_command(tmp_path: Path) -> None:
    with pytest.raises(ImportRefused, match="make import-env"):
        find_environment(tmp_path / "nowhere", ("torch",))


def test_an_environment_without_the_framework_is_named_before_anything_is_read() -> None:
    with pytest.raises(ImportRefused, match="lacks no_such_framework"):
        find_environment(Path(sys.executable), ("json", "no_such_framework"))


def _running(mark: str) -> bool:
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if mark.encode() in entry.read_bytes():
                return True
        except OSError:
            continue
    return False
