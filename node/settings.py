"""From `appliance.yaml` to the settings of each room; the only place that knows both."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

from config.schema import Appliance
from dicom_sr.context import ResultContext
from models.manifest import ModelManifest
from node.domain.study import CompletedStudy
from node.pipeline.routing import ModelRoute
from node.version import VERSION

GIGABYTE = 1_000_000_000


def routes_of(
    appliance: Appliance, manifests: Mapping[str, ModelManifest]
) -> tuple[ModelRoute, ...]:
    """One resolved route for each enabled model that a route names."""
    routes = []
    for name, manifest in manifests.items():
        naming = [route for route in appliance.routes.values() if name in route.models]
        if not naming:
            continue
        model = appliance.models[name]
        reported = model.report_not_eligible
        routes.append(
            ModelRoute(
                manifest=manifest,
                priority=manifest.priority if model.priority is None else model.priority,
                destinations=tuple(
                    dict.fromkeys(d for route in naming for d in route.destinations)
                ),
                report_not_eligible=manifest.triage if reported is None else reported,
                configuration_digest=configuration_digest(appliance, name),
            )
        )
    return tuple(routes)


def applies(appliance: Appliance, route: ModelRoute, study: CompletedStudy) -> bool:
    """Do the conditions of any route that names this model hold for the study?"""
    name = route.manifest.identity.name
    return any(
        not rule.when.unmet(study) for rule in appliance.routes.values() if name in rule.models
    )


def configuration_digest(appliance: Appliance, model: str) -> str:
    """Hex digest of every configured value that changes a result object of the model."""
    relevant = {
        "node": appliance.node.model_dump(mode="json"),
        "results": appliance.results.model_dump(mode="json"),
        "thresholds": dict(appliance.models[model].thresholds),
        "version": VERSION,
    }
    text = json.dumps(relevant, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def result_context(appliance: Appliance, model: str) -> ResultContext:
    """How results are signed and labelled."""
    node, results = appliance.node, appliance.results
    destinations = {
        name
        for route in appliance.routes.values()
        if model in route.models
        for name in route.destinations
    }
    old = any(appliance.destinations[name].sr_class == "comprehensive" for name in destinations)
    return ResultContext(
        software_version=VERSION,
        serial_number=node.device_serial,
        station_name=node.name,
        configuration_digest=configuration_digest(appliance, model),
        manufacturer=results.manufacturer,
        institution=node.institution,
        label=node.label,
        responsible_person=str(node.responsible_person or ""),
        series_number_base=results.series_number_base,
        patient_identity_on_pages=results.patient_identity_on_pages,
        sr_class="comprehensive" if old else "comprehensive 3d",
    )
