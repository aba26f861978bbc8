"""The subset has detectron2's names with detectron2's signatures."""

import inspect

import pytest
import torch

from co2s.d2 import NAMES

# What the subset does otherwise, and why.
DEPARTURES = {
    "CfgNode.merge_from_file": "allow_unsafe is off: a config file is data, not code",
    "Backbone.forward": "takes any arguments, so that subclasses may type theirs",
    "Metadata.__init__": "inherited from SimpleNamespace",
}
# What of detectron2's public methods and functions the project does not use.
LEFT_OUT = {
    "comm": set(),
    "hooks": {"CallbackHook", "AutogradProfiler", "PreciseBN", "TorchProfiler", "TorchMemoryStats"},
}
HOOKS = [
    "BestCheckpointer",
    "EvalHook",
    "IterationTimer",
    "LRScheduler",
    "PeriodicCheckpointer",
    "PeriodicWriter",
]
CALLED = ("__call__", "__getitem__", "__len__", "__iter__", "__enter__", "__exit__")


def described(function):
    """Names, kinds and defaults of the parameters."""
    parameters = inspect.signature(function).parameters.values()
    return [(p.name, p.kind.name, p.default) for p in parameters]


def own_members(cls, package):
    """Public methods and properties that the package defines in the class or its bases."""
    names = set()
    for base in cls.__mro__:
        if base.__module__.startswith(package):
            names |= {n for n in vars(base) if not n.startswith("_") or n in CALLED}
    return {n for n in names if callable(getattr(cls, n)) or is_property(cls, n)}


def is_property(cls, name):
    return isinstance(inspect.getattr_static(cls, name), property)


def assert_same_class(name, ours, theirs):
    if f"{name}.__init__" not in DEPARTURES:
        assert described(ours) == described(theirs), name
    members = own_members(ours, "co2s.d2.lite")
    missing = own_members(theirs, "detectron2") - set(dir(ours))
    assert not missing, f"{name} lacks {missing}"
    for member in sorted(members):
        full = f"{name}.{member}"
        assert hasattr(theirs, member), f"detectron2 has no {full}"
        assert is_property(ours, member) == is_property(theirs, member), full
        if is_property(ours, member) or full in DEPARTURES:
            continue
        assert described(getattr(ours, member)) == described(getattr(theirs, member)), full


@pytest.mark.parametrize("name", [n for n in NAMES if n not in ("comm", "hooks")])
def test_same_signature(name, lite, real):
    ours, theirs = getattr(lite, name), getattr(real, name)
    if inspect.isclass(theirs):
        assert_same_class(name, ours, theirs)
    elif inspect.isfunction(theirs) or hasattr(theirs, "__wrapped__"):
        assert described(ours) == described(theirs)
    else:  # an object: a catalogue, a registry, the path manager
        assert_same_class(name, type(ours), type(theirs))


def test_same_metadata(lite, real):
    ours, theirs = lite.MetadataCatalog.get("contract"), real.MetadataCatalog.get("contract")
    assert_same_class("Metadata", type(ours), type(theirs))
    assert ours.as_dict() == theirs.as_dict()
    lite.MetadataCatalog.remove("contract")
    real.MetadataCatalog.remove("contract")


@pytest.mark.parametrize("hook", HOOKS)
def test_same_hook(hook, lite, real):
    assert_same_class(hook, getattr(lite.hooks, hook), getattr(real.hooks, hook))


@pytest.mark.parametrize("module", ["comm", "hooks"])
def test_same_module(module, lite, real):
    ours, theirs = getattr(lite, module), getattr(real, module)

    def public(source):
        return {
            name: value
            for name, value in vars(source).items()
            if not name.startswith("_")
            and getattr(value, "__module__", "").startswith(("co2s.d2.lite", theirs.__name__))
        }

    assert set(public(ours)) == set(public(theirs)) - LEFT_OUT[module]
    for name, value in public(ours).items():
        if not inspect.isclass(value):
            assert described(value) == described(getattr(theirs, name)), name


def test_same_command_line(lite, real):
    def actions(parser):
        return [
            (a.option_strings, a.dest, a.default, a.type, a.nargs, type(a).__name__, a.metavar)
            for a in parser._actions
        ]

    ours, theirs = lite.default_argument_parser(), real.default_argument_parser()
    assert actions(ours) == actions(theirs)


def test_same_default_config(lite, real):
    def compare(ours, theirs, where):
        for key, value in ours.items():
            assert key in theirs, f"detectron2 has no {where}{key}"
            if isinstance(value, dict):
                compare(value, theirs[key], f"{where}{key}.")
            else:
                assert (type(value), value) == (type(theirs[key]), theirs[key]), f"{where}{key}"

    compare(lite.get_cfg(), real.get_cfg(), "")


def test_every_other_key_of_detectron2_is_known(lite, real):
    from co2s.d2.lite.config_defaults import DETECTION_ONLY

    def names(node, prefix=""):
        for key, value in node.items():
            yield prefix + key
            if isinstance(value, dict):
                yield from names(value, f"{prefix}{key}.")

    other = set(names(real.get_cfg())) - set(names(lite.get_cfg()))
    roots = {name for name in other if name.rpartition(".")[0] not in other}
    assert roots == DETECTION_ONLY


def test_image_list_pads_alike(lite, real):
    images = [torch.rand(3, 5, 9), torch.rand(3, 7, 4)]
    for options in (
        {},
        {"size_divisibility": 4},
        {"size_divisibility": 4, "pad_value": 2.0},
        {"padding_constraints": {"square_size": 10}},
        {"size_divisibility": 4, "padding_constraints": {"size_divisibility": 3}},
        {"padding_constraints": {"square_size": 10, "size_divisibility": 4}},
    ):
        ours = lite.ImageList.from_tensors(images, **options)
        theirs = real.ImageList.from_tensors(images, **options)
        assert torch.equal(ours.tensor, theirs.tensor), options
        assert ours.image_sizes == theirs.image_sizes
        assert torch.equal(ours[1], theirs[1])


def test_same_index_stream(lite, real):
    from itertools import islice

    for shuffle in (True, False):
        ours = lite.TrainingSampler(7, shuffle, seed=11)
        theirs = real.TrainingSampler(7, shuffle, seed=11)
        assert list(islice(ours, 30)) == list(islice(theirs, 30))
