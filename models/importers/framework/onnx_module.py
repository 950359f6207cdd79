"""An ONNX file as a module that MONAI's inferers can call: ONNX Runtime behind PyTorch's face."""

from __future__ import annotations

from pathlib import Path

import onnxruntime
import torch


class OnnxModule(torch.nn.Module):  # type: ignore[misc] # torch has no types here
    """Calls ONNX Runtime on the CPU."""

    def __init__(self, path: Path, threads: int) -> None:
        super().__init__()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        self.session = onnxruntime.InferenceSession(
            str(path), options, providers=["CPUExecutionProvider"]
        )
        self.input_name = self.session.get_inputs()[0].name
        self.output_names = [output.name for output in self.session.get_outputs()]

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """(batch, channel, *patch) -> the first output."""
        (output,) = self.session.run(
            self.output_names[:1], {self.input_name: image.contiguous().numpy()}
        )
        return torch.from_numpy(output)
