"""Map-style data sets: every form of an item is one minibatch, read when it is needed."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset

import advnets
from advnets.base.errors import BadValue
from advnets.data.batches import minibatches
from advnets.data.items import collate
from conftest import small_game

N = 230
X = torch.rand(N, 2, generator=torch.Generator().manual_seed(0))
LABELS = torch.arange(N) % 3
FORMS = {
    "tensor": lambda i: X[i],
    "array": lambda i: X[i].numpy(),
    "a list of one": lambda i: [X[i]],
    "a pair": lambda i: (X[i], int(LABELS[i])),
    "a pair of arrays": lambda i: (X[i].numpy(), LABELS[i].numpy()),
    "a dictionary": lambda i: {"image": X[i].numpy(), "label": int(LABELS[i]), "name": f"{i}"},
    "a dictionary of x": lambda i: {"pixel_values": X[i]},
}


class Items(Dataset):
    def __init__(self, item, n=N):
        self.item, self.n, self.asked = item, n, []

    def __len__(self):
        return self.n

    def __getitem__(self, i):
        self.asked.append(i)
        return self.item(i)


class Plain:
    """As Hugging Face's: no subclass of torch's."""

    def __init__(self, item):
        self.item = item

    def __len__(self):
        return N

    def __getitem__(self, i):
        return self.item(i)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", [Items, Plain])
def test_every_form_of_an_item_is_the_minibatch_of_a_tensor_data_set(form, kind):
    expected = DataLoader(TensorDataset(X, LABELS), batch_size=100, shuffle=True)
    own, other = (minibatches(data, seed=3) for data in (kind(FORMS[form]), expected))
    assert own.per_epoch == 3
    for step in range(4):
        (a,), (b,) = own.of_step(step, 1), other.of_step(step, 1)
        assert torch.equal(a.x, b.x)
        assert (a.context is None) == (
            form in ("tensor", "array", "a list of one", "a dictionary of x")
        )
        if a.context is not None:
            assert torch.equal(a.context, b.context)


def test_fit_reads_the_items_of_its_minibatches_and_no_others():
    data, tensors = Items(FORMS["a pair"]), DataLoader(TensorDataset(X, LABELS), 100, shuffle=True)
    games = [small_game(order="alternating", context="labels") for _ in range(2)]
    advnets.fit(games[0], data, steps=2)
    assert len(data.asked) == 200
    advnets.fit(games[0], data, steps=2)
    advnets.fit(games[1], tensors, steps=4)
    for name, t in games[0].state().items():
        assert torch.equal(t, games[1].state()[name]), name


def test_pictures_of_pillow_are_scaled_channels_first(rng):
    pixels = torch.randint(0, 256, (3, 6, 5, 3), generator=rng).to(torch.uint8).numpy()
    x = collate([Image.fromarray(p) for p in pixels])
    assert torch.equal(x, torch.from_numpy(pixels.transpose(0, 3, 1, 2) / np.float32(255)))
    assert collate([Image.fromarray(p[:, :, 0]) for p in pixels]).shape == (3, 1, 6, 5)
    x, labels = collate([(Image.fromarray(p), i) for i, p in enumerate(pixels)])
    assert (x.dtype, labels.dtype) == (torch.float32, torch.int64)


def test_a_single_left_over_is_left_out_of_an_epoch():
    assert minibatches(Items(FORMS["tensor"], 201), seed=0).per_epoch == 2
    assert minibatches(Items(FORMS["tensor"], 202), seed=0).per_epoch == 3


class Stream(IterableDataset):
    def __len__(self):
        return N

    def __iter__(self):
        return iter(X)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (lambda: Items(lambda i: (X[i], 1, 2)), r"'data' must be items x, .*got 3 values an item"),
        (lambda: Items(lambda i: {"picture": X[i]}), r"'data' must be items with one key of x, image, .*got picture"),
        (lambda: Items(lambda i: {"x": X[i], "image": X[i]}), r"must be items with one key of .*got x, image"),
        (lambda: Items(lambda i: (X[i], "cat")), r"'labels' must be numbers, arrays, .*got a str"),
        (lambda: Items(lambda i: None), r"'data' must be numbers, arrays, .*got a NoneType"),
        (lambda: Items(lambda i: X[i, : 1 + i % 2]), r"'data' must be items of one shape, got \(1,\) and \(2,\)"),
        (lambda: Items(lambda i: (X[i] * 200).byte()), r"scaled to about \[0, 1\]"),
        (Stream, r"'data' must be Batches, a tensor .*got a Stream"),
        (lambda: [*X], r"'data' must be Batches, a tensor .*got a list"),
        (lambda: Items(FORMS["tensor"], 0), r"'items' must be a number that is at least 1, got 0"),
    ],
)  # fmt: skip
def test_other_items_are_refused_in_one_line(data, words):
    with pytest.raises(BadValue, match=words):
        advnets.fit(small_game(order="alternating"), data(), steps=1)


def test_an_item_with_nan_is_named_not_the_learning_rate():
    data = Items(lambda i: X[i] * float("nan") if i == 37 else X[i])
    with pytest.raises(BadValue, match=r"'data \(minibatch \d\)' must be finite everywhere"):
        advnets.fit(small_game(order="alternating"), data, steps=3)


def picture(pixels, mode=None):
    image = Image.fromarray(np.asarray(pixels))
    return image if mode is None else image.convert(mode)


def test_pictures_of_16_bits_keep_all_of_them():
    numbers = np.arange(16, dtype=np.uint16).reshape(4, 4) * 4_000
    x = collate([picture(numbers)])
    assert x.shape == (1, 1, 4, 4)
    assert torch.equal(x[0, 0], torch.tensor(numbers.astype(np.float32) / np.float32(65_535)))


def test_transparent_pixels_are_white():
    rgba = np.zeros((2, 2, 4), np.uint8)
    rgba[0] = (255, 0, 0, 255)
    x = collate([picture(rgba)])
    assert x[0, :, 0, 0].tolist() == [1, 0, 0]
    assert x[0, :, 1, 1].tolist() == [1, 1, 1]


@pytest.mark.parametrize("mode", ["I", "F"])
def test_pictures_whose_white_is_not_known_are_refused(mode):
    with pytest.raises(BadValue, match=rf"'data' must be pictures of 8 or 16 bits .*mode {mode}"):
        collate([picture(np.zeros((2, 2), np.uint8), mode)])


def test_black_and_white_is_grey():
    assert collate([picture(np.eye(2, dtype=np.uint8) * 255, "1")])[0, 0].tolist() == [
        [1, 0],
        [0, 1],
    ]
