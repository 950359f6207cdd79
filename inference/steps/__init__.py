"""The closed vocabulary of steps: one function a step, on an `Image`."""
