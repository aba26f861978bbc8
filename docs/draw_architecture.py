#!/usr/bin/env python
"""Print the picture of docs/architecture.md: who imports whom in co2s, read from the code.

python docs/draw_architecture.py. An arrow that follows from others is left out.
tests/test_architecture.py compares the page with this, and holds every import against LEVELS.
"""

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# Who may import whom: a part imports parts of a lower level, or of its own.
LEVELS = [
    ["d2", "errors", "files", "layers", "optional", "structures", "tables"],
    ["config", "ray_workers", "semi", "tool"],
    ["data", "modeling parts"],
    ["modeling student", "solver", "evaluation", "preparation"],
    ["modeling meta_arch", "report"],
    ["engine", "model_zoo"],
    ["inference"],
]
LEVEL = {part: number for number, parts in enumerate(LEVELS) for part in parts}


def part_of(module: str) -> str:
    """The part that a module of co2s is in: "data" of "co2s.data.catalog"; "" for co2s itself."""
    _, first, second, *_ = [*module.split("."), "", ""]
    if first != "modeling":
        return first
    if second in ("meta_arch", ""):  # the package itself names its methods
        return "modeling meta_arch"
    return "modeling student" if second in ("student", "sliding_window") else "modeling parts"


def imports(file: Path) -> Iterator[tuple[str, int]]:
    """Every module of co2s that a file imports, with the line; those for types only, too."""
    package = file.relative_to(ROOT).with_suffix("").parts[:-1]
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            base = ".".join([*above, *([node.module] if node.module else [])])
            names = [base, *(f"{base}.{alias.name}" for alias in node.names)]
            names = [name for name in names if exists(name)][-1:]
        else:
            continue
        yield from ((name, node.lineno) for name in names if name.split(".")[0] == "co2s")


def exists(module: str) -> bool:
    path = ROOT / module.replace(".", "/")
    return path.is_dir() or path.with_suffix(".py").is_file()


def edges() -> dict[str, set[str]]:
    """The parts that each part imports."""
    found: dict[str, set[str]] = defaultdict(set)
    for file in (ROOT / "co2s").rglob("*.py"):
        own = part_of(
            ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        )
        found[own] |= {part_of(name) for name, _ in imports(file)} - {own, ""}
    found.pop("", None)
    return dict(found)


def reach(part: str, graph: dict[str, set[str]]) -> set[str]:
    """Everything below a part."""
    below = graph.get(part, set())
    return below.union(*(reach(other, graph) for other in below)) if below else set()


def reduced(graph: dict[str, set[str]]) -> dict[str, set[str]]:
    """The graph without the arrows that follow from others."""
    return {
        part: {o for o in below if not any(o in reach(other, graph) for other in below - {o})}
        for part, below in graph.items()
    }


def lines() -> dict[str, int]:
    """Lines of each part."""
    counts: dict[str, int] = defaultdict(int)
    for file in (ROOT / "co2s").rglob("*.py"):
        name = ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        counts[name.split(".")[1] if "." in name else ""] += len(file.read_text().splitlines())
    return counts


def picture() -> str:
    """A Mermaid graph, from the top level down."""
    rows = ["graph TD"]
    for number, parts in reversed([*enumerate(LEVELS)]):
        rows.append(f"  subgraph level_{number}[level {number}]")
        rows += [f'    {_name(part)}["{part.replace(" ", "/")}"]' for part in parts]
        rows.append("  end")
    for part, below in sorted(reduced(edges()).items()):
        rows += [f"  {_name(part)} --> {_name(other)}" for other in sorted(below)]
    return "\n".join(rows)


def shares() -> str:
    """The packages by their share of the lines, the largest first."""
    counts = lines()
    largest = sorted(counts, key=lambda part: -counts[part])
    total = sum(counts.values())
    return ", ".join(f"{part} {100 * counts[part] / total:.0f} %" for part in largest[:6])


def _name(part: str) -> str:
    return part.replace(" ", "_")


if __name__ == "__main__":
    print(picture())
    print(f"Lines: {shares()}.")
