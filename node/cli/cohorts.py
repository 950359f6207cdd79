"""What `evaluate` and `agreement` share: the cohort that is named, progress, arguments."""

from __future__ import annotations

import argparse
import difflib
import os
import shutil
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from config.schema import Appliance
from models.registry import stated_acute
from node import packages
from node.cli.command import complain
from node.domain.acute import AcuteFinding
from node.domain.errors import ConfigError, LedgerError, ModelError
from node.evaluation.cohort import HEADER_GROUPS, Cohort
from node.evaluation.contents import Contents, contents_of
from node.evaluation.filed import RESULTS, SUMMARY
from node.evaluation.from_images import ImageCohort, Running
from node.evaluation.from_ledger import LedgerCohort
from node.evaluation.from_reports import ReportCohort
from node.evaluation.naming import Rule
from node.ledger import Ledger
from node.logs import configure_logging

LEDGER: Final = "ledger"
DAY_S: Final = 86400.0


@contextmanager
def opened(options: argparse.Namespace, appliance: Appliance) -> Iterator[Cohort]:
    """The cohort that the arguments name.

    Raises:
        ConfigError: it cannot be told what to do with it.
    """
    if options.cohort == LEDGER:
        for name, given in (
            ("run", options.analyse),
            ("read", options.read),
            ("images", options.images),
        ):
            if given:
                raise ConfigError(f"--{name} is about a folder, not about the {LEDGER}")
        try:
            ledger = Ledger(appliance.storage.path, read_only=True)
        except LedgerError as error:
            raise ConfigError(str(error)) from error
        try:
            since = time.time() - options.days * DAY_S if options.days else 0.0
            yield LedgerCohort(ledger, since=since)
        finally:
            ledger.close()
        return
    if options.days:
        raise ConfigError(f"--days is about the {LEDGER}, not about a folder")
    folder = Path(options.cohort)
    if not folder.is_dir():
        raise ConfigError(
            f"{folder}: no such folder - name a folder of images or of reports, or write "
            f"'{LEDGER}' for the results of this node"
        )
    if sys.stderr.isatty():
        complain(f"listing {folder} ...")
    contents = contents_of(folder)
    if _is_to_run(options, folder, contents):
        if options.images is not None:
            raise ConfigError("--images goes with reports; images that are analysed are at hand")
        _prepare(options, folder, appliance)
        keep = options.out.resolve() / RESULTS if options.out is not None else None
        running = Running(appliance=appliance, models_folder=packages.MODELS_FOLDER, keep=keep)
        yield ImageCohort(folder, contents, running)
    else:
        yield ReportCohort(folder, contents, images=options.images)


def _is_to_run(options: argparse.Namespace, folder: Path, contents: Contents) -> bool:
    images, reports = contents.images, contents.reports
    if options.analyse or options.read:
        if not (images if options.analyse else reports):
            what = "images to analyse" if options.analyse else "reports to read"
            raise ConfigError(f"{folder} holds no {what}")
        return bool(options.analyse)
    if images and reports:
        raise ConfigError(
            f"{folder} holds {images} images and {reports} reports - add --run to analyse the "
            "images, or --read to read the reports"
        )
    if not images and not reports:
        raise ConfigError(f"{folder} holds no DICOM images and no reports")
    return bool(images)


def _prepare(options: argparse.Namespace, folder: Path, appliance: Appliance) -> None:
    """Make room for the reports of this run, and send the log where it does not disturb."""
    log = Path(os.devnull)
    if options.out is not None:
        out = options.out
        ours = (out / SUMMARY).exists() or (out / RESULTS).is_dir()
        if out.is_dir() and any(out.iterdir()) and not ours:
            raise ConfigError(
                f"--out {out}: not empty and not an earlier evaluation; name another folder"
            )
        if folder.resolve().is_relative_to((out / RESULTS).resolve()):
            raise ConfigError(f"--out {out}: the images lie in it; name another folder")
        shutil.rmtree(out / RESULTS, ignore_errors=True)
        (out / RESULTS).mkdir(parents=True)
        log = out / "node.log"
    configure_logging(appliance.logging.model_copy(update={"file": log.resolve()}))


@dataclass(frozen=True, slots=True)
class Stated:
    """What the installed packages say of their own results.

    Attributes:
        acute: what each calls acute, by model.
        left_out: models whose package cannot be read: how their results count is not known.
    """

    acute: Mapping[str, tuple[AcuteFinding, ...]]
    left_out: frozenset[str]


def stated(*about: str) -> Stated:
    """Of every installed package; one that cannot be read does not stop the rest.

    `about`: the models that are asked about, "" for all; only of these a fault is told.
    """
    acute, left_out = {}, set()
    for path in sorted(packages.MODELS_FOLDER.glob("*/model.yaml")):
        name = path.parent.name
        try:
            acute[name] = stated_acute(path.parent)
        except (ConfigError, ModelError) as error:
            if not any(about) or name in about:
                left_out.add(name)
                complain(
                    f"model {name} is left out, because its package cannot be read: "
                    + "; ".join(str(error).splitlines())
                )
    return Stated(acute, frozenset(left_out))


def groupings(asked: str, columns: Sequence[str]) -> tuple[str, ...]:
    """The names after `--by`. `columns`: extra columns of the truth table.

    Raises:
        ConfigError: there is no such grouping.
    """
    known = (*HEADER_GROUPS, *columns)
    names = [name.strip() for name in asked.split(",") if name.strip()]
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            hint = f"did you mean '{near[0]}'? " if near else ""
            raise ConfigError(f"--by {name}: no such grouping - {hint}there are {', '.join(known)}")
    return tuple(dict.fromkeys(names))


class Progress:
    """One line on a terminal that rewrites itself; nothing in a pipe."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._done = 0
        self._started = time.monotonic()
        self._shown = sys.stderr.isatty()

    def step(self) -> None:
        """One more study."""
        self._done += 1
        if not self._shown:
            return
        left = (time.monotonic() - self._started) / self._done * (self._total - self._done)
        remaining = f", about {left / 60:.0f} min left" if left > 60 else ""
        sys.stderr.write(f"\r{self._done} of {self._total} studies{remaining}\x1b[K")
        sys.stderr.flush()

    def end(self) -> None:
        """Leave the line."""
        if self._shown and self._done:
            sys.stderr.write("\n")


def positive_number(text: str) -> float:
    """A number above 0, for argparse."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value <= 36500:
        raise argparse.ArgumentTypeError("write a number above 0")
    return value


def _rule(text: str) -> Rule:
    try:
        return Rule.parsed(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def add_rule(parser: argparse.ArgumentParser) -> None:
    """`--positive`, for commands that call a result positive or negative."""
    parser.add_argument(
        "--positive",
        type=_rule,
        metavar="RULE",
        help="when a result is positive, such as 'Certainty of Finding >= 82' or 'Skeletal muscle "
        "index at L3 < 38.5' (default: when it holds the finding)",
    )
