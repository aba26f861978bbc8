"""Temperatures: what they do to probabilities, what they never change, and checkpoints."""

import pytest
import torch

from co2s.d2 import build_model
from co2s.modeling.temperature import Temperatures, tempered


def test_it_is_the_softmax_of_divided_logits():
    logits = torch.randn(5, 4, 3, generator=torch.Generator().manual_seed(0))
    for temperature in (0.5, 1.7):
        found = tempered(logits.softmax(0), temperature)
        torch.testing.assert_close(found, (logits / temperature).softmax(0))
    probs = logits.softmax(0)
    assert tempered(probs, 1.0) is probs


def test_no_pixel_changes_its_class_not_even_where_two_are_nearly_equal():
    top = torch.tensor(0.5)
    below = torch.nextafter(top, torch.tensor(0.0))
    probs = torch.stack([torch.stack([below, top]), torch.stack([top, below])], dim=1)[:, None]
    assert probs.argmax(0).tolist() == [[1, 0]]
    for temperature in (20.0, 3.0, 0.05):
        assert tempered(probs, temperature).argmax(0).tolist() == [[1, 0]], temperature
    torch.manual_seed(0)
    many = torch.randn(6, 200, 200).softmax(0)
    for temperature in (0.05, 0.9, 20.0):
        assert torch.equal(tempered(many, temperature).argmax(0), many.argmax(0))


def test_a_pixel_without_data_has_no_probability():
    probs = torch.tensor([[[0.7, 0.0]], [[0.3, 0.0]]])
    assert tempered(probs, 2.0)[:, 0, 1].tolist() == [0.0, 0.0]


def test_there_is_one_for_the_fusion_where_there_are_several_students():
    assert Temperatures(["local"]).values() == {"local": 1.0}
    both = Temperatures(["global", "local"])
    both.set({"global": 2.0, "fused": 0.5})
    assert both.values() == {"global": 2.0, "local": 1.0, "fused": 0.5}
    both.set({})
    assert set(both.values().values()) == {1.0}
    with pytest.raises(KeyError):
        both.set({"third": 1.0})


@pytest.mark.parametrize("fusion", ["confidence", "mean", "local"])
def test_a_model_fuses_first_and_calibrates_then(tiny_cfg, fusion):
    tiny_cfg.MODEL.FUSION = fusion
    torch.manual_seed(0)
    model = build_model(tiny_cfg).eval()
    item = {"image": torch.randint(0, 256, (3, 32, 40)).byte()}
    (raw,) = model([item])
    values = {"global": 0.2, "local": 5.0, "fused": 2.0}
    model.temperatures.set(values)
    (found,) = model([item])
    assert raw.keys() == found.keys()
    for name in ("global", "local"):
        torch.testing.assert_close(found[f"sem_seg_{name}"], raw[f"sem_seg_{name}"] ** (
            1 / values[name]
        ) / (raw[f"sem_seg_{name}"] ** (1 / values[name])).sum(0))  # fmt: skip
    assert all(torch.equal(found[key].argmax(0), raw[key].argmax(0)) for key in raw)
    if fusion == "local":
        assert found["sem_seg"] is found["sem_seg_local"]
    else:
        torch.testing.assert_close(found["sem_seg"], tempered(raw["sem_seg"], 2.0))


def test_an_old_checkpoint_loads_with_one_and_nothing_else_is_forgiven(tiny_cfg):
    model = build_model(tiny_cfg)
    model.temperatures.set({"global": 2.0, "local": 3.0, "fused": 4.0})
    state = model.state_dict()
    old = {key: value for key, value in state.items() if not key.startswith("temperatures.")}
    model.load_state_dict(old)
    assert set(model.temperatures.values().values()) == {1.0}
    model.load_state_dict(state | {"temperatures.fused": torch.tensor(0.5)})
    assert model.temperatures.values() == {"global": 1.0, "local": 1.0, "fused": 0.5}
    with pytest.raises(ValueError, match=r"does not fit(.|\n)*temperatures\.fused"):
        model.load_state_dict({k: v for k, v in state.items() if k != "temperatures.fused"})
    with pytest.raises(ValueError, match=r"does not fit(.|\n)*guidance\.queries"):
        model.load_state_dict({k: v for k, v in old.items() if not k.endswith("queries")})
