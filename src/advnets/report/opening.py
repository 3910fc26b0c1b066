"""What a report opens with: samples beside real examples, none picked."""

from collections.abc import Mapping

import torch
from markupsafe import Markup
from torch import Tensor

from advnets.base import errors
from advnets.html import markup
from advnets.html.markup import Chart, Picture
from advnets.plotting import images, scatter
from advnets.report import embedded
from advnets.runs.run import Run
from advnets.sampling.samplers import TrainingSet

COLUMNS, ROWS = 8, 6
"""Images in a sheet: few enough to be seen on a phone."""


def sheet(run: Run) -> Markup:
    """Samples number 0 and on of seed 0, and as many real test examples; empty without samplers.

    Images are shown as two pictures, points as two scatter plots on the same axes (of more than two
    coordinates: in the principal directions of the data), numbers as two histograms.
    """
    if not run.learner.samplers():
        return Markup()
    image = images.is_image(run.sampler().event_shape)
    n = COLUMNS * ROWS if image else images.picture_size(run.sampler().event_shape)
    try:
        x = run.sample(n)
    except errors.UserError as error:
        return _rendered(notice=f"There are no samples to show: {error}")
    try:
        real, notice = _real(run, n), ""
    except errors.UserError as error:
        real, notice = None, f"Real examples are not shown: {error}"
    shown = {f"Samples ({next(iter(run.samplers()))})": x}
    shown |= {} if real is None else {"Real test examples": real}
    if image:
        return _rendered(pictures=_images(run, shown), notice=notice)
    return _rendered(charts=_points(shown, x if real is None else real), notice=notice)


def _rendered(
    *, pictures: list[Picture] | None = None, charts: list[Chart] | None = None, notice: str
) -> Markup:
    values = {"pictures": pictures or [], "charts": charts or [], "notice": notice}
    return markup.render("sheet.html", values)


def _real(run: Run, n: int) -> Tensor:
    test = run.splits().test.x
    return TrainingSet(test).sample(min(n, len(test)), seed=0)


def _images(run: Run, shown: Mapping[str, Tensor]) -> list[Picture]:
    low, high = run.span()
    found = []
    for title, x in shown.items():
        pixels = images.grid((x - low) / (high - low), columns=COLUMNS)
        data, size, mime = embedded.fitted(images.enlarged(pixels, width=embedded.SIDE))
        words = f"{title}, none picked."
        found.append(Picture(data=data, size=size, mime=mime, alt=title, title="", caption=words))
    return found


def _points(shown: Mapping[str, Tensor], data: Tensor) -> list[Chart]:
    """A plot of each set of points, on the axes of the data."""
    if data[0].numel() == 1:
        numbers = {title: x.flatten().double().cpu().numpy() for title, x in shown.items()}
        svg = scatter.histogram(numbers, name="sheet")
        return [Chart(" and ".join(shown).capitalize(), "Densities; none picked.", svg)]
    ends = scatter.ends(scatter.plane(data, data))
    plain = data[0].numel() == 2
    labels = {} if plain else {"labels": ("first principal direction", "second")}
    low, high = torch.tensor(ends).T
    found = []
    for i, (title, x) in enumerate(shown.items()):
        points = scatter.plane(x, data)
        inside = torch.from_numpy(points).ge(low) & torch.from_numpy(points).le(high)
        beyond = 1 - inside.all(dim=1).double().mean().item()
        meaning = f"{len(x):,}, none picked." + f" {beyond:.1%} lie beyond the axes." * (beyond > 0)
        svg = scatter.draw(points, name=f"sheet{i}", limits=ends, colour=i, **labels)
        found.append(Chart(title, meaning, svg))
    return found
