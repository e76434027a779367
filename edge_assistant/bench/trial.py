"""What a trial is, before and after it was run.

A trial is a timeline of stimuli that the examiner plays to one system. Some begin at a time, some
in answer to what the system does ("2 s into its reply"). All annotations are on the sample clock of
the
conversation: t = 0 is the first sample of block 0.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from edge_assistant.audio.format import Samples

Source = Literal["real", "synthetic"]
"""Where speech comes from: recordings of people, or a voice. The two are never pooled."""

Role = Literal[
    "question",
    "pause",
    "interruption",
    "stop",
    "backchannel",
    "noise",
    "tv",
    "side_talk",
    "monologue",
]
"""What a stimulus is, as the taxonomy of HumDial track 2 and our own additions name it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stimulus:
    """One sound that the examiner plays into the system's microphone."""

    role: Role
    sound: Samples
    """Float32, (frames,), 16000 Hz."""
    label: str
    """Name of the clip or recipe, for the report."""
    text: str = ""
    """What is said, where it is known."""
    speech_frames: tuple[tuple[int, int], ...] = ()
    """(onset, end) of the speech in `sound`, found on the clean clip before mixing."""
    begins: Literal["at", "into_reply", "after_reply"] = "at"
    """`at` seconds of the clock; seconds `into_reply`; seconds `after_reply` has ended."""
    delay_s: float = 0.0
    """Seconds for `begins`; to the onset of the speech, where there is any, else to the first
    frame."""
    is_user: bool = True
    """Speech of the user to the system; False for noise, a TV, side talk."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One scenario with one choice of clips. The same id and seed give the same sound, bit for
    bit."""

    id: str
    """`scenario/condition/source/number`, such as `pause/0.7/real/012`."""
    scenario: str
    condition: str
    """Row of the report that the trial belongs to, such as the pause length or the
    interruption's class."""
    source: Source
    seed: int
    stimuli: tuple[Stimulus, ...]
    limit_s: float
    """The trial ends here at the latest."""
    tail_s: float = 1.5
    """It ends earlier once the last stimulus is over and the system has been silent for so long; a
    turn without an answer is waited for as long as the examiner's `answer_s`, if that is longer."""
    after_s: float | None = None
    """It ends so long after the end of its last stimulus, whatever sounds; None: by `limit_s`."""
    enough_s: float | None = None
    """It ends earlier still, whatever sounds, so long after all was seen: after the end of the last
    stimulus or, where that wants an answer, after the beginning of one. None: the reply is heard
    out."""
    background: Samples | None = None
    """Mixed under everything from t = 0, repeated as often as needed; None for digital silence."""
    room: Samples | None = None
    """Impulse response of the way from its loudspeaker to its microphone, unit energy; None: no
    echo."""
    echo_db: float = -200.0
    """Gain of that way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """A stimulus as it was played."""

    stimulus: Stimulus
    begin_frames: int
    """Frame of the clock at which `stimulus.sound` began."""

    def speech(self) -> tuple[tuple[int, int], ...]:
        """(onset, end) of its speech on the clock."""
        return tuple(
            (self.begin_frames + a, self.begin_frames + b) for a, b in self.stimulus.speech_frames
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """A trial that was run: two channels on one clock, and whatever the system told."""

    trial: Trial
    system: str
    user: Samples
    """What went into the microphone, echo and background included."""
    reply: Samples
    """What the loudspeaker played, sample-aligned with `user`."""
    played: tuple[Played, ...]
    events: tuple[dict[str, Any], ...] = ()
    """The system's own log where it keeps one; never needed for the metrics of the two channels."""
    listening_s: float = 0.0
    """From process start until block 0 came back."""
    cpu_s: float = 0.0
    """CPU seconds of the system's process tree during the conversation."""
    peak_rss_bytes: int = 0
    lateness_s: float = 0.0
    """Longest that a block came back late; a disturbed trial is void."""
    load: float = 0.0
    """Load average of the machine at the end."""
    steal_s: float = 0.0
    """CPU time that the hypervisor took away during the trial."""
    void: str = ""
    """Why the trial does not count; empty if it does."""
    notes: dict[str, float] = field(default_factory=dict)
