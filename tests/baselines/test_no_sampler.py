"""A model without a sampler goes through the whole house, and says where it stops."""

import numpy as np
import pytest

import advnets
from advnets.cli import main
from advnets.data import ArrayConfig
from advnets.report import page
from conftest import small_run


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The folder of a plain autoencoder's run on 200 images."""
    folder = tmp_path_factory.mktemp("codes")
    np.save(folder / "x.npy", np.random.default_rng(0).random((200, 6, 5), dtype=np.float32))
    said = []

    class Display:
        def show(self, status):
            pass

        def say(self, text):
            said.append(text)

        def close(self):
            pass

    config = small_run(
        data=ArrayConfig(path=str(folder / "x.npy")), model=advnets.AutoencoderConfig(hidden=7)
    )
    assert advnets.train(config, folder / "run", display=Display())
    return folder / "run", "\n".join(said)


def test_it_is_trained_without_scores_and_pictures_and_says_so(trained):
    folder, said = trained
    assert "'autoencoder' has no sampler: no pictures of samples. No validation scores" in said
    assert "The first logged value is the loss." in said
    assert not list((folder / "pictures").glob("*.png")) and len(
        list((folder / "checkpoints").iterdir())
    )


def test_its_codes_and_reconstructions_can_be_had_from_the_folder(trained):
    run = advnets.load(trained[0])
    x = run.splits().test.x
    h = run.learner.encode(x)
    assert run.update == 40 and h.shape == (len(x), 7)
    assert run.learner.decode(h).shape == x.shape


WORDS = "'model' must be one that can be sampled, got 'autoencoder', which has no sampler."


@pytest.mark.parametrize(
    "ask",
    [
        lambda run: run.sample(3),
        lambda run: run.sampler("raw"),
        lambda run: run.evaluate(),
        lambda run: run.quality(),
        lambda run: run.score(),
    ],
)
def test_what_needs_a_sampler_says_that_there_is_none(ask, trained):
    with pytest.raises(ValueError, match=WORDS):
        ask(advnets.load(trained[0]))


@pytest.mark.parametrize("command", ["sample", "evaluate", "figure 2", "figure 3"])
def test_the_command_says_so_in_one_line(command, trained, capsys):
    assert main([*command.split(), str(trained[0])]) == 2
    assert capsys.readouterr().err.strip().endswith(WORDS)


def test_its_report_has_the_curves_and_says_why_there_is_no_score(trained):
    said = []
    text = page(advnets.load(trained[0]), say=said.append)
    assert "Not scored: &#39;model&#39; must be one that can be sampled" in text
    assert "reconstruction" in text and "Figure 2" not in text
