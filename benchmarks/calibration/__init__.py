"""How often the statistics keep their word, on data whose truth is known: `uv run python -m benchmarks.calibration`."""
