"""What of the configuration changes a result object of a model, as one digest."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

from config.schema import Appliance
from models.manifest import ModelManifest
from node.version import VERSION


def configuration_digest(appliance: Appliance, model: str) -> str:
    """Hex digest of every configured value that changes a result object of the model."""
    relevant: dict[str, object] = {
        "node": appliance.node.model_dump(mode="json", exclude={"time_zone"}),
        "results": appliance.results.model_dump(mode="json"),
        "thresholds": dict(appliance.models[model].thresholds),
        "key_objects": appliance.models[model].key_objects,
        "version": VERSION,
    }
    if appliance.models[model].contours:
        # Only where it is asked for, so that the digest of a site that does not is not another one.
        relevant["contours"] = True
    text = json.dumps(relevant, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def with_uses(digest: str, manifest: ModelManifest, manifests: Mapping[str, ModelManifest]) -> str:
    """The digest of a configuration, with the packages that the model builds on."""
    used = [manifests[name].identity.digest for name in manifest.uses if name in manifests]
    if not used:
        return digest
    return hashlib.sha256("\n".join([digest, *used]).encode()).hexdigest()
