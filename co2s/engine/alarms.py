"""Alarms: what in the drift of pseudo-labels says that unlabelled images harm a run."""

import copy
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

# A class takes over where its odds among kept pixels are that many times its odds among labelled
# ones, and most kept pixels are of it: 10 % of the labels and 50 % of the pseudo-labels, 40 % and
# 86 %. Teaching itself a little more of an easy class is what every run does.
TAKEOVER_ODDS, TAKEOVER_SHARE = 9.0, 0.5
# Below, pseudo-labels weigh little, and the first ones are always of the easiest class.
TAKEOVER_COVERAGE = 0.1
# Agreement (IoU of one student against another, mean over all classes) moves by a few points from
# one period to the next where classes are rare; five of them together by less than this.
AGREEMENT_FALL, AGREEMENT_PERIODS = 0.15, 5
COVERAGE_EDGE = 0.001  # so near to 0 or 1 the threshold decides nothing
# A young model is sure of nothing, then of its easiest class: only what lasts is said.
PATIENCE = 10  # periods in a row
QUIET = 1000  # steps for which an alarm that was given is not given again

Scalars = Mapping[str, float]


@dataclass
class Alarms:
    """Looks at the drift of every period and says what is wrong; each thing once in a while.

    What it remembers goes on with a resumed run: the level that a collapsed run comes back with
    must not pass for its best.
    """

    filters: bool = True  # whether the method has a threshold that could let too many through
    best: float = 0.0  # agreement
    recent: list[float] = field(default_factory=list)  # agreement of the last periods
    lasting: dict[str, int] = field(default_factory=dict)  # periods in a row that a thing was so
    said: dict[str, int] = field(default_factory=dict)  # step at which an alarm was given

    def look(self, found: Scalars, step: int) -> list[str]:
        """The alarms of a period that ends after a step, of shares as `drift_scalars` has them."""
        students = [name for name in _of_classes(found, "coverage") if "/" not in name]
        alarms = [*self._agreement(found, students)]
        for student in students:
            alarms += [*self._takeover(found, student), *self._coverage(found, student)]
        fresh = [(k, text) for k, text in alarms if step - self.said.get(k, -QUIET) >= QUIET]
        self.said |= {kind: step for kind, _ in fresh}
        return [text for _, text in fresh]

    def state_dict(self) -> dict[str, Any]:
        return asdict(self)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        for name, value in state.items():
            setattr(self, name, copy.copy(value))

    def _agreement(self, found: Scalars, students: list[str]) -> Iterator[tuple[str, str]]:
        if "agreement" not in found:
            return
        # A class that nobody names counts 0: two students that name one class only agree on little.
        values = _of_classes(found, "agreement")
        classes = len(_of_classes(found, "label_share")) or len(values)
        self.recent = [*self.recent, sum(values.values()) / classes][-AGREEMENT_PERIODS:]
        if len(self.recent) < AGREEMENT_PERIODS:
            return
        now = sum(self.recent) / AGREEMENT_PERIODS
        self.best = max(self.best, now)
        if self.best - now >= AGREEMENT_FALL:
            yield (
                "agreement",
                f"The students {', '.join(students)} agree less and less: IoU of one against the "
                f"other {100 * now:.0f} %, and {100 * self.best:.0f} % at its best. One of them "
                "may have lost its way; compare their scores.",
            )

    def _coverage(self, found: Scalars, student: str) -> Iterator[tuple[str, str]]:
        coverage = found[f"coverage/{student}"]
        edges = ((0, "nothing is learned from them"), (1, "the threshold filters none"))
        for edge, words in edges if self.filters else ():
            kind = f"coverage {edge} {student}"
            if self._lasts(kind, abs(coverage - edge) <= COVERAGE_EDGE):
                yield (
                    kind,
                    f"{'All' if edge else 'None'} of the pseudo-labels of student {student} reach "
                    f"the threshold, and have for {self.lasting[kind]} periods: {words}. Another "
                    "THRESHOLD, or CLASS_THRESHOLDS, may do better.",
                )

    def _takeover(self, found: Scalars, student: str) -> Iterator[tuple[str, str]]:
        usual = _of_classes(found, "label_share")
        enough = found[f"coverage/{student}"] >= TAKEOVER_COVERAGE
        for label, share in _of_classes(found, f"pseudo_share/{student}").items():
            kind, most = f"takeover {student} {label}", enough and share >= TAKEOVER_SHARE
            odd = label in usual and _odds(share) >= TAKEOVER_ODDS * _odds(usual[label])
            if self._lasts(kind, most and odd):
                yield (
                    kind,
                    f"Class {label} takes over: {100 * share:.0f} % of the pseudo-labels that "
                    f"student {student} keeps, and {100 * usual[label]:.0f} % of the labelled "
                    "pixels. The others may be forgotten; CLASS_THRESHOLDS balanced may help.",
                )

    def _lasts(self, kind: str, so: bool) -> bool:
        """Count the periods in a row that a thing is so; whether they are too many."""
        self.lasting[kind] = self.lasting.get(kind, 0) + 1 if so else 0
        return self.lasting[kind] >= PATIENCE


def _odds(share: float) -> float:
    share = min(max(share, 0.01), 0.99)
    return share / (1 - share)


def _of_classes(found: Scalars, name: str) -> dict[str, float]:
    """{"<class>": value} of "<name>/<class>"."""
    start = f"{name}/"
    return {key.removeprefix(start): v for key, v in found.items() if key.startswith(start)}
