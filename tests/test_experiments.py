"""Figures 2 and 3, from a small run on pictures: what stands where, and what is refused."""

import dataclasses
import shutil

import numpy as np
import pytest
import torch

import advnets
from advnets.base.errors import BadFile, BadValue
from advnets.experiments import FIGURES, figure2, figure3
from advnets.plotting import images as plots
from advnets.sampling.samplers import TrainingSet

HEIGHT, WIDTH = 6, 5
OF_IMAGES = ("2", "3")  # Figure 1 is in test_figure1.py


@pytest.fixture(scope="module")
def run(images):
    return advnets.load(images)


def cells(picture, *, rows, columns, gap):
    """The pictures in an enlarged picture, row by row, at their own size."""
    zoom = picture.shape[1] // (gap + columns * (WIDTH + gap))
    small = picture[::zoom, ::zoom]
    assert small.shape[:2] == (gap + rows * (HEIGHT + gap), gap + columns * (WIDTH + gap))
    corners = [
        (gap + r * (HEIGHT + gap), gap + c * (WIDTH + gap))
        for r in range(rows)
        for c in range(columns)
    ]
    return [small[top : top + HEIGHT, left : left + WIDTH, 0] for top, left in corners]


def looks_like(pixels, x):
    """Equal to rounding: what is decoded in another batch may differ in the last bit of a byte."""
    return abs(pixels.astype(int) - plots.to_pixels(x[None])[0, :, :, 0].astype(int)).max() <= 1


@pytest.mark.parametrize("weights", [None, "averaged"])
@pytest.mark.parametrize("seed", [0, 3])
def test_figure_2_shows_the_first_samples_and_the_images_nearest_to_every_fifth(run, seed, weights):
    shown = cells(figure2.draw(run, seed=seed, weights=weights), rows=4, columns=6, gap=4)
    x = run.sample(20, seed=seed, weights=weights)
    train = run.splits().train.x
    for row in range(4):
        for column in range(5):
            assert looks_like(shown[6 * row + column], x[5 * row + column])
        last = x[5 * row + 4].double()
        distances = [float((last - image).square().sum()) for image in train.double()]
        assert looks_like(shown[6 * row + 5], train[distances.index(min(distances))])


def test_figure_2_has_yellow_borders_beside_the_last_sample_of_each_row_and_nowhere_else(run):
    picture = figure2.draw(run)
    zoom = picture.shape[1] // (4 + 6 * (WIDTH + 4))
    yellow = (picture == plots.YELLOW).all(axis=2)[::zoom, ::zoom]
    last = 4 + 5 * (WIDTH + 4)
    assert not yellow[:, : last - 2].any()
    for row in range(4):
        top = 4 + row * (HEIGHT + 4)
        box = yellow[top - 2 : top + HEIGHT + 2, last - 2 : last + WIDTH + 2]
        assert box.sum() == box.size - HEIGHT * WIDTH


@pytest.mark.parametrize("seed", [0, 3])
def test_figure_3_leads_from_sample_to_sample_in_straight_lines(run, seed):
    shown = cells(figure3.draw(run, seed=seed), rows=2, columns=figure3.STEPS, gap=2)
    sampler = run.sampler()
    z = sampler.latents(4, seed=seed)
    x = run.sample(4, seed=seed)
    for row in range(2):
        assert looks_like(shown[row * figure3.STEPS], x[2 * row])
        assert looks_like(shown[(row + 1) * figure3.STEPS - 1], x[2 * row + 1])
        for s in range(figure3.STEPS):
            t = s / (figure3.STEPS - 1)
            between = sampler.decode((1 - t) * z[2 * row : 2 * row + 1] + t * z[2 * row + 1])
            assert looks_like(shown[row * figure3.STEPS + s], between[0])


@pytest.mark.parametrize("number", OF_IMAGES)
def test_a_figure_is_the_same_every_time_and_another_for_another_seed(run, number):
    first = FIGURES[number](run)
    assert np.array_equal(first, FIGURES[number](run, seed=0, weights="raw"))
    assert (first != FIGURES[number](run, seed=1)).any()


@pytest.mark.parametrize("number", OF_IMAGES)
def test_figures_of_points_are_refused(points, number):
    run = advnets.load(points)
    need = rf"a run on images, \(1, H, W\) or \(3, H, W\), for Figure {number}"
    with pytest.raises(BadFile, match=rf"run: must be {need}, got examples of shape \(2\)\."):
        FIGURES[number](run)


def test_figure_3_of_a_model_without_z_is_refused(run):
    class Memory:
        def samplers(self):
            return {"raw": TrainingSet(torch.zeros(9, 1, 6, 5))}

    other = dataclasses.replace(run, learner=Memory())
    need = r"a run of a model whose z can be chosen, for Figure 3, got a TrainingSet\."
    with pytest.raises(BadFile, match=need):
        figure3.draw(other)
    assert figure2.draw(other).ndim == 3


def test_figure_2_of_a_run_whose_data_is_another_by_now_is_refused(images, tmp_path):
    folder = shutil.copytree(images, tmp_path / "run")
    facts = (folder / "data.json").read_text()
    (folder / "data.json").write_text(facts.replace('"crc32": ', '"crc32": 1'))
    with pytest.raises(BadValue, match=r"'data \(crc32\)' must be"):
        figure2.draw(advnets.load(folder))
