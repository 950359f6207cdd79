"""Each command does its work or says why not, with the documented exit code."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from inference.providers import Probe
from node.cli.main import COMMANDS, main
from node.domain.discrepancy import Decision, Difference, Kind
from node.domain.study import Certainty, SeriesUID
from node.domain.verdict import Job, ModelName
from node.ledger import Ledger
from node.ledger.outbox import ResultObject
from node.ledger.states import JobState, StudyState
from scp.notices import ExpectedSeries, StepChange
from tests.node import words

GOOD, FAILURES, REFUSED = 0, 1, 2
CONFIGURATION = """\
version: 1
receiver: {{host: 127.0.0.1, peers: {{here: {{addresses: [127.0.0.1], any_ae_title: true}}}}}}
storage: {{path: {path}}}
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "appliance.yaml"
    path.write_text(CONFIGURATION.format(path=tmp_path / "store"), encoding="utf-8")
    return path


@pytest.fixture
def received(config: Path, tmp_path: Path) -> Path:
    (tmp_path / "store").mkdir()
    ledger = Ledger(tmp_path / "store")
    ledger.instances.record(words.instance(1))
    ledger.close()
    return config


def test_shipped_configuration_is_good(capsys: pytest.CaptureFixture[str]) -> None:
    shipped = Path(__file__).resolve().parents[2] / "appliance.yaml"
    assert main(["check", "--config", str(shipped)]) == GOOD
    assert "good" in capsys.readouterr().out


def test_wrong_configuration_is_refused_with_line_column_and_remedy(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config.write_text(config.read_text() + "http: {prot: 8085}\n", encoding="utf-8")
    assert main(["check", "--config", str(config)]) == REFUSED
    told = capsys.readouterr().err
    assert "appliance.yaml:4:8: http.prot" in told
    assert "did you mean 'port'" in told


def test_serve_says_in_one_line_that_its_folder_cannot_be_used(
    config: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(path: Path, **_: object) -> None:
        raise OSError(30, "Read-only file system", str(path))

    monkeypatch.setattr(Path, "mkdir", refuse)
    # It would go on writing to a stream that pytest closes.
    monkeypatch.setattr("node.cli.appliance.configure_logging", lambda _settings: None)
    assert main(["serve", "--config", str(config)]) == REFUSED
    (told,) = capsys.readouterr().err.splitlines()
    assert told.startswith(f"storage.path: {tmp_path / 'store'} cannot be used (Read-only")
    assert "chown" in told


def test_check_warns_of_providers_that_this_computer_lacks(
    config: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "node.cli.appliance.probe",
        lambda: Probe(compiled=("CPUExecutionProvider",), missing=frozenset({"libcuda.so.1"})),
    )
    more = "models: {body_composition: {unsigned: true}}\nworkers: {providers: [tensorrt]}\n"
    config.write_text(config.read_text() + more, encoding="utf-8")
    assert main(["check", "--config", str(config)]) == GOOD
    warning, idle, good = capsys.readouterr().out.splitlines()
    assert "models.body_composition: no route names this model" in idle
    assert warning.startswith("warning: ")
    assert "appliance.yaml:5:22: workers.providers: nothing could be analysed" in warning
    assert "add cpu" in warning
    assert "good" in good


def test_check_names_a_package_that_nobody_signed_and_the_place_to_say_so(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    more = "models:\n  body_composition: {enabled: true}\n"
    config.write_text(config.read_text() + more, encoding="utf-8")
    assert main(["check", "--config", str(config)]) == REFUSED
    (told,) = capsys.readouterr().err.splitlines()
    assert "appliance.yaml:5:3: models.body_composition: this package carries no signature" in told
    assert "models sign body_composition" in told
    config.write_text(config.read_text().replace("enabled: true", "enabled: false"))
    assert main(["check", "--config", str(config)]) == GOOD


def test_check_warns_of_patient_data_on_an_open_line_and_of_a_rule_that_calls_nobody(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ris = "channels: {ris: {type: hl7, host: h, port: 1}}\n  findings: {pe: {channels: [ris]}}"
    more = f"alerts:\n  patient_data: identifiers\n  {ris}\n"
    config.write_text(config.read_text() + more, encoding="utf-8")
    assert main(["check", "--config", str(config)]) == GOOD
    told = capsys.readouterr().out
    assert "alerts.channels.ris.host: patient data travel unencrypted" in told
    assert "alerts.findings.pe: no model in use states an acute finding" in told


def test_missing_configuration_is_refused_by_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["status", "--config", str(tmp_path / "none.yaml")]) == REFUSED
    assert "none.yaml" in capsys.readouterr().err


def test_status_before_the_first_start_says_so(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["status", "--config", str(config)]) == FAILURES
    assert "has `serve` ever run" in capsys.readouterr().err


def test_rerun_takes_an_ended_study_and_no_other(
    received: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["rerun", words.STUDY, "--config", str(received)]
    assert main(command) == FAILURES
    assert "only one that ended, failed or is held back" in capsys.readouterr().err
    ledger = Ledger(tmp_path / "store")
    generation = ledger.studies.complete(words.STUDY, "quiet", Certainty.CERTAIN)
    ledger.studies.set_state(words.STUDY, StudyState.ENDED, generation=generation)
    ledger.close()
    assert main(command) == GOOD
    ledger = Ledger(tmp_path / "store")
    study = ledger.studies.get(words.STUDY)
    assert study is not None
    assert (study.state, study.generation) == (StudyState.COMPLETED, generation + 1)
    assert study.certainty is Certainty.CERTAIN
    assert ledger.studies.reruns(words.STUDY) == 1
    ledger.close()
    assert main(["rerun", "1.2.3", "--config", str(received)]) == FAILURES
    assert "no study 1.2.3" in capsys.readouterr().err


def test_withdraw_marks_the_result_and_resend_then_refuses(
    received: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["withdraw", words.STUDY, "--config", str(received)]
    assert main(command) == FAILURES
    assert "no current result to withdraw" in capsys.readouterr().err
    assert main(["withdraw", "1.2.3", "--config", str(received)]) == FAILURES
    assert "no study 1.2.3" in capsys.readouterr().err
    assert main([*command, "--reason", "x" * 201]) == REFUSED
    assert "at most 200" in capsys.readouterr().err
    ledger = Ledger(tmp_path / "store")
    generation = ledger.studies.complete(words.STUDY, "quiet", Certainty.LIKELY)
    job = Job(
        key="k",
        study_uid=words.STUDY,
        candidates=(SeriesUID("1"),),
        model=ModelName("body_composition"),
        generation=generation,
        priority=1,
    )
    ledger.jobs.add(job, destinations=["pacs"])
    claimed = ledger.jobs.claim("one", 30)
    assert claimed is not None
    ledger.jobs.finish(claimed, JobState.DONE)
    report = ResultObject(
        sop_instance_uid="2.25.1",
        sop_class_uid="1.2.840.10008.5.1.4.1.1.88.34",
        study_uid=words.STUDY,
        series_uid="2.25.2",
        job_key="k",
        kind="report",
        instance_number=1,
        path=tmp_path / "store" / "results" / "k" / "01-report.dcm",
    )
    ledger.outbox.add([report], ["pacs"])
    ledger.studies.set_state(words.STUDY, StudyState.ENDED, generation=generation)
    ledger.close()
    assert main([*command, "--reason", "second reader disagrees"]) == GOOD
    assert "1 objects will not be sent" in capsys.readouterr().out
    assert main(["resend", words.STUDY, "--config", str(received)]) == FAILURES
    assert "was withdrawn" in capsys.readouterr().err
    assert main(["explain", words.STUDY, "--config", str(received)]) == GOOD
    told = capsys.readouterr().out
    assert "likely: quiet" in told
    assert "job body_composition: withdrawn: second reader disagrees" in told


def test_explain_tells_what_was_announced_and_what_came_again(
    received: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ledger = Ledger(tmp_path / "store")
    ledger.announcements.step_began(
        StepChange(
            step_uid="9", calling_ae_title="CT1", status="IN PROGRESS", study_uids=(words.STUDY,)
        )
    )
    ledger.announcements.step_changed(
        StepChange(
            step_uid="9",
            calling_ae_title="CT1",
            status="DISCONTINUED",
            reason="Patient refused to continue",
            series=(ExpectedSeries("1", ("1.1", "1.2")),),
        )
    )
    difference = Difference(
        kind=Kind.IDENTITY,
        newer=(words.instance(1),),
        earlier=(words.instance(1),),
        keywords=("PatientID", "PatientName"),
    )
    ledger.discrepancies.record(difference, Decision.HELD, "only 1 of 40 images came again")
    ledger.close()
    assert main(["explain", words.STUDY, "--config", str(received)]) == GOOD
    told = capsys.readouterr().out
    assert (
        "procedure step of CT1: discontinued (Patient refused to continue), 2 images in 1 series"
        in told
    )
    assert (
        "1 images came again; they differ in PatientID, PatientName; held back: only 1 of 40"
        in told
    )
    assert main(["explain", words.STUDY, "--config", str(received), "--json"]) == GOOD
    assert len(json.loads(capsys.readouterr().out)[0]["known"]) == 2


def test_failed_study_says_why_in_status(
    received: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ledger = Ledger(tmp_path / "store")
    cause = "body_composition failed: the worker was killed by signal 9 (2 attempts), and more"
    ledger.studies.settle(words.STUDY, StudyState.FAILED, cause)
    ledger.close()
    assert main(["status", "--config", str(received)]) == GOOD
    told = capsys.readouterr().out
    assert "1 failed" in told
    assert "body_composition failed: the worker was killed by" in told
    assert main(["status", "--config", str(received), "--json"]) == GOOD
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["state"], row["why"]) == ("failed", cause)


def test_status_and_explain_show_the_study(
    received: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["status", "--config", str(received), "--json"]) == GOOD
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["study"], row["state"], row["images"]) == (words.STUDY, "receiving", 1)
    assert main(["explain", words.STUDY, "--config", str(received)]) == GOOD
    assert "first instance" in capsys.readouterr().out
    assert main(["explain", "1.2.3", "--config", str(received)]) == FAILURES
    assert "never arrived here" in capsys.readouterr().err


def test_explain_config_shows_where_a_value_comes_from(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["explain-config", "--config", str(config), "--json"]) == GOOD
    rows = {row["key"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows["receiver.host"]["origin"].endswith(":2")
    assert rows["http.port"]["origin"] == "default"


def test_conformance_statement_names_what_is_configured(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["conformance", "--config", str(config)]) == GOOD
    told = capsys.readouterr().out
    assert "CT Image Storage | 1.2.840.10008.5.1.4.1.1.2 |" in told
    assert "A700" in told


def test_run_refuses_a_folder_that_does_not_exist_and_an_output_that_is_not_its_own(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    arguments = ["--out", str(out), "--config", str(config)]
    assert main(["run", str(tmp_path / "none"), *arguments]) == REFUSED
    out.mkdir()
    (out / "holiday.jpg").write_bytes(b"x")
    assert main(["run", str(tmp_path), *arguments]) == REFUSED
    assert "not empty" in capsys.readouterr().err
    assert (out / "holiday.jpg").exists()


def test_every_command_explains_itself(capsys: pytest.CaptureFixture[str]) -> None:
    for command in COMMANDS:
        with pytest.raises(SystemExit) as ended:
            main([command.name, "--help"])
        assert ended.value.code == GOOD
        assert command.summary.split()[0].lower() in capsys.readouterr().out.lower()


def test_unknown_command_is_refused() -> None:
    with pytest.raises(SystemExit) as ended:
        main(["dance"])
    assert ended.value.code == REFUSED


def test_explain_prints_the_facts_of_a_study_as_a_rule_asks_for_them(
    received: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    explain = ["explain", words.STUDY, "--facts", "--config", str(received)]
    assert main(explain) == GOOD
    assert "no facts are kept" in capsys.readouterr().out
    ledger = Ledger(tmp_path / "store")
    facts = words.facts(
        station="CT 1", contrast=True, body_region=("chest", "abdomen"), slice_thickness_mm=1.25
    )
    ledger.facts.record(words.study_facts(facts))
    ledger.close()
    assert main(explain) == GOOD
    told = capsys.readouterr().out
    assert '  station: "CT 1"\n' in told
    assert "  contrast: true\n" in told
    assert "  body_region: [chest, abdomen]\n" in told
    assert "  slice_thickness_mm: 1.25\n" in told
    (unknown,) = [line for line in told.splitlines() if line.startswith("  not stated: ")]
    assert "view" in unknown.split(": ")[1].split(", ")
    when = yaml.safe_load(
        "\n".join(line.strip() for line in told.splitlines()[1:] if "not stated" not in line)
    )
    assert when["station"] == "CT 1"
    assert main([*explain, "--json"]) == GOOD
    (row,) = json.loads(capsys.readouterr().out)
    assert row["facts"][0]["facts"]["station"] == "CT 1"
