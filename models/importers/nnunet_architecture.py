"""The network of an nnU-Net v2 plan, as data.

nnU-Net imports whatever class a plan names. Here a plan may name one of the networks of
`dynamic_network_architectures` and layers of PyTorch from short lists, and nothing else; each
argument is checked by name and type. Plans of nnU-Net before 2.2 hold no architecture but the
numbers it follows from (`UNet_class_name`, ...); they are converted as nnU-Net does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from models.importers.nnunet_json import Node, is_number, shown

#: Networks that can be built, by the last word of their class: the name of the argument that
#: counts the layers of each encoder stage.
NETWORKS: Mapping[str, str] = {
    "PlainConvUNet": "n_conv_per_stage",
    "ResidualEncoderUNet": "n_blocks_per_stage",
    "ResidualUNet": "n_blocks_per_stage",
}
_HOME = "dynamic_network_architectures.architectures."
#: Layers that a plan may name, for each argument; "d" stands for the number of dimensions.
LAYERS: Mapping[str, tuple[str, ...]] = {
    "conv_op": ("Convd",),
    "norm_op": ("InstanceNormd", "BatchNormd"),
    "dropout_op": ("Dropout", "Dropoutd"),
    "nonlin": ("LeakyReLU", "ReLU", "GELU", "ELU", "SiLU", "PReLU"),
}
_LAYER_OPTIONS: Mapping[str, frozenset[str]] = {
    "norm_op_kwargs": frozenset({"eps", "affine", "momentum", "track_running_stats"}),
    "dropout_op_kwargs": frozenset({"p", "inplace"}),
    "nonlin_kwargs": frozenset({"inplace", "negative_slope", "approximate", "alpha"}),
}
#: The keys of a plan before 2.2, which say what `architecture` says since.
OLD_KEYS = frozenset(
    {
        "UNet_class_name",
        "UNet_base_num_features",
        "unet_max_num_features",
        "n_conv_per_stage_encoder",
        "n_conv_per_stage_decoder",
        "num_pool_per_axis",
        "pool_op_kernel_sizes",
        "conv_kernel_sizes",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Architecture:
    """One network to build, without its numbers of channels.

    Attributes:
        network: a key of `NETWORKS`.
        arguments: of its constructor, JSON values; layers are the last word of their class in
            `torch.nn` ("Conv3d", "InstanceNorm3d", "LeakyReLU"), or None.
        converted: True where it was derived from a plan before 2.2.
    """

    network: str
    arguments: Mapping[str, Any]
    converted: bool


def read_architecture(configuration: Node, dimensions: int) -> Architecture:
    """The network of one configuration of a plan; what is not understood is noted."""
    if not configuration.has("architecture") and configuration.has("UNet_class_name"):
        return _converted(configuration, dimensions)
    section = configuration.node("architecture")
    section.only(("network_class_name", "arch_kwargs", "_kw_requires_import"))
    network = _network(section, "network_class_name")
    arguments = _Arguments(section.node("arch_kwargs"), dimensions, network).read()
    return Architecture(network=network, arguments=arguments, converted=False)


def _network(section: Node, name: str) -> str:
    """The last word of a class name, which must be one that can be built."""
    full = section.text(name)
    word = full.rpartition(".")[2]
    foreign = "." in full and not full.startswith(_HOME)
    if full and (word not in NETWORKS or foreign):
        known = ", ".join(sorted(NETWORKS))
        section.doubts.add(
            section.key(name),
            f"the network {full!r} cannot be built; known are {known} of {_HOME.rstrip('.')}",
        )
    return word


@dataclass(frozen=True, slots=True)
class _Arguments:
    """`arch_kwargs`, checked one by one."""

    node: Node
    dimensions: int
    network: str

    def read(self) -> dict[str, Any]:
        layers = NETWORKS.get(self.network, "n_conv_per_stage")
        stages = self.node.integer("n_stages")
        if not 2 <= stages <= 12:
            self.node.doubts.add(self.node.key("n_stages"), f"{stages} is not within 2 and 12")
            stages = 2
        found: dict[str, Any] = {"n_stages": stages}
        found["features_per_stage"] = self._counts("features_per_stage", stages, 8192)
        found["kernel_sizes"] = self._sizes("kernel_sizes", stages)
        found["strides"] = self._sizes("strides", stages)
        found[layers] = self._counts(layers, stages, 64)
        found["n_conv_per_stage_decoder"] = self._counts("n_conv_per_stage_decoder", stages - 1, 64)
        found["conv_bias"] = self.node.flag("conv_bias", False)
        found |= {name: self._layer(name) for name in LAYERS}
        found |= {name: self._options(name) for name in _LAYER_OPTIONS}
        self._rest(found)
        return found

    def _rest(self, found: dict[str, Any]) -> None:
        """Arguments that most plans leave out."""
        optional = ("nonlin_first", "stem_channels", "deep_supervision")
        if self.node.has("nonlin_first"):
            found["nonlin_first"] = self.node.flag("nonlin_first", False)
        if self.node.has("stem_channels"):
            found["stem_channels"] = self.node.integer("stem_channels")
        self.node.only((*found, *optional))

    def _counts(self, name: str, length: int, most: int) -> list[int]:
        """A whole number for each stage; nnU-Net also takes one number for all."""
        value = self.node.values.get(name)
        if isinstance(value, int) and not isinstance(value, bool):
            counts = (value,) * length
        else:
            counts = self.node.integers(name)
        if counts and (len(counts) != length or not all(1 <= count <= most for count in counts)):
            self.node.doubts.add(
                self.node.key(name),
                f"{shown(value)} must be {length} whole numbers from 1 to {most}",
            )
        return list(counts)

    def _sizes(self, name: str, length: int) -> list[list[int]]:
        """A window for each stage; one number stands for the same along all axes."""
        value = self.node.values.get(name)
        sizes: list[Any] = value if isinstance(value, list) else [value] * length
        spread: list[Any] = [
            size if isinstance(size, list) else [size] * self.dimensions for size in sizes
        ]
        sound = len(spread) == length and all(
            len(size) == self.dimensions
            and all(isinstance(n, int) and not isinstance(n, bool) and 1 <= n <= 31 for n in size)
            for size in spread
        )
        if not sound:
            self.node.doubts.add(
                self.node.key(name),
                f"{shown(value)} must be {self.dimensions} whole numbers from 1 to 31 for each of "
                f"{length} stages",
            )
        return spread

    def _layer(self, name: str) -> str | None:
        if not self.node.has(name):
            if name in ("conv_op", "nonlin"):
                self.node.doubts.add(self.node.key(name), "is missing; a layer is expected")
            return None
        full = self.node.text(name)
        known = {_sized(word, self.dimensions) for word in LAYERS[name]}
        home, _, word = full.rpartition(".")
        if word not in known or not (home == "torch.nn" or home.startswith("torch.nn.modules.")):
            self.node.doubts.add(
                self.node.key(name),
                f"the layer {full!r} is not understood (known: "
                + ", ".join(f"torch.nn.{known_word}" for known_word in sorted(known))
                + ")",
            )
        return word

    def _options(self, name: str) -> dict[str, Any] | None:
        if not self.node.has(name):
            return None
        options = self.node.node(name)
        options.only(_LAYER_OPTIONS[name])
        for key, value in options.values.items():
            if not (value is None or isinstance(value, bool | str) or is_number(value)):
                options.doubts.add(options.key(key), f"{shown(value)} is not understood")
        return dict(options.values)


def _sized(word: str, dimensions: int) -> str:
    return f"{word[:-1]}{dimensions}d" if word.endswith("d") else word


def _converted(old: Node, dimensions: int) -> Architecture:
    """The architecture that a plan before 2.2 stands for."""
    network = old.text("UNet_class_name")
    if network not in NETWORKS:
        known = ", ".join(sorted(NETWORKS))
        old.doubts.add(
            old.key("UNet_class_name"),
            f"the network {network!r} cannot be built; known are {known}",
        )
    encoder = old.integers("n_conv_per_stage_encoder")
    base, most = old.integer("UNet_base_num_features"), old.integer("unet_max_num_features")
    layers = NETWORKS.get(network, "n_conv_per_stage")
    arguments = {
        "n_stages": len(encoder),
        "features_per_stage": [min(base * 2**stage, most) for stage in range(len(encoder))],
        "conv_op": f"torch.nn.Conv{dimensions}d",
        "kernel_sizes": old.values.get("conv_kernel_sizes"),
        "strides": old.values.get("pool_op_kernel_sizes"),
        layers: list(encoder),
        "n_conv_per_stage_decoder": old.values.get("n_conv_per_stage_decoder"),
        "conv_bias": True,
        "norm_op": f"torch.nn.InstanceNorm{dimensions}d",
        "norm_op_kwargs": {"eps": 1e-5, "affine": True},
        "dropout_op": None,
        "dropout_op_kwargs": None,
        "nonlin": "torch.nn.LeakyReLU",
        "nonlin_kwargs": {"inplace": True},
    }
    node = Node(arguments, f"{old.place} (converted)", old.doubts)
    checked = _Arguments(node, dimensions, network).read()
    return Architecture(network=network, arguments=checked, converted=True)
