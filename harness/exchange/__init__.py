"""Runs from elsewhere as a store, and a store's rows as a file: nothing dropped uncounted, unknown stays unknown."""

from harness.exchange.exporting import FORMATS, export_rows
from harness.exchange.importing import Imported, import_file
from harness.exchange.reading import READERS

__all__ = ["FORMATS", "READERS", "Imported", "export_rows", "import_file"]
