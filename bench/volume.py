"""Time to turn a folder of one series into a volume, against GDCM reading the same files.

    python -m bench.volume [FOLDER] [--rounds 5]

Both do the whole work of a reader: headers, order along the stack, decoding, rescale. GDCM
uses its own sorter and image reader, file by file. Rounds are interleaved, so that a busy
machine slows all; medians and ratios are printed, and whether the voxels are the same. Where
SimpleITK is installed, its series reader is measured too.
"""

from __future__ import annotations

import argparse
import hashlib
import resource
import tempfile
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import gdcm
import numpy as np
import pydicom
from numpy.typing import NDArray

from bench.long_series import write_long_series
from bench.ratios import interleaved, told
from inference.series import describe_study
from inference.volume import load_volume
from node.domain.extent import Extent
from node.domain.study import (
    ClassUID,
    Instance,
    InstanceUID,
    Series,
    SeriesUID,
    StudyUID,
    TransferSyntaxUID,
)


def read_with_vigie(rows: Sequence[Instance]) -> NDArray[np.generic]:
    """(slice, row, column) as the node loads it: headers read anew, geometry checked."""
    return load_volume(describe(rows)).voxels


def describe(rows: Sequence[Instance]) -> Series:
    """The longest series."""
    study = describe_study(rows, generation=1, completed_at=datetime.now(UTC), confidence="bench")
    return max(study.series, key=lambda one: len(one.planes))


def read_with_gdcm(paths: Sequence[Path]) -> NDArray[np.generic]:
    """(slice, row, column), sorted and rescaled by GDCM; nothing is checked."""
    sorter = gdcm.IPPSorter()
    sorter.SetComputeZSpacing(False)
    sorter.Sort([str(path) for path in paths])
    slices = []
    for name in sorter.GetFilenames():
        reader = gdcm.ImageReader()
        reader.SetFileName(name)
        if not reader.Read():
            raise SystemExit(f"GDCM cannot read {name}")
        image = reader.GetImage()
        stored = image.GetPixelFormat()
        sign = "i" if stored.GetPixelRepresentation() else "u"
        kind = f"<{sign}{stored.GetBitsAllocated() // 8}"
        # SWIG hands the bytes over as text with escapes.
        content = image.GetBuffer().encode("utf-8", "surrogateescape")
        values = np.frombuffer(content, kind).reshape(image.GetDimension(1), image.GetDimension(0))
        slices.append((values * image.GetSlope() + image.GetIntercept()).astype(np.int16))
    return np.stack(slices)


def rows_of(paths: Sequence[Path]) -> tuple[Instance, ...]:
    """Rows as the receiver would have indexed them; not part of what is timed."""
    rows = []
    for path in paths:
        header = pydicom.dcmread(path, stop_before_pixels=True)
        rows.append(
            Instance(
                sop_instance_uid=InstanceUID(str(header.get("SOPInstanceUID", "")) or path.name),
                sop_class_uid=ClassUID(str(header.file_meta.get("MediaStorageSOPClassUID", ""))),
                study_uid=StudyUID(str(header.get("StudyInstanceUID", ""))),
                series_uid=SeriesUID(str(header.get("SeriesInstanceUID", ""))),
                transfer_syntax_uid=TransferSyntaxUID(str(header.file_meta.TransferSyntaxUID)),
                extent=Extent(path),
                digest=hashlib.sha256(str(path).encode()).hexdigest(),
                size_bytes=path.stat().st_size,
                calling_ae_title="BENCH",
                received_at=datetime.now(UTC),
            )
        )
    return tuple(rows)


def read_with_simpleitk(paths: Sequence[Path]) -> dict[str, Callable[[], Any]]:
    """SimpleITK's series reader: sorting and reading, and reading of sorted names alone.

    Empty where SimpleITK is not installed.
    """
    try:
        import SimpleITK  # noqa: PLC0415 - a peer that may be missing
    except ImportError:
        print("  SimpleITK is not installed here: not compared")
        return {}
    sort = SimpleITK.ImageSeriesReader.GetGDCMSeriesFileNames
    folder = str(paths[0].parent)
    names = sort(folder)

    def read(names: Sequence[str]) -> Any:  # noqa: ANN401 - an image of SimpleITK
        reader = SimpleITK.ImageSeriesReader()
        reader.SetFileNames(names)
        return reader.Execute()

    return {"SimpleITK": lambda: read(sort(folder)), "SimpleITK, sorted": lambda: read(names)}


def main() -> None:
    """Read the command line, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("folder", type=Path, nargs="?", help="one series; default: 600 slices")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="vigie-bench-") as scratch:
        if options.folder is None:
            paths = write_long_series(Path(scratch))
        else:
            paths = sorted(path for path in options.folder.rglob("*") if path.is_file())
        _measure(paths, options.rounds)


def _measure(paths: Sequence[Path], rounds: int) -> None:
    rows = rows_of(paths)
    described = describe(rows)
    print(f"{len(paths)} files, {rows[0].transfer_syntax_uid}, {rounds} rounds")
    ways: dict[str, Callable[[], Any]] = {
        "vigie": lambda: read_with_vigie(rows),
        "vigie, described": lambda: load_volume(described),
        "gdcm": lambda: read_with_gdcm(paths),
        **read_with_simpleitk(paths),
    }
    same = np.array_equal(ways["vigie"](), np.maximum(ways["gdcm"](), -1024))
    seconds = interleaved(ways, rounds)
    print(told({name: seconds[name] for name in ("vigie", "gdcm")}, reference="gdcm"))
    if "SimpleITK" in seconds:
        print("headers and pixels:")
        print(told({name: seconds[name] for name in ("vigie", "SimpleITK")}, reference="SimpleITK"))
        print("pixels, where the order is known:")
        names = ("vigie, described", "SimpleITK, sorted")
        print(
            told(
                {name: seconds[name] for name in names},
                reference="SimpleITK, sorted",
                target="at most 0.60",
            )
        )
    print(f"  same voxels (padding below -1024 HU aside): {'yes' if same else 'NO'}")
    print(f"  most memory of this process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss} kB")


if __name__ == "__main__":
    main()
