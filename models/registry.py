"""The installed model packages: found, read and verified without running their code."""

from __future__ import annotations

import errno
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from config.load import read_document
from config.package_networks import NetworkSection, TensorSection, WindowsSection
from config.package_schema import InputSection, Package, SourceSection
from models.manifest import (
    Axes,
    Golden,
    InputLimits,
    ModelManifest,
    NetworkSpec,
    Source,
    TensorSpec,
    Windows,
)
from models.results_of import results_of
from models.steps_of import postprocessing, preprocessing
from node.domain.acute import AcuteFinding, Severity
from node.domain.errors import ModelError
from node.domain.finding import ModelIdentity

MANIFEST_NAME = "model.yaml"
#: No module of Python is larger; the node would read it all before it starts.
MOST_CODE_BYTES = 5_000_000


@dataclass(frozen=True, slots=True)
class Registry:
    """Every package of a folder, by name."""

    manifests: Mapping[str, ModelManifest]

    @property
    def names(self) -> tuple[str, ...]:
        """Sorted names of the installed packages."""
        return tuple(sorted(self.manifests))

    def get(self, name: str) -> ModelManifest:
        """The package of that name.

        Raises:
            ModelError: it is not installed; the message lists what is.
        """
        try:
            return self.manifests[name]
        except KeyError:
            installed = ", ".join(self.names) or "none"
            raise ModelError(
                f"model '{name}' is not installed (installed: {installed}); "
                "correct the name in appliance.yaml or add the package's folder under models/"
            ) from None

    def __iter__(self) -> Iterator[ModelManifest]:
        return (self.manifests[name] for name in self.names)


def load_registry(folder: Path) -> Registry:
    """Read every `<folder>/<package>/model.yaml` and verify the files it lists.

    Raises:
        ConfigError: a manifest cannot be used; one line per fault.
        ModelError: a listed file is missing or changed, or two packages share a name.
    """
    manifests: dict[str, ModelManifest] = {}
    for path in sorted(folder.glob(f"*/{MANIFEST_NAME}")):
        manifest = load_manifest(path.parent)
        name = manifest.identity.name
        if name in manifests:
            raise ModelError(
                f"two packages are called '{name}': {manifests[name].folder} and {path.parent}; "
                "rename or remove one of them"
            )
        manifests[name] = manifest
    return Registry(MappingProxyType(manifests))


def load_manifest(folder: Path) -> ModelManifest:
    """Read one package and verify the SHA-256 of every file that it lists.

    Raises:
        ConfigError: `model.yaml` cannot be used; one line per fault.
        ModelError: a listed file is missing or has another digest than stated.
    """
    manifest = read_manifest(folder)
    verify_files(folder)
    return manifest


def verify_files(folder: Path) -> None:
    """Compare every file that `model.yaml` lists with its stated SHA-256.

    Raises:
        ConfigError: `model.yaml` cannot be used.
        ModelError: a listed file is missing or has another digest than stated.
    """
    package = read_package(folder)
    for relative, expected in listed_files(package):
        _verify(folder, relative, expected, package.name)


def read_manifest(folder: Path) -> ModelManifest:
    """Read one package without looking at its weights; they are verified before they are used.

    Raises:
        ConfigError: `model.yaml` cannot be used; one line per fault.
        ModelError: it, or a module beside it, is no file that can be read.
    """
    package = read_package(folder)
    return ModelManifest(
        identity=ModelIdentity(
            name=package.name,
            title=package.title,
            version=package.version,
            digest=package_digest(folder),
            manufacturer=package.manufacturer,
            task_number=package.task,
            ebai_class=package.ebai_class,
        ),
        folder=folder,
        pipeline=package.pipeline,
        intended_use=" ".join(package.intended_use.split()),
        inputs=_inputs(package.inputs),
        networks=tuple(_network(folder, network) for network in package.networks),
        thresholds=dict(package.thresholds),
        golden=_golden(folder, package),
        priority=package.priority,
        triage=package.triage,
        job_time_limit_s=package.limits.job_time_s,
        job_memory_mb=package.limits.job_memory_mb,
        acute=_acute(package),
        source=_source(package.source),
        preprocess=preprocessing(package.preprocess),
        postprocess=postprocessing(package.postprocess),
        results=None if package.results is None else results_of(package.results),
        needs=dict(package.needs),
        uses=package.uses,
        key_objects=package.with_key_objects,
    )


def stated_acute(folder: Path) -> tuple[AcuteFinding, ...]:
    """The acute findings of one package, without a look at its other files.

    Raises:
        ConfigError, ModelError: `model.yaml` cannot be used.
    """
    return _acute(read_package(folder))


def read_package(folder: Path) -> Package:
    """What `model.yaml` of a folder says.

    Raises:
        ConfigError: it cannot be used; one line per fault.
        ModelError: there is none, or a pipe or a device stands in its place.
    """
    path = folder / MANIFEST_NAME
    if not path.is_file():
        kind = "is no regular file" if path.exists() else "does not exist"
        raise ModelError(
            f"{path} {kind}; name the folder of a package, or install the package again, whole"
        )
    return read_document(path, Package, "")


def listed_files(package: Package) -> tuple[tuple[str, str], ...]:
    """Path inside the package and stated SHA-256 of every file that `model.yaml` lists."""
    files = [(network.path, network.sha256) for network in package.networks]
    if package.golden is not None:
        files.append((package.golden.inputs, package.golden.inputs_sha256))
        files.append((package.golden.expected, package.golden.expected_sha256))
    return tuple(files)


def package_digest(folder: Path) -> str:
    """SHA-256, hex, over everything in the package that can change a result.

    That is `model.yaml` (which states the digests of the weights and of the golden case) and
    every Python module of the pipeline, that is every `*.py` directly in the folder. The
    recipe (`train/`), the maker of the golden case and the card change no result and do not
    count, and `models.package_code` runs nothing of them. NumPy and SciPy do not count either:
    their versions belong to the node's version.

    Raises:
        ModelError: one of these files cannot be read.
    """
    parts = [folder / MANIFEST_NAME, *sorted(folder.glob("*.py"))]
    try:
        for part in parts:
            if part.stat().st_size > MOST_CODE_BYTES:
                raise ModelError(
                    f"package {folder.name}: {part} is larger than {MOST_CODE_BYTES:,} bytes, so "
                    "it is no module of Python; install the package again, whole"
                )
        lines = [f"{file_sha256(part)}  {part.name}\n" for part in parts]
    except OSError as error:
        raise ModelError(
            f"package {folder.name}: {error.filename} cannot be read ({error.strerror}); install "
            "the package again, whole"
        ) from None
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, hex.

    Raises:
        OSError: it cannot be read, or is a folder, a pipe or a device, which may have no end.
    """
    if path.exists() and not path.is_file():
        raise OSError(errno.EINVAL, "not a regular file", str(path))
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _verify(folder: Path, relative: str, expected: str, name: str) -> None:
    path = folder / relative
    try:
        found = file_sha256(path)
    except OSError as error:
        raise ModelError(
            f"package {name}: {path} cannot be read ({error.strerror}); "
            "install the package again, whole"
        ) from None
    if found != expected:
        raise ModelError(
            f"package {name}: {path} has SHA-256 {found}, but model.yaml states {expected}; "
            "the file was changed or damaged: install the package again, or, if you changed "
            f"it on purpose, run `python -m models.seal {folder}`"
        )


def _inputs(section: InputSection) -> InputLimits:
    return InputLimits(**{key: getattr(section, key) for key in InputSection.model_fields})


def _network(folder: Path, section: NetworkSection) -> NetworkSpec:
    return NetworkSpec(
        name=section.name,
        path=folder / section.path,
        sha256=section.sha256,
        inputs=_tensors(section.inputs, section.input_name, section.channels),
        outputs=_tensors(section.outputs, section.output_name, section.classes),
        patch=section.patch,
        spacing_mm=section.spacing_mm,
        value_range=section.value_range,
        windows=_windows(section),
        precisions=section.precisions,
        tolerance=dict(section.tolerance),
    )


def _tensors(
    sections: tuple[TensorSection, ...], name: str | None, channels: tuple[str, ...]
) -> tuple[TensorSpec, ...]:
    """The tensors as they are listed, or the one of the short form."""
    if name is not None:
        return (TensorSpec(name=name, channels=channels, count=len(channels)),)
    return tuple(
        TensorSpec(
            name=section.name,
            dtype=section.dtype,
            channels=section.meanings,
            count=section.count,
            axes=Axes(section.axes),
            stride=section.stride,
        )
        for section in sections
    )


def _windows(section: NetworkSection) -> Windows:
    if section.windows is None:
        overlap = section.overlap or 0.0
        weights = "gaussian" if overlap > 0 else "constant"
        return Windows(overlap=overlap, batch=section.batch or 1, weights=weights)
    stated = section.windows
    return Windows(**{key: getattr(stated, key) for key in WindowsSection.model_fields})


def _source(section: SourceSection | None) -> Source | None:
    if section is None:
        return None
    return Source(**{key: getattr(section, key) for key in SourceSection.model_fields})


def _acute(package: Package) -> tuple[AcuteFinding, ...]:
    return tuple(
        AcuteFinding(
            name=name,
            title=section.title,
            code=section.code,
            severity=Severity(section.severity),
            score=section.score,
            unit=section.unit,
            threshold=section.threshold,
            operating_threshold=package.thresholds[section.threshold],
        )
        for name, section in package.acute_findings.items()
    )


def _golden(folder: Path, package: Package) -> Golden | None:
    if package.golden is None:
        return None
    return Golden(inputs=folder / package.golden.inputs, expected=folder / package.golden.expected)
