"""Errors of shipping that a user can meet."""

from __future__ import annotations

from edge_assistant.errors import EdgeAssistantError


class ShippingError(EdgeAssistantError):
    """A bundle cannot be made, or is not what it should be, or a proof did not hold."""
