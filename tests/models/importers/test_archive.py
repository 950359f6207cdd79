"""A zip from outside cannot write outside, and cannot fill the disk."""

from __future__ import annotations

import stat
import zipfile
from pathlib import Path

import pytest

from models.importers.archive import ArchiveLimits, unpack
from node.domain.errors import ImportRefused


def _zip(path: Path, *entries: tuple[str | zipfile.ZipInfo, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries:
            archive.writestr(name, content)
    return path


def test_a_bundle_in_one_folder_is_unpacked_and_that_folder_is_given(tmp_path: Path) -> None:
    archive = _zip(tmp_path / "a.zip", ("spleen/configs/metadata.json", b"{}"), ("spleen/x", b"1"))
    out = tmp_path / "out"
    out.mkdir()
    folder = unpack(archive, out)
    assert folder == out / "spleen"
    assert (folder / "configs" / "metadata.json").read_bytes() == b"{}"


@pytest.mark.parametrize("name", ["../evil", "a/../../evil", "/etc/evil", "..\\evil", "C:\\evil"])
def test_a_name_that_leads_out_of_the_folder_is_refused_before_anything_is_written(
    tmp_path: Path, name: str
) -> None:
    archive = _zip(tmp_path / "a.zip", ("good", b"1"), (name, b"evil"))
    out = tmp_path / "out" / "deep"
    out.mkdir(parents=True)
    with pytest.raises(ImportRefused, match="leads out of the folder"):
        unpack(archive, out)
    assert list((tmp_path / "out").rglob("*")) == [out]


def test_a_link_is_refused(tmp_path: Path) -> None:
    link = zipfile.ZipInfo("models/model.pt")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    archive = _zip(tmp_path / "a.zip", (link, b"/etc/passwd"))
    with pytest.raises(ImportRefused, match="it is a link"):
        unpack(archive, tmp_path / "out")


def test_a_zip_bomb_is_refused_by_its_ratio_and_by_its_size(tmp_path: Path) -> None:
    archive = _zip(tmp_path / "a.zip", ("zeros", bytes(30_000_000)))
    with pytest.raises(ImportRefused, match="as a zip bomb does"):
        unpack(archive, tmp_path / "out")
    with pytest.raises(ImportRefused, match=r"at most 0\.0 GB"):
        unpack(archive, tmp_path / "out", ArchiveLimits(bytes=1_000_000))


def test_too_many_files_are_refused(tmp_path: Path) -> None:
    archive = _zip(tmp_path / "a.zip", *((f"f{number}", b"") for number in range(20)))
    with pytest.raises(ImportRefused, match="20 files, at most 10"):
        unpack(archive, tmp_path / "out", ArchiveLimits(files=10))


def test_what_is_no_zip_is_told(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(b"PK\x03\x04 nonsense")
    with pytest.raises(ImportRefused, match="cannot be read"):
        unpack(path, tmp_path / "out")
