"""Figure 2: random samples, not selected, and the training images nearest to some of them.

Four rows of five samples. Beside the last of each row, in a yellow border, is the training image
with the least squared Euclidean distance from that sample, in the data space of the model. A
generator that memorised training examples would show the same picture twice.

The samples are number 0 to 19 of a seed. The paper's colour pictures are scaled by the largest
value among the samples; here black and white are those of all pictures of the run; for normalised
images these are the values of an image of average brightness and contrast.

Reference: Goodfellow et al. (2014), Figure 2; goodfeli/adversarial, `show_samples_mnist_paper.py`.
"""

from advnets.base import errors
from advnets.evaluation.neighbours import nearest
from advnets.plotting import images
from advnets.runs.run import Run

ROWS, COLUMNS = 4, 5
WIDTH = 800
"""Approximate width of the picture in pixels."""


def draw(run: Run, *, seed: int = 0, weights: str | None = None) -> images.Pixels:
    """The figure of a run.

    Args:
        run: A run on images; its data is read again.
        seed: The seed of the samples.
        weights: Which of the model's samplers; by default the model proper.

    Raises:
        BadFile: When the run's examples are no images.
        BadValue: When the run's data has changed.
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
