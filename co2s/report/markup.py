"""HTML from Python: every value is escaped unless it is HTML already, every tag is closed."""

import re
from collections.abc import Iterable, Sequence
from html import escape
from typing import Any


class Html(str):
    """Text that is HTML already."""


def html(value: Any) -> Html:
    """The value as HTML: text escaped, HTML as it is."""
    return value if isinstance(value, Html) else Html(escape(_printable(str(value))))


def _printable(text: str) -> str:
    """Without the control characters that no HTML may hold."""
    return re.sub(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]", "\ufffd", text)


def join(parts: Iterable[Any], between: str = "") -> Html:
    return Html(between.join(html(part) for part in parts))


def tag(name: str, /, *content: Any, **attributes: Any) -> Html:
    """<name attribute="value">content</name>; `cls` is class, `_` stands for `-`, None is none."""
    return Html(f"<{name}{_attributes(attributes)}>{join(content)}</{name}>")


def empty(name: str, /, **attributes: Any) -> Html:
    """An element that has no content and no end: <img>, <meta>."""
    return Html(f"<{name}{_attributes(attributes)}>")


def _attributes(attributes: dict[str, Any]) -> str:
    named = {key.replace("cls", "class").replace("_", "-"): v for key, v in attributes.items()}
    return "".join(f' {key}="{html(value)}"' for key, value in named.items() if value is not None)


def paragraphs(*texts: Any) -> Html:
    return join(tag("p", text) for text in texts if text)


def folded(summary: Any, *content: Any, opened: bool = False) -> Html:
    """Content that is shown on demand; on paper always (page.css)."""
    attributes = {"open": "open"} if opened else {}
    return tag("details", tag("summary", summary), *content, **attributes)


def table(
    caption: Any, headers: Sequence[Any], rows: Iterable[Sequence[Any]], cls: str = ""
) -> Html:
    """A table whose first column names the rows; cells may be whole <td> elements."""
    head = tag("tr", *(tag("th", name, scope="col") for name in headers))
    body = (tag("tr", tag("th", row[0], scope="row"), *map(cell, row[1:])) for row in rows)
    content = (tag("caption", caption), tag("thead", head), tag("tbody", *body))
    # Broad tables scroll by themselves, with the keyboard too, and not the page.
    return tag("div", tag("table", *content, cls=cls or None), cls="scroll", tabindex="0")


def cell(value: Any) -> Html:
    whole = isinstance(value, Html) and value.startswith("<td")
    return html(value) if whole else tag("td", value)


def facts(pairs: Iterable[tuple[Any, Any]]) -> Html:
    """A list of names and what is known of them; what is empty is left out."""
    known = [(name, value) for name, value in pairs if value not in (None, "")]
    return tag("dl", *(tag("div", tag("dt", n), tag("dd", v)) for n, v in known))


def figure(picture: Html, caption: Any, cls: str = "") -> Html:
    return tag("figure", picture, tag("figcaption", caption), cls=cls or None)


def grid(parts: Iterable[Html], cls: str = "") -> Html:
    return tag("div", *parts, cls=f"grid {cls}".strip())
