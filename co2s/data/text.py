"""Text files as the editors of all systems write them."""

import codecs
from pathlib import Path

# The longer marks first: that of UTF-16 begins that of UTF-32.
MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def read_text(path: Path) -> str:
    """The text of a file: UTF-8, or UTF-16 or UTF-32 where it begins with their byte order mark.

    ValueError names a file in another encoding.
    """
    content = path.read_bytes()
    encoding = next((name for mark, name in MARKS if content.startswith(mark)), "utf-8")
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{path} is no text in {encoding.upper()}: byte {content[error.start]:#04x} at "
            f"position {error.start}. Save it as UTF-8."
        ) from error
    if "\0" in text:
        raise ValueError(
            f"{path} is no text in {encoding.upper()}: it holds zero bytes, as UTF-16 without a "
            "byte order mark does. Save it as UTF-8."
        )
    return text
