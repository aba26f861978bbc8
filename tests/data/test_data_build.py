"""The streams: the same draws however they are shared out, and resumed exactly."""

from itertools import islice

import pytest
import torch

from co2s.d2 import comm
from co2s.data import (
    build_labeled_images,
    build_labeled_loader,
    build_test_loader,
    build_train_loader,
    build_unlabeled_loader,
    get_records,
    iterations_per_epoch,
    mapper,
    register_dataset,
    register_datasets,
)
from co2s.data.spec.reader import spec_from_dict
from co2s.data.streams import LABELED, UNLABELED, DrawSampler
from co2s.structures import Views

from .conftest import toy_content

VIEWS = Views(strong=2, cutmix=True)
SAME = Views(strong=2, cutmix=True, partner="same")


def take(loader, count):
    return list(islice(loader, count))


def same(one, other):
    """Whether two nests of dicts, lists, tensors and plain values are equal."""
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    return torch.equal(one, other) if isinstance(one, torch.Tensor) else one == other


def be(monkeypatch, rank, world):
    monkeypatch.setattr(comm, "get_rank", lambda: rank)
    monkeypatch.setattr(comm, "get_world_size", lambda: world)


def test_batches_pair_the_streams(toy, toy_cfg):
    toy()
    for batch in take(build_train_loader(toy_cfg, VIEWS), 3):
        assert batch.keys() == {"labeled", "unlabeled"}
        assert [len(items) for items in batch.values()] == [2, 2]
        assert {"image", "sem_seg"} < batch["labeled"][0].keys()
        assert {"image", "strong", "valid", "cutmix", "partner"} < batch["unlabeled"][0].keys()


def test_without_a_view_of_unlabelled_images_their_half_is_empty(toy, toy_cfg):
    toy()
    toy_cfg.DATASETS.UNLABELED = ()
    with pytest.raises(ValueError, match=r"DATASETS\.UNLABELED is empty"):
        build_train_loader(toy_cfg, VIEWS)
    batch = take(build_train_loader(toy_cfg, None), 1)[0]
    assert len(batch["labeled"]) == 2
    assert batch["unlabeled"] == []
    assert iterations_per_epoch(toy_cfg) == 2  # 3 labelled images


def test_an_epoch_walks_the_unlabelled_pool_once(toy, toy_cfg):
    toy(train=11)  # 5 labelled, 6 unlabelled
    assert iterations_per_epoch(toy_cfg) == 3
    batches = take(build_unlabeled_loader(toy_cfg, VIEWS), 6)
    for epoch in (batches[:3], batches[3:]):
        assert len({item["image_id"] for items in epoch for item in items}) == 6
    toy_cfg.SOLVER.IMS_PER_BATCH = 4
    assert iterations_per_epoch(toy_cfg) == 2


def test_workers_do_not_change_the_batches(toy, toy_cfg):
    toy()
    alone = take(build_train_loader(toy_cfg, VIEWS), 3)
    toy_cfg.DATALOADER.NUM_WORKERS = 2
    assert same(take(build_train_loader(toy_cfg, VIEWS), 3), alone)


def test_the_global_generator_is_left_alone(toy, toy_cfg):
    toy()
    torch.manual_seed(5)
    take(build_train_loader(toy_cfg, VIEWS), 1)
    drawn = torch.rand(1)
    torch.manual_seed(5)
    assert torch.equal(torch.rand(1), drawn)


def test_processes_share_the_batch_of_one(toy, toy_cfg, monkeypatch):
    toy()
    toy_cfg.SOLVER.IMS_PER_BATCH = 4
    whole = take(build_train_loader(toy_cfg, VIEWS), 3)
    parts = []
    for rank in (0, 1):
        be(monkeypatch, rank, 2)
        parts.append(take(build_train_loader(toy_cfg, VIEWS), 3))
    for step, batch in enumerate(whole):
        for stream, items in batch.items():
            first, second = (part[step][stream] for part in parts)
            assert same([first[0], second[0], first[1], second[1]], items)


def parts(cfg):
    """Steps 3 and 4, begun there and begun at the start."""
    begun_there = take(build_train_loader(cfg, VIEWS, 3), 2)
    return begun_there, take(build_train_loader(cfg, VIEWS), 5)[3:]


def test_resume_continues_exactly(toy, toy_cfg, monkeypatch):
    toy()
    assert same(
        take(build_train_loader(toy_cfg, VIEWS, 3), 2),
        take(build_train_loader(toy_cfg, VIEWS), 5)[3:],
    )
    toy_cfg.SOLVER.IMS_PER_BATCH = 4
    be(monkeypatch, 1, 2)
    assert same(
        take(build_train_loader(toy_cfg, VIEWS, 3), 2),
        take(build_train_loader(toy_cfg, VIEWS), 5)[3:],
    )


def test_draws_are_numbered_over_all_processes(monkeypatch):
    numbers = []
    for rank in range(3):
        be(monkeypatch, rank, 3)
        numbers += [number for _, number in take(DrawSampler(5, seed=0, stream=0, start=2), 4)]
    assert sorted(numbers) == list(range(6, 18))


def test_seeds_decide(toy, toy_cfg):
    toy()
    first = take(build_train_loader(toy_cfg, VIEWS), 1)
    assert same(take(build_train_loader(toy_cfg, VIEWS), 1), first)
    toy_cfg.SEED = 8
    assert not same(take(build_train_loader(toy_cfg, VIEWS), 1), first)
    toy_cfg.SEED = -1
    with pytest.raises(ValueError, match=r"SEED is -1.*load_cfg"):
        build_train_loader(toy_cfg, VIEWS)


def test_pools_of_one_size_are_not_walked_in_step():
    """Each labelled image would always meet the same unlabelled one."""
    labeled, unlabeled = (
        [index for index, _ in take(DrawSampler(6, seed=0, stream=stream), 24)]
        for stream in (LABELED, UNLABELED)
    )
    assert labeled != unlabeled
    assert len({*zip(labeled, unlabeled, strict=True)}) > 6


def test_the_same_image_is_drawn_differently_each_time(toy, toy_cfg):
    toy(train=2)
    batches = take(build_train_loader(toy_cfg, None), 2)
    assert not torch.equal(batches[0]["labeled"][0]["image"], batches[1]["labeled"][0]["image"])


def test_an_uneven_batch_is_refused(toy, toy_cfg, monkeypatch):
    toy()
    be(monkeypatch, 0, 4)
    with pytest.raises(ValueError, match="IMS_PER_BATCH = 2 cannot be shared evenly by 4"):
        build_labeled_loader(toy_cfg)


def pairs(cfg, views):
    cfg.INPUT.CUTMIX.PROB = 1.0
    items = [item for items in take(build_unlabeled_loader(cfg, views), 12) for item in items]
    return [(item["image_id"], item["partner"]["image_id"]) for item in items]


def test_partners_are_other_images(toy, toy_cfg):
    toy()
    drawn = pairs(toy_cfg, VIEWS)
    assert all(own != partner for own, partner in drawn)
    assert len({partner for _, partner in drawn}) == 3
    assert len(set(drawn)) > 3  # an image does not keep its partner


def test_partners_as_in_the_release_are_other_crops_of_the_image(toy, toy_cfg):
    toy()
    assert all(own == partner for own, partner in pairs(toy_cfg, SAME))
    item = take(build_unlabeled_loader(toy_cfg, SAME), 1)[0][0]
    assert not torch.equal(item["image"], item["partner"]["image"])


def test_a_single_unlabelled_image_has_no_partner(toy, toy_cfg):
    toy(train=2)
    with pytest.raises(ValueError, match=r"CutMix needs a partner.*01\.png|.*00\.png"):
        build_unlabeled_loader(toy_cfg, VIEWS)
    assert take(build_unlabeled_loader(toy_cfg, SAME), 1)
    assert take(build_unlabeled_loader(toy_cfg, Views()), 1), "no CutMix, no partner"
    with pytest.raises(ValueError, match='is "none"; it may be other, same'):
        Views(partner="none")


def test_no_more_is_made_than_the_method_looks_at(toy, toy_cfg):
    toy()
    item = take(build_unlabeled_loader(toy_cfg, Views()), 1)[0][0]
    assert not {"strong", "cutmix", "partner"} & item.keys()
    item = take(build_unlabeled_loader(toy_cfg, Views(strong=1, cutmix=True)), 1)[0][0]
    assert len(item["strong"]) == len(item["cutmix"]) == len(item["partner"]["strong"]) == 1
    assert take(build_train_loader(toy_cfg, None), 1)[0]["unlabeled"] == []


@pytest.mark.parametrize("workers", [0, 1])
def test_a_file_that_cannot_be_read_is_named_without_the_workers_traceback(toy, toy_cfg, workers):
    root = toy()
    toy_cfg.DATALOADER.NUM_WORKERS = workers
    for path in root.glob("val/images/*"):
        path.write_bytes(b"no picture")
    with pytest.raises(ValueError, match=r"val/images/0\d\.png") as caught:
        list(build_test_loader(toy_cfg, "toy_val"))
    assert "Traceback" not in str(caught.value)


def test_a_fault_of_the_program_keeps_its_traceback(toy, toy_cfg, monkeypatch):
    toy()
    monkeypatch.setattr(mapper, "load_image", lambda *_: int("no number"))
    with pytest.raises(ValueError, match="invalid literal") as caught:
        list(build_test_loader(toy_cfg, "toy_val"))
    assert any(entry.name == "<lambda>" for entry in caught.traceback)


def test_every_test_image_comes_exactly_once(toy, toy_cfg, monkeypatch):
    toy(val=5)
    seen = []
    for rank in range(4):
        be(monkeypatch, rank, 4)
        loader = build_test_loader(toy_cfg, "toy_val")
        batches = list(loader)
        assert len(batches) == len(loader)
        seen += [item["image_id"] for batch in batches for item in batch]
    assert sorted(seen) == [f"val/images/{number:02d}.png" for number in range(5)]


def test_datasets_root_is_used(toy, toy_cfg, tmp_path):
    root = toy()
    moved = tmp_path / "elsewhere"
    root.rename(moved)
    toy_cfg.DATASETS.ROOT = str(moved)
    register_datasets(toy_cfg)
    item = take(build_labeled_loader(toy_cfg), 1)[0][0]
    assert item["file_name"].startswith(str(moved))


def test_labels_of_different_classes_do_not_mix(toy, toy_cfg):
    toy()
    toy_cfg.DATASETS.LABELED = ("toy_1_2_labeled", "mer_1_8_labeled")
    with pytest.raises(ValueError, match=r"in DATASETS\.LABELED must have the same classes"):
        build_labeled_loader(toy_cfg)
    with pytest.raises(ValueError, match="must have the same classes"):
        build_labeled_images(toy_cfg)
    toy_cfg.DATASETS.LABELED = ()
    with pytest.raises(ValueError, match=r"DATASETS\.LABELED is empty"):
        build_labeled_loader(toy_cfg)
    with pytest.raises(ValueError, match=r"DATASETS\.LABELED is empty"):
        build_train_loader(toy_cfg, Views())


POOL = {"name": "pool", "root": "pool", "layout": {"images": "*.png"}}


def test_a_pool_without_classes_goes_with_any_dataset(toy, toy_cfg):
    root = toy()
    register_dataset(spec_from_dict(POOL), root / "train" / "images")
    plain = len(get_records("pool_unlabeled"))
    toy_cfg.DATASETS.UNLABELED = ("toy_1_2_unlabeled", "pool_unlabeled")
    loader = build_unlabeled_loader(toy_cfg, Views())
    assert len(loader.dataset) == plain + len(get_records("toy_1_2_unlabeled"))


def test_images_of_any_classes_go_with_labelled_ones(toy, toy_cfg):
    root = toy()
    one_class = [{"name": "all", "color": [0, 0, 0], "concepts": ["earth"]}]
    register_dataset(spec_from_dict(toy_content("other", classes=one_class)), root)
    toy_cfg.DATASETS.UNLABELED = ("toy_1_2_unlabeled", "other_1_2_unlabeled")
    batch = next(iter(build_train_loader(toy_cfg, Views())))
    assert batch["labeled"] and batch["unlabeled"]
    assert iterations_per_epoch(toy_cfg) == 3  # of the pool's six images, not of three labelled


def test_pretraining_has_batches_without_a_label_of_any_classes(toy, toy_cfg):
    root = toy()
    one_class = [{"name": "all", "color": [0, 0, 0], "concepts": ["earth"]}]
    register_dataset(spec_from_dict(toy_content("other", classes=one_class)), root)
    toy_cfg.DATASETS.LABELED = ()
    toy_cfg.DATASETS.UNLABELED = ("toy_1_2_unlabeled", "other_1_2_labeled")
    assert iterations_per_epoch(toy_cfg) == 3  # six images
    views = Views(strong=1, labeled=False)
    first, second = take(build_train_loader(toy_cfg, views), 2)
    assert first["labeled"] == [] and len(first["unlabeled"]) == toy_cfg.SOLVER.IMS_PER_BATCH
    assert {"image", "valid", "seed", "strong"} <= first["unlabeled"][0].keys()
    assert "cutmix" not in first["unlabeled"][0] and "partner" not in first["unlabeled"][0]
    (resumed,) = take(build_train_loader(toy_cfg, views, start_iter=1), 1)
    for a, b in zip(second["unlabeled"], resumed["unlabeled"], strict=True):
        assert a["seed"] == b["seed"] and torch.equal(a["image"], b["image"])
    toy_cfg.DATASETS.UNLABELED = ()
    with pytest.raises(ValueError, match=r"DATASETS\.UNLABELED is empty"):
        build_train_loader(toy_cfg, views)
