"""Pictures on the page: erased and filled in, encoded and made again, as the library does both."""

import base64
import contextlib
import io
import json
import threading

import numpy as np
import pytest
import torch
from PIL import Image

import advnets
from advnets.base.protocols import Problem
from advnets.data import ArrayConfig
from advnets.extensions.conditionals import ConditionalsConfig, Filling, Unseen, filled
from advnets.extensions.inference.bigan import BiGANConfig
from advnets.extensions.inference.regression import RegressionConfig
from advnets.networks import DiscriminatorConfig, GeneratorConfig, UNetConfig
from advnets.networks.encoder import EncoderConfig
from advnets.optim.schedules import OptimizerConfig
from advnets.runs import inference
from advnets.studio import export, runs, weights
from advnets.studio.answers import answer
from advnets.studio.server import Studio
from conftest import small_run
from test_studio_maths import node, ran  # noqa: F401
from test_studio_page import SMALL as SMALL_GAME
from test_studio_page import Opened, axe, browser  # noqa: F401

quiet = lambda _: None  # noqa: E731
SHAPE = (1, 8, 8)
SMALL = {
    "z_dim": 3,
    "precision": "float32",
    "G": GeneratorConfig(hidden=(9,), irange=0.5),
    "D": DiscriminatorConfig(units=(6,), pieces=2, irange=0.5),
    "G_optimizer": OptimizerConfig(lr=0.05),
    "D_optimizer": OptimizerConfig(lr=0.05),
}


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """Trains a small model on 8 x 8 pictures; the folder of its run."""
    folder = tmp_path_factory.mktemp("trained")
    x = np.random.default_rng(0).integers(0, 256, (200, 8, 8), np.uint8)
    np.savez(folder / "x.npz", x=x, y=np.arange(200) % 2)

    def train(name, model):
        if not (folder / name).exists():
            data = ArrayConfig(path=str(folder / "x.npz"))
            assert advnets.train(small_run(data=data, recipe=name, model=model), folder / name)
        return folder / name

    return train


@pytest.fixture(scope="session")
def completing(trained):
    return trained("completing", ConditionalsConfig(masks=("rectangle", "nothing"), **SMALL))


@pytest.fixture(scope="session")
def encoding(trained):
    E = EncoderConfig(hidden=(7,), stochastic=True)
    return trained("encoding", BiGANConfig(E=E, **SMALL))


def floats(text):
    return torch.frombuffer(bytearray(base64.b64decode(text)), dtype=torch.float32)


def of(path):
    shown = runs.opened(path)
    return shown, runs.described(shown, how="float32", say=quiet)


def picture(kind, size):
    file = io.BytesIO()
    Image.new("RGB", size).save(file, kind)
    return file.getvalue()


def headers():
    """Files of known sizes, of which the last are no pictures or lack their size."""
    tall = picture("PNG", (3, 2))
    bomb = tall[:16] + (12_000).to_bytes(4, "big") + (9_000).to_bytes(4, "big") + tall[24:]
    lossless = io.BytesIO()
    Image.new("RGB", (300, 5)).save(lossless, "WEBP", lossless=True)
    kinds = [picture(kind, (300, 5)) for kind in ("PNG", "JPEG", "GIF", "BMP", "WEBP")]
    return [*kinds, lossless.getvalue(), bomb, b"<svg>" * 10, b"", kinds[1][:20] + bytes(30)]


@pytest.fixture(scope="module")
def page(node, completing, encoding, tmp_path_factory):  # noqa: F811
    rng = torch.Generator().manual_seed(1)
    x, z = torch.rand(1, *SHAPE, generator=rng), torch.randn(4, 3, generator=rng)
    mask = (torch.rand(1, *SHAPE, generator=rng) < 0.5).float()
    asked = {"x": runs.floats(x), "mask": runs.floats(mask), "z": runs.floats(z), "n": 4}
    given = {
        "files": [base64.b64encode(raw).decode() for raw in headers()],
        "filling": of(completing)[1],
        "encoding": of(encoding)[1],
        "asked": asked,
        "x": runs.floats(x),
    }
    file = tmp_path_factory.mktemp("pictures") / "given.json"
    file.write_text(json.dumps(given))
    return x, mask, z, ran(node, "pictures.mjs", file)


def test_sizes_are_read_from_headers_and_nothing_is_decoded(page):
    sizes = page[3]["sizes"]
    assert sizes[:7] == [[300, 5]] * 6 + [[12_000, 9_000]]
    assert sizes[7:] == [None] * 3


def test_pixels_become_grey_as_pillow_makes_them(page):
    grey = np.asarray(Image.fromarray(np.uint8([[[10, 20, 30]]])).convert("L"))[0, 0]
    assert page[3]["grey"] == pytest.approx([grey / 255, 1], abs=1e-6)
    assert page[3]["colour"][:2] == pytest.approx([2 * 10 / 255 - 1, 1], abs=1e-6)
    assert page[3]["spread"] == {"mean": [1, 5], "sd": [1, 0]}


def test_the_page_fills_in_what_the_library_does_and_leaves_the_rest(page, completing):
    x, mask, z, told = page
    G = advnets.load(completing).learner.G
    own = filled(G, z, (x * mask).expand(4, *SHAPE), mask.expand(4, *SHAPE))
    found = torch.tensor(told["completed"]).view(4, *SHAPE)
    assert (found - own).abs().max() < 1e-5
    seen = mask.bool().expand_as(found)
    assert torch.equal(found[seen], x.expand(4, *SHAPE)[seen])
    assert (torch.tensor(told["unseen"]) - Unseen(G)(z).flatten()).abs().max() < 1e-5
    assert told["encodes"] == [True, True, False]


def test_the_page_encodes_as_the_library_does(page, encoding):
    x, _, _, told = page
    own = advnets.load(encoding).encode(x)
    assert (torch.tensor(told["z"]) - own.flatten()).abs().max() < 1e-5


def test_the_server_completes_encodes_and_shows_test_pictures(completing, encoding):
    shown, told = of(completing)
    run, x = shown.run, torch.rand(1, *SHAPE, generator=torch.Generator().manual_seed(2))
    mask = torch.ones(1, 8, 8)
    mask[:, 4:] = 0
    asked = {"x": runs.floats(x), "mask": runs.floats(mask), "n": 8, "seed": 3}
    found = floats(answer("complete", shown, asked)["x"]).view(8, *SHAPE)
    assert torch.equal(found, run.complete(x, mask, n=8, seed=3)[:, 0])
    test = run.splits().test.x
    assert told["test"]["of"] == len(test)
    row = floats(answer("test", shown, {"row": 5})["x"])
    assert torch.equal(row, test[5].flatten())
    came = torch.frombuffer(bytearray(base64.b64decode(told["test"]["x"])), dtype=torch.uint8)
    assert (came.float() / 255 - test[: told["test"]["n"]].flatten()).abs().max() < 1e-6
    for bad in (
        asked | {"mask": runs.floats(mask * 2)},
        asked | {"mask": runs.floats(mask[:, :3])},
        asked | {"x": runs.floats(x + 1)},
        asked | {"n": 33},
    ):
        with pytest.raises(advnets.errors.BadValue):
            answer("complete", shown, bad)
    with pytest.raises(advnets.errors.BadValue, match="row"):
        answer("test", shown, {"row": len(test)})
    with pytest.raises(advnets.errors.BadValue, match="conditionals"):
        answer("complete", of(encoding)[0], asked)
    shown, _ = of(encoding)
    z = floats(answer("encode", shown, {"x": runs.floats(x)})["z"])
    assert torch.equal(z, shown.run.encode(x).flatten())


def test_a_run_says_how_an_encoder_is_had_until_one_is_fitted(trained):
    folder = trained("plain game", advnets.GameConfig(**SMALL))
    shown, told = of(folder)
    assert told["encoder"]["why"].endswith(f"advnets encode '{folder}' --fit")
    with pytest.raises(advnets.errors.BadFile, match="no encoder yet"):
        answer("encode", shown, {"x": runs.floats(torch.zeros(1, *SHAPE))})
    shown.run.fit_encoder(RegressionConfig(steps=3, hidden=(5,)), say=quiet)
    _, told = of(folder)
    assert [layer["unit"] for layer in told["encoder"]["layers"]] == ["leaky", "linear"]
    inference.place(shown.folder).write_bytes(b"damaged")
    assert str(folder) in of(folder)[1]["encoder"]["why"]


def test_a_convolutional_G_is_left_to_the_server():
    shape = {"event_shape": SHAPE, "low": 0.0, "high": 1.0, "mean": torch.zeros(SHAPE)}
    problem = Problem(**shape, batches_per_epoch=1, steps=1)
    rng = torch.Generator().manual_seed(0)
    G = Filling(UNetConfig().build(z_dim=2, problem=problem, context=128, rng=rng), SHAPE)
    assert weights.layers(Unseen(G)) is None
    with pytest.raises(advnets.errors.BadValue, match="multilayer perceptron"):
        weights.packed(Unseen(G), "int8", torch.zeros(1, 2))


# In a browser


@contextlib.contextmanager
def served(*paths):
    with Studio([runs.opened(path) for path in paths], port=0, say=quiet) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server.url
        finally:
            server.shutdown()
            thread.join()


def looked_into(it, name):
    it.page.click(f"nav >> text={name}")
    it.page.wait_for_selector("#run-view .sheet canvas")


def test_the_eraser_works_from_the_disk_by_keyboard_mouse_and_touch(
    browser,  # noqa: F811
    completing,
    tmp_path,
):
    export.write(tmp_path / "site", [runs.opened(completing)], how="int8", say=quiet)
    url = (tmp_path / "site" / "index.html").as_uri()
    with Opened(browser, f"{url}#{SMALL_GAME}", has_touch=True) as it:
        looked_into(it, "completing")
        it.until("document.body.innerText.includes('32 of 64 pixels erased')")
        assert it.page.locator("[aria-label=Completions] canvas").count() == 10
        it.page.click("text=Restore all")
        it.until("document.body.innerText.includes('Nothing is erased')")
        it.page.focus("canvas.brush")
        for key in ("ArrowLeft", "Space", "Enter", "ArrowUp", "ArrowUp", "Enter"):
            it.page.keyboard.press(key)
        it.until("document.body.innerText.includes('11 of 64 pixels erased; the')")
        for _ in range(4):
            it.page.click("#run-view >> text=Undo")
        it.until("document.body.innerText.includes('Nothing is erased')")
        box = it.page.locator("canvas.brush").bounding_box()
        it.page.touchscreen.tap(box["x"] + 0.9 * box["width"], box["y"] + 0.9 * box["height"])
        it.until("/\\b[1-9] of 64 pixels erased; the/.test(document.body.innerText)")
        it.page.mouse.move(box["x"] + 2, box["y"] + box["height"] / 2)
        it.page.mouse.down()
        it.page.mouse.move(box["x"] + box["width"] - 2, box["y"] + box["height"] / 2)
        it.page.mouse.up()
        it.until("/\\b[12]\\d of 64 pixels erased; the/.test(document.body.innerText)")
        it.clean()


def test_uploads_are_encoded_and_a_picture_of_100_megapixels_is_refused(
    browser,  # noqa: F811
    encoding,
    tmp_path,
):
    files = dict(zip(("fine", *"abcde", "bomb", "text"), headers(), strict=False))
    with served(encoding) as url, Opened(browser, f"{url}#{SMALL_GAME}", bypass_csp=True) as it:
        looked_into(it, "encoding")
        it.until("document.body.innerText.includes('Root mean square error')")
        line = "[aria-label='The line between two pictures'] canvas"
        assert it.page.locator(line).count() == 11
        for name, words in (
            ("bomb", "must have at most 50 million pixels, got 12,000 x 9,000"),
            ("text", "must be a PNG, JPEG, WebP, GIF or BMP picture"),
        ):
            (tmp_path / name).write_bytes(files[name])
            it.page.set_input_files("#picture-a-file", tmp_path / name)
            it.until(f"document.body.innerText.includes({json.dumps(words)})")
        (tmp_path / "fine.png").write_bytes(files["fine"])
        before = it.page.inner_text("[aria-label='Real pictures'] > p[aria-live]")
        it.page.set_input_files("#picture-a-file", tmp_path / "fine.png")
        it.until(
            "document.querySelector(\"[aria-label='Real pictures'] > p[aria-live]\").innerText"
            f" !== {json.dumps(before)}"
        )
        assert axe(it.page) == []
        assert it.said == []


def test_conditional_and_convolutional_runs_are_played_with(browser, trained):  # noqa: F811
    conv = ConditionalsConfig(**SMALL | {"G": UNetConfig(width=2)})
    classes = advnets.GameConfig(context="labels", **SMALL)
    folders = trained("classes", classes), trained("conv", conv)
    with served(*folders) as url, Opened(browser, f"{url}#{SMALL_GAME}") as it:
        looked_into(it, "classes")
        it.page.select_option("#run-class", "1")
        it.until("document.body.innerText.includes('Samples of seed 0')")
        assert it.page.locator("[aria-label='The plane'] canvas").count() == 25
        looked_into(it, "conv")
        it.until("document.body.innerText.includes('Computed by the server')")
        it.until("document.body.innerText.includes('over 8 completions')")
        it.page.fill("#run-seed", "4")
        it.page.keyboard.press("Enter")
        it.until("document.body.innerText.includes('Samples of seed 4')")
        it.clean()
