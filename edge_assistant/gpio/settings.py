"""Settings of lamps and button."""

from __future__ import annotations

from typing import Annotated

import msgspec

Pin = Annotated[int, msgspec.Meta(ge=0, le=53)]


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Section `[gpio]`: Broadcom numbers of pins; without any, nothing is touched. Needs the extra
    `gpio`."""

    idle_pin: Pin | None = None
    """Lamp that shines while nobody speaks and all is well."""
    listening_pin: Pin | None = None
    """Lamp that shines while the user is heard."""
    thinking_pin: Pin | None = None
    """Lamp that shines until the answer is heard."""
    speaking_pin: Pin | None = None
    """Lamp that shines while the assistant speaks."""
    trouble_pin: Pin | None = None
    """Lamp that blinks in place of the idle one after an error, until a device is back or somebody
    was answered."""
    is_lit_by_low: bool = False
    """Whether the lamps hang between the supply and their pins, and so shine at a low level."""
    button_pin: Pin | None = None
    """Button to ground. Held to talk with `turns.listen = "push"`; else a press stops a reply."""

    @property
    def lamp_pins(self) -> dict[str, int]:
        """The pins of the lamps that there are, by their state."""
        states = ("idle", "listening", "thinking", "speaking", "trouble")
        pins = ((state, getattr(self, f"{state}_pin")) for state in states)
        return {state: pin for state, pin in pins if pin is not None}

    def __post_init__(self) -> None:
        pins = [*self.lamp_pins.values(), self.button_pin]
        used = [pin for pin in pins if pin is not None]
        if len(set(used)) < len(used):
            raise ValueError(f"a pin is named twice: {sorted(used)}")
