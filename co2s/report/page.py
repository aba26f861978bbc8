"""The page of a run: sections in their order, of which none can break another."""

import logging
from collections.abc import Callable, Sequence
from functools import partial
from importlib import resources
from pathlib import Path

from co2s.config import get_co2s_cfg, plain, value_at
from co2s.d2.key_names import key_names
from co2s.files import write_text

from . import batches, course, drift, overview, panels, reliability, tables
from .folder import PAGE, Missing, Run, open_run
from .markup import Html, empty, html, join, tag

# No script runs in a page, and nothing is fetched, whatever a name or a path should hold.
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"

logger = logging.getLogger(__name__)

Section = tuple[str, str, Callable[[Run], Html]]  # anchor, title, what draws it


def _sections() -> list[Section]:
    defaults = get_co2s_cfg()
    values = {key: plain(value_at(defaults, key)) for key in key_names(defaults)}
    return [
        ("run", "What was run", overview.about),
        ("scores", "Scores", tables.scores),
        ("curves", "Training", course.curves),
        ("drift", "What the unlabelled images taught", drift.drift),
        ("confusion", "Which class is taken for which", tables.confusion),
        ("reliability", "How sure it is, and how right", reliability.reliability),
        ("panels", "Best and worst images", panels.panels),
        ("batches", "Training batches as the network saw them", batches.batches),
        ("costs", "Time and memory", course.costs),
        ("options", "Options", partial(overview.options, defaults=values)),
    ]


def write_report_page(output_dir: str | Path) -> str:
    """Write `<output_dir>/report.html` from what a run left there, and return its path.

    One file that needs nothing else. A part that the run did not leave is named on the page, and so
    is one that cannot be drawn, which the log explains. FileNotFoundError where there is no run.
    """
    run = open_run(output_dir)
    path = run.folder / PAGE
    write_text(path, render(run))
    logger.info("The report of the run: %s", path)
    return str(path)


def render(run: Run) -> str:
    """The page as text."""
    method = run.option("MODEL.META_ARCHITECTURE") or "A run"
    roles = ("TEST", "LABELED", "UNLABELED")
    names = next(filter(None, (run.option(f"DATASETS.{role}") for role in roles)), [run.name])
    title = f"{method} on {', '.join(names)}"
    sections = _sections()
    links = [tag("a", words, href=f"#{anchor}") for anchor, words, _ in sections]
    head = [
        tag("p", run.name, cls="kicker"),
        tag("h1", title),
        drawn("headline", overview.headline, run),
    ]
    body = [
        tag("header", *head, tag("nav", *links, aria_label="Sections")),
        tag(
            "main",
            *(
                tag("section", tag("h2", words), drawn(words, draw, run), id=anchor)
                for anchor, words, draw in sections
            ),
        ),
    ]
    return document(title, body)


def drawn(name: str, draw: Callable[[Run], Html], run: Run) -> Html:
    """What a section draws, or one line that says why it is left out."""
    try:
        return draw(run)
    except Missing as error:
        return tag("p", "Left out. ", error, cls="note")
    except Exception as error:  # a fault of one part must cost neither the page nor the run
        logger.warning("%s: '%s' could not be drawn.", run.folder, name, exc_info=True)
        words = f"This part could not be drawn ({type(error).__name__}: {error}). See the log."
        return tag("p", words, cls="note")


def document(title: str, body: Sequence[Html]) -> str:
    """A whole HTML document around its body, with the style inside it."""
    style = resources.files(__package__).joinpath("page.css").read_text(encoding="utf-8")
    head = [
        empty("meta", charset="utf-8"),
        empty("meta", http_equiv="Content-Security-Policy", content=POLICY),
        empty("meta", name="viewport", content="width=device-width, initial-scale=1"),
        empty("meta", name="color-scheme", content="light dark"),
        tag("title", title),
        tag("style", Html(style)),
    ]
    foot = tag("footer", "Made by co2s from the files beside this page.")
    page = tag("html", tag("head", *head), tag("body", *body, foot), lang="en")
    return f"<!doctype html>\n{html(join([page]))}\n"
