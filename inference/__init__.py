"""From a series to an array, and from an array through a network: loading and inference."""
