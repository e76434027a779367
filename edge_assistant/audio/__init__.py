"""Sound: formats, rings, resampling, sound cards and playout."""
