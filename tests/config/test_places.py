"""A folder that cannot keep files is refused before anything is started."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic_core import PydanticCustomError

from config import places


def test_a_folder_on_a_disk_is_tried_and_left_as_it_was(tmp_path: Path) -> None:
    assert places.usable_folder(tmp_path / "var") == tmp_path / "var"
    assert list(tmp_path.iterdir()) == []


def test_a_folder_in_which_no_file_can_be_made_is_refused_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(**_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(places.tempfile, "TemporaryFile", full)
    with pytest.raises(PydanticCustomError, match=r"no file can be made in .* \(No space left"):
        places.usable_folder(tmp_path / "var")


@pytest.mark.parametrize("folder", ["/sys/x", "/proc/self/x", "/dev/pts/x"])
def test_a_folder_that_the_kernel_makes_up_is_refused_for_root_too(folder: str) -> None:
    with pytest.raises(PydanticCustomError, match="the kernel makes up"):
        places.usable_folder(Path(folder))


def test_the_innermost_mount_decides_also_with_a_space_in_its_name(tmp_path: Path) -> None:
    table = tmp_path / "mounts"
    inner = tmp_path / "a disk"
    spaced = str(inner).replace(" ", "\\040")
    table.write_text(f"proc / proc rw 0 0\n/dev/sdb {spaced} ext4 rw 0 0\n")
    assert places._kind_of_file_system(inner / "var", table) == "ext4"
    assert places._kind_of_file_system(tmp_path / "a diskette", table) == "proc"
