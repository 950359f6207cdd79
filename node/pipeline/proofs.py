"""Proofs of models as plain values, for the ledger and for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from inference.golden import Speeds
from node.pipeline.resident import ModelProof


def proof_values(proof: ModelProof, doubt: str = "") -> dict[str, Any]:
    """JSON values of a proof; `doubt`: which results before it may be wrong."""
    return {
        "doubt": doubt,
        "has_golden": proof.has_golden,
        "seconds": round(proof.seconds, 3),
        "resident_mb": proof.resident_mb,
        "networks": [
            {
                "network": one.network,
                "provider": one.provider,
                "difference": one.difference,
                "tolerance": one.tolerance,
                "windows_per_s": round(one.windows_per_s, 3),
            }
            for one in proof.networks
        ],
    }


def speeds_of(values: Mapping[str, Any]) -> Speeds:
    """What need not be measured again, by network and provider."""
    return {
        (str(one["network"]), str(one["provider"])): float(one["windows_per_s"])
        for one in values.get("networks", ())
    }


def golden_in_words(values: Mapping[str, Any]) -> str:
    """`reproduced (0.02 of what is allowed)`, or that there is none."""
    if not values:
        return "not run yet"
    if not values["has_golden"]:
        return "the package brings none"
    shares = [one["difference"] / one["tolerance"] for one in values["networks"]]
    return f"reproduced ({100 * max(shares):.2g} % of the tolerance)"


def providers_in_words(values: Mapping[str, Any]) -> str:
    """What runs its networks, each once."""
    return ", ".join(dict.fromkeys(one["provider"] for one in values.get("networks", ()))) or "-"


def speed_in_words(values: Mapping[str, Any]) -> str:
    """`regions 12/s, levels 2.1/s`: windows of each network."""
    told = (f"{one['network']} {one['windows_per_s']:.3g}/s" for one in values.get("networks", ()))
    return ", ".join(told) or "-"
