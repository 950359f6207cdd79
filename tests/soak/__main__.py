"""`make soak`: kills, power cuts, a storm, one very large object; each counted afterwards.

100 kills of the node at work, 500 of the receiver alone under eight senders (about an hour), 40
power cuts, 10,000 associations, one object of 10 GB.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from pathlib import Path

from node.demo.simulated import simulate
from tests.soak.campaign import Campaign, Plan
from tests.soak.large import send_large
from tests.soak.power_cut import NotPossible, power_cuts
from tests.soak.receiving import campaign
from tests.soak.storm import storm


def main() -> int:
    """Run the campaign and print what it found."""
    parser = argparse.ArgumentParser(prog="make soak", description=__doc__)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument(
        "--studies", type=int, help="simulated studies to send (default: enough for the kills)"
    )
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--longest-life", type=float, default=12.0, metavar="SECONDS")
    parser.add_argument("--out", type=Path, default=Path("soak-out"))
    parser.add_argument("--receiver-kills", type=int, default=500, help="of the receiver alone")
    parser.add_argument("--associations", type=int, default=10_000, help="of the storm")
    parser.add_argument("--power-cuts", type=int, default=40)
    parser.add_argument("--large-gb", type=float, default=10.0, help="of the largest object")
    options = parser.parse_args()
    # On two cores a node that is killed every six seconds ends a study about every second life.
    count = options.studies or max(3, round(0.7 * options.kills))
    shutil.rmtree(options.out, ignore_errors=True)
    studies = []
    for number in range(count):
        folder = options.out.resolve() / "studies" / str(number)
        simulate(number, folder, matrix=192)
        studies.append(folder)
    print(f"{options.kills} kills over {count} studies, seed {options.seed}", flush=True)
    verdict = Campaign(
        Plan(
            folder=options.out.resolve(),
            studies=tuple(studies),
            kills=options.kills,
            seed=options.seed,
            longest_life_s=options.longest_life,
            settle_limit_s=60.0 * count,
            say=lambda text: print(text, flush=True),
        )
    ).run()
    print(
        f"{verdict.kills} kills (while: {dict(verdict.killed_in)}), "
        f"{verdict.acknowledged} instances acknowledged, "
        f"{verdict.studies} studies, {verdict.repeated_deliveries} repeated deliveries, "
        f"{len(verdict.faults)} faults"
    )
    counted = campaign(
        options.out.resolve() / "receiver",
        kills=options.receiver_kills,
        seed=options.seed,
        say=lambda text: print(text, flush=True),
    )
    print(
        f"receiver alone: {counted.kills} kills, {len(counted.acknowledged)} instances "
        f"acknowledged, {counted.sent_again} sent again, {len(counted.faults)} faults"
    )
    cut = _without_power(options)
    large = _large(options)
    stormed = storm(
        options.out.resolve() / "storm",
        associations=options.associations,
        say=lambda text: print(text, flush=True),
    )
    print(
        f"storm: {stormed.associations} associations, {stormed.before} became {stormed.after}, "
        f"{len(stormed.faults)} faults"
    )
    faults = [*verdict.faults, *counted.faults, *cut, *large, *stormed.faults]
    for fault in faults:
        print(f"  {fault}")
    return int(bool(faults))


def _without_power(options: argparse.Namespace) -> list[str]:
    try:
        counted = power_cuts(
            options.out.resolve() / "power",
            cuts=options.power_cuts,
            seed=options.seed,
            say=lambda text: print(text, flush=True),
        )
    except NotPossible as error:
        print(f"power cuts: SKIPPED, {error}")
        return []
    print(
        f"power: {counted.kills} cuts, {len(counted.acknowledged)} instances acknowledged, "
        f"{len(counted.faults)} faults"
    )
    return counted.faults


def _large(options: argparse.Namespace) -> list[str]:
    size = int(options.large_gb * 1e9)
    free = shutil.disk_usage(options.out).free
    if free < 1.2 * size:
        print(f"large object: SKIPPED, {size / 1e9:.0f} GB do not fit into {free / 1e9:.0f} GB")
        return []
    sent = send_large(options.out.resolve() / "large", size)
    print(
        f"large object: {sent.size / 1e9:.1f} GB in {sent.seconds:.0f} s, memory of the receiver "
        f"{sent.before_mb:.0f} -> {sent.peak_mb:.0f} MB, last byte to Success "
        f"{sent.answer_s * 1e3:.0f} ms, {len(sent.faults)} faults"
    )
    return sent.faults


if __name__ == "__main__":
    sys.exit(main())
