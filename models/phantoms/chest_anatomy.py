"""Everything about one simulated chest that no scan changes: `build_chest`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from models.phantoms.chest_core import Core, build_core
from models.phantoms.chest_frame import ChestFrame, build_chest_frame
from models.phantoms.chest_lungs import Lungs, build_lungs
from models.phantoms.chest_trees import (
    Trees,
    airway_stems,
    artery_stems,
    build_trees,
    central_samples,
    vein_stems,
)
from models.phantoms.person import Person, draw_person
from models.phantoms.vessel_tree import Tree


@dataclass(frozen=True)
class ChestAnatomy:
    """One chest, in the patient's frame.

    Attributes:
        seed, person, frame: who and which shape.
        core: heart and great vessels. lungs: where lung is. trees: airways and lung vessels.
    """

    seed: int
    person: Person
    frame: ChestFrame
    core: Core
    lungs: Lungs
    trees: Trees

    @property
    def arteries(self) -> Tree:
        """The pulmonary arteries; branch 0 is the trunk."""
        return self.trees.arteries

    @property
    def veins(self) -> Tree:
        """The pulmonary veins, from the left atrium outwards."""
        return self.trees.veins

    @property
    def airways(self) -> Tree:
        """Trachea and bronchi; radii are of the lumen."""
        return self.trees.airways


@lru_cache(maxsize=3)
def build_chest(seed: int) -> ChestAnatomy:
    """The chest of `seed`: seconds for the first call, then at hand for the last three seeds."""
    person = draw_person(np.random.default_rng([seed, 1]))
    rngs = [np.random.default_rng([seed, k]) for k in range(202, 207)]
    frame = build_chest_frame(person, rngs[0])
    core = build_core(frame, rngs[1])
    stems = (
        airway_stems(frame, rngs[2]),
        artery_stems(frame, core, rngs[2]),
        vein_stems(frame, rngs[2]),
    )
    lungs = build_lungs(frame, core, central_samples(stems, frame.scale), rngs[3])
    trees = build_trees(frame, lungs, stems, rngs[4])
    return ChestAnatomy(seed, person, frame, core, lungs, trees)
