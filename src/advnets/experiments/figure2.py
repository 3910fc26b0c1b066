"""Figure 2: random samples, never picked, and the training images nearest to some of them.

Four rows of five samples. Beside the last of each row, in a yellow border, stands the training
image at the least squared Euclidean distance from that very sample, in the space that the model
works in: a generator that had learnt its examples by heart would show the same picture twice.

The samples are number 0 to 19 of a seed. The paper's colour pictures are scaled by the largest
value among the samples; here black and white are those of every other picture of the run, which of
normalised images are the values that an image of average brightness and contrast has there.

Reference: Goodfellow et al. (2014), Figure 2; goodfeli/adversarial, `show_samples_mnist_paper.py`.
"""

from advnets.base import errors
from advnets.evaluation.neighbours import nearest
from advnets.plotting import images
from advnets.runs.loaded import Run

ROWS, COLUMNS = 4, 5
WIDTH = 800
"""Pixels that the picture is about wide."""


def draw(run: Run, *, seed: int = 0, weights: str | None = None) -> images.Pixels:
    """The figure of a run.

    Args:
        run: A run on images; its data is read again.
        seed: The seed of the samples.
        weights: Which of the model's samplers; by default the model proper.

    Raises:
        BadFile: When the run's examples are no images.
        BadValue: When the run's data is other data by now.
    """
    sampler = run.sampler(weights)
    if not images.is_image(sampler.event_shape):
        raise errors.no_images(run.folder.path, "2", sampler.event_shape)
    x = sampler.sample(ROWS * COLUMNS, seed=seed)
    train = run.splits().train.x
    neighbours = train[nearest(x[COLUMNS - 1 :: COLUMNS], train).number]
    low, high = run.span()
    picture = images.beside_neighbours((x - low) / (high - low), (neighbours - low) / (high - low))
    return images.enlarged(picture, width=WIDTH)
