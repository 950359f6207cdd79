"""From `appliance.yaml` to the settings of each room; the only place that knows both."""

from __future__ import annotations

import hashlib
import ipaddress
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from config.schema import Appliance, DicomDestination, DicomwebDestination
from dicom_sr.context import ResultContext
from inference.backends.base import TritonSettings
from inference.engine import EngineOptions
from models.manifest import ModelManifest
from models.signature import Trust
from node.configuration_digest import configuration_digest, with_uses
from node.device_sharing import shares_device
from node.domain.addresses import authority
from node.ledger import Ledger
from node.metrics import Metrics
from node.pipeline.archive import ArchiveSettings
from node.pipeline.breaker import RetryPolicy
from node.pipeline.completion import CompletionSettings
from node.pipeline.decoding import DecodingSettings
from node.pipeline.delivery import Courier
from node.pipeline.destination import DAY_S, Destination
from node.pipeline.dicomweb import WebPeer
from node.pipeline.dimse import DicomPeer
from node.pipeline.fallback import WriteFallback
from node.pipeline.holding import HoldingSettings
from node.pipeline.in_service import JobLimits, RosterSettings
from node.pipeline.proof import ProofPolicy
from node.pipeline.resident import ModelSetup
from node.pipeline.routing import ModelRoute
from node.pipeline.rules import rules_of, with_needs
from node.pipeline.writing import KEY_IMAGES, STRUCTURE_SET
from node.version import VERSION
from node.web import WebSettings
from scp.admission import Admission, Peer
from scp.pool import SegmentSettings
from scp.receiver import ReceiverSettings
from scp.storage import Watermark

MEGABYTE, GIGABYTE = 1_000_000, 1_000_000_000
#: Longest wait for a PACS that is asked about a study.
ARCHIVE_TIMEOUT_S = 20.0
#: More decode faster than images come.
_MOST_DECODERS = 4


def routes_of(
    appliance: Appliance, manifests: Mapping[str, ModelManifest]
) -> tuple[ModelRoute, ...]:
    """One resolved route for each enabled model that a route names."""
    rules = rules_of(appliance.routes, appliance.node.time_zone)
    routes = []
    for name, manifest in manifests.items():
        naming = tuple(with_needs(rule, manifest.needs) for rule in rules if name in rule.models)
        if not naming:
            continue
        model = appliance.models[name]
        reported = model.report_not_eligible
        routes.append(
            ModelRoute(
                manifest=manifest,
                rules=naming,
                priority=manifest.priority if model.priority is None else model.priority,
                report_not_eligible=manifest.triage if reported is None else reported,
                configuration_digest=with_uses(
                    configuration_digest(appliance, name), manifest, manifests
                ),
            )
        )
    return tuple(routes)


def result_context(appliance: Appliance, manifest: ModelManifest) -> ResultContext:
    """How results are signed and labelled, and what is written of them."""
    node, results = appliance.node, appliance.results
    model = manifest.identity.name
    wanted = appliance.models[model].key_objects
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
        contours=appliance.models[model].contours,
        key_objects=manifest.key_objects if wanted is None else wanted,
    )


def receiver_settings(appliance: Appliance) -> ReceiverSettings:
    """Who may send what."""
    receiver, limits = appliance.receiver, appliance.receiver.limits
    # A destination reports to the AE title that asked it.
    callers = tuple(
        appliance.calling_ae_title(name)
        for name, entry in appliance.destinations.items()
        if isinstance(entry, DicomDestination) and entry.proof in ("automatic", "commitment")
    )
    called = () if receiver.any_called_ae_title else (*appliance.called_ae_titles, *callers)
    return ReceiverSettings(
        host=receiver.host,
        port=receiver.port,
        admission=Admission(
            ae_titles=frozenset(called),
            peers=tuple(
                Peer(
                    name=name,
                    networks=tuple(ipaddress.ip_network(str(net)) for net in peer.addresses),
                    ae_titles=frozenset() if peer.any_ae_title else frozenset(peer.ae_titles),
                )
                for name, peer in receiver.peers.items()
            ),
            max_associations=limits.max_associations,
            max_associations_per_peer=limits.max_associations_per_peer,
        ),
        max_pdu_bytes=limits.max_pdu_bytes,
        association_timeout_s=limits.association_timeout_s,
        idle_timeout_s=limits.idle_timeout_s,
        max_object_bytes=int(limits.max_object_gb * GIGABYTE),
        private_classes=frozenset(receiver.private_sop_classes),
        data_path=receiver.data_path,
    )


def completion_settings(appliance: Appliance) -> CompletionSettings:
    """How long to wait for more of a study."""
    completion = appliance.completion
    return CompletionSettings(
        quiet_time_s=completion.quiet_time_s,
        interrupted_quiet_time_s=completion.interrupted_quiet_time_s,
        shortest_s=min(completion.shortest_quiet_time_s, completion.quiet_time_s),
        longest_s=max(completion.longest_quiet_time_s, completion.quiet_time_s),
        learns=completion.learn,
    )


def archive_settings(appliance: Appliance, name: str) -> ArchiveSettings:
    """How the PACS behind a destination is asked; an answer is small and comes soon or never."""
    entry = appliance.destinations[name]
    # `config.crosscheck_asked` refuses every other kind.
    assert isinstance(entry, DicomDestination)
    return ArchiveSettings(
        ae_title=entry.ae_title,
        host=entry.host,
        port=entry.port,
        calling_ae_title=appliance.calling_ae_title(name),
        connect_timeout_s=min(entry.connect_timeout_s, ARCHIVE_TIMEOUT_S),
        response_timeout_s=min(entry.response_timeout_s, ARCHIVE_TIMEOUT_S),
    )


def noting_destinations(appliance: Appliance) -> frozenset[str]:
    """Destinations that get a note when a result is replaced or withdrawn."""
    return frozenset(
        name for name, entry in appliance.destinations.items() if entry.rejection_notes
    )


#: Kinds of objects, as the ledger calls them, by the word of the configuration.
_KINDS = {
    "report": "report",
    "segmentation": "segmentation",
    "pages": "secondary capture",
    "key_images": KEY_IMAGES,
    "contours": STRUCTURE_SET,
}


def unwanted_kinds(appliance: Appliance) -> Mapping[str, frozenset[str]]:
    """Kinds of objects that a destination does not get, by its name."""
    return {
        name: frozenset(kind for word, kind in _KINDS.items() if word not in entry.objects)
        for name, entry in appliance.destinations.items()
    }


def watermark(appliance: Appliance) -> Watermark:
    """When the store refuses."""
    return Watermark(
        refuse_above_percent=appliance.storage.refuse_above_percent,
        keep_free_bytes=int(appliance.storage.keep_free_gb * GIGABYTE),
    )


def segment_settings(appliance: Appliance) -> SegmentSettings:
    """How the store's files are cut."""
    return SegmentSettings(
        capacity_bytes=appliance.storage.segment_mb << 20, spare=appliance.storage.spare_segments
    )


def couriers_of(
    appliance: Appliance, ledger: Ledger, metrics: Metrics, write_fallback: WriteFallback
) -> tuple[Courier, ...]:
    """One courier a destination."""
    return tuple(
        Courier(destination_of(appliance, name), ledger, metrics, write_fallback=write_fallback)
        for name in appliance.destinations
    )


def destination_of(appliance: Appliance, name: str) -> Destination:
    """One destination, resolved."""
    entry = appliance.destinations[name]
    wait_s = entry.commitment_wait_s if isinstance(entry, DicomDestination) else 0.0
    return Destination(
        name=name,
        peer=peer_of(appliance, name),
        retry=RetryPolicy(first_s=entry.retry_first_s, cap_s=entry.retry_cap_s),
        proof=ProofPolicy(
            mode=entry.proof,
            commitment_wait_s=wait_s,
            query_wait_s=entry.query_wait_s,
            resends=entry.resends,
        ),
        sr_class="comprehensive" if entry.sr_class == "comprehensive" else "comprehensive 3d",
        settings_digest=hashlib.sha256(entry.model_dump_json().encode()).hexdigest(),
        remember_s=entry.remember_days * DAY_S,
        attempts=entry.set_aside_after,
        associations_per_minute=entry.associations_per_minute,
        identified=appliance.results.patient_identity_on_pages,
    )


def peer_of(appliance: Appliance, name: str) -> DicomPeer | WebPeer:
    """How a destination is reached."""
    entry = appliance.destinations[name]
    if isinstance(entry, DicomwebDestination):
        return WebPeer(
            url=entry.url,
            token=entry.token.read if entry.token is not None else None,
            ca_file=entry.ca_file,
            connect_timeout_s=entry.connect_timeout_s,
            response_timeout_s=entry.response_timeout_s,
        )
    return DicomPeer(
        ae_title=entry.ae_title,
        host=entry.host,
        port=entry.port,
        calling_ae_title=appliance.calling_ae_title(name),
        connect_timeout_s=entry.connect_timeout_s,
        response_timeout_s=entry.response_timeout_s,
        max_pdu_bytes=entry.max_pdu_bytes,
    )


def web_settings(appliance: Appliance) -> WebSettings:
    """The HTTP port; /metrics is open on the loopback interface, or when the site says so."""
    web = appliance.http
    token = web.metrics_token.read() if web.metrics_token is not None else ""
    local = web.host in ("localhost", "::1") or web.host.startswith("127.")
    return WebSettings(
        host=web.host,
        port=web.port,
        metrics_token=token,
        metrics_open=not token and (local or web.open_metrics),
    )


def model_setups(
    appliance: Appliance,
    routes: Sequence[ModelRoute],
    manifests: Mapping[str, ModelManifest],
) -> tuple[ModelSetup, ...]:
    """The models that routes name, the most urgent first, with the thresholds of this site.

    Then the packages that these build on and no route names.
    """
    setups = []
    ordered = [route.manifest for route in sorted(routes, key=lambda route: route.priority)]
    used = dict.fromkeys(name for manifest in ordered for name in manifest.uses)
    routed = {manifest.identity.name for manifest in ordered}
    ordered += [manifests[name] for name in used if name in manifests and name not in routed]
    for manifest in ordered:
        own = appliance.models[manifest.identity.name].thresholds
        at_site = replace(manifest, thresholds={**manifest.thresholds, **own})
        setups.append(ModelSetup(manifest=at_site, trust=trust_of(appliance)))
    return tuple(setups)


def engine_options(appliance: Appliance) -> EngineOptions:
    """How networks are run."""
    workers = appliance.workers
    sessions = 1 if shares_device(appliance) else workers.count
    return EngineOptions(
        providers=tuple(workers.providers),
        threads=workers.threads or threads_of(len(os.sched_getaffinity(0)), sessions),
        cache_folder=appliance.storage.path / "engines",
        triton=_triton(appliance),
        provider_options={word: dict(own) for word, own in workers.provider_options.items()},
    )


def threads_of(cores: int, workers: int) -> int:
    """CPU threads of one worker: one core is left to receiving, the others are shared."""
    return max(1, (cores - 1) // workers)


def _triton(appliance: Appliance) -> TritonSettings | None:
    server = appliance.workers.triton
    if server is None:
        return None
    return TritonSettings(
        url=authority(server.host, server.port),
        tls=server.tls,
        ca_file=server.ca_file,
        connect_timeout_s=server.connect_timeout_s,
        time_limit_s=server.time_limit_s,
        models=dict(server.models),
    )


def holding_settings(appliance: Appliance) -> HoldingSettings:
    """How models are loaded."""
    workers = appliance.workers
    return HoldingSettings(
        engine=engine_options(appliance),
        resident_mb=workers.resident_mb or _shared_memory_mb(workers.count),
        load_limit_s=workers.load_limit_s,
        gpus=workers.gpus or (),
    )


def decoding_settings(appliance: Appliance, routes: Sequence[ModelRoute]) -> DecodingSettings:
    """Which images are decoded before an analysis asks for them."""
    return DecodingSettings(
        limit_bytes=appliance.workers.shared_memory_mb * MEGABYTE,
        sop_classes=frozenset(
            uid for route in routes for uid in route.manifest.inputs.sop_class_uids
        ),
    )


def decoders_of(appliance: Appliance) -> int:
    """How many processes decode images."""
    cores = len(os.sched_getaffinity(0))
    return appliance.workers.decoders or max(1, min(_MOST_DECODERS, cores - 1))


def _shared_memory_mb(workers: int) -> int:
    """Half of the memory of this computer, shared among the workers; the rest is for volumes."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return total // (2 * workers * MEGABYTE)


def call_limit_s(appliance: Appliance, routes: Sequence[ModelRoute]) -> float:
    """No single call lasts longer than a whole analysis may."""
    limits = [job_limits(appliance, route.manifest).time_s for route in routes]
    return max([*limits, appliance.workers.load_limit_s])


def roster_settings(appliance: Appliance, device: Path | None = None) -> RosterSettings:
    """How models are watched; `device`: as in `RosterSettings`."""
    workers = appliance.workers
    return RosterSettings(
        golden_every_s=workers.golden_every_hours * 3600.0,
        failures=workers.failures_in_a_row,
        wait_s=workers.out_of_service_wait_s,
        device=device,
    )


def job_limits(appliance: Appliance, manifest: ModelManifest) -> JobLimits:
    """What one analysis may take: as the site says, else as the package does."""
    workers = appliance.workers
    return JobLimits(
        time_s=workers.time_limit_s or manifest.job_time_limit_s,
        memory_mb=workers.memory_mb or manifest.job_memory_mb,
    )


def trust_of(appliance: Appliance) -> Trust:
    """Whose packages may run."""
    return Trust(
        keys=appliance.signatures.keys,
        unsigned=frozenset(name for name, model in appliance.models.items() if model.unsigned),
    )
