"""A file of an older layout still works, and the operator is told what to change."""

from __future__ import annotations

from pathlib import Path

import pytest

from config.load import load
from node.domain.errors import ConfigError

OLD = """\
version: 0
scp:
  port: 104
  quiet_seconds: 45
  allow:
    ct1: {addresses: [10.0.0.1], ae_titles: [CT1]}
storage: {path: ./var, watermark_percent: 80}
"""


def site(folder: Path, content: str) -> Path:
    """A file of this content."""
    path = folder / "appliance.yaml"
    path.write_text(content)
    return path


def test_a_file_of_layout_0_means_the_same_in_layout_1(tmp_path: Path) -> None:
    appliance = load(site(tmp_path, OLD), ()).appliance
    assert appliance.version == 1
    assert appliance.receiver.port == 104
    assert appliance.receiver.peers["ct1"].ae_titles == ("CT1",)
    assert appliance.completion.quiet_time_s == 45
    assert appliance.storage.refuse_above_percent == 80


def test_the_operator_is_told_what_changed_and_on_which_line(tmp_path: Path) -> None:
    path = site(tmp_path, OLD)
    notes = [str(note).removeprefix(f"{path}:") for note in load(path, ()).notes]
    assert notes == [
        "2:1: scp: read as 'receiver' - rename 'scp' to 'receiver'",
        "4:3: receiver.quiet_seconds: read as 'completion.quiet_time_s' - rename "
        "'receiver.quiet_seconds' to 'completion.quiet_time_s'",
        "5:3: receiver.allow: read as 'receiver.peers' - rename 'receiver.allow' to "
        "'receiver.peers'",
        "7:24: storage.watermark_percent: read as 'storage.refuse_above_percent' - rename "
        "'storage.watermark_percent' to 'storage.refuse_above_percent'",
        "1:10: version: layout 0 was read as layout 1 - write version: 1 once the lines named "
        "here are changed",
    ]


def test_a_fault_in_an_old_file_is_reported_where_the_operator_wrote_it(tmp_path: Path) -> None:
    path = site(tmp_path, OLD.replace("quiet_seconds: 45", "quiet_seconds: soon"))
    with pytest.raises(ConfigError, match=r":4:18: completion\.quiet_time_s: must be a number"):
        load(path, ())


def test_old_and_new_name_together_are_refused(tmp_path: Path) -> None:
    path = site(tmp_path, OLD + "completion: {quiet_time_s: 20}\n")
    with pytest.raises(
        ConfigError,
        match=r":4:3: receiver\.quiet_seconds: the old name of 'completion\.quiet_time_s', which "
        r"stands in this file as well - delete 'quiet_seconds'",
    ):
        load(path, ())


def test_old_names_are_unknown_in_a_file_of_the_present_layout(tmp_path: Path) -> None:
    path = site(tmp_path, OLD.replace("version: 0", "version: 1"))
    with pytest.raises(ConfigError, match=r":2:1: scp: unknown key"):
        load(path, ())


def test_a_file_of_the_present_layout_has_no_notes(tmp_path: Path) -> None:
    content = OLD.replace("version: 0", "version: 1").replace("scp:", "receiver:")
    content = content.replace("  quiet_seconds: 45\n", "").replace("allow:", "peers:")
    content = content.replace("watermark_percent", "refuse_above_percent")
    assert load(site(tmp_path, content), ()).notes == ()
