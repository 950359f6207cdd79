"""Comparison of what a model found with an earlier scan of the same patient.

How a model package uses it:

1. `model.yaml` asks for the earlier scan; no site has to write a rule, and without one the model
   runs all the same:

       needs:
         prior:
           study: prior
           series: {modality: CT, body_region: [chest, trunk], slice_thickness_mm: {max: 3}}
           prefer: [thinnest]
           optional: true

2. `pipeline.py`, when its lesions are measured:

       comparison = compare(request, lesions, look)

   `lesions`: a `Lesion` for each, in the order of the findings. `look(volume, places)`: finds and
   measures, by the same code as in the current scan, what lies in the earlier one; `places` are
   the points (LPS mm of that scan) where something is expected. A model may look there only, or
   everywhere.

3. What comes back goes into the result:

   - `comparison.sentence` into `Findings.exam_evaluations`, always: it also says that no earlier
     scan was at hand, or why the two could not be compared;
   - of `comparison.changes[i]`: `sentence` as an evaluation of finding i, `word` for a table,
     `measurements` to its measurements, and `tracking_uid`, `identifier` (where not "") as its
     tracking identifiers and those of its segment;
   - `comparison.gone`: sentences about lesions that are not seen any more.

`compare` never raises because of the earlier scan: a scan that cannot be read is a reason, told.
"""

from __future__ import annotations

from models.priors.comparison import Comparison, Look, compare
from models.priors.growth import Change, Lesion, Verdict

__all__ = ["Change", "Comparison", "Lesion", "Look", "Verdict", "compare"]
