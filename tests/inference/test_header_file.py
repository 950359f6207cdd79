"""Headers that are stepped over say what pydicom reads in them, in every encoding."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset, FileDataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from inference import header_file
from inference.attributes import UNREADABLE, Attributes, quiet_pydicom
from inference.header import _KEYWORDS
from inference.header_file import KnownValues, LaidOutAttributes, read_header
from node.domain.extent import Extent
from tests.dicom_factory import ct_series, enhanced_ct, write
from tests.inference.reading import files_under

SEQUENCES = tuple(keyword for keyword in _KEYWORDS if keyword.endswith("Sequence"))
CODE = ("CodeValue", "CodingSchemeDesignator", "CodeMeaning")

Told = tuple[object, ...]


def told(read: tuple[Attributes, Attributes, bool]) -> Told:
    """All that a header says, its text, its items and what stands in front of it."""
    values, meta, has_pixels = read
    texts = [(keyword, values.texts(keyword)) for keyword in _KEYWORDS]
    there = [keyword for keyword in _KEYWORDS if keyword in values]
    items = [
        [[item.texts(word) for word in CODE] for item in values.items(keyword)]
        for keyword in SEQUENCES
    ]
    stated = [meta.text(key) for key in ("TransferSyntaxUID", "MediaStorageSOPClassUID")]
    return texts, there, items, stated, has_pixels


def by_pydicom(extent: Extent) -> tuple[Attributes, Attributes, bool]:
    return header_file._read_by_pydicom(extent, _KEYWORDS)


def region(*, undefined: bool) -> Sequence:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator = "39607008", "SCT"
    item.CodeMeaning = "Lunge, R\u00fcckseite"
    item.is_undefined_length_sequence_item = undefined
    return Sequence([item, item])


def image(syntax: str, *, undefined: bool = False, **changes: object) -> FileDataset:
    (made,) = ct_series(slices=1, rows=8, columns=8, transfer_syntax=syntax, changes=changes)
    made.SpecificCharacterSet = "ISO_IR 192"
    made.PatientName = "Gr\u00fcn^J\u00f6rg=\u5c71\u7530"
    made.SeriesDescription = "Thorax \u00fcber alles"
    made.AnatomicRegionSequence = region(undefined=undefined)
    made["AnatomicRegionSequence"].is_undefined_length = undefined
    return made


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
@pytest.mark.parametrize("undefined", [False, True])
def test_text_and_items_are_those_of_pydicom(tmp_path: Path, syntax: str, undefined: bool) -> None:
    (path,) = write([image(syntax, undefined=undefined)], tmp_path)
    found = read_header(Extent(path), _KEYWORDS)
    assert isinstance(found[0], LaidOutAttributes)
    assert told(found) == told(by_pydicom(Extent(path)))
    assert found[0].text("PatientName") == "Gr\u00fcn^J\u00f6rg=\u5c71\u7530"
    assert found[0].items("AnatomicRegionSequence")[1].text("CodeMeaning") == (
        "Lunge, R\u00fcckseite"
    )


def test_the_same_bytes_in_another_character_set_are_another_text(tmp_path: Path) -> None:
    known = KnownValues()
    names = []
    for number, character_set in enumerate(("ISO_IR 100", "ISO_IR 144")):
        (made,) = ct_series(slices=1)
        made.SpecificCharacterSet = character_set
        made.add_new("PatientName", "PN", "")
        (path,) = write([made], tmp_path / str(number))
        content = path.read_bytes()
        bare = b"\x10\x00\x10\x00PN\x00\x00"
        assert bare in content
        path.write_bytes(content.replace(bare, b"\x10\x00\x10\x00PN\x04\x00\xc4\xd6\xdc "))
        values, _, _ = read_header(Extent(path), _KEYWORDS, known)
        assert isinstance(values, LaidOutAttributes)
        names.append(values.text("PatientName"))
    assert names == ["\u00c4\u00d6\u00dc", "\u0424\u0436\u043c"]


OTHERS: dict[str, Callable[[], FileDataset]] = {
    "deflated": lambda: image(DeflatedExplicitVRLittleEndian),
    "enhanced": lambda: enhanced_ct(3),
    "without pixels": lambda: image(ExplicitVRLittleEndian, PixelData=None),
    "strange values": lambda: image(
        ExplicitVRLittleEndian, PatientID="\\".join(["x" * 64] * 9), InstanceNumber="7.5"
    ),
}


@pytest.mark.parametrize("kind", OTHERS)
def test_other_files_say_the_same_whoever_reads_them(tmp_path: Path, kind: str) -> None:
    with quiet_pydicom():
        (path,) = write([OTHERS[kind]()], tmp_path)
        found = told(read_header(Extent(path), _KEYWORDS))
        assert found == told(by_pydicom(Extent(path)))


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_damaged_headers_are_read_as_pydicom_reads_them(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    syntax = data.draw(st.sampled_from([ExplicitVRLittleEndian, ImplicitVRLittleEndian]))
    with quiet_pydicom():
        (path,) = write([image(syntax, undefined=True)], tmp_path_factory.mktemp("damaged"))
        content = bytearray(path.read_bytes())
        for _ in range(data.draw(st.integers(1, 3))):
            content[data.draw(st.integers(128, len(content) - 1))] = data.draw(st.integers(0, 255))
        path.write_bytes(content)
        try:
            found = read_header(Extent(path), _KEYWORDS)
        except UNREADABLE:
            return
        if isinstance(found[0], LaidOutAttributes):
            assert told(found) == told(by_pydicom(Extent(path)))


@pytest.mark.shared
def test_every_real_header_says_what_pydicom_reads(shared_images: Path) -> None:
    stepped_over = 0
    known = KnownValues()
    with quiet_pydicom():
        for path in files_under(shared_images):
            if path.stat().st_size > 50_000_000:
                continue
            try:
                expected = told(by_pydicom(Extent(path)))
            except UNREADABLE:
                continue
            found = read_header(Extent(path), _KEYWORDS, known)
            stepped_over += isinstance(found[0], LaidOutAttributes)
            assert told(found) == expected, path
    assert stepped_over > 700
