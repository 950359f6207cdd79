"""FEEDBACK.md says what is: its settings load, its codes and limits are those in force."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from config.load import load_appliance
from dicom_sr.assessment import ASSESSMENTS, SAME_OUTLINE_PIXELS, SAME_WITHIN, SCHEME
from node.answering import COMMENT_CHARACTERS, MEASUREMENTS
from node.domain.errors import ConfigError
from node.domain.feedback import Answer
from node.ledger.documents import DocumentState
from node.pipeline.reader_reports import MAX_BYTES
from node.reader_settings import api_settings, assessment_words
from node.web import MAX_BODY_BYTES
from tests.config.test_alerts_page import GOOD

TEXT = (Path(__file__).resolve().parents[2] / "config" / "FEEDBACK.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```yaml\n(.*?)```", TEXT, flags=re.S)


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_is_good(example: str, tmp_path: Path) -> None:
    for name in ("reader-1-token", "api-token"):
        (tmp_path / name).write_text(f"text of {name}")
        (tmp_path / name).chmod(0o600)
    path = tmp_path / "appliance.yaml"
    path.write_text(GOOD + example.replace("# api_token", "api_token").replace("/etc/vigie", "."))
    appliance = load_appliance(path, {})
    tokens, words = api_settings(appliance), assessment_words(appliance)
    if "http:" in example:
        assert dict(tokens.named) == {"reader-1": "text of reader-1-token"}
        assert tokens.shared == "text of api-token"
        assert "text of" not in repr(tokens)
    else:
        assert words == {
            ("ACC", "99SITE"): Answer.ACCEPTED,
            ("REJ", "99SITE"): Answer.REJECTED,
            ("MOD", "99SITE"): Answer.CORRECTED,
        }


def test_codes_states_and_limits_are_those_in_force() -> None:
    assert len(EXAMPLES) == 2
    for code in ASSESSMENTS.values():
        assert f"`{code.value}`" in TEXT
    assert f"scheme `{SCHEME}`" in TEXT
    for state in set(DocumentState) - {DocumentState.WAITING}:
        assert f"| {state.value} |" in TEXT
    assert f"more than {SAME_WITHIN:.0%}".replace("%", " %") in TEXT
    assert SAME_OUTLINE_PIXELS == 0.5
    assert f"at most {COMMENT_CHARACTERS} characters" in TEXT
    assert f"at most {MEASUREMENTS}, each" in TEXT
    assert f"more than {MAX_BODY_BYTES >> 10} KiB" in TEXT
    assert f"larger than {MAX_BYTES >> 20} MiB" in TEXT


@pytest.mark.parametrize(
    ("settings", "files", "told"),
    [
        ("{a: 'file:./one', b: 'file:./one'}", {"one": "x" * 16}, "nobody could tell who"),
        ("{a: 'file:./one', b: 'file:./two'}", {"one": "x" * 16, "two": "x" * 16}, "of http.api"),
        ("{a: 'file:./one'}", {"one": "x" * 15}, "fewer than 16 characters"),
    ],
)
def test_a_token_that_proves_nothing_is_refused(
    settings: str, files: dict[str, str], told: str, tmp_path: Path
) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o600)
    path = tmp_path / "appliance.yaml"
    path.write_text(f"{GOOD}http: {{api_tokens: {settings}}}\n")
    with pytest.raises(ConfigError, match=told):
        api_settings(load_appliance(path, {}))
