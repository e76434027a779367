"""What a voice says where there are no recordings: a fixed list, so that figures can be compared.

Kinds are the classes of the scenarios. A `clause` has one comma, where a speaker might stop to
think; it is not finished there.
"""

from __future__ import annotations

from typing import Final

TEXTS: Final[dict[str, tuple[str, ...]]] = {
    "opener": (
        "Tell me about the history of Rome.",
        "Explain to me how a steam engine works.",
        "Tell me a long story about a sailor.",
        "Describe the life of a honey bee.",
    ),
    "question": (
        "What is the capital of France?",
        "How many days are there in a leap year?",
        "Why is the sky blue?",
        "Who painted the Mona Lisa?",
        "What is a good name for a cat?",
        "How do I boil an egg?",
        "What does a cow eat?",
        "Give me a word that rhymes with house.",
        "How far away is the moon?",
        "What should I wear when it rains?",
        "Name three kinds of fruit.",
        "How tall is an elephant?",
        "What is the largest ocean on earth?",
        "Can you tell me a short joke?",
        "When did people first fly in a plane?",
        "What is bread made of?",
        "How does a bicycle stay upright?",
        "What colour do you get from blue and yellow?",
        "Why do leaves fall in autumn?",
        "How many legs does a spider have?",
        "What is the opposite of early?",
        "Where do penguins live?",
        "How do I get a stain out of a shirt?",
        "What is a simple meal for two people?",
        "Who wrote Romeo and Juliet?",
        "How long does it take to bake a potato?",
        "What is the fastest animal on land?",
        "Why do we need sleep?",
        "Which month has the fewest days?",
        "What can I do on a rainy Sunday?",
        "How does a candle burn?",
        "What is the difference between a frog and a toad?",
        "Recommend a book for a long train ride.",
        "How many strings does a violin have?",
        "What is the weather usually like in Scotland?",
        "What do bees make honey from?",
        "Is a tomato a fruit or a vegetable?",
        "How do I tie a scarf?",
        "What makes the sea salty?",
        "Tell me something about the planet Mars.",
    ),
    "clause": (
        "When I come home from work tonight, what should I cook for dinner?",
        "If I take the train to the city, how long will it take me?",
        "I have some eggs and a bit of flour, can I make pancakes?",
        "My neighbour has a very loud dog, what could I say to him?",
        "Next week my sister has her birthday, what should I give her?",
        "I would like to learn the guitar, where do I begin?",
        "Since the weather is getting colder, should I water the plants less?",
        "There is a red light on my phone, do you know what it means?",
        "After a long day in the garden, how do I clean my hands?",
        "We are going to the mountains in May, what should we take along?",
        "I wake up in the middle of the night, how do I get back to sleep?",
        "Before I paint the kitchen wall, do I have to wash it?",
    ),
    "follow_up": (
        "And who was the first one?",
        "When exactly was that?",
        "How long did it last?",
        "And what happened then?",
        "Why did they do it?",
        "Where was that?",
    ),
    "negation": (
        "No, that is not what I meant.",
        "No, that is wrong.",
        "I did not ask for that.",
        "No, something else please.",
        "That is not true.",
        "No, not that one.",
    ),
    "repeat_request": (
        "Sorry, can you say that again?",
        "What did you say?",
        "Can you repeat the last part?",
        "I did not hear you, once more please.",
        "Pardon, what was that?",
        "Say that again please.",
    ),
    "topic_change": (
        "What is the weather like today?",
        "By the way, how do I boil an egg?",
        "How many days are there in March?",
        "Tell me a joke about a horse.",
        "What is the capital of Norway?",
        "How old do cats get?",
    ),
    "stop": (
        "Stop.",
        "Stop talking please.",
        "Be quiet.",
        "Stop, stop.",
        "That is enough.",
        "Please stop.",
    ),
    "backchannel": ("Yeah.", "Uh-huh.", "Mm-hmm.", "Right.", "Okay.", "I see.", "Really?", "Wow."),
    "side_talk": (
        "Honey, have you seen my keys anywhere?",
        "Put your shoes on, we are leaving in a minute.",
        "No, the blue one is over there on the shelf.",
        "Can you pass me the salt, Anna?",
    ),
    "tv": (
        "The government said on Tuesday that it would raise the price of letters in the new year.",
        "Rain will spread from the west this evening, with strong winds along the coast.",
        "And that is the end of the first half, with no goals for either of the two teams.",
        "Welcome back to the show, our next guest has climbed the highest mountain in Peru.",
    ),
    "monologue": (
        "So yesterday I went down to the harbour, because my brother wanted to sell his old boat. "
        "He had put up a sign, but nobody had called him for weeks. We sat there for a while, and "
        "then an old man came along with his dog. He looked at the boat for a long time. "
        "He said that he had owned one just like it, many years ago, when he still lived on the "
        "island. In the end he did not buy it, but he told us about a friend who might. "
        "What do you think, should we call that friend?",
    ),
}
"""Text by kind."""


def all_texts() -> tuple[tuple[str, str], ...]:
    """Every (kind, text), in an order that never changes: it decides which voice speaks which."""
    return tuple((kind, text) for kind, texts in TEXTS.items() for text in texts)
