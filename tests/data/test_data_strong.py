"""The strong view of three bands, pinned to a plain version, and of more."""

import cv2
import numpy as np
import pytest

from co2s.data.views.strong import StrongView, blur, mean_level, saturate, scale_towards, shift_hue

OFF = {"brightness": 0.0, "contrast": 0.0, "saturation": 0.0, "hue": 0.0}


def rng(seed=0):
    return np.random.default_rng(seed)


def picture(bands=3, seed=0, shape=(41, 56)):
    """Smooth bands with some noise."""
    coarse = rng(seed).integers(0, 256, (5, 6, bands), np.uint8)
    layers = [cv2.resize(coarse[..., i], shape[::-1], interpolation=2) for i in range(bands)]
    noise = rng(seed).integers(-9, 10, (*shape, bands))
    return np.clip(np.dstack(layers) + noise, 0, 255).astype(np.uint8)


def plain_view(view, generator, image):
    """The strong view of three bands, one step after the other, nothing done for speed."""
    if generator.random() < view.jitter_prob:
        image = plain_jitter(view, generator, image)
    if generator.random() < view.gray_prob:
        image = np.dstack([cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)] * 3)
    if generator.random() < view.blur_prob:
        image = cv2.GaussianBlur(image, (0, 0), generator.uniform(*view.blur_sigma))
    return image


def plain_jitter(view, generator, image):
    strengths = (view.brightness, view.contrast, view.saturation)
    factors = [generator.uniform(max(0.0, 1 - value), 1 + value) for value in strengths]
    shift = generator.uniform(-view.hue, view.hue)
    for step in generator.permutation(4):
        gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
        if step < 2:
            level = round(cv2.mean(gray)[0]) if step else 0.0
            values = level + factors[step] * (np.arange(256) - level)
            image = np.clip(values, 0, 255).astype(np.uint8)[image]
        elif step == 2:
            image = cv2.addWeighted(image, factors[2], np.dstack([gray] * 3), 1 - factors[2], 0)
        else:
            hsv = cv2.cvtColor(image, cv2.COLOR_RGB2HSV_FULL)
            hsv[..., 0] = (hsv[..., 0].astype(int) + round(shift * 256)) % 256
            image = cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB_FULL)
    return image


@pytest.mark.parametrize(
    "view", [StrongView(), StrongView(1.0, 1.2, 1.5, 2.0, 0.5)], ids=["default", "stronger"]
)
def test_three_bands_are_those_of_the_plain_version(view):
    for seed in range(40):
        image = picture(seed=seed)
        found = view(rng(seed), image)
        np.testing.assert_array_equal(found, plain_view(view, rng(seed), image))


@pytest.mark.parametrize("bands", [4, 5, 9])
def test_the_colours_do_not_depend_on_further_bands(bands):
    view, image = StrongView(), picture(bands)
    before = image.copy()
    for seed in range(10):
        found = view(rng(seed), image)
        assert found.shape == image.shape
        assert found.dtype == np.uint8
        colors = view(rng(seed), np.ascontiguousarray(image[..., :3]))
        np.testing.assert_array_equal(found[..., :3], colors)
    np.testing.assert_array_equal(image, before)


def changed(image, seed=0, **strengths):
    """The image after jitter of these strengths only."""
    view = StrongView(jitter_prob=1.0, gray_prob=0.0, blur_prob=0.0, **{**OFF, **strengths})
    return view(rng(seed), image).astype(int)


@pytest.mark.parametrize("strengths", [{"saturation": 1.0}, {"hue": 0.5}])
def test_saturation_and_hue_are_for_the_colours_only(strengths):
    image = picture(5)
    found = changed(image, **strengths)
    assert (found[..., 3:] == image[..., 3:]).all()
    assert np.abs(found[..., :3] - image[..., :3]).mean() > 2


def test_greyscale_is_for_the_colours_only():
    image = picture(5)
    found = StrongView(jitter_prob=0.0, gray_prob=1.0, blur_prob=0.0)(rng(), image)
    assert (found[..., :3] == cv2.cvtColor(image[..., :3].copy(), 7)[..., np.newaxis]).all()
    assert (found[..., 3:] == image[..., 3:]).all()


def test_brightness_multiplies_all_bands_alike():
    image = picture(5) // 2  # no clipping
    found = changed(image, brightness=0.5)
    factor = rng_factor(0)
    assert np.abs(found - factor * image)[..., 3:].max() <= 1  # truncated
    assert np.abs(found - factor * image)[..., :3].max() <= 6  # to the colour circle and back


def test_contrast_turns_a_further_band_about_its_own_mean():
    image = np.clip(picture(5), 60, 190)
    image[..., 4] //= 4
    found = changed(image, contrast=0.5)
    factor = rng_factor(1)
    gray = cv2.cvtColor(image[..., :3].copy(), cv2.COLOR_RGB2GRAY).mean()
    for band, mean in [(0, gray), (2, gray), (3, image[..., 3].mean()), (4, image[..., 4].mean())]:
        expected = mean + factor * (image[..., band] - mean)
        error = np.abs(found[..., band] - np.clip(expected, 0, 255)).max()
        assert error <= (6 if band < 3 else 2)  # colours go to the colour circle and back
    assert abs(factor - 1) > 0.03


def rng_factor(number):
    """The factor of jitter step `number` that changed(..., seed=0) draws, of strength 0.5."""
    generator = rng(0)
    generator.random()
    drawn = [generator.uniform(0.5, 1.5) if n == number else generator.random() for n in range(2)]
    return drawn[number]


def test_blur_is_for_all_bands():
    image = picture(6)
    view = StrongView(jitter_prob=0.0, gray_prob=0.0, blur_prob=1.0, blur_sigma=(1.5, 1.5))
    found = view(rng(), image)
    for band in range(6):
        alone = blur(np.ascontiguousarray(image[..., band]), 1.5)
        np.testing.assert_array_equal(found[..., band], alone)


def test_the_steps_on_single_values():
    pixel = np.array([[[100, 150, 200]]], np.uint8)
    assert mean_level(pixel) == round(0.299 * 100 + 0.587 * 150 + 0.114 * 200)
    assert mean_level(pixel[..., 0]) == 100
    assert scale_towards(pixel, 100, 0.5).tolist() == [[[100, 125, 150]]]
    assert saturate(pixel, 0.0).tolist() == [[[141, 141, 141]]]
    assert shift_hue(pixel, 0.5)[0, 0].argmax() == 0  # the opposite of blue is orange
