"""The best and the worst of many images, of which few are kept in memory."""

from typing import Any

from co2s.d2 import comm

BEST, WORST = "best", "worst"

Ranked = list[tuple[float, Any]]  # score and image id


class Extremes:
    """The `number` images with the highest scores and as many with the lowest, of one process.

    Of equal scores the image id decides, so that the choice does not depend on the order.
    """

    def __init__(self, number: int) -> None:
        self.number, self.seen = number, 0
        self._best: Ranked = []
        self._worst: Ranked = []
        self._kept: dict[Any, Any] = {}

    def takes(self, score: float, image_id: Any) -> bool:
        """Note an image; whether it is among the best or the worst until now."""
        self.seen += 1
        entry = (score, image_id)
        self._best, self._worst = (
            first(kind, [*ranked, entry], self.number)
            for kind, ranked in ((BEST, self._best), (WORST, self._worst))
        )
        return entry in self._best or entry in self._worst

    def add(self, score: float, image_id: Any, content: Any) -> None:
        """Keep what is to be known of an image that `takes` wanted, and drop who fell out."""
        self._kept[image_id] = content
        wanted = {image_id for _, image_id in (*self._best, *self._worst)}
        self._kept = {key: value for key, value in self._kept.items() if key in wanted}

    def get(self, image_id: Any) -> Any:
        """What was kept of an image; None where this process has not."""
        return self._kept.get(image_id)

    def gathered(self) -> dict[str, Ranked]:
        """The best and worst of all processes, the most extreme first; no image is both.

        Every process has to call it.
        """
        parts = comm.all_gather((self.seen, self._best, self._worst))
        number = min(self.number, sum(seen for seen, _, _ in parts) // 2)
        return {
            BEST: first(BEST, [entry for _, best, _ in parts for entry in best], number),
            WORST: first(WORST, [entry for _, _, worst in parts for entry in worst], number),
        }


def first(kind: str, entries: Ranked, number: int) -> Ranked:
    """The `number` most extreme entries of a kind, in order."""
    # One order, from either end: of many equal scores none is best and worst.
    ordered = sorted(entries, key=lambda entry: (-entry[0], str(entry[1])), reverse=kind == WORST)
    return ordered[:number]
