"""Sound cards: PortAudio, a WAV file, a pipe. The same pipeline runs all of them."""
