"""What the unlabelled images taught: coverage, balance, agreement, teachers, precision."""

from collections.abc import Callable

import numpy as np

from co2s.evaluation.metrics import Series

from .charts import Line, chart
from .folder import Missing, Run
from .formats import ends, known, listed, percent
from .markup import Html, grid, join, paragraphs, table, tag

Courses = dict[str, Series]

RARE = 0.05  # a class whose coverage never reaches this share is named
FAR = 1.5  # a class is named where pseudo-labels hold it this many times more or less than labels


def drift(run: Run) -> Html:
    """Charts by student and class, each with what it shows in a sentence."""
    students = [name for name in run.students if f"coverage/{name}" in run.metrics]
    if not students:
        raise Missing(
            "metrics.json has no coverage of pseudo-labels: the method looks at no unlabelled "
            "image, or the run ended before its first writing step, or is of an older version."
        )
    parts = [_coverage(run, students)]
    parts += [_balance(run, student) for student in students]
    parts += [_purified(run, student) for student in students]
    parts += [_agreement(run), _teachers(run, students), _precision(run, students)]
    return join(part for part in parts if part)


def _coverage(run: Run, students: list[str]) -> Html:
    overall = {name: run.metrics[f"coverage/{name}"] for name in students}
    said = [_rise(f"Coverage of the {name} student", overall[name]) for name in students]
    charts = [_shares("Coverage: pixels at or above the threshold", overall, " ".join(said))]
    for name in students:
        classes = _by_class(run, f"coverage/{name}/")
        if classes:
            said.append(_never(name, classes))
            charts.append(_shares(f"Coverage of {name}, by pseudo-class", classes, said[-1]))
    return _part("How many pseudo-labels count", said, charts)


def _balance(run: Run, student: str) -> Html:
    """The classes of the kept pseudo-labels against those of the labels."""
    pseudo = _by_class(run, f"pseudo_share/{student}/")
    labels = _by_class(run, "label_share/")
    if not pseudo or not labels:
        return Html("")
    final = {name: _end(series) for name, series in pseudo.items()}
    truth = {name: _mean(series) for name, series in labels.items()}
    said = _unbalanced(student, final, truth)
    rows = [
        [name, _share_bar(truth[name]), _share_bar(final.get(name))]
        for name in truth
        if truth[name] is not None
    ]
    histogram = table(
        f"Classes of the labels and, at the end, of the pseudo-labels {student} keeps",
        ["class", "labels", f"kept by {student}"],
        rows,
    )
    course = _shares(f"Classes of the pseudo-labels that {student} keeps", pseudo, said)
    return _part(f"Which classes {student} teaches itself", [said], [course, histogram])


def _purified(run: Run, student: str) -> Html:
    """What a student keeps before and after the purifier, and how right that is."""
    replaced = run.metrics.get(f"replaced/{student}")
    if replaced is None:
        return Html("")
    said = [_rise(f"Pixels of {student} that the purifier gave another class", replaced)]
    charts = []
    for what, words in (("coverage", "kept"), ("precision", "right, of those kept")):
        names = {"before": f"{what}_before/{student}", "after": f"{what}/{student}"}
        courses = {when: run.metrics[n] for when, n in names.items() if n in run.metrics}
        if len(courses) == 2:
            title = f"Pseudo-labels of {student} that are {words}, before and after"
            rises = [_rise(f"{when.capitalize()}, {words},", s) for when, s in courses.items()]
            said += rises
            charts.append(_shares(title, courses, " ".join(rises)))
    for when in ("_before", ""):
        classes = _by_class(run, f"coverage{when}/{student}/")
        title = f"Coverage of {student} {'before' if when else 'after'} the purifier, by class"
        charts.append(_shares(title, classes, title))
    return _part(f"What the purifier changed for {student}", said, charts)


def _agreement(run: Run) -> Html:
    if "agreement" not in run.metrics:
        return Html("")
    classes = _by_class(run, "agreement/")
    said = [_rise("Agreement of the students", run.metrics["agreement"])]
    charts = [_shares("Pixels on which the students agree", _one(run, "agreement"), said[0])]
    if classes:
        said.append(_least("They agree least on", classes))
        charts.append(_shares("Agreement by class", classes, said[-1]))
    return _part("Whether the students agree", said, charts)


def _teachers(run: Run, students: list[str]) -> Html:
    courses = {n: run.metrics[f"teaches/{n}"] for n in students if f"teaches/{n}" in run.metrics}
    if not courses:
        return Html("")
    final = [(name, _end(series)) for name, series in courses.items()]
    texts = [f"{name} on {percent(share)}" for name, share in final if share is not None]
    said = f"At the end the teacher of the stability loss is {listed(texts)} of the pixels."
    return _part("Who teaches whom", [said], [_shares("Pixels a student teaches", courses, said)])


def _precision(run: Run, students: list[str]) -> Html:
    courses = {
        n: run.metrics[f"precision/{n}"] for n in students if f"precision/{n}" in run.metrics
    }
    if not courses:
        return Html("")
    said = [_rise(f"Precision of what {name} keeps", series) for name, series in courses.items()]
    charts = [_shares("Kept pseudo-labels that are right", courses, " ".join(said))]
    for name in courses:
        classes = _by_class(run, f"precision/{name}/")
        if classes:
            said.append(_least(f"What {name} keeps is least often right on", classes))
            charts.append(_shares(f"Precision of {name}, by class", classes, said[-1]))
    return _part("How right the pseudo-labels are", said, charts)


def _part(title: str, said: list[str], charts: list[Html]) -> Html:
    return join([tag("h3", title), paragraphs(" ".join(s for s in said if s)), grid(charts)])


def _shares(title: str, courses: Courses, alt: str) -> Html:
    """A chart of shares in percent; the axis ends at 100 where there is something to see."""
    lines = [
        Line(name, (steps, [100 * v for v in values]), i)
        for i, (name, (steps, values)) in enumerate(courses.items())
    ]
    highest = max((v for line in lines for v in known(line.series)[1]), default=0)
    return chart(f"{title}, %", lines, alt or title, top=100 if highest > 40 else None)


def _by_class(run: Run, prefix: str) -> Courses:
    """Courses below a prefix, by the rest of their names: a class may be called anything."""
    found = {n.removeprefix(prefix): s for n, s in run.metrics.items() if n.startswith(prefix)}
    order = {name: i for i, name in enumerate((run.known("facts") or {}).get("classes", []))}
    return dict(sorted(found.items(), key=lambda item: order.get(item[0], len(order))))


def _one(run: Run, name: str) -> Courses:
    return {name: run.metrics[name]}


def _end(series: Series) -> float | None:
    found = ends(series)
    return found[1] if found else None


def _mean(series: Series) -> float | None:
    values = known(series)[1]
    return float(np.mean(values)) if values else None


def _rise(what: str, series: Series) -> str:
    """ "... rose from 12 % to 83 %." """
    found = ends(series)
    if found is None:
        return f"{what}: there was nothing to count."
    first, last = found
    if abs(last - first) < 0.01:
        return f"{what} stayed at {percent(last)}."
    return f"{what} {'rose' if last > first else 'fell'} from {percent(first)} to {percent(last)}."


def _never(student: str, classes: Courses) -> str:
    """The classes that hardly any pseudo-label counts of, at any time."""
    highest = {name: max(known(series)[1], default=0.0) for name, series in classes.items()}
    rare = {name: value for name, value in highest.items() if value < RARE}
    if rare:
        verb = "is" if len(rare) == 1 else "are"
        most = max(rare.values())
        if most == 0:
            return f"With {student}, no pseudo-label of {listed(list(rare))} ever counts."
        return (
            f"With {student}, {listed(list(rare))} {verb} never above {percent(max(most, 0.001))}."
        )
    return _least(f"{student} covers least of", classes)


def _least(what: str, classes: Courses) -> str:
    """ "... road, 31 % at the end." """
    final = _finals(classes)
    if not final:
        return ""
    name = min(final, key=lambda n: final[n])
    return f"{what} {name}, {percent(final[name])} at the end."


def _finals(classes: Courses) -> dict[str, float]:
    found = {name: _end(series) for name, series in classes.items()}
    return {name: value for name, value in found.items() if value is not None}


def _unbalanced(
    student: str, final: dict[str, float | None], truth: dict[str, float | None]
) -> str:
    """The class that pseudo-labels hold most too much of, and the one they miss most."""
    both = [
        (name, value, target)
        for name, target in truth.items()
        if target and (value := final.get(name)) is not None
    ]
    if not both:
        return f"The {student} student kept nothing at the end that could be compared."
    more: Callable[[tuple[str, float, float]], float] = lambda row: row[1] / row[2]  # noqa: E731
    (high, much, of_much), (low, little, of_little) = max(both, key=more), min(both, key=more)
    texts = []
    if much / of_much >= FAR:
        texts.append(
            f"{much / of_much:.1f} times as much {high} as the labels do "
            f"({percent(much)} against {percent(of_much)})"
        )
    if little / of_little <= 1 / FAR:
        texts.append(f"too little {low} ({percent(little)} against {percent(of_little)})")
    if not texts:
        return f"What {student} keeps at the end has the classes in about the labels' shares."
    return f"What {student} keeps at the end holds {listed(texts)}."


def _share_bar(share: float | None) -> Html:
    if share is None:
        return tag("td", "–")
    return tag("td", percent(share, 1), cls="bar", style=f"--v:{100 * share:.1f}")
