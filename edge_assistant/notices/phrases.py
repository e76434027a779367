"""The phrases, in the languages that they were recorded in.

The recordings beside this file were made by `python packaging/make_notices.py`, which lets
espeak-ng speak these texts; a test holds the two together.
"""

from __future__ import annotations

from typing import Final, Literal, get_args

Notice = Literal[
    "not_understood",
    "no_answer",
    "no_voice",
    "microphone_lost",
    "sound_back",
    "disk_full",
    "out_of_order",
    "safe_mode",
]

NAMES: Final[tuple[Notice, ...]] = get_args(Notice)

FALLBACK: Final = "en"
"""Spoken where a language has no phrases."""

PHRASES: Final[dict[str, dict[Notice, str]]] = {
    "en": {
        "not_understood": "Sorry, I could not make out what you said.",
        "no_answer": "Sorry, I could not think of an answer.",
        "no_voice": "Sorry, my voice has failed. Please ask again.",
        "microphone_lost": "I cannot hear you: my microphone is gone.",
        "sound_back": "I can hear you again.",
        "disk_full": "I cannot write to my disk. Please tell whoever looks after me.",
        "out_of_order": "I am out of order. Please tell whoever looks after me.",
        "safe_mode": "Something went wrong several times, so I started again in safe mode, "
        "with small models.",
    },
    "de": {
        "not_understood": "Entschuldigung, das habe ich nicht verstanden.",
        "no_answer": "Entschuldigung, mir ist keine Antwort eingefallen.",
        "no_voice": "Entschuldigung, meine Stimme hat versagt. Bitte fragen Sie noch einmal.",
        "microphone_lost": "Ich höre Sie nicht: mein Mikrofon ist weg.",
        "sound_back": "Ich höre Sie wieder.",
        "disk_full": "Ich kann nichts mehr speichern. Bitte sagen Sie meinem Betreuer Bescheid.",
        "out_of_order": "Ich bin außer Betrieb. Bitte sagen Sie meinem Betreuer Bescheid.",
        "safe_mode": "Es ging mehrmals etwas schief, darum laufe ich jetzt im sicheren Modus "
        "mit kleinen Modellen.",
    },
    "fr": {
        "not_understood": "Désolé, je n'ai pas compris ce que vous avez dit.",
        "no_answer": "Désolé, je n'ai pas trouvé de réponse.",
        "no_voice": "Désolé, ma voix est en panne. Veuillez répéter votre question.",
        "microphone_lost": "Je ne vous entends pas : mon microphone a disparu.",
        "sound_back": "Je vous entends de nouveau.",
        "disk_full": "Je ne peux plus rien enregistrer. Veuillez prévenir mon responsable.",
        "out_of_order": "Je suis hors service. Veuillez prévenir mon responsable.",
        "safe_mode": "Il y a eu plusieurs erreurs, j'ai donc redémarré en mode sans échec, "
        "avec de petits modèles.",
    },
    "es": {
        "not_understood": "Lo siento, no he entendido lo que ha dicho.",
        "no_answer": "Lo siento, no se me ha ocurrido ninguna respuesta.",
        "no_voice": "Lo siento, mi voz ha fallado. Por favor, pregunte otra vez.",
        "microphone_lost": "No le oigo: mi micrófono ha desaparecido.",
        "sound_back": "Ya le oigo otra vez.",
        "disk_full": "No puedo guardar nada más. Por favor, avise a mi responsable.",
        "out_of_order": "Estoy fuera de servicio. Por favor, avise a mi responsable.",
        "safe_mode": "Algo ha fallado varias veces, así que he arrancado en modo seguro, "
        "con modelos pequeños.",
    },
    "it": {
        "not_understood": "Mi dispiace, non ho capito quello che ha detto.",
        "no_answer": "Mi dispiace, non ho trovato una risposta.",
        "no_voice": "Mi dispiace, la mia voce non funziona. Per favore, chieda di nuovo.",
        "microphone_lost": "Non la sento: il mio microfono è scomparso.",
        "sound_back": "La sento di nuovo.",
        "disk_full": "Non posso più salvare nulla. Per favore, avvisi il mio responsabile.",
        "out_of_order": "Sono fuori servizio. Per favore, avvisi il mio responsabile.",
        "safe_mode": "Qualcosa è andato storto più volte, perciò sono ripartito in modalità "
        "sicura, con modelli piccoli.",
    },
    "nl": {
        "not_understood": "Sorry, ik heb niet verstaan wat u zei.",
        "no_answer": "Sorry, ik kon geen antwoord bedenken.",
        "no_voice": "Sorry, mijn stem doet het niet. Vraag het alstublieft nog eens.",
        "microphone_lost": "Ik hoor u niet: mijn microfoon is weg.",
        "sound_back": "Ik hoor u weer.",
        "disk_full": "Ik kan niets meer opslaan. Waarschuw alstublieft mijn beheerder.",
        "out_of_order": "Ik ben buiten gebruik. Waarschuw alstublieft mijn beheerder.",
        "safe_mode": "Er ging meermaals iets mis, daarom draai ik nu in veilige modus, "
        "met kleine modellen.",
    },
}


def language_of(code: str) -> str:
    """The language whose phrases stand for `code`, such as `de-at`."""
    base = code.partition("-")[0].lower()
    return base if base in PHRASES else FALLBACK


def phrase(name: Notice, language: str) -> str:
    """Its text in that language, else in English."""
    return PHRASES[language_of(language)][name]


def find(text: str) -> Notice | None:
    """The notice that says `text` in some language; None for any other text."""
    for phrases in PHRASES.values():
        for name, words in phrases.items():
            if words == text:
                return name
    return None
