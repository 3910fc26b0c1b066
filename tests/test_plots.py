"""Pictures, pixel by pixel, and through a file and back."""

import numpy as np
import pytest
import torch
from PIL import Image

from advnets.base.errors import BadValue
from advnets.plotting import images as plots

GROUND = 48


def images(n, channels=1, height=3, width=4):
    rng = torch.Generator().manual_seed(n)
    return torch.rand(n, channels, height, width, generator=rng)


def opened(path):
    with Image.open(path) as image:
        return image.mode, np.asarray(image)


def test_pixels_are_rounded_and_clipped():
    x = torch.tensor([-1.0, 0.0, 0.4 / 255, 0.6 / 255, 0.5, 1.0, 7.0]).view(1, 1, 1, 7)
    assert plots.to_pixels(x)[0, 0, :, 0].tolist() == [0, 0, 0, 1, 128, 255, 255]


def test_every_byte_survives_the_way_to_a_number_and_back():
    x = torch.arange(256.0).view(1, 1, 16, 16) / 255
    assert plots.to_pixels(x).ravel().tolist() == list(range(256))


def test_pixels_come_channels_last_from_any_tensor():
    x = images(2, channels=3).double().requires_grad_()
    pixels = plots.to_pixels(x)
    assert (pixels.shape, pixels.dtype) == ((2, 3, 4, 3), np.uint8)
    assert pixels[1, 2, 3, 0] == round(x[1, 0, 2, 3].item() * 255)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    ("n", "columns", "gap", "expected"),
    [(6, None, 2, 3), (9, None, 1, 3), (1, None, 2, 1), (5, 2, 0, 2), (3, 8, 3, 8), (4, 1, 2, 1)],
)
def test_a_grid_is_laid_out_pixel_by_pixel(n, columns, gap, expected, channels):
    x = images(n, channels)
    pixels = plots.to_pixels(x)
    rows = -(-n // expected)
    picture = plots.grid(x, columns=columns, gap=gap)
    assert picture.shape == (gap + rows * (3 + gap), gap + expected * (4 + gap), channels)
    for top in range(picture.shape[0]):
        for left in range(picture.shape[1]):
            row, i = divmod(top - gap, 3 + gap)
            column, j = divmod(left - gap, 4 + gap)
            number = row * expected + column
            inside = row >= 0 and column >= 0 and i < 3 and j < 4 and number < n
            need = pixels[number, i, j].tolist() if inside else [GROUND] * channels
            assert picture[top, left].tolist() == need, (top, left)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("rows", "columns"), [(4, 5), (1, 1), (2, 3)])
@pytest.mark.parametrize(("gap", "border"), [(4, 2), (4, 4), (1, 1), (3, 0)])
def test_neighbours_stand_at_the_end_of_their_row_in_a_yellow_border(
    rows, columns, gap, border, channels
):
    x, near = images(rows * columns, channels), images(rows, channels) / 2
    picture = plots.beside_neighbours(x, near, gap=gap, border=border)
    assert picture.shape == (gap + rows * (3 + gap), gap + (columns + 1) * (4 + gap), 3)
    samples, neighbours = plots.to_pixels(x), plots.to_pixels(near)

    def bordered(top, left):
        """Whether this pixel is at most `border` away from an image of the last column."""
        across = left - (gap + columns * (4 + gap))
        down = [top - (gap + row * (3 + gap)) for row in range(rows)]
        return -border <= across < 4 + border and any(-border <= d < 3 + border for d in down)

    for top in range(picture.shape[0]):
        for left in range(picture.shape[1]):
            row, i = divmod(top - gap, 3 + gap)
            column, j = divmod(left - gap, 4 + gap)
            inside = 0 <= row < rows and column >= 0 and i < 3 and j < 4
            if inside and column < columns:
                need = samples[row * columns + column, i, j]
            elif inside:
                need = neighbours[row, i, j]
            else:
                need = np.array(plots.YELLOW if bordered(top, left) else [GROUND])
            assert picture[top, left].tolist() == np.broadcast_to(need, 3).tolist(), (top, left)


@pytest.mark.parametrize("width", [1, 4, 10, 13, 800])
def test_an_enlarged_picture_is_about_as_wide_as_asked_and_of_whole_squares(width):
    pixels = plots.to_pixels(images(1, 3))[0]
    large = plots.enlarged(pixels, width=width)
    zoom = large.shape[1] // 4
    assert zoom == max(1, round(width / 4))
    for i in range(zoom):
        for j in range(zoom):
            assert np.array_equal(large[i::zoom, j::zoom], pixels)


@pytest.mark.parametrize("shape", [(5, 2), (5, 2, 4, 4), (5, 4, 4), (5, 1, 1, 4, 4)])
def test_a_grid_of_what_is_no_image_is_refused(shape):
    message = r"'x' must be of shape \(n, 1, H, W\) or \(n, 3, H, W\), got shape \(5, "
    with pytest.raises(BadValue, match=message):
        plots.grid(torch.zeros(shape))


@pytest.mark.parametrize(("channels", "mode"), [(1, "L"), (3, "RGB")])
@pytest.mark.parametrize("zoom", [1, 3])
def test_a_png_holds_every_pixel_as_large_as_asked(channels, mode, zoom, tmp_path):
    pixels = plots.to_pixels(images(1, channels))[0]
    plots.save_png(tmp_path / "a.png", pixels, zoom=zoom)
    read_mode, read = opened(tmp_path / "a.png")
    large = pixels.repeat(zoom, axis=0).repeat(zoom, axis=1)
    assert read_mode == mode
    assert np.array_equal(read.reshape(large.shape), large)


def test_samples_that_are_images_make_one_grid(tmp_path):
    x = images(10, height=28, width=28)
    plots.save_samples(tmp_path / "a.png", x)
    expected = plots.grid(x)[:, :, 0].repeat(2, axis=0).repeat(2, axis=1)
    assert np.array_equal(opened(tmp_path / "a.png")[1], expected)


@pytest.mark.parametrize(
    ("ending", "kind"), [("png", "PNG"), ("jpg", "JPEG"), ("JPEG", "JPEG"), ("webp", "WEBP")]
)
@pytest.mark.parametrize("shape", [(1, 9, 9), (3, 9, 9), (2,), (1,)])
def test_samples_are_written_in_the_format_of_the_name(ending, kind, shape, tmp_path):
    x = torch.rand(9, *shape, generator=torch.Generator().manual_seed(0))
    for name in (f"a.{ending}", "a.png"):
        plots.save_samples(tmp_path / name, x)
    with Image.open(tmp_path / f"a.{ending}") as image, Image.open(tmp_path / "a.png") as png:
        assert image.format == kind
        found, need = (np.asarray(each.convert("RGB"), dtype=int) for each in (image, png))
    assert abs(found - need).mean() < (8 if kind == "JPEG" else 3)


def test_a_picture_larger_than_its_format_is_refused(tmp_path):
    long = np.zeros((1, 20_000, 1), dtype=np.uint8)
    plots.save_picture(tmp_path / "a.jpg", long)
    with pytest.raises(BadValue, match=r"'out' must be NAME\.png .*20000 x 1 pixels.* WEBP"):
        plots.save_picture(tmp_path / "a.webp", long)
    assert not (tmp_path / "a.webp").exists()


def test_large_images_are_not_made_larger(tmp_path):
    x = images(2, channels=3, height=60, width=40)
    plots.save_samples(tmp_path / "a.png", x)
    assert np.array_equal(opened(tmp_path / "a.png")[1], plots.grid(x))


def test_single_pictures_go_by_the_number_of_their_sample(tmp_path):
    x = images(3)
    plots.save_singles(tmp_path / "new" / "folder", x, start=41)
    files = sorted((tmp_path / "new" / "folder").iterdir())
    assert [f.name for f in files] == ["000041.png", "000042.png", "000043.png"]
    for file, pixels in zip(files, plots.to_pixels(x), strict=True):
        assert np.array_equal(opened(file)[1], pixels[:, :, 0])


def test_single_pictures_of_what_is_no_image_are_refused_and_leave_no_folder(tmp_path):
    message = r"'samples' must be of shape \(n, 1, H, W\) or \(n, 3, H, W\) for PNGs, got shape"
    with pytest.raises(BadValue, match=message):
        plots.save_singles(tmp_path / "out", torch.zeros(5, 2))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("shape", [(1,), (2,), (5,), (2, 8, 8)])
@pytest.mark.parametrize("with_data", [False, True])
def test_points_are_drawn_whatever_their_dimension(shape, with_data, tmp_path):
    x = torch.randn(50, *shape, generator=torch.Generator().manual_seed(0))
    plots.save_samples(tmp_path / "a.png", x, data=x + 1 if with_data else None)
    assert opened(tmp_path / "a.png")[1].shape == (600, 600, 4)


@pytest.mark.parametrize("samples", [torch.zeros(50, 1), torch.full((50, 1), 9.0)])
def test_samples_on_one_spot_and_far_from_the_data_are_drawn(samples, tmp_path):
    data = torch.randn(50, 1, generator=torch.Generator().manual_seed(0)).clamp(-2, 2)
    plots.save_points(tmp_path / "with.png", samples, data)
    plots.save_points(tmp_path / "without.png", samples)
    assert (opened(tmp_path / "with.png")[1] != opened(tmp_path / "without.png")[1]).any()


def test_points_show_samples_beside_data(tmp_path):
    x = torch.tensor([[0.0, 0.0], [1.0, 1.0]])
    plots.save_points(tmp_path / "a.png", x, x + torch.tensor([0.0, 0.5]))
    pixels = opened(tmp_path / "a.png")[1][:, :, :3].reshape(-1, 3).astype(int)
    bluish = (pixels[:, 2] - pixels[:, 0] > 60).any()
    grey = ((np.ptp(pixels, axis=1) < 3) & (abs(pixels[:, 0] - 0xCC) < 12)).any()
    assert bluish
    assert grey


def test_what_is_an_image_and_how_many_fill_a_picture():
    assert [plots.is_image(s) for s in ((1, 4, 4), (3, 4, 4), (2, 4, 4), (4, 4), (9,))] == [
        True,
        True,
        False,
        False,
        False,
    ]
    assert plots.picture_size((1, 28, 28)) == 100
    assert plots.picture_size((2,)) == 1000


def test_clouds_stand_side_by_side_on_the_data_and_what_is_beyond_it_is_not_seen():
    data = torch.tensor([[-1.0, -1.0], [1.0, 1.0]])
    near, far = torch.zeros(20, 2), torch.full((20, 2), 50.0)
    pixels = plots.clouds({"near": near, "far": far}, data=data).astype(int)
    assert pixels.shape[1:] == (800, 3)
    bluish = pixels[:, :, 2] - pixels[:, :, 0] > 60
    assert bluish[:, :400].any()
    assert not bluish[:, 400:].any()
