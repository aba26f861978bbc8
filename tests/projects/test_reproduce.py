"""projects/Co2S/reproduce.py: which tables a command line asks for; the lists of ablations."""

import json
import sys
from pathlib import Path

import pytest
import torch

from co2s.d2 import build_model
from co2s.engine import load_cfg
from co2s.engine.config import known_methods
from co2s.engine.report import options
from co2s.engine.runner import parse_entries
from co2s.model_zoo import get_config_file, published_names
from co2s.preparation.synthetic import write_synthetic_aerial

ROOT = Path(__file__).parents[2]
PROJECT = ROOT / "projects" / "Co2S"
ABLATIONS = sorted((PROJECT / "ablations").glob("*.yaml"))


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data") / "synthetic_aerial"
    return write_synthetic_aerial(folder, train_scenes=8, val_scenes=1, tile=48, demo_size=(48, 48))


@pytest.fixture
def reproduce(monkeypatch, load_script):
    """The script, with a function `asked` (*arguments) -> what it would run."""
    module = load_script(PROJECT / "reproduce.py")
    found = []
    monkeypatch.setattr(module, "run_bench", lambda *given: found.append(given))

    def asked(*arguments):
        monkeypatch.setattr(sys, "argv", ["reproduce.py", *arguments])
        module.main()
        return found.pop()

    module.asked = asked
    return module


def test_every_dataset_and_split_is_a_table(reproduce):
    arguments = ["--datasets", "gid15", "msl", "--splits", "1_8", "1_4", "--output", "o"]
    args, groups, train = reproduce.asked(*arguments, "--seeds", "0", "2", "SOLVER.MAX_ITER", "9")
    assert (args.seeds, args.opts) == ([0, 2], ["SOLVER.MAX_ITER", "9"])
    assert [group.name for group in groups] == [
        f"{name}, {split}" for name in ("gid15", "msl") for split in ("1/8", "1/4")
    ]
    group = groups[3]
    assert group.config_file == get_config_file("co2s_msl.yaml")
    assert dict(zip(group.opts[::2], group.opts[1::2], strict=True)) == {
        "DATASETS.LABELED": '("msl_1_4_labeled",)',
        "DATASETS.UNLABELED": '("msl_1_4_unlabeled",)',
        "DATASETS.TEST": '("msl_val",)',
    }
    assert group.folder == group.table == Path("o/msl_1_4")
    assert (group.published["U2PL"], group.published["OnlySup"]) == (61.6, 59.0)
    assert "arXiv 2512.23035" in group.source
    assert train.samefile(ROOT / "tools" / "train_net.py")


def test_by_default_the_paper_s_datasets_as_they_are_configured(reproduce):
    _, groups, _ = reproduce.asked()
    assert [Path(group.config_file).name for group in groups] == published_names()
    assert groups[0].name == "whdld, 1/16" and groups[0].published["Co2S"] == 61.5


def test_the_ceiling_is_labelled_only_with_all_labels(reproduce):
    names = ["--datasets", "dubai72", "synthetic_aerial"]
    _, groups, _ = reproduce.asked(*names, "--ceiling")
    for group, name in zip(groups, names[1:], strict=True):
        (entry,) = group.entries
        assert entry.method == "OnlySup"
        assert entry.opts == ("DATASETS.LABELED", f'("{name}_1_1_labeled",)')
    _, groups, _ = reproduce.asked(*names)
    assert not any(group.entries for group in groups)


def test_other_datasets_and_files(reproduce, tmp_path):
    own = tmp_path / "own.yaml"
    own.write_text('DATASETS: {LABELED: ("fields_1_2_labeled",)}\n')
    names = ["synthetic_aerial", "dubai72_scenes", f"fields={own}"]
    _, groups, _ = reproduce.asked("--datasets", *names, "--splits", "1_8")
    assert [Path(group.config_file).name for group in groups] == [
        "quickstart.yaml",
        "co2s_dubai72_small.yaml",
        "own.yaml",
    ]
    assert 'DATASETS.SPECS|("datasets/dubai72_scenes.yaml",)' in "|".join(groups[1].opts)
    assert not groups[2].published and groups[2].source == ""
    _, groups, _ = reproduce.asked("--datasets", "fields", "--config-file", str(own))
    assert groups[0].name == "fields, 1/2"
    _, groups, _ = reproduce.asked("--datasets", "gid15", "--splits", "1_2")
    assert groups[0].published == {}, "nothing was published for that share"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--datasets", "mars"], r"--datasets mars: there is no configuration for it; .*gid15"),
        (["--datasets", "a=b.yaml", "--config-file", "c.yaml"], "leave --config-file c.yaml out"),
        (["--datasets", "dubai72_scenes"], "names no split of dubai72_scenes. Give it: --splits"),
    ],
)
def test_what_cannot_be_is_said(reproduce, stops, arguments, words):
    with stops(words):
        reproduce.asked(*arguments)


def test_a_split_that_does_not_exist_and_what_the_runner_sets(reproduce, stops, data, tmp_path):
    from co2s.engine.runner import run_bench

    reproduce.run_bench = run_bench
    arguments = ["--datasets", "synthetic_aerial", "--output", str(tmp_path / "o"), "--no-floors"]
    with stops(r"(?s)'synthetic_aerial_1_3_labeled'.*synthetic_aerial_1_4_labeled"):
        reproduce.asked(*arguments, "--splits", "1_3", "DATASETS.ROOT", str(data))
    with stops("synthetic_aerial, 1/16 is asked for twice"):
        reproduce.asked(*arguments, "--splits", "1_16", "1_16", "DATASETS.ROOT", str(data))
    with stops(r"DATASETS.TEST is what --datasets sets here"):
        reproduce.asked(*arguments, "DATASETS.TEST", "()", "DATASETS.ROOT", str(data))
    assert not (tmp_path / "o").exists()


def test_there_are_lists_of_ablations_and_the_project_s_page_names_them():
    text = (PROJECT / "README.md").read_text(encoding="utf-8")
    assert ABLATIONS and all(f"ablations/{path.name}" in text for path in ABLATIONS)
    used = {path.stem for path in (PROJECT / "configs" / "ablations").glob("*.yaml")}
    lists = "".join(path.read_text() for path in ABLATIONS)
    alone = {"no_stability_loss", "no_feature_perturbation"}  # rows of method.yaml by their keys
    assert all(f"configs/ablations/{name}.yaml" in lists for name in used - alone)


@pytest.mark.parametrize("path", ABLATIONS, ids=lambda path: path.stem)
def test_every_entry_is_a_valid_configuration_of_its_own(path, data):
    entries = parse_entries([f"@{path}"])
    splits = [f'("synthetic_aerial_1_16_{part}",)' for part in ("labeled", "unlabeled")]
    common = ["DATASETS.ROOT", str(data), "DATASETS.TEST", '("synthetic_aerial_val",)']
    common += ["DATASETS.LABELED", splits[0], "DATASETS.UNLABELED", splits[1]]
    small = path.stem == "pairs"
    config = str(get_config_file("quickstart.yaml" if small else "co2s_whdld.yaml"))
    found = {}
    for entry in entries:
        opts = [*common, *entry.opts, "MODEL.META_ARCHITECTURE", entry.method]
        cfg = load_cfg(config, opts, training=True)
        found[json.dumps(options(cfg))] = entry.title
    missing = {entry.title for entry in entries} - {*found.values()}
    # Those that set what the paper's configurations have anyway.
    assert missing <= {"tau 0.95", "queries for both", "Co2S"}
    assert len(found) == 6 if small else len(found) > 10


def test_the_bench_has_every_method_of_segmentation(data):
    entries = parse_entries([f"@{PROJECT / 'bench.yaml'}"])
    known = {name for name, kind in known_methods().items() if kind.segments and not kind.pretrains}
    assert {entry.method for entry in entries} == known
    common = ["DATASETS.ROOT", str(data), "MODEL.RSMTDF.TEACHERS", '("dino",)']
    common += ["MODEL.RSMTDF.DINO.BACKBONE.WEIGHTS", ""]
    for part in ("LABELED", "UNLABELED"):
        common += [f"DATASETS.{part}", f'("synthetic_aerial_1_16_{part.lower()}",)']
    config, found = str(get_config_file("quickstart.yaml")), set()
    for entry in entries:
        opts = [*common, *entry.opts, "MODEL.META_ARCHITECTURE", entry.method]
        cfg = load_cfg(config, opts, training=True)
        node = cfg.MODEL.get(entry.method.upper(), {})
        if "THRESHOLD" in node and not entry.opts:
            counts = node.THRESHOLD, node.CLASS_THRESHOLDS, node.CLASS_DECAY
            assert counts == (0.8, "balanced", 0.98), "the same for all that have them"
        found.add(json.dumps(options(cfg)))
    assert len(found) == len(entries)


def test_the_pairs_load_their_weights(data):
    """Those that are alike are so in every tensor of their backbones."""
    common = ["DATASETS.ROOT", str(data)]
    for part in ("LABELED", "UNLABELED"):
        common += [f"DATASETS.{part}", f'("synthetic_aerial_1_16_{part.lower()}",)']
    for entry in parse_entries([f"@{PROJECT / 'ablations' / 'pairs.yaml'}"]):
        opts = [*common, *entry.opts, "MODEL.META_ARCHITECTURE", entry.method]
        cfg = load_cfg(str(get_config_file("quickstart.yaml")), opts, training=True)
        states = [s.backbone.state_dict() for s in build_model(cfg).students.values()]
        alike = states[0].keys() == states[1].keys() and all(
            torch.equal(value, states[1][key]) for key, value in states[0].items()
        )
        assert alike == ("twice" in entry.title), entry.title
