"""The project's configuration keys: each once, with its default and one comment."""

from collections.abc import Callable, Iterable
from typing import TypeVar

from co2s.d2 import CfgNode as CN
from co2s.d2 import get_cfg

DINOV3 = "vit_base_patch16_dinov3_qkvb"  # with the query and value biases of Meta's file


Method = TypeVar("Method", bound=Callable[..., None])
_METHODS: list[Callable[..., None]] = []


def method_config(add: Method) -> Method:
    """Decorator of the function that adds a method's keys, `MODEL.<METHOD>`, to a configuration."""
    _METHODS.append(add)
    return add


def get_co2s_cfg(students: Iterable[str] = ()) -> CN:
    """detectron2's default configuration, the project's keys, and those of every method.

    students: names for MODEL.STUDENTS; those that have no node yet get one. Methods bring their
    keys when they are imported, as `co2s.modeling` and `co2s.engine` do.
    """
    cfg = get_cfg()
    add_core_config(cfg)
    for add in _METHODS:
        add(cfg)
    for name in students:
        if name.upper() not in cfg.MODEL:
            _add_student(cfg, name)
    return cfg


def add_core_config(cfg: CN) -> None:
    """Add the project's keys to a detectron2 configuration, in place."""
    _add_data(cfg)
    _add_model(cfg)
    _add_schedule(cfg)


def _add_student(cfg: CN, name: str) -> None:
    """Add the node of a student, with the local student's defaults."""
    cfg.MODEL[name.upper()] = _student("TimmViT", DINOV3, [2, 7, 11], "LearnableQueries")


def _add_data(cfg: CN) -> None:
    cfg.DATASETS.LABELED = ()  # registered names of the labelled training streams
    cfg.DATASETS.UNLABELED = ()  # registered names of the unlabelled training streams
    cfg.DATASETS.VAL = ()  # the best checkpoint is chosen here; empty: on DATASETS.TEST
    cfg.DATASETS.DIAGNOSE = False  # open masks of unlabelled images to tell how right labels are
    cfg.DATASETS.SPECS = ()  # YAML files of datasets that do not come with co2s
    cfg.DATASETS.ROOT = ""  # overrides $DETECTRON2_DATASETS/<root of the spec>
    cfg.DATALOADER.MAX_BAD_FILES = 0  # training files that cannot be read and are done without
    cfg.DATALOADER.CUTMIX_PARTNER = "other"  # or "same", "rolled", "previous": structures/views.py

    cfg.INPUT.FORMAT = "RGB"
    cfg.INPUT.MIN_SIZE_TEST = 0  # the model resizes (INPUT.TEST_BASE_SIZE), the predictor does not
    cfg.INPUT.RESIZE = "fit"  # "fit" BASE_SIZE x ratio, "long_side" x ratio, or "none"
    cfg.INPUT.BASE_SIZE = (2048, 512)  # long and short side in pixels, for RESIZE "fit"
    cfg.INPUT.RATIO_RANGE = (0.5, 2.0)
    cfg.INPUT.TEST_BASE_SIZE = (0, 0)  # long and short side at inference; zeros: no resize
    cfg.INPUT.TEST_SCALE = 1.0  # of images at inference, where TEST_BASE_SIZE does not decide
    cfg.INPUT.CROP_SIZE = 512  # side of the square training crop, pixels
    cfg.INPUT.FLIP = 0.5  # probability of a horizontal flip
    cfg.INPUT.ROTATE90 = False  # also draw vertical flips and quarter turns
    cfg.INPUT.STRONG = CN()
    cfg.INPUT.STRONG.JITTER_PROB = 0.8
    cfg.INPUT.STRONG.BRIGHTNESS = 0.5
    cfg.INPUT.STRONG.CONTRAST = 0.5
    cfg.INPUT.STRONG.SATURATION = 0.5
    cfg.INPUT.STRONG.HUE = 0.25
    cfg.INPUT.STRONG.GRAY_PROB = 0.2
    cfg.INPUT.STRONG.BLUR_PROB = 0.5
    cfg.INPUT.STRONG.BLUR_SIGMA = (0.1, 2.0)
    cfg.INPUT.CUTMIX = CN()
    cfg.INPUT.CUTMIX.PROB = 0.5
    cfg.INPUT.CUTMIX.AREA = (0.02, 0.4)  # share of the crop
    cfg.INPUT.CUTMIX.ASPECT = (0.3, 1 / 0.3)


def _add_model(cfg: CN) -> None:
    cfg.MODEL.META_ARCHITECTURE = "Co2S"
    cfg.MODEL.PIXEL_MEAN = [123.675, 116.28, 103.53]  # ImageNet; more bands: their average
    cfg.MODEL.PIXEL_STD = [58.395, 57.12, 57.375]
    cfg.MODEL.NUM_CLASSES = 0  # 0: as many as the training (else test) dataset declares
    cfg.MODEL.NUM_BANDS = 0  # of an image; 0: as many as that dataset has
    cfg.MODEL.STUDENTS = ("global", "local")  # each has the node of its name, in capitals
    cfg.MODEL.GLOBAL = _student("CLIPViT", "ViT-B-16-quickgelu", [0, 4, 11], "TextPrototypes")
    _add_student(cfg, "local")

    cfg.MODEL.EMA_DECAY = 0.0  # above 0: averages of students predict; not given: the method's
    cfg.MODEL.EMA_LABELS = True  # they also make the pseudo-labels, as in UniMatch V2
    cfg.MODEL.PURIFIER = CN()
    cfg.MODEL.PURIFIER.NAME = ""  # in PURIFIER_REGISTRY, changes pseudo-labels; empty: they stay
    cfg.MODEL.PURIFIER.BOXES = ""  # folder that tools/ground_classes.py wrote, for VLMPurifier
    cfg.MODEL.PURIFIER.UNSURE = 0.7  # labels below this confidence are looked at
    cfg.MODEL.PURIFIER.REPLACE = 0.3  # and below this one those that the boxes deny are replaced
    cfg.MODEL.PURIFIER.THRESHOLD = 0.6  # from which on a purified one counts; 0: the method's own
    cfg.MODEL.PURIFIER.SOFTMAX = False  # over the scores of all classes, as in the release
    cfg.MODEL.FUSION = "confidence"  # of several students: or "mean", or the name of one
    cfg.MODEL.STUDENT_MAPS = True  # also return each student's own map at inference
    cfg.MODEL.ACTIVATION_CHECKPOINTING = "none"  # or "mlp", "block": recomputed, not kept
    cfg.MODEL.COMPILE = False  # torch.compile


def add_backbone(node: CN, backbone: str, model: str, features: list[int]) -> CN:
    """Add the section BACKBONE to a node of the configuration, and return the node.

    Zeros and empty strings mean "as the named model has it".
    """
    node.BACKBONE = CN()
    node.BACKBONE.NAME = backbone  # in BACKBONE_REGISTRY
    node.BACKBONE.MODEL = model  # open_clip's or timm's name of the architecture
    node.BACKBONE.WEIGHTS = ""  # pretrained: that library's tag, or a local file; empty: random
    node.BACKBONE.SHA256 = ""  # the digest that the file must have; empty: not checked
    node.BACKBONE.FEATURES = features  # layers of the shallow skip, the deep skip, the dense map
    node.BACKBONE.TRAINABLE = ["attn"]  # parts of the names of trained parameters; [""]: all
    node.BACKBONE.WIDTH = 0
    node.BACKBONE.DEPTH = 0
    node.BACKBONE.HEADS = 0
    node.BACKBONE.PATCH_SIZE = 0
    node.BACKBONE.IMAGE_SIZE = 0  # of the learned position embedding's grid, pixels
    node.BACKBONE.OUTPUT_DIM = 0  # of CLIP's joint embedding
    node.BACKBONE.POSITIONS = "learnable"  # or "sin_cos_2d": how they start (CLIPViT)
    node.BACKBONE.ACTIVATION = ""  # "quick_gelu", "gelu"; empty: the weights' (CLIPViT)
    node.BACKBONE.LAYER_NORM_EPS = 0.0
    node.BACKBONE.LAYER_SCALE = 0.0  # initial gain of the residual branches (TimmViT)
    return node


def _student(backbone: str, model: str, features: list[int], guidance: str) -> CN:
    """The keys of one student."""
    node = add_backbone(CN(), backbone, model, features)
    node.GUIDANCE = CN()
    node.GUIDANCE.NAME = guidance  # in GUIDANCE_REGISTRY
    node.GUIDANCE.PROTOTYPES = ""  # .npz or .npy file of prototypes (N, C); empty: made anew
    node.GUIDANCE.TEMPLATES = ("a photo of a {}",)  # every concept goes into each of them
    node.GUIDANCE.TEXT_MODEL = ""  # open_clip's name; empty: the backbone's model
    node.GUIDANCE.TEXT_WEIGHTS = ""  # its tag or a local file; empty: the backbone's weights
    node.GUIDANCE.INIT_STD = 0.02  # of learnable queries
    node.HEAD = CN()
    node.HEAD.NAME = "GuidedMaskHead"  # in HEAD_REGISTRY
    node.HEAD.DIM = 128  # D
    node.HEAD.LINEAR_PATH = False  # add a linear layer on the backbone's maps to the logits
    node.HEAD.EMBED_GAIN = 1.0  # of the first convolution's initial weights
    node.HEAD.DILATIONS = (6, 12, 18)
    node.HEAD.CLASS_LAYERS = 2
    node.HEAD.CLASS_HEADS = 4
    node.HEAD.CLASS_POOL = 4  # pooling before class reasoning
    node.HEAD.UP_DIMS = (64, 32)
    node.HEAD.SKIP_DIMS = (32, 16)  # of the deep and of the shallow skip
    node.NECK = CN()  # between backbone and decoder: what RSMTDF's students have more
    node.NECK.DIMS = ()  # channels of the teachers' maps that it translates to; empty: no neck
    node.NECK.HIDDEN = 1024  # channels between the two layers of a translator
    node.NECK.KEPT = 0.8  # share of the dense map that the decoder sees
    node.NECK.ADDED = 0.1  # of what is made of each translated map
    node.LOGITS_SIZE = 0  # logits go through a square of this side; 0: straight to the crop
    return node


def _add_schedule(cfg: CN) -> None:
    cfg.TRACKERS = ()  # "wandb", "mlflow": where scalars go besides metrics.json and TensorBoard
    cfg.TRACKER_PROJECT = "co2s"  # wandb's project, MLflow's experiment
    cfg.SOLVER.EPOCHS = 0  # passes over the unlabelled pool; 0: SOLVER.MAX_ITER counts
    cfg.SOLVER.BASE_LR = 1e-4
    cfg.SOLVER.BACKBONE_MULTIPLIER = 0.01
    cfg.SOLVER.GUIDANCE_MULTIPLIER = 1.0
    cfg.SOLVER.HEAD_MULTIPLIER = 10.0
    cfg.SOLVER.WEIGHT_DECAY = 0.01
    cfg.SOLVER.WEIGHT_DECAY_NORM = None  # of normalisation layers; None: as the others
    cfg.SOLVER.WARMUP_ITERS = 0  # steps of warm-up; the method has none
    cfg.SOLVER.SCHEDULE = "poly"  # (1 - t / T) ** POLY_POWER of the rate, or "cosine", to 0
    cfg.SOLVER.POLY_POWER = 0.9
    cfg.SOLVER.ACCUMULATE = 1  # parts of a step that pass one after another; same mathematics
    cfg.SOLVER.AMP.DTYPE = "bf16"  # or "fp16", with AMP.ENABLED; losses stay in float32
    cfg.SOLVER.AMP.PARTS = ("backbone", "head")  # of a student, that compute in DTYPE
    cfg.CPU_MATMUL = "auto"  # "onednn", "torch", or the faster one for this CPU
    cfg.SOLVER.CHECKPOINTS_KEPT = 2  # the last ones, besides the best
    cfg.TEST.EARLY_STOPPING = 0  # evaluations without a better score that end a run; 0: never
    cfg.TEST.WINDOW_SIZE = 0  # side of the test window, pixels; 0: INPUT.CROP_SIZE
    cfg.TEST.STRIDE_RATIO = 5 / 6  # of the window
    cfg.TEST.WINDOW_BATCH = 4  # windows that pass the model together
    cfg.TEST.PANELS = 8  # validation images drawn as panels, beside the best and worst; 0: none
    cfg.TEST.SNAPSHOTS = 3  # training batches drawn as the network saw them; 0: none
    cfg.TEST.BOUNDARY_TOLERANCE = 3  # pixels, of the boundary F1; 0: it is not computed
    cfg.TEST.CALIBRATE = True  # fit temperatures after training, so that confidences are true
    cfg.TEST.ABSENT_AS_ZERO = False  # True: an absent class has IoU 0 (authors' release)
