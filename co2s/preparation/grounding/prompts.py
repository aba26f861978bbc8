"""Questions to a vision-language model, one for each class."""

from collections.abc import Sequence

PROMPT = (
    "The image is taken from above. Find every {name} in it ({concepts}). Answer with a JSON list "
    'of {{"bbox_2d": [x1, y1, x2, y2], "label": "{name}"}}, one entry for each, and with [] where '
    "there is none."
)


def check_prompt(prompt: str) -> None:
    """ValueError for a prompt without {name}, or with other fields than {name} and {concepts}."""
    try:
        asked = question("\0", ("",), prompt)
    except (KeyError, IndexError, ValueError):
        asked = ""
    if "\0" not in asked:
        raise ValueError(
            f"The prompt {prompt!r} must name {{name}}, the class, and may name {{concepts}}; "
            "write other braces double: {{ and }}."
        )


def question(name: str, concepts: Sequence[str], prompt: str = PROMPT) -> str:
    """The prompt for a class; concepts: other words for it."""
    words = name.replace("_", " ")
    return prompt.format(name=words, concepts=", ".join(concepts or (words,)))
