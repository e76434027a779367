"""Who may speak: facts in, commands out, no clock, no thread, no engine."""
