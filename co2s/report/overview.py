"""The head of the page: what was reached, and what was run on what."""

from typing import Any

from .folder import Run
from .formats import duration, grouped, listed, score
from .markup import Html, facts, folded, html, join, paragraphs, table, tag

TILES = ("mIoU", "OA", "F1", "BF1", "kappa")
MEANINGS = {
    "mIoU": "mean intersection over union",
    "OA": "share of pixels that are right",
    "F1": "mean F1 of the classes",
    "BF1": "mean F1 of the boundaries",
    "kappa": "agreement beyond chance",
}
# detectron2 brings these to every configuration; no method reads them.
PLUMBING = ("VERSION", "OUTPUT_DIR", "DATASETS.ROOT", "DATASETS.SPECS")


def headline(run: Run) -> Html:
    """What was reached, in a sentence and a row of numbers; what the twin says."""
    dataset, content = next(iter(run.scores.items()))
    main, values = content["main"], content["scores"][content["main"]]
    others = [f"{n} {score(v['mIoU'])} %" for n, v in content["scores"].items() if n != main]
    beside = f" ({', '.join(others)})" if others else ""
    count = f"{beside}, over {grouped(content['images'])} images."
    first = f" The first of {len(run.scores)} test sets." if len(run.scores) > 1 else ""
    reached = tag("strong", f"{main} reaches {score(values['mIoU'])} % mIoU on {dataset}")
    tiles = [
        tag("div", tag("b", score(values[key])), tag("span", f"{key}, %"), title=MEANINGS[key])
        for key in TILES
        if values.get(key) is not None
    ]
    return join(
        [
            tag("p", reached, count, first, cls="lead"),
            tag("div", *tiles, cls="tiles"),
            paragraphs(_of_classes(values), _chosen(run), _twin(run)),
        ]
    )


def _of_classes(values: dict[str, Any]) -> str:
    ranked = [(v["IoU"], name) for name, v in values["classes"].items() if v["IoU"] is not None]
    if len(ranked) < 2:
        return ""
    (low, worst), (high, best) = min(ranked), max(ranked)
    absent = values["absent"]
    without = f" Without a pixel of truth: {listed(absent)}." if absent else ""
    return f"Best class: {best} ({score(high)} % IoU); weakest: {worst} ({score(low)} %).{without}"


def _chosen(run: Run) -> str:
    report = run.known("report")
    if report is None:
        return "This run is not through: these are the scores of its last evaluation."
    chosen = report.get("chosen")
    if not chosen:
        return "The last model was scored; no checkpoint was chosen."
    on = run.option("DATASETS.VAL")
    where = f"on {listed(on)}" if on else "on the very set that is reported, so it is no pure test"
    return f"The model after step {grouped(chosen['iteration'] + 1)} was scored, the best {where}."


def _twin(run: Run) -> str:
    twin = run.known("twin")
    return str(twin.get("sentence", "")) if twin else ""


def about(run: Run) -> Html:
    """What was run, on which data, where and when."""
    known = run.known("facts") or {}
    steps = run.option("SOLVER.MAX_ITER")
    return join(
        [
            facts(
                [
                    ("Method", run.option("MODEL.META_ARCHITECTURE")),
                    ("Steps", None if steps is None else grouped(steps)),
                    ("Images a step", _batch(run)),
                    ("Crop", _pixels(run.option("INPUT.CROP_SIZE"))),
                    ("Seed", run.option("SEED")),
                    ("Fusion", run.option("MODEL.FUSION") if len(run.students) > 1 else None),
                    ("co2s", known.get("co2s")),
                    ("PyTorch", _torch(known)),
                    ("Device", _device(known)),
                    ("Trained", _when(known)),
                    ("Wall time", _wall(known)),
                ]
            ),
            _students(run, known),
            _data(known),
            "" if known else paragraphs("Machine, times and sizes: there is no facts.json."),
        ]
    )


def _batch(run: Run) -> str | None:
    size = run.option("SOLVER.IMS_PER_BATCH")
    if size is None:
        return None
    roles = {"LABELED": "labelled", "UNLABELED": "unlabelled"}
    kinds = [word for role, word in roles.items() if run.option(f"DATASETS.{role}")]
    return ", ".join(f"{size} {kind}" for kind in kinds) if len(kinds) > 1 else str(size)


def _pixels(side: Any) -> str | None:
    return None if side is None else f"{side} × {side} pixels"


def _torch(known: dict[str, Any]) -> str:
    cuda = f", CUDA {known['cuda']}" if known.get("cuda") else ""
    return f"{known['torch']}{cuda}, Python {known['python']}" if known.get("torch") else ""


def _device(known: dict[str, Any]) -> str:
    if not known.get("device"):
        return ""
    processes = known.get("processes", 1)
    return f"{processes} × {known['device']}" if processes > 1 else known["device"]


def _when(known: dict[str, Any]) -> str:
    sessions = known.get("sessions")
    if not sessions:
        return ""
    first, last = (_minute(sessions[i][key]) for i, key in ((0, "started"), (-1, "ended")))
    resumed = f", resumed {len(sessions) - 1} ×" if len(sessions) > 1 else ""
    return f"{first} to {last} UTC{resumed}"


def _minute(moment: str) -> str:
    return moment[:16].replace("T", " ")


def _wall(known: dict[str, Any]) -> str:
    sessions = known.get("sessions")
    return duration(sum(s.get("seconds", 0) for s in sessions)) if sessions else ""


def _students(run: Run, known: dict[str, Any]) -> Html:
    rows = []
    for name in run.students:
        node = f"MODEL.{name.upper()}"
        size = known.get("students", {}).get(name)
        rows.append(
            [
                name,
                run.option(f"{node}.BACKBONE.NAME"),
                run.option(f"{node}.BACKBONE.MODEL"),
                run.option(f"{node}.BACKBONE.WEIGHTS") or "none: from scratch",
                run.option(f"{node}.GUIDANCE.NAME"),
                f"{size['trained'] / 1e6:.1f} of {size['parameters'] / 1e6:.1f}" if size else "–",
            ]
        )
    headers = [
        "student",
        "backbone",
        "model",
        "weights",
        "guidance",
        "trained parameters, millions",
    ]
    return table("Students", headers, rows, cls="words") if rows else Html("")


def _data(known: dict[str, Any]) -> Html:
    words = {
        "labeled": "trained on, with labels",
        "unlabeled": "trained on, without",
        "val": "the model is chosen on",
        "test": "scored on",
    }
    rows = [
        [name, words[role], grouped(images)]
        for role, sets in known.get("data", {}).items()
        for name, images in sets.items()
    ]
    return table("Data", ["data set", "for", "images"], rows, cls="words") if rows else Html("")


def options(run: Run, defaults: dict[str, Any]) -> Html:
    """The options that are not the default ones, and the whole configuration, folded."""
    changed = {
        key: value
        for key, value in run.options.items()
        if key not in PLUMBING and defaults.get(key, value) != value
    }
    added = {key: value for key, value in run.options.items() if key not in defaults}
    rows = [[key, _value(value), _value(defaults[key])] for key, value in changed.items()]
    rows += [[key, _value(value), "–"] for key, value in added.items()]
    return join(
        [
            table(
                f"{len(rows)} options differ from the defaults",
                ["option", "value", "default"],
                rows,
                cls="options",
            ),
            folded("The whole configuration (config.yaml)", tag("pre", run.config_text)),
        ]
    )


def _value(value: Any) -> Html:
    return tag("code", html(value if value != "" else '""'))
