"""A structure that was not drawn is named, and never reads as one that is not there."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from models.anatomy import words
from models.anatomy.names import PAIRED, SINGLE, sided
from models.anatomy.structures import Structure as S
from models.anatomy.unseen import not_seen
from node.domain.anatomy import LEVELS, Anatomy, Vertebra
from node.domain.finding import Findings
from tests.models.anatomy.looks import Trunk, block, spine

ALL = {name for _, name in SINGLE.values()} | {
    sided(name, side) for _, name in PAIRED.values() for side in ("right", "left")
}
INSIDE = "the images show the usual place"
BEYOND = "the usual place is beyond the images"
UNKNOWN = "beyond the images, or not recognised"


def seen(levels: Sequence[str], cut: tuple[str, ...] = (), slices: int = 1) -> Anatomy:
    return Anatomy(
        labels=np.zeros((slices, 1, 1), np.uint8),
        affine=np.eye(4),
        names={},
        vertebrae=tuple(
            Vertebra(level=level, value=50, centre_mm=(0.0, 0.0, 0.0)) for level in levels
        ),
        anchors=("sacrum",) if any(levels) else (),
        doubts=(),
        model_digest="",
        cut=cut,
    )


def test_nothing_is_said_where_everything_was_drawn() -> None:
    assert not_seen(seen(LEVELS[:8]), ALL) == ""


@pytest.mark.parametrize(
    ("missing", "levels", "told"),
    [
        ({"spleen"}, LEVELS[:9], f"Spleen ({INSIDE})"),
        ({"kidney_right"}, LEVELS[:9], f"Kidney right ({INSIDE})"),
        ({"heart"}, LEVELS[:5], f"Heart ({BEYOND})"),
        ({"heart"}, LEVELS[:8], f"Heart ({UNKNOWN})"),
        ({"urinary_bladder", "sacrum"}, LEVELS[4:10], f"Urinary bladder, Sacrum ({BEYOND})"),
        ({"urinary_bladder"}, LEVELS[:6], f"Urinary bladder ({UNKNOWN})"),
        ({"spleen"}, ("",) * 9, f"Spleen ({UNKNOWN})"),
    ],
)
def test_the_vertebrae_in_view_tell_whether_the_images_go_there(
    missing: set[str], levels: Sequence[str], told: str
) -> None:
    assert not_seen(seen(levels), ALL - missing) == told


def test_a_vertebra_without_a_level_may_lie_where_the_structure_is() -> None:
    assert not_seen(seen((*LEVELS[:5], "")), ALL - {"heart"}) == f"Heart ({UNKNOWN})"


def test_images_that_go_on_beyond_the_last_vertebra_may_show_others() -> None:
    drawn = ALL - {"heart"}
    assert not_seen(seen(LEVELS[:5], slices=60), drawn) == f"Heart ({BEYOND})"
    assert not_seen(seen(LEVELS[:5], slices=70), drawn) == f"Heart ({UNKNOWN})"


def test_the_other_side_tells_only_where_it_is_whole() -> None:
    drawn = ALL - {"kidney_right"}
    assert not_seen(seen(("",) * 4), drawn) == f"Kidney right ({INSIDE})"
    cut = seen(("",) * 4, cut=("kidney_left",))
    assert not_seen(cut, drawn) == f"Kidney right ({UNKNOWN})"


def test_ribs_of_any_number_are_ribs() -> None:
    ribs = {name for name in ALL if name.startswith("rib")}
    assert not_seen(seen(LEVELS[:8]), (ALL - ribs) | {"rib_right_12", "ribs_left"}) == ""
    assert "Ribs right, Ribs left" in not_seen(seen(LEVELS[:8]), ALL - ribs)


def told_by(findings: Findings) -> str:
    values = [one.value for one in findings.exam_evaluations if one.name == words.NOT_SEEN]
    return str(values[0]) if values else ""


def test_the_result_names_what_was_not_drawn_in_report_and_limits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kidney = (S.KIDNEY, block((60, 80), (60, 74), (30, 44)))
    liver = (S.LIVER, block((80, 110), (30, 60), (20, 60)))
    trunk = Trunk([*spine([S.L5, S.L4, S.L3, S.L2, S.L1], sacrum=True), kidney, liver])
    findings = trunk.findings(monkeypatch)
    drawn = {one.tracking_identifier for one in findings.findings}
    assert "Liver" in drawn
    assert "Liver" not in told_by(findings)
    assert words.UNSEEN in findings.limits
    for name in ("Spleen", "Heart", "Urinary bladder", "Lung right", "Lung left"):
        assert name not in drawn
        assert name in told_by(findings)
    sides = [side for side in ("Kidney right", "Kidney left") if side not in drawn]
    assert len(sides) == 1
    inside = next(one for one in told_by(findings).split("; ") if one.endswith(f"({INSIDE})"))
    assert sides[0] in inside


def test_where_nothing_was_recognised_everything_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    told = told_by(Trunk([]).findings(monkeypatch))
    for name in ("Liver", "Spleen", "Kidney right", "Aorta", "Vertebrae", "Ribs left"):
        assert name in told


def test_vertebrae_of_which_only_some_have_a_level_are_told_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bodies = spine([S.L5, S.L4, S.L3, S.L2, S.L1], sacrum=True)
    assert words.PARTLY_COUNTED not in Trunk(bodies).findings(monkeypatch).limits
    # The disc below L2 looks like the bodies beside it, to the network too.
    at = len(bodies) - 4
    assert bodies[at][0] is S.DISC
    bodies[at] = (S.L2, bodies[at][1])
    trunk = Trunk(bodies)
    levels = [one.level for one in trunk.anatomy(monkeypatch).vertebrae]
    assert levels[:3] == ["L5", "L4", "L3"]
    assert levels[3:] == ["", ""]
    assert words.PARTLY_COUNTED in trunk.findings(monkeypatch).limits


REAL = Path(__file__).resolve().parents[4] / "shared" / "data" / "chest_ct_lidc" / "lower"


@pytest.mark.skipif(not REAL.is_dir(), reason="no real images beside the checkout")
def test_the_right_kidney_of_the_lower_real_chest_is_named_as_not_seen() -> None:
    from node.evaluation.product import open_product  # noqa: PLC0415 - only where images are

    package = Path(__file__).resolve().parents[3] / "models" / "anatomy"
    product = open_product(package, golden=False)
    findings = product.look(path for path in REAL.rglob("*") if path.is_file()).findings
    drawn = {one.tracking_identifier.removesuffix(words.IN_VIEW) for one in findings.findings}
    for name in ("Kidney right", "Urinary bladder"):
        assert name in drawn or name in told_by(findings)
    assert "Urinary bladder" in told_by(findings)
