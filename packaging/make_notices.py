"""Record the phrases of `edge_assistant/notices` anew, after a change of their texts.

    python packaging/make_notices.py

espeak-ng speaks them; they are kept as Ogg Vorbis, 16 kHz mono, with the hash of each text in
`recordings.json`, by which a test sees a text that was changed and not recorded.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import soundfile

from edge_assistant.audio.resample import resample
from edge_assistant.cancel import CancelToken
from edge_assistant.notices.phrases import PHRASES
from edge_assistant.notices.recordings import SAMPLE_RATE
from edge_assistant.pipeline.engines import DEFAULT_ACCENTS
from edge_assistant.tts.espeak import EspeakVoice

FOLDER = Path(__file__).resolve().parent.parent / "edge_assistant" / "notices"


def main() -> None:
    """Write all recordings and their index."""
    index = {}
    for language, phrases in PHRASES.items():
        voice = EspeakVoice(DEFAULT_ACCENTS.get(language, language), words_per_minute=150)
        (FOLDER / language).mkdir(exist_ok=True)
        for name, text in phrases.items():
            chunks = [chunk.samples for chunk in voice.synthesize(text, CancelToken())]
            sound = resample(np.concatenate(chunks), voice.sample_rate, SAMPLE_RATE)
            sound = np.clip(sound, -1.0, 1.0)
            file = FOLDER / language / f"{name}.ogg"
            small = {"format": "OGG", "subtype": "VORBIS", "compression_level": 1.0}
            soundfile.write(file, sound, SAMPLE_RATE, **small)
            index[f"{language}/{name}"] = hashlib.sha256(text.encode()).hexdigest()
            print(f"{language}/{name}: {len(sound) / SAMPLE_RATE:.1f} s")
        voice.close()
    (FOLDER / "recordings.json").write_text(json.dumps(index, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
