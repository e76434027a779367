"""Model files enter here and nowhere else: catalog, download, header checks, hashes, licences."""

from __future__ import annotations

from edge_assistant.store.catalog import Catalog
from edge_assistant.store.entry import FileSpec, InstalledModel, ModelEntry
from edge_assistant.store.store import Store

__all__ = ["Catalog", "FileSpec", "InstalledModel", "ModelEntry", "Store"]
