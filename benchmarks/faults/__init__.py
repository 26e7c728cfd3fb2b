"""Faults made on purpose, and what became of the runs that were completed before: the numbers of `docs/faults.md`."""
