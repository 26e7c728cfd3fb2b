"""Ours against the upstream package `airbench` 0.1.8: the same steps on the same device and data, interleaved."""
