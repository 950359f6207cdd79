"""What a destination does not take reaches it in another form, and only it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.uid import (
    UID,
    Comprehensive3DSRStorage,
    ComprehensiveSRStorage,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    KeyObjectSelectionDocumentStorage,
    RLELossless,
    RTStructureSetStorage,
    SecondaryCaptureImageStorage,
    SegmentationStorage,
)

from node.ledger.states import DeliveryState
from tests.node.pipeline.delivering import HOUR_S, Rig, capture
from tests.node.pipeline.hostile import HostilePacs

DAY_S = 24 * HOUR_S


@contextmanager
def running(folder: Path, pacs: HostilePacs) -> Iterator[Rig]:
    pacs.start()
    rig = Rig(folder, pacs.port)
    try:
        yield rig
    finally:
        rig.ledger.close()
        pacs.stop()


def classes(pacs: HostilePacs) -> dict[str, int]:
    kept = [str(data_set.SOPClassUID) for data_set in pacs.kept.values()]
    return {uid: kept.count(uid) for uid in kept}


def told(rig: Rig, study_uid: str) -> dict[str, tuple[DeliveryState, str]]:
    return {item.object.kind: (item.state, item.replaced_by) for item in rig.deliveries(study_uid)}


def test_destination_that_takes_everything_gets_every_object_as_it_is(tmp_path: Path) -> None:
    pacs = HostilePacs()
    with running(tmp_path, pacs) as rig:
        made, objects = rig.result()
        rig.run(5)
        assert sorted(pacs.received) == sorted(item.sop_instance_uid for item in objects)
        assert set(rig.states(made.study.study_uid)) == {DeliveryState.PROVED}


def test_comprehensive_3d_sr_becomes_comprehensive_sr(tmp_path: Path) -> None:
    pacs = HostilePacs(refuse=(Comprehensive3DSRStorage,))
    with running(tmp_path, pacs) as rig:
        made, _objects = rig.result()
        rig.run(10)
        states = told(rig, made.study.study_uid)
        assert states["report"] == (DeliveryState.REFUSED, "report as Comprehensive SR")
        assert states["report as Comprehensive SR"] == (DeliveryState.PROVED, "")
        assert states["segmentation"][0] is DeliveryState.PROVED
        (report,) = [d for d in pacs.kept.values() if d.Modality == "SR"]
        assert report.SOPClassUID == ComprehensiveSRStorage
        assert report.PatientID == made.study.patient.patient_id
        assert all(item.is_kept for item in rig.deliveries(made.study.study_uid))


def test_report_goes_down_to_pages_and_segmentation_too(tmp_path: Path) -> None:
    pacs = HostilePacs(
        refuse=(Comprehensive3DSRStorage, ComprehensiveSRStorage, SegmentationStorage)
    )
    with running(tmp_path, pacs) as rig:
        made, objects = rig.result()
        own_pages = sum(item.kind == "secondary capture" for item in objects)
        rig.run(15)
        states = told(rig, made.study.study_uid)
        assert states["report"][0] is DeliveryState.REFUSED
        assert states["report as Comprehensive SR"] == (DeliveryState.REFUSED, "report as pages")
        assert states["report as pages"][0] is DeliveryState.PROVED
        assert states["segmentation"] == (DeliveryState.REFUSED, "segmentation as pages")
        assert states["segmentation as pages"][0] is DeliveryState.PROVED
        assert classes(pacs).keys() == {SecondaryCaptureImageStorage}
        assert classes(pacs)[SecondaryCaptureImageStorage] >= own_pages + 2


def test_capture_that_is_refused_has_nothing_below_it(tmp_path: Path) -> None:
    pacs = HostilePacs(refuse=(SecondaryCaptureImageStorage,))
    with running(tmp_path, pacs) as rig:
        rig.queue(capture(tmp_path), capture(tmp_path, SegmentationStorage))
        rig.run(5)
        (refused,) = [i for i in rig.deliveries() if i.state is DeliveryState.REFUSED]
        assert refused.state is DeliveryState.REFUSED
        assert not refused.replaced_by
        assert not refused.is_kept
        assert "does not accept Secondary Capture Image Storage; allow" in refused.cause


def test_key_images_that_are_not_taken_hold_no_study_back(tmp_path: Path) -> None:
    pacs = HostilePacs(refuse=(KeyObjectSelectionDocumentStorage,))
    with running(tmp_path, pacs) as rig:
        selection = capture(tmp_path, KeyObjectSelectionDocumentStorage)
        rig.queue(capture(tmp_path), replace(selection, kind="key images"))
        rig.run(5)
        (kept_back,) = [i for i in rig.deliveries() if i.object.kind == "key images"]
        assert kept_back.state is DeliveryState.WITHHELD
        assert "the report and the pages show the same images" in kept_back.cause
        assert all(item.is_kept for item in rig.deliveries())
        assert rig.ledger.troubles.held_back("pacs") == (0, 0)


def test_contours_that_are_not_taken_hold_no_study_back_and_say_what_to_do(tmp_path: Path) -> None:
    pacs = HostilePacs(refuse=(RTStructureSetStorage,))
    with running(tmp_path, pacs) as rig:
        contours = capture(tmp_path, RTStructureSetStorage)
        rig.queue(capture(tmp_path), replace(contours, kind="structure set"))
        rig.run(5)
        (kept_back,) = [i for i in rig.deliveries() if i.object.kind == "structure set"]
        assert kept_back.state is DeliveryState.WITHHELD
        assert "write `objects` of this destination without contours" in kept_back.cause
        assert all(item.is_kept for item in rig.deliveries())
        assert rig.ledger.troubles.held_back("pacs") == (0, 0)


def test_refusal_is_remembered_and_tried_again_after_its_time_or_with_other_settings(
    tmp_path: Path,
) -> None:
    pacs = HostilePacs(refuse=(SegmentationStorage,))
    with running(tmp_path, pacs) as rig:
        made, _objects = rig.result()
        rig.run(10)
        uid = made.study.study_uid
        # The PACS is upgraded, and nobody tells the node.
        pacs._entity.add_supported_context(SegmentationStorage)
        pacs._entity.shutdown()
        pacs.start()
        second = capture(tmp_path, SegmentationStorage)
        rig.queue(second)
        rig.hire()
        before = pacs.associations
        rig.run()
        assert pacs.associations == before
        (refused,) = rig.deliveries()
        assert "tried again from" in refused.cause
        rig.clock.now += 8 * DAY_S
        third = capture(tmp_path, SegmentationStorage)
        rig.queue(third)
        rig.run(3)
        assert third.sop_instance_uid in pacs.kept
        assert rig.ledger.peers.known("pacs", "", for_s=30 * DAY_S) == {}
        # Other settings: what was learnt under the old ones is void at once.
        rig.ledger.peers.learn("pacs", f"class {SegmentationStorage}", "no", "old settings")
        fourth = capture(tmp_path, SegmentationStorage)
        rig.queue(fourth)
        rig.hire(settings_digest="new settings")
        rig.run(3)
        assert fourth.sop_instance_uid in pacs.kept
        assert rig.states(uid).count(DeliveryState.REFUSED) == 1


def test_class_that_is_refused_by_status_again_and_again_is_remembered(tmp_path: Path) -> None:
    pacs = HostilePacs()
    with running(tmp_path, pacs) as rig:
        rig.queue(*(capture(tmp_path) for _ in range(3)))
        pacs.answer = lambda _uid: 0xC123
        rig.run(2)
        assert set(rig.states()) == {DeliveryState.REFUSED}
        assert all("cannot understand (0xC123)" in item.cause for item in rig.deliveries())
        pacs.answer = lambda _uid: 0x0000
        rig.queue(capture(tmp_path))
        rig.run(2)
        assert not pacs.received
        rig.clock.now += 8 * DAY_S
        rig.queue(capture(tmp_path))
        rig.run(2)
        assert len(pacs.received) == 1


def test_resend_offers_the_fuller_object_again_and_not_both(tmp_path: Path) -> None:
    pacs = HostilePacs(refuse=(SegmentationStorage,))
    with running(tmp_path, pacs) as rig:
        made, objects = rig.result()
        rig.run(10)
        pages = len(pacs.received)
        pacs._entity.add_supported_context(SegmentationStorage)
        pacs._entity.shutdown()
        pacs.start()
        rig.hire()
        rig.ledger.peers.forget("pacs")
        assert rig.ledger.outbox.resend(made.study.study_uid) == len(objects)
        rig.run(10)
        assert len(pacs.received) == pages + len(objects)
        states = told(rig, made.study.study_uid)
        assert states["segmentation"][0] is DeliveryState.PROVED


def test_sr_class_is_of_the_destination_and_not_of_the_job(tmp_path: Path) -> None:
    old, new = HostilePacs(), HostilePacs().start()
    try:
        with running(tmp_path, old) as rig:
            made, objects = rig.result()
            rig.queue(*objects, destination="new")
            rig.hire(sr_class="comprehensive")
            rig.run(10)
            rig.port, rig.options = new.port, {"name": "new"}
            rig.hire()
            rig.run(10)
            assert ComprehensiveSRStorage in classes(old)
            assert Comprehensive3DSRStorage not in classes(old)
            assert Comprehensive3DSRStorage in classes(new)
            assert ComprehensiveSRStorage not in classes(new)
            (withheld,) = [
                item
                for item in rig.deliveries(made.study.study_uid)
                if item.state is DeliveryState.WITHHELD
            ]
            assert withheld.destination == "pacs"
            assert "sr_class" in withheld.cause
    finally:
        new.stop()


def test_implicit_vr_only_destination_is_served(tmp_path: Path) -> None:
    pacs = HostilePacs(syntaxes=(ImplicitVRLittleEndian,))
    with running(tmp_path, pacs) as rig:
        made, objects = rig.result()
        rig.run(10)
        assert set(pacs.syntaxes) == {ImplicitVRLittleEndian}
        assert set(rig.states(made.study.study_uid)) == {DeliveryState.PROVED}
        for item in objects:
            sent, there = dcmread(item.path), pacs.kept[item.sop_instance_uid]
            assert [e.tag for e in sent.iterall()] == [e.tag for e in there.iterall()]
            assert sent.get("PixelData") == there.get("PixelData")


def test_compressed_object_is_decompressed_for_a_destination_without_its_syntax(
    tmp_path: Path,
) -> None:
    pacs = HostilePacs()
    with running(tmp_path, pacs) as rig:
        _, objects = rig.result()
        page = next(item for item in objects if item.kind == "secondary capture")
        data_set = dcmread(page.path)
        pixels = bytes(data_set.PixelData)
        data_set.compress(RLELossless, generate_instance_uid=False)
        data_set.save_as(page.path, enforce_file_format=True)
        rig.run(10)
        assert bytes(pacs.kept[page.sop_instance_uid].PixelData) == pixels
        assert RLELossless not in pacs.syntaxes


def test_transfer_syntaxes_that_do_not_meet_are_told_as_such(tmp_path: Path) -> None:
    pacs = HostilePacs(syntaxes=(ExplicitVRBigEndian,))
    with running(tmp_path, pacs) as rig:
        rig.queue(capture(tmp_path))
        rig.run(3)
        assert rig.only().state is DeliveryState.REFUSED
        assert "none of the transfer syntaxes Explicit and Implicit VR" in rig.only().cause


def test_result_file_that_is_gone_is_not_held_against_the_destination(tmp_path: Path) -> None:
    pacs = HostilePacs()
    with running(tmp_path, pacs) as rig:
        item = capture(tmp_path)
        rig.queue(item)
        item.path.unlink()
        rig.run(3)
        assert rig.only().state is DeliveryState.REFUSED
        assert "cannot be read" in rig.only().cause
        assert rig.ledger.peers.known("pacs", "", for_s=DAY_S) == {}


@pytest.mark.parametrize("form", ["comprehensive", "pages"])
def test_same_task_writes_the_same_bytes(tmp_path: Path, form: str) -> None:
    pacs = HostilePacs(
        refuse=(Comprehensive3DSRStorage,) + ((ComprehensiveSRStorage,) if form == "pages" else ())
    )
    with running(tmp_path, pacs) as rig:
        made, _ = rig.result()
        rig.run(15)
        kind = "report as Comprehensive SR" if form == "comprehensive" else "report as pages"
        uid = made.study.study_uid
        written = min(i.object.path for i in rig.deliveries(uid) if i.object.kind == kind)
        first = written.read_bytes()
        written.unlink()
        rig.ledger.outbox.resend(uid)
        rig.ledger.peers.forget("pacs")
        rig.run(15)
        assert written.read_bytes() == first
        assert UID(written.stem).is_valid
