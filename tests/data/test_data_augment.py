"""The weak and the strong view of an image."""

import cv2
import numpy as np
import pytest

from co2s.data.views.strong import StrongView, saturate, scale_towards, shift_hue
from co2s.data.views.weak import Geometry, WeakView


def rng(seed=0):
    return np.random.default_rng(seed)


def picture(shape=(40, 56), seed=0):
    """Smooth colours: what bilinear sampling can be compared on."""
    coarse = rng(seed).integers(0, 256, (5, 6, 3), np.uint8)
    return cv2.resize(coarse, shape[::-1], interpolation=cv2.INTER_CUBIC)


def whole(scaled, shape):
    scale = (scaled[0] / shape[0], scaled[1] / shape[1])
    return Geometry(scale=scale, scaled=scaled, origin=(0, 0), size=max(scaled))


@pytest.mark.parametrize("scaled", [(80, 112), (30, 42), (61, 85)])
def test_scaling_is_bilinear_resizing(scaled):
    image = picture()
    expected = cv2.resize(image, scaled[::-1], interpolation=cv2.INTER_LINEAR).astype(int)
    found = whole(scaled, (40, 56)).image(image)[: scaled[0], : scaled[1]]
    assert np.abs(found - expected).max() <= 4  # warpAffine knows 1/32 of a pixel
    assert np.abs(found - expected).mean() < 0.7


def test_a_crop_is_a_part_of_the_scaled_image():
    image = picture()
    scale = (1.5, 1.5)
    full = Geometry(scale=scale, scaled=(60, 84), origin=(0, 0), size=84).image(image)
    part = Geometry(scale=scale, scaled=(60, 84), origin=(11, 23), size=32).image(image)
    assert np.abs(part.astype(int) - full[11:43, 23:55]).max() <= 4


def test_without_scaling_the_crop_is_exact():
    image = picture()
    geometry = Geometry(scale=(1, 1), scaled=(40, 56), origin=(3, 5), size=32)
    assert (geometry.image(image) == image[3:35, 5:37]).all()


def test_padding_lies_right_and_bottom_and_is_marked():
    geometry = Geometry(scale=(1, 1), scaled=(20, 24), origin=(0, 0), size=32)
    image = geometry.image(np.full((20, 24, 3), 9, np.uint8))
    classes = geometry.classes(np.ones((20, 24), np.uint8))
    valid = geometry.valid()
    assert valid[:20, :24].all()
    assert valid.sum() == 20 * 24
    assert (image[valid] == 9).all()
    assert (image[~valid] == 0).all()
    assert (classes == np.where(valid, 1, 255)).all()


def test_flips_and_turns_move_everything_alike():
    plain = Geometry(scale=(1, 1), scaled=(20, 24), origin=(0, 0), size=32)
    image, classes = picture((20, 24)), rng().integers(0, 5, (20, 24), np.uint8)
    turned = Geometry((1, 1), (20, 24), (0, 0), 32, flip=True, vertical_flip=True, turns=1)

    def move(array):
        return np.rot90(array[::-1, ::-1], 1)

    assert (turned.image(image) == move(plain.image(image))).all()
    assert (turned.classes(classes) == move(plain.classes(classes))).all()
    assert (turned.valid() == move(plain.valid())).all()


@pytest.mark.parametrize("resize", ["fit", "long_side", "none"])
def test_image_and_mask_stay_aligned(resize):
    classes = (np.indices((64, 64)).sum(0) // 16 % 2).astype(np.uint8)
    image = np.repeat(200 * classes[..., None], 3, axis=2)
    weak = WeakView(size=48, resize=resize, base_size=(96, 96), rotate90=True)
    generator = rng(1)
    for _ in range(20):
        geometry = weak.draw(generator, 64, 64)
        drawn, mask, valid = geometry.image(image), geometry.classes(classes), geometry.valid()
        assert ((drawn[..., 0] > 100) == (mask == 1))[valid].mean() > 0.97
        assert (mask[~valid] == 255).all()


def sizes(weak, height, width):
    generator = rng()
    return np.array([weak.draw(generator, height, width).scaled for _ in range(200)])


def test_fit_makes_small_images_as_large_as_the_short_side():
    drawn = sizes(WeakView(size=256, base_size=(2048, 512)), 256, 256)
    assert (drawn[:, 0] == drawn[:, 1]).all()
    assert 256 <= drawn.min() < 300  # 512 x 0.5 ...
    assert 950 < drawn.max() <= 1024  # ... to 512 x 2
    wide = WeakView(size=256, base_size=(2048, 512), ratio_range=(1, 1))
    assert wide.draw(rng(), 100, 1000).scaled == (205, 2048)  # here the long side limits


def test_long_side_and_none():
    drawn = sizes(WeakView(size=64, resize="long_side"), 100, 200)
    assert 100 <= drawn[:, 1].min() < 125
    assert 375 < drawn[:, 1].max() <= 400
    assert (sizes(WeakView(size=64, resize="none"), 100, 200) == (100, 200)).all()
    with pytest.raises(ValueError, match=r'INPUT\.RESIZE .* found "pad"'):
        WeakView(size=64, resize="pad")


def test_crops_reach_every_corner_and_flips_have_their_probability():
    weak = WeakView(size=8, resize="none", flip=0.25)
    generator = rng()
    drawn = [weak.draw(generator, 10, 9) for _ in range(400)]
    assert {geometry.origin for geometry in drawn} == {(y, x) for y in range(3) for x in range(2)}
    assert 0.17 < np.mean([geometry.flip for geometry in drawn]) < 0.33
    assert not any(geometry.vertical_flip or geometry.turns for geometry in drawn)


def test_strong_view_with_everything_off_is_the_image():
    image = picture()
    assert StrongView(jitter_prob=0, gray_prob=0, blur_prob=0)(rng(), image) is image


def test_strong_views_are_drawn_anew_and_leave_the_image_alone():
    image = picture()
    before, view, generator = image.copy(), StrongView(), rng(0)
    drawn = [view(generator, image) for _ in range(6)]
    assert (image == before).all()
    assert all(one.shape == image.shape and one.dtype == np.uint8 for one in drawn)
    assert len({one.tobytes() for one in drawn}) == 6
    assert (view(rng(0), image) == drawn[0]).all()


def test_greyscale_and_blur():
    image = picture()
    gray = StrongView(jitter_prob=0, gray_prob=1, blur_prob=0)(rng(), image)
    assert (gray[..., 0] == gray[..., 1]).all()
    assert (gray[..., 0] == gray[..., 2]).all()
    noise = rng().integers(0, 256, (64, 64, 3), np.uint8)
    blur = StrongView(jitter_prob=0, gray_prob=0, blur_prob=1, blur_sigma=(2, 2))
    assert blur(rng(), noise).std() < 0.3 * noise.std()


def test_jitter_is_torchvisions():
    functional = pytest.importorskip("torchvision.transforms.functional")
    from PIL import Image

    image = picture()
    pillow = Image.fromarray(image)

    def difference(mine, theirs):
        return np.abs(mine.astype(int) - np.asarray(theirs).astype(int)).max()

    gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    for factor in (0.5, 0.8, 1.3, 1.5):
        bright = functional.adjust_brightness(pillow, factor)
        assert difference(scale_towards(image, 0, factor), bright) <= 1
        contrast = functional.adjust_contrast(pillow, factor)
        assert difference(scale_towards(image, round(gray.mean()), factor), contrast) <= 2
        saturation = functional.adjust_saturation(pillow, factor)
        assert difference(saturate(image, factor), saturation) <= 2


def test_hue_turns_the_colour_circle():
    red = np.full((2, 2, 3), (200, 0, 0), np.uint8)
    third = shift_hue(red, 1 / 3)[0, 0].astype(int)
    assert np.abs(third - (0, 200, 0)).max() <= 6
    back = shift_hue(red, -1 / 3)[0, 0].astype(int)
    assert np.abs(back - (0, 0, 200)).max() <= 6
    assert np.abs(shift_hue(picture(), 0.0).astype(int) - picture()).max() <= 6
