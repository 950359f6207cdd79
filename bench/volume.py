"""Time to turn a folder of one series into a volume, against GDCM reading the same files.

    python -m bench.volume FOLDER [--rounds 5]

Both do the whole work of a reader: headers, order along the stack, decoding, rescale. GDCM
uses its own sorter and image reader, file by file. Rounds are interleaved, so that a busy
machine slows both; the medians and their ratio are printed, after the voxels were compared.
"""

from __future__ import annotations

import argparse
import hashlib
import statistics
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import gdcm
import numpy as np
import pydicom
from numpy.typing import NDArray

from inference.series import describe_study
from inference.volume import load_volume
from node.domain.extent import Extent
from node.domain.study import (
    ClassUID,
    Instance,
    InstanceUID,
    SeriesUID,
    StudyUID,
    TransferSyntaxUID,
)


def read_with_vigie(rows: Sequence[Instance]) -> NDArray[np.generic]:
    """(slice, row, column) as the node loads it: headers read anew, geometry checked."""
    study = describe_study(rows, generation=1, completed_at=datetime.now(UTC), confidence="bench")
    series = max(study.series, key=lambda one: len(one.planes))
    return load_volume(series).voxels


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


def timed(read: Callable[[], NDArray[np.generic]]) -> tuple[float, NDArray[np.generic]]:
    """Seconds of wall clock, and what was read."""
    started = time.perf_counter()
    voxels = read()
    return time.perf_counter() - started, voxels


def main() -> None:
    """Read the command line, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("folder", type=Path, help="one series, nothing else")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    paths = sorted(path for path in options.folder.rglob("*") if path.is_file())
    rows = rows_of(paths)
    seconds: dict[str, list[float]] = {"vigie": [], "gdcm": []}
    same = True
    for _ in range(options.rounds):
        ours_s, ours = timed(lambda: read_with_vigie(rows))
        theirs_s, theirs = timed(lambda: read_with_gdcm(paths))
        seconds["vigie"].append(ours_s)
        seconds["gdcm"].append(theirs_s)
        same = same and np.array_equal(ours, np.maximum(theirs, -1024))
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    print(f"{len(paths)} files, {rows[0].transfer_syntax_uid}, {options.rounds} rounds")
    for name, median in medians.items():
        spread = f"{min(seconds[name]):.3f} to {max(seconds[name]):.3f}"
        print(f"  {name:6} {median:.3f} s ({spread})")
    print(f"  vigie / gdcm {medians['vigie'] / medians['gdcm']:.2f}")
    print(f"  same voxels (padding below -1024 HU aside): {'yes' if same else 'NO'}")


if __name__ == "__main__":
    main()
