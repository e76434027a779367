"""Header parsers of our own, in plain Python: they see a file before any native code does.

They trust no length, count or offset of the file. A header that they accept is not proof of good
weights (only a hash is); a header that they refuse would have crashed, hung or misled a library.
"""

from __future__ import annotations

from edge_assistant.store.headers.info import Form, HeaderInfo
from edge_assistant.store.headers.inspection import inspect, sniff

__all__ = ["Form", "HeaderInfo", "inspect", "sniff"]
