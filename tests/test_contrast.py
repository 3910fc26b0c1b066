"""Global contrast normalisation: its law, its inverse, and the loop over numbers."""

import pytest
import torch

from advnets.data.contrast import NORM, normalise, restore, span


@pytest.mark.parametrize("norm", [NORM, 1.0])
def test_every_image_has_mean_0_and_the_norm(norm, rng):
    x = torch.rand(7, 3, 8, 8, generator=rng, dtype=torch.float64)
    y, _, _ = normalise(x, norm)
    assert y.flatten(1).mean(dim=1).abs().max() < 1e-12
    assert (y.flatten(1).norm(dim=1) - norm).abs().max() < 1e-10


def test_it_is_the_loop_over_numbers(rng):
    x = torch.rand(3, 2, 2, 2, generator=rng, dtype=torch.float64)
    y, means, scales = normalise(x)
    for i in range(3):
        numbers = x[i].flatten().tolist()
        mean = sum(numbers) / 8
        norm = sum((v - mean) ** 2 for v in numbers) ** 0.5
        assert (means[i].item(), scales[i].item()) == pytest.approx((mean, norm))
        assert y[i].flatten().tolist() == pytest.approx([55 * (v - mean) / norm for v in numbers])


def test_restore_is_the_inverse(rng):
    x = torch.rand(5, 3, 4, 4, generator=rng, dtype=torch.float64)
    x[2] = 0.25  # one grey
    torch.testing.assert_close(restore(*normalise(x)), x, rtol=0, atol=1e-12)


def test_an_image_of_one_grey_becomes_0_and_nothing_overflows():
    y, _, scale = normalise(torch.full((2, 1, 3, 3), 0.7))
    assert y.abs().max() < 1e-4
    assert scale.tolist() == [1, 1]


def test_brightness_and_contrast_are_all_that_is_lost(rng):
    x = torch.rand(4, 3, 5, 5, generator=rng, dtype=torch.float64)
    torch.testing.assert_close(normalise(0.3 * x + 0.1)[0], normalise(x)[0])


def test_the_span_takes_an_average_image_back_to_its_own_pixels(rng):
    x = torch.rand(1, 3, 5, 5, generator=rng, dtype=torch.float64)
    y, mean, scale = normalise(x, 7.0)
    black, white = span(mean, scale, 7.0)
    torch.testing.assert_close((y - black) / (white - black), x)


def test_brightness_and_contrast_of_several_images_are_averaged():
    mean, scale = torch.tensor([0.2, 0.6]), torch.tensor([1.0, 3.0])
    assert span(mean, scale, 10.0) == pytest.approx((-0.4 * 5, 0.6 * 5))
