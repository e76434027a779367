"""Errors of the workshop that a user can meet."""

from __future__ import annotations

from edge_assistant.errors import EdgeAssistantError


class WorkshopError(EdgeAssistantError):
    """A file that cannot be made of what was given, or as it was asked."""
