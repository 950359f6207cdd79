"""Every wrong `appliance.yaml` is refused at its line and column, with what to do about it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import pytest

from config.load import load_appliance
from node.domain.errors import ConfigError

INSTALLED = ("body_composition",)
TABLE = Path(__file__).with_name("wrong_files.txt")


@dataclass(frozen=True)
class WrongFile:
    """A file and the lines expected of it."""

    name: str
    content: str
    expected: tuple[str, ...]


def wrong_files() -> tuple[str, tuple[WrongFile, ...]]:
    """The good file and the wrong ones of `wrong_files.txt`."""
    cases = []
    good = ""
    for block in TABLE.read_text(encoding="utf-8").split("\n=== ")[1:]:
        name, _, rest = block.partition("\n")
        lines = rest.removesuffix("\n").split("\n")
        content = "".join(f"{line}\n" for line in lines if not line.startswith(">>> "))
        expected = tuple(line.removeprefix(">>> ") for line in lines if line.startswith(">>> "))
        if name == "(good)":
            good = content
        else:
            cases.append(WrongFile(name, content.replace("(good)\n", good), expected))
    return good, tuple(cases)


GOOD, WRONG_FILES = wrong_files()


def lines_of(raw: bytes, folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What `check` prints for a file of this content, without the name of the file."""
    (folder / "appliance.yaml").write_bytes(raw)
    monkeypatch.chdir(folder)
    with pytest.raises(ConfigError) as caught:
        load_appliance(Path("appliance.yaml"), INSTALLED)
    assert str(caught.value) == "\n".join(map(str, caught.value.faults))
    lines = str(caught.value).splitlines()
    assert all(line.startswith("appliance.yaml:") for line in lines)
    return [line.removeprefix("appliance.yaml:").replace(str(folder), "FOLDER") for line in lines]


@pytest.mark.parametrize("wrong", WRONG_FILES, ids=lambda wrong: wrong.name)
def test_each_fault_is_named_with_line_column_and_remedy(
    wrong: WrongFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = lines_of(wrong.content.encode(), tmp_path, monkeypatch)
    assert found == list(wrong.expected)
    assert wrong.expected


def test_the_table_holds_more_than_a_hundred_wrong_files() -> None:
    assert len(WRONG_FILES) > 100


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        pytest.param(
            "version: 1\n".encode("utf-16"),
            "1:1: the file is encoded as UTF-16 - save it again with the encoding UTF-8",
            id="UTF-16",
        ),
        pytest.param(
            "version: 1\n".encode("utf-16-le"),
            "1:1: the file is encoded as UTF-16 - save it again with the encoding UTF-8",
            id="UTF-16 without a mark",
        ),
        pytest.param(
            b"\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x03\x00>\x00",
            "1:1: this is no text file - check that --config names the right file",
            id="a program",
        ),
        pytest.param(
            b"\x00\x01\x02\x03" * 50,
            "1:1: this is no text file - check that --config names the right file",
            id="a binary file that begins with zeros",
        ),
        pytest.param(
            GOOD.encode() + "node: {institution: Universitätsklinik}\n".encode("latin-1"),
            "6:30: a letter that is not UTF-8, as old Windows editors write it (got byte 0xe4) - "
            "save the file again with the encoding UTF-8",
            id="Latin-1",
        ),
        pytest.param(
            GOOD.encode() + b'node: {name: "a\x07b"}\n',
            "6:16: an invisible control character (code 0x07) stands here - delete the character "
            "and type the line again",
            id="control character",
        ),
        pytest.param(
            b"#" * 250_001,
            "1:1: the file is larger than 250,000 bytes - check that --config names the right file",
            id="huge file",
        ),
        pytest.param(
            b"a: [" + b"x," * 20_000 + b"]",
            "1:19999: the file holds more than 10,000 keys and values - check that --config names "
            "the right file",
            id="endless list",
        ),
    ],
)
def test_a_file_in_another_encoding_is_refused_with_the_way_to_save_it(
    raw: bytes, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert lines_of(raw, tmp_path, monkeypatch) == [expected]


def test_a_utf8_byte_order_mark_is_no_fault_and_shifts_no_column(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = GOOD.replace("version: 1", "version: x").encode("utf-8-sig")
    assert lines_of(raw, tmp_path, monkeypatch)[0].startswith("1:10: version: ")


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.yaml:1:1: no such file - check the spelling"):
        load_appliance(tmp_path / "none.yaml", INSTALLED)


def test_a_folder_instead_of_a_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"a folder, not a file - name the file: .*yaml"):
        load_appliance(tmp_path, INSTALLED)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_a_file_that_may_not_be_read_is_named(tmp_path: Path) -> None:
    path = tmp_path / "appliance.yaml"
    path.write_text(GOOD)
    path.chmod(0)
    with pytest.raises(ConfigError, match=r"cannot be read .* with chown or chmod"):
        load_appliance(path, INSTALLED)


def test_every_fault_of_a_file_is_reported_at_once_in_the_order_of_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = """\
version: 1
node: {label: cleared, ae_title: MUCH_TOO_LONG_A_TITLE}
receiver:
  prot: 104
  peers:
    ct1: {addresses: [10.0.0.1], ae_titles: [CT1]}
storage: {path: ./var, retention_days: yes}
http: {port: 0}
models: {lungs: {enabled: true}}
routes: {all: {models: [lungs], destinations: [pacs]}}
http: {port: 1}
"""
    lines = lines_of(content.encode(), tmp_path, monkeypatch)
    assert [line.split(": ")[:2] for line in lines] == [
        ["2:15", "node.label"],
        ["2:34", "node.ae_title"],
        ["4:3", "receiver.prot"],
        ["7:40", "storage.retention_days"],
        ["8:14", "http.port"],
        ["9:10", "models.lungs"],
        ["10:48", "routes.all.destinations.0"],
        ["11:1", "http"],
    ]


def test_the_first_fault_does_not_hide_contradictions_that_do_not_depend_on_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = GOOD + "http: {port: 11112}\ncompletion: {quiet_time_s: x}\n"
    lines = lines_of(content.encode(), tmp_path, monkeypatch)
    assert [line.split(": ")[1] for line in lines] == ["http.port", "completion.quiet_time_s"]


def test_no_secret_is_repeated_in_a_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = GOOD + "http:\n  metrics_token: hunter2\n  password: hunter2\n  api_token: hunter2\n"
    assert "hunter2" not in "\n".join(lines_of(content.encode(), tmp_path, monkeypatch))
    broken = GOOD + 'http:\n  metrics_token: "hunter2\n'
    assert "hunter2" not in "\n".join(lines_of(broken.encode(), tmp_path, monkeypatch))


def test_a_file_of_nested_aliases_is_refused_before_it_grows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    laughs = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    laughs += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    lines = lines_of("\n".join(laughs).encode(), tmp_path, monkeypatch)
    assert len(lines) == 21
    assert lines[0].startswith("1:5: a0: a value that starts with & is a YAML anchor")
    assert "a value that starts with *" in lines[-1]


def test_no_is_an_ae_title_and_not_a_falsehood(tmp_path: Path) -> None:
    path = tmp_path / "appliance.yaml"
    path.write_text(GOOD.replace("[CT1]", "[NO, ON, 1e5x]"))
    assert load_appliance(path, INSTALLED).receiver.peers["ct1"].ae_titles == ("NO", "ON", "1e5x")


def test_thresholds_are_checked_against_those_of_the_package(tmp_path: Path) -> None:
    path = tmp_path / "appliance.yaml"
    path.write_text(GOOD + "models: {body_composition: {thresholds: {muscel: 1}}}\n")
    with pytest.raises(ConfigError, match=r"6:50: models\.body_composition\.thresholds\.muscel: "):
        load_appliance(path, {"body_composition": ["muscle"]})
    path.write_text(GOOD + "models: {body_composition: {thresholds: {muscle: 1}}}\n")
    appliance = load_appliance(path, {"body_composition": ["muscle"]})
    assert appliance.models["body_composition"].thresholds == {"muscle": 1}
