"""Time of `plan` on 10,000 series: from a table of headers, and from the facts in a ledger.

    python -m bench.plan [--headers TABLE] [--series 10000]

Without a table, headers are made up: the words, kernels and thicknesses of eight protocols.
"""

from __future__ import annotations

import argparse
import csv
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

from config.load import load_appliance
from config.schema import Appliance
from inference.table import studies_of
from models.registry import load_manifest
from node.domain.facts import StudyFacts
from node.ledger import Ledger
from node.packages import MODELS_FOLDER, installed_models
from node.pipeline.plan import compare
from node.pipeline.routing import ModelRoute
from node.settings import routes_of

PROTOCOLS = (
    ("CT", "Thorax 1.0 Br40", "CHEST", "Br40f", "1.0", "300"),
    ("CT", "Abdomen portalvenoes 3.0", "ABDOMEN", "B30f", "3.0", "150"),
    ("CT", "Topogram 0.6", "CHEST", "T20s", "0.6", "1"),
    ("CT", "CHEST LUNG 1.25 W/O", "CHEST", "LUNG", "1.25", "280"),
    ("CT", "Dose Report", "", "", "", "1"),
    ("MR", "t2_tse_tra", "PROSTATE", "", "3.0", "30"),
    ("MG", "R MLO", "BREAST", "", "", "1"),
    ("PT", "PET AC", "WHOLEBODY", "", "3.27", "267"),
)
COLUMNS = (
    *("StudyInstanceUID", "SeriesInstanceUID", "Modality", "SeriesDescription"),
    *("BodyPartExamined", "ConvolutionKernel", "SliceThickness", "instanceCount", "SOPClassUID"),
    *("ImageType", "ImageOrientationPatient", "SpacingBetweenSlices", "PixelSpacing"),
    "Manufacturer",
)
ROUTES = """
routes:
  thin:
    when:
      modality: CT
      not: {image_kind: [localizer, reformat, projection, dose_report]}
      any: [{slice_thickness_mm: {max: 1.5}}, {series_description: "*portal*"}]
      body_region: abdomen
    prefer: [thinnest, soft_kernel]
    models: [body_composition]
    destinations: [pacs]
"""


def made_up(series: int, path: Path) -> None:
    """A table of headers, five series a study."""
    with path.open("w", encoding="utf-8", newline="") as stream:
        write = csv.writer(stream).writerow
        write(COLUMNS)
        for number in range(series):
            modality, *rest = PROTOCOLS[number * 7 % len(PROTOCOLS)]
            study = f"2.25.{number // 5 + 1}"
            row = [study, f"2.25.9{number}", modality, *rest, "1.2.840.10008.5.1.4.1.1.2"]
            row += ["ORIGINAL\\PRIMARY\\AXIAL", "1\\0\\0\\0\\1\\0", "1.0", "0.7\\0.7"]
            write([*row, ("SIEMENS", "GE MEDICAL SYSTEMS")[number % 2]])


def routes(appliance: Appliance) -> tuple[ModelRoute, ...]:
    """Of every model in use."""
    names = [name for name, model in appliance.models.items() if model.enabled]
    return routes_of(appliance, {name: load_manifest(MODELS_FOLDER / name) for name in names})


def timed(
    what: str, studies: Iterable[StudyFacts], now: tuple[ModelRoute, ...], new: Appliance
) -> None:
    """Print one line."""
    started = time.perf_counter()
    plan = compare(studies, now, routes(new))
    seconds = time.perf_counter() - started
    print(
        f"  {what}: {plan.series} series of {plan.studies} studies in {seconds:.1f} s "
        f"({plan.series / seconds:.0f} a second, {len(plan.differences)} differences)"
    )


def main() -> None:
    """Measure both sources with the shipped configuration and a changed one."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--headers", type=Path, help="a table of real headers")
    parser.add_argument("--series", type=int, default=10_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="vigie-bench-") as scratch:
        folder = Path(scratch)
        table = options.headers or folder / "headers.csv"
        if options.headers is None:
            made_up(options.series, table)
        shipped = Path("appliance.yaml").read_text(encoding="utf-8")
        (folder / "now.yaml").write_text(shipped, encoding="utf-8")
        before, _, after = shipped.partition("\nroutes:")
        _, _, rest = after.partition("\nworkers:")
        (folder / "new.yaml").write_text(f"{before}{ROUTES}\nworkers:{rest}", encoding="utf-8")
        installed = installed_models()
        now = routes(load_appliance(folder / "now.yaml", installed))
        new = load_appliance(folder / "new.yaml", installed)
        timed("table", studies_of(table), now, new)
        ledger = Ledger(folder)
        with ledger.transaction():
            for study in studies_of(table):
                ledger.facts.record(study)
        timed("ledger", ledger.facts.since(0.0), now, new)
        ledger.close()


if __name__ == "__main__":
    main()
