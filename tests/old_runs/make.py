"""Make the run folders beside this file, with the package as it was at commit c3d27cf.

    git worktree add /tmp/old c3d27cf
    PYTHONPATH=/tmp/old/src python tests/old_runs/make.py

Each run is trained for some updates and stopped by SIGTERM. `expected.npz` in it holds what that
commit computed: `decode_*` is G(z) of each sampler at `z`, and `end.*` is the learner's state
after that commit had gone on to the end. Samples of a seed are others on purpose since then. What a
resume does not read is left out: curves for TensorBoard and, but in `game`, pictures and the best
checkpoint.

The end of `images` is the exception: it is that of commit 45620fa, from the same checkpoint. At
c3d27cf Adam moved the weights of convolutions by the gradients of others.
"""

import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from advnets.config import from_dict
from advnets.rundir import RunDir
from advnets.trained import load
from PIL import Image

from advnets import run

HERE = Path(__file__).parent
TRAINER = {"steps": 12, "log_every": 2, "score_every": 4, "picture_every": 5}
TRAINER |= {"checkpoint_every": 3}
EVALUATION = {"samples": 20, "validation": 6, "sigma_count": 3}
ARRAY = {"kind": "array", "path": "data.npy", "validation": 0.2, "test": 0.2}
IMAGES = {"kind": "images", "path": "pictures", "size": 8, "grey": True}
ADAM = {"rule": "adam", "lr": 0.002, "anneal": "cosine"}
CHAIN = {"chains": 4, "burn_in": 3, "thin": 2}
MLP_G = {"kind": "mlp", "hidden": [4, 4], "output": "sigmoid"}
MLP_D = {"kind": "mlp", "units": [4, 4], "pieces": 2}
MLP_D |= {"include_input": 0.8, "include_hidden": 0.5}
OPTIMISERS = {"G_optimizer": {"lr": 0.05}, "D_optimizer": {"lr": 0.05}}
GAME = {"kind": "game", "z_dim": 3, "G": MLP_G, "D": MLP_D, "compiled": False}
GAME |= {"D_scale": 0.7, "average_rate": 0.1, "average_every": 2, **OPTIMISERS}
CONV = {"G": {"kind": "conv", "width": 2}, "D": {"kind": "conv", "width": 2}, "z_dim": 3}
RUNS = {
    "game": (ARRAY, GAME),
    "game_adam": (ARRAY, GAME | {"order": "alternating", "k": 2, "G_optimizer": ADAM}),
    "images": (IMAGES, GAME | CONV | {"precision": "float32", "G_optimizer": ADAM}),
    "two_stage": (ARRAY, GAME | {"kind": "two-stage", "first": 4, "below": [5]}),
    "rbm": (ARRAY, {"kind": "rbm", "hidden": 4, "chain": CHAIN}),
    "dae": (ARRAY, {"kind": "dae", "hidden": 4, "chain": CHAIN}),
    "gsn": (ARRAY, {"kind": "gsn", "hidden": [4, 3], "walkback": 2}),
    "vae": (ARRAY, {"kind": "vae", "hidden": [4, 4], "z_dim": 2, "optimizer": ADAM}),
}


class StopAt:
    """A display that ends the run as Ctrl-C does."""

    def __init__(self, update):
        self.update = update

    def show(self, status):
        if status.update == self.update:
            os.kill(os.getpid(), signal.SIGTERM)

    def say(self, text):
        print(text)

    def close(self):
        pass


def expected(folder):
    """What this commit computes of a stopped run."""
    stopped, found = load(folder, checkpoint="last"), {}
    for name, sampler in stopped.samplers().items():
        if hasattr(sampler, "decode"):
            width = stopped.config.model.z_dim
            z = torch.linspace(-1.5, 1.5, 4 * width).view(4, width)
            found["z"], found[f"decode_{name}"] = z.numpy(), sampler.decode(z).detach().numpy()
    with tempfile.TemporaryDirectory() as place:
        copy = shutil.copytree(folder, Path(place) / "run")
        assert run.resume(copy)
        end = RunDir(copy).latest(print).tensors
    return found | {
        f"end.{name}": t.float().numpy() for name, t in end.items() if name.startswith("learner.")
    }


def thinned(folder):
    """Leave what a resume reads."""
    shutil.rmtree(folder / "tensorboard")
    (folder / "checkpoints" / "00000004.safetensors").unlink()
    if folder.name != "game":
        (folder / "checkpoints" / "best.safetensors").unlink()
        shutil.rmtree(folder / "samples")
        (folder / "samples").mkdir()
        (folder / "samples" / ".gitkeep").touch()


def main():
    os.chdir(HERE)
    sys.argv = ["tests/old_runs/make.py"]  # what environment.json says of the command
    rng = np.random.default_rng(0)
    np.save("data.npy", rng.random((60, 4, 4)).astype(np.float32) ** 2)
    Path("pictures").mkdir(exist_ok=True)
    for i in range(24):
        pixels = rng.integers(0, 256, (8, 8), dtype=np.uint8)
        Image.fromarray(pixels).save(f"pictures/{i:02}.png")
    for name, (data, model) in RUNS.items():
        shutil.rmtree(name, ignore_errors=True)
        table = {"batch_size": 10, "seed": 3, "data": data, "model": model}
        table |= {"trainer": TRAINER, "evaluation": EVALUATION}
        config = from_dict(run.RunConfig, table, kinds=run.KINDS)
        assert not run.train(config, name, display=StopAt(6))
        np.savez_compressed(f"{name}/expected.npz", **expected(name))
        thinned(Path(name))


if __name__ == "__main__":
    main()
