"""Whisper: checkpoints to whisper.cpp's ggml files, and these to fewer bits.

`convert` and `quantise` make files, `verify` runs both sides of a conversion on the same sound.
docs/workshop/whisper.md tells what was seen.
"""
