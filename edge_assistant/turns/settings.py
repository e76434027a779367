"""How the assistant takes turns: when it listens, how long it waits, what makes it yield."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct


class Settings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Section `[turns]` of the configuration."""

    listen: Literal["open", "push", "wake"] = "open"
    """What opens the ear: `open` (always), `push` (while a key is held or toggled), `wake` (a
    phrase at the start of what was said)."""

    wake_phrase: Annotated[str, Meta(min_length=1, max_length=64)] = "hey assistant"
    """The words that wake it; used with `listen = "wake"` only."""

    min_wait_ms: Annotated[int, Meta(ge=0, le=5_000)] = 160
    """Silence before the turn is taken as over, in ms, when the turn detector is sure that it is
    (end probability 1)."""

    max_wait_ms: Annotated[int, Meta(ge=100, le=10_000)] = 1_100
    """The same when the turn detector is sure that it is not (end probability 0); not below
    `min_wait_ms`."""

    end_weights: tuple[float, float, float, float] = (3.43, 0.79, 1.07, -2.14)
    """What a pause is judged by: bias, weights of the log odds that the turn detector (only where
    the transcript is not closed like a sentence) and the language model give for the end of the
    turn, and what is added where the transcript is not closed. Fitted with the models of the
    starter pack; other models want others."""

    end_range: tuple[float, float] = (0.75, 0.85)
    """The probability at which a pause is waited out for `max_wait_ms`, and the one at which
    `min_wait_ms` will do; between the two the wait falls evenly. Lower is quicker, and interrupts
    those who think. Chosen so that 9 in 10 of 36 recorded ends would be answered within 1 s, as
    their judges see them."""

    pause_ms: Annotated[int, Meta(ge=20, le=2_000)] = 32
    """Silence that counts as a pause, in ms (one window of Silero): a draft is begun and the turn
    detector asked then."""

    min_speech_ms: Annotated[int, Meta(ge=10, le=1_000)] = 96
    """Speech that counts as speech, in ms (three windows of Silero); what is shorter is a click."""

    preroll_ms: Annotated[int, Meta(ge=0, le=2_000)] = 300
    """Audio kept from before the onset, in ms, so that the first sound of a word is not lost."""

    max_utterance_ms: Annotated[int, Meta(ge=1_000, le=120_000)] = 30_000
    """Longest turn of the user, in ms; what is there is then taken as the whole."""

    onset_ms: Annotated[int, Meta(ge=10, le=500)] = 30
    """Voiced share of the fast detector, in ms, that ducks a reply at once."""

    barge_in: bool = True
    """Whether the user can interrupt a reply by talking. A stop phrase works either way."""

    barge_in_ms: Annotated[int, Meta(ge=30, le=3_000)] = 1_500
    """Speech of the user over a reply, in ms, that makes the reply yield whatever its words; twice
    that where no words can be found in it. Without `probe_ms` nothing else makes it yield, and 300
    is a good value."""

    early_barge_in_ms: Annotated[int, Meta(ge=0, le=3_000)] = 160
    """The same where the user goes on with his sentence when the reply has only begun: nobody
    responds so soon to what he hears. Five windows of Silero by default, so that no click is
    enough. 0: as at any other time."""

    probe_ms: Annotated[int, Meta(ge=0, le=3_000)] = 250
    """Speech of the user over a reply, in ms, after which its words are looked at, and from one
    look to the next: a listener's response lets the reply go on, anything else makes it yield. 0:
    only the length counts."""

    backchannels: tuple[Annotated[str, Meta(min_length=1, max_length=64)], ...] = (
        "absolutely",
        "ah",
        "aha",
        "all right",
        "alright",
        "amazing",
        "awesome",
        "cool",
        "definitely",
        "exactly",
        "fair enough",
        "fine",
        "go on",
        "good",
        "got it",
        "gotcha",
        "great",
        "hm",
        "hmm",
        "huh",
        "i know",
        "i see",
        "interesting",
        "makes sense",
        "mhm",
        "mm",
        "mm hmm",
        "nice",
        "no way",
        "of course",
        "oh",
        "oh my",
        "ok",
        "okay",
        "ooh",
        "perfect",
        "really",
        "right",
        "sure",
        "that's right",
        "that's true",
        "totally",
        "true",
        "uh",
        "uh huh",
        "um",
        "understood",
        "very good",
        "wow",
        "yeah",
        "yep",
        "yes",
        "yup",
    )
    """What a listener says to show that he listens; case and punctuation do not count. Five and six
    of them are the most typical of American and British English (Ward, Backchannel Facts)."""

    duck_db: Annotated[float, Meta(ge=-60.0, le=0.0)] = -18.0
    """Gain of the reply while it is undecided whether the user interrupts, in dB."""

    duck_ramp_ms: Annotated[int, Meta(ge=1, le=200)] = 10
    """Length of the ramp down to `duck_db` and back up, in ms."""

    fade_ms: Annotated[int, Meta(ge=1, le=50)] = 8
    """Fade-out of a reply that yields, in ms (below about 5 ms it clicks)."""

    stop_phrases: tuple[Annotated[str, Meta(min_length=1, max_length=64)], ...] = (
        "stop",
        "stop it",
        "stop talking",
        "be quiet",
        "quiet",
        "shut up",
        "cancel",
        "never mind",
        "that's enough",
        "enough",
    )
    """What silences the assistant when nothing else was said; case and punctuation do not count."""

    partials: bool = True
    """Whether what the user says is transcribed and given to the language model while he speaks, so
    that little is left to do when he is done."""

    draft_at: Literal["endpoint", "pause"] = "pause"
    """When a reply is begun: already at a pause (`pause`), held back until the turn is over and
    thrown away if the user goes on; its words help to judge whether it is over. Or only then
    (`endpoint`)."""

    notices: Literal["voice", "recorded"] = "voice"
    """How the assistant says that something is wrong. `voice`: as a reply, so not where the voice
    itself fails. `recorded`: in phrases that need no model (English, German, French, Spanish,
    Italian, Dutch), also that the voice fails, the microphone is gone, the disk is full or that it
    cannot start."""

    reset_after_idle_s: Annotated[int, Meta(ge=0, le=86_400)] = 0
    """Where nobody has been answered for so long and nobody speaks, the conversation is forgotten:
    the next to speak is somebody else, who must not meet the words of the one before. 0: never."""

    max_drafts: Annotated[int, Meta(ge=0, le=100)] = 30
    """Attempts in one turn of the user; who pauses more often is answered once the turn is over."""

    def __post_init__(self) -> None:
        if not 0.0 <= self.end_range[0] < self.end_range[1] <= 1.0:
            raise ValueError(f"`end_range` {list(self.end_range)} must rise, from 0 to 1 at most")
        if self.max_wait_ms < self.min_wait_ms:
            raise ValueError(
                f"`max_wait_ms` ({self.max_wait_ms}) is below `min_wait_ms` ({self.min_wait_ms})"
            )
