"""However a destination behaves, `explain`, `status` and `doctor` tell where the result is."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from pydicom.uid import Comprehensive3DSRStorage, ComprehensiveSRStorage, SegmentationStorage

from config.load import load_appliance
from node.cli.main import main
from node.doctor import examine
from node.packages import installed_models
from node.pipeline.dimse import DicomPeer
from node.settings import destination_of, receiver_settings
from tests.node.pipeline.delivering import HOUR_S, Rig, capture, free_port
from tests.node.pipeline.hostile import HostilePacs
from tests.node.words import STUDY

GOOD, FAILURES = 0, 1
CONFIGURATION = """\
version: 1
receiver: {{host: 127.0.0.1, port: {own}, peers: {{ct: {{addresses: [{peer}], ae_titles: [CT1]}}}}}}
storage: {{path: {path}, refuse_above_percent: 99, keep_free_gb: 0}}
destinations:
  pacs:
    {{type: dicom, ae_title: PACS, host: 127.0.0.1, port: {port},
      calling_ae_title: VIGIE_OUT{more}}}
http: {{port: {http}}}
"""


@dataclass(slots=True)
class Site:
    """A configuration and a rig that follows it."""

    config: Path
    rig: Rig
    told: Callable[[], str]

    def explain(self) -> str:
        assert main(["explain", STUDY, "--config", str(self.config)]) == GOOD
        return self.told()


def configure(folder: Path, port: int, more: str = "", peer: str = "10.0.0.1") -> Path:
    path = folder / "appliance.yaml"
    text = CONFIGURATION.format(
        own=free_port(),
        http=free_port(),
        port=port,
        path=folder / "store",
        more=more and f", {more}",
        peer=peer,
    )
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture
def site(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> Iterator[Callable[[HostilePacs], Site]]:
    opened: list[tuple[Rig, HostilePacs]] = []

    def build(pacs: HostilePacs) -> Site:
        pacs.start()
        config = configure(tmp_path, pacs.port)
        appliance = load_appliance(config, installed_models())
        (tmp_path / "store").mkdir()
        resolved = destination_of(appliance, "pacs")
        assert isinstance(resolved.peer, DicomPeer)
        options = {
            "peer": replace(resolved.peer, response_timeout_s=0.5),
            "proof": resolved.proof,
            "settings_digest": resolved.settings_digest,
        }
        rig = Rig(tmp_path / "store", pacs.port, options=options)
        rig.ledger.studies.touch(STUDY, rig.clock.now)
        rig.queue(capture(tmp_path / "store"))
        opened.append((rig, pacs))
        return Site(config, rig, lambda: capsys.readouterr().out)

    yield build
    for rig, pacs in opened:
        rig.ledger.close()
        pacs.stop()


def refusing(status: int) -> HostilePacs:
    pacs = HostilePacs()
    pacs.answer = lambda _uid: status
    return pacs


def forgetting() -> HostilePacs:
    pacs = HostilePacs()
    pacs.forgets = lambda _uid: True
    return pacs


def slow() -> HostilePacs:
    pacs = HostilePacs()
    pacs.slow_s = 1.5
    return pacs


@pytest.mark.parametrize(
    ("pacs", "hours", "state", "why"),
    [
        (HostilePacs, 0.01, "proved", "(read back)"),
        (lambda: HostilePacs(commits="same"), 0.01, "proved", "(storage commitment)"),
        (lambda: HostilePacs(commits="never"), 0.5, "sent, storage commitment awaited", "until"),
        (
            lambda: HostilePacs(commits="never", find=False),
            2.0,
            "unproved",
            "no storage commitment report came within 1 hour",
        ),
        (lambda: HostilePacs(find=False), 0.01, "unproved", "does not accept C-FIND"),
        (forgetting, 2.0, "set aside", "not to be found there after 15 minutes (3 times)"),
        (lambda: refusing(0xA700), 2.0, "waiting", "out of resources (0xA700)"),
        (lambda: refusing(0x0110), 2.0, "waiting", "processing failure (0x0110)"),
        (lambda: refusing(0xC001), 0.01, "refused", "cannot understand (0xC001)"),
        (lambda: refusing(-1), 0.1, "waiting", "no response"),
        (slow, 0.001, "waiting", "no response"),
    ],
)
def test_explain_tells_the_state_and_why(
    site: Callable[[HostilePacs], Site],
    pacs: Callable[[], HostilePacs],
    hours: float,
    state: str,
    why: str,
) -> None:
    at = site(pacs())
    at.rig.run(hours * HOUR_S, step_s=60 if hours > 0.1 else 10)
    (line,) = [
        line
        for line in at.explain().splitlines()
        if line.strip().startswith("secondary capture to pacs:")
    ]
    assert f"secondary capture to pacs: {state}" in line
    assert why in line


def test_explain_and_status_tell_why_a_result_waits_and_when_it_was_tried(
    site: Callable[[HostilePacs], Site],
) -> None:
    pacs = HostilePacs()
    at = site(pacs)
    assert "secondary capture to pacs: waiting: not tried yet" in at.explain()
    pacs.stop()
    at.rig.run(120)
    where = f"PACS at 127.0.0.1:{pacs.port} does not answer; check host, port and firewall"
    explained = at.explain()
    assert f"  to pacs: 1 waiting: {where}" in explained
    assert "secondary capture to pacs: waiting\n" in explained
    assert "tries in a row, the last 20" in explained
    assert main(["status", "--config", str(at.config)]) == GOOD
    assert f"to pacs: 1 waiting ({where}" in at.told()
    assert main(["status", "--destinations", "--json", "--config", str(at.config)]) == GOOD
    (row,) = json.loads(at.told())
    assert row["trouble"].startswith(where)
    assert row["learnt"] == ""
    back = HostilePacs(port=pacs.port).start()
    try:
        at.rig.run(300, step_s=5)
        explained = at.explain()
        assert "secondary capture to pacs: proved" in explained
        assert where not in explained
    finally:
        back.stop()


def test_pages_are_numbered_and_what_happens_to_them_at_once_is_one_line(
    site: Callable[[HostilePacs], Site],
) -> None:
    at = site(HostilePacs())
    second = replace(capture(at.rig.folder), instance_number=2)
    at.rig.queue(second)
    at.rig.run()
    explained = at.explain()
    assert "secondary capture 1 to pacs: proved" in explained
    assert "secondary capture 2 to pacs: proved" in explained
    assert "secondary capture sent: to pacs (2 times)" in explained


def test_explain_says_first_when_nothing_of_a_result_is_at_a_destination(
    site: Callable[[HostilePacs], Site],
) -> None:
    pacs = refusing(0x0122)
    at = site(pacs)
    at.rig.run(10)
    assert "to pacs: 1 refused; nothing is there: mend what the lines below name" in at.explain()
    pacs.answer = lambda _uid: 0x0000
    at.rig.queue(capture(at.rig.folder, SegmentationStorage))
    at.rig.run(10)
    assert "to pacs: 1 proved, 1 refused; 1 are not there in any form" in at.explain()


def test_status_names_the_class_that_a_destination_refused_by_its_status(
    site: Callable[[HostilePacs], Site],
) -> None:
    at = site(refusing(0x0122))
    at.rig.run(10)
    at.told()
    assert main(["status", "--destinations", "--json", "--config", str(at.config)]) == GOOD
    (row,) = json.loads(at.told())
    assert "Secondary Capture Image Storage: SOP class not supported (0x0122)" in row["learnt"]


def test_explain_shows_what_stands_for_what_and_json_has_it_all(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    refused = (Comprehensive3DSRStorage, ComprehensiveSRStorage, SegmentationStorage)
    pacs = HostilePacs(refuse=refused).start()
    config = configure(tmp_path, pacs.port)
    digest = destination_of(load_appliance(config, installed_models()), "pacs").settings_digest
    (tmp_path / "store").mkdir()
    rig = Rig(tmp_path / "store", pacs.port, options={"settings_digest": digest})
    try:
        made, _ = rig.result()
        uid = made.study.study_uid
        rig.ledger.studies.touch(uid, rig.clock.now)
        rig.run(15)
    finally:
        rig.ledger.close()
        pacs.stop()
    assert main(["explain", uid, "--config", str(config)]) == GOOD
    told = capsys.readouterr().out
    assert "report to pacs: refused: the destination does not accept Comprehensive 3D SR" in told
    assert "in its place: report as Comprehensive SR" in told
    assert "report as Comprehensive SR to pacs: refused" in told
    assert "report as pages to pacs: proved" in told
    assert "segmentation as pages to pacs: proved" in told
    assert "in place of 2.25." in told
    assert main(["explain", uid, "--json", "--config", str(config)]) == GOOD
    deliveries = json.loads(capsys.readouterr().out)[0]["deliveries"]
    assert {d["state"] for d in deliveries} == {"proved", "refused"}
    assert main(["status", "--config", str(config)]) == GOOD
    told = capsys.readouterr().out
    assert "to pacs: " in told
    assert "3 refused" in told
    assert main(["status", "--destinations", "--json", "--config", str(config)]) == GOOD
    (row,) = json.loads(capsys.readouterr().out)
    assert row["learnt"].count("allow this storage class there") == 3
    # By hand everything is offered again as it is.
    assert main(["resend", uid, "--config", str(config)]) == GOOD
    assert "queued" in capsys.readouterr().out
    assert main(["status", "--destinations", "--json", "--config", str(config)]) == GOOD
    (row,) = json.loads(capsys.readouterr().out)
    assert row["learnt"] == ""
    assert main(["resend", "1.2.3", "--config", str(config)]) == FAILURES


@pytest.mark.parametrize(
    ("pacs", "more", "expected"),
    [
        (HostilePacs(), "", "C-ECHO good; takes Comprehensive 3D SR Storage (Explicit VR"),
        (HostilePacs(), "", "proof: read back by query"),
        (HostilePacs(commits="same"), "", "proof: storage commitment"),
        (HostilePacs(commits="same"), "", "list 127.0.0.1 with ae_titles: [PACS]"),
        (HostilePacs(find=False), "", "unproved: the destination does not accept storage"),
        (HostilePacs(), "proof: commitment", "FAULT write 'proof: automatic', or allow it"),
        (
            HostilePacs(refuse=(Comprehensive3DSRStorage,)),
            "",
            "instead of Comprehensive 3D SR Storage it gets Comprehensive SR",
        ),
        (
            HostilePacs(refuse=(SegmentationStorage,)),
            "",
            "instead of Segmentation Storage it gets pages",
        ),
    ],
)
def test_doctor_shows_what_a_destination_takes_and_how_it_proves(
    tmp_path: Path, pacs: HostilePacs, more: str, expected: str
) -> None:
    pacs._port = 0
    pacs.start()
    try:
        config = configure(tmp_path, pacs.port, more)
        appliance = load_appliance(config, installed_models())
        (found,) = [f for f in examine(appliance) if f.part == "destination pacs"]
    finally:
        pacs.stop()
    where = found.fault if expected.startswith("FAULT ") else found.told
    assert expected.removeprefix("FAULT ") in where
    assert bool(found.fault) == expected.startswith("FAULT ")


def test_destination_may_report_to_the_title_that_asked_it(tmp_path: Path) -> None:
    appliance = load_appliance(configure(tmp_path, 104), installed_models())
    assert receiver_settings(appliance).admission.ae_titles == {"VIGIE", "VIGIE_OUT"}
