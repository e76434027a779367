"""What the loudspeaker does to the microphone in this room, and how to converse in it."""
