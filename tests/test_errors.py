"""What bad input gets: one clear line, exit code 2, no traceback, nothing lost or half-written.

Every case is a command as a user would give it, in a folder of its own, and the words that must come.
"""

import errno
import gzip
import json
import math
import os
import re
import struct
import tarfile
from dataclasses import replace

import numpy as np
import pytest
import torch

import pictures
from advnets import recipes
from advnets.base import errors, files
from advnets.cli import main
from advnets.data import ArrayConfig, Cifar10Config
from advnets.models.autoencoders.autoencoder import AutoencoderConfig
from advnets.models.bernoulli import binarise
from advnets.models.directed.vae import VAEConfig
from advnets.models.gsn import GSNConfig
from advnets.networks import GeneratorConfig
from advnets.optim.schedules import OptimizerConfig
from advnets.runs import train
from advnets.sampling.chains import MarkovChain
from advnets.storage import run_folder
from advnets.theory import divergences, optimum, tabular_game
from advnets.theory.distributions import Density
from advnets.training.config import TrainerConfig
from conftest import small_config, small_run
from faces import arrays as faces
from faces import write as write_faces


def write_idx(path, shape, *, magic=None, drop=0, compress=True):
    data = struct.pack(">I", magic or 0x0800 | len(shape)) + struct.pack(f">{len(shape)}I", *shape)
    data += bytes(int(np.prod(shape)) - drop)
    path.write_bytes(gzip.compress(data) if compress else data)


def nothing(folder):
    """The folder as it is."""


def image_file(**settings):
    def prepare(folder):
        (folder / "mnist").mkdir()
        shape = settings.pop("shape", (6, 28, 28))
        write_idx(folder / "mnist" / "train-images-idx3-ubyte.gz", shape, **settings)

    return prepare


def cut_gzip(folder):
    image_file()(folder)
    path = folder / "mnist" / "train-images-idx3-ubyte.gz"
    path.write_bytes(path.read_bytes()[:-20])


def array(x, name="x.npy"):
    return lambda folder: np.save(folder / name, x)


def cut_array(folder):
    np.save(folder / "x.npy", uniform(50, 4))
    os.truncate(folder / "x.npy", 900)


def uniform(*shape):
    return np.random.default_rng(0).random(shape, dtype=np.float32)


def with_nan(x, row):
    x[row, 1] = np.nan
    return x


def a_run(folder, **settings):
    (folder / "small.toml").write_text(small_run(**settings).to_toml())
    assert main(["train", str(folder / "small.toml"), "--folder", str(folder / "run")]) == 0


def autoencoder(folder):
    config = small_run(model=AutoencoderConfig(hidden=5))
    (folder / "small.toml").write_text(config.to_toml())


def of_points(model):
    """Writes a run of this model on points, which lie outside [0, 1] too."""
    return lambda folder: (folder / "small.toml").write_text(small_run(model=model).to_toml())


def a_run_of_codes(folder):
    a_run(folder, model=AutoencoderConfig(hidden=5, loss="squared-error"))


def foreign_checkpoint(folder):
    a_run(folder)
    other = small_run(model=small_config(G=GeneratorConfig(hidden=(9,), output="linear")))
    (folder / "other.toml").write_text(other.to_toml())
    assert main(["train", str(folder / "other.toml"), "--folder", str(folder / "other")]) == 0
    newest = max((folder / "run" / "checkpoints").glob("0*"))
    newest.write_bytes((folder / "other" / "checkpoints" / newest.name).read_bytes())


def edited_config(folder):
    a_run(folder)
    path = folder / "run" / "config.toml"
    path.write_text(path.read_text().replace("D_loss_weight = 0.5", "D_loss_weight = 3.0"))


def folder_for_a_checkpoint(folder):
    a_run(folder)
    for path in (folder / "run" / "checkpoints").iterdir():
        path.unlink()
    (folder / "run" / "checkpoints" / "00000040.safetensors").mkdir()


def all_damaged(folder):
    a_run(folder)
    for path in (folder / "run" / "checkpoints").iterdir():
        path.write_bytes(path.read_bytes()[:-7])


def no_checkpoints(folder):
    a_run(folder)
    for path in (folder / "run" / "checkpoints").iterdir():
        path.unlink()


def other_data(folder):
    np.save(folder / "x.npy", uniform(200, 4))
    a_run_on_array(folder)
    np.save(folder / "x.npy", uniform(200, 4) / 2)


def a_run_on_array(folder):
    words = "--trainer.steps 4 --batch_size 10 --evaluation.samples 20 --model.G.hidden 5 --model.D.units 5"
    path, out = str(folder / "x.npy"), str(folder / "run")
    assert main(["train", "array", "--data.path", path, "--folder", out, *words.split()]) == 0


def facts_cut_short(folder):
    a_run(folder)
    (folder / "run" / "data.json").write_text('{"low": 0.0')


def facts_of_another_time(folder):
    a_run(folder)
    (folder / "run" / "data.json").write_text('{"low": 0.0}')


def facts(text):
    return lambda folder: (a_run(folder), (folder / "run" / "data.json").write_text(text))


def toml(text):
    return lambda folder: (folder / "my.toml").write_text(text)


def conditional(y):
    """A run told the labels `y` of 200 rows."""

    def prepare(folder):
        np.savez(folder / "x.npz", x=uniform(200, 4), y=y)
        config = small_run(
            data=ArrayConfig(path="x.npz"),
            model=small_config(context="labels"),
            trainer=TrainerConfig(steps=2, score_every=0, sample_every=0),
        )
        train.train(config, folder / "run")

    return prepare


def cifar(*files):
    """A configuration on CIFAR-10 in a folder with these files."""

    def prepare(folder):
        pictures.write(folder / "c", dict(files)).mkdir(exist_ok=True)
        data = Cifar10Config(root="c")
        (folder / "cifar.toml").write_text(small_run(data=data).to_toml())

    return prepare


def cifar_archive(folder):
    cifar()(folder)
    with tarfile.open(folder / "c" / "cifar-10-binary.tar.gz", "w:gz"):
        pass


def photos(files):
    return lambda folder: pictures.write(folder / "photos", files)


def zip_of(files):
    return lambda folder: pictures.zipped(folder / "photos", files)


ON_PICTURES = "train images --data.path photos --folder run --trainer.steps 2 --batch_size 10"
ON_ARRAY = "train array --data.path x.npy --folder run --trainer.steps 2 --batch_size 10"
CASES = [
    # the command line
    ("an unknown command", nothing, "trian demo", r"Unknown command 'trian'\. Did you mean 'train'\?"),
    ("an unknown recipe", nothing, "train mnits", rf"Unknown recipe 'mnits'\. Did you mean 'mnist'\? All {len(recipes.RECIPES)} are in `advnets recipes`\."),
    ("no recipe", nothing, "train", r"'recipe' must be the first word: a name that `advnets recipes` lists, or a \.toml file, got nothing\."),
    ("an unknown option", nothing, "train ring --trainer.step 5", r"Unknown option '--trainer\.step'\. Did you mean '--trainer\.steps'\? All \d+ are in --help-all\."),
    ("an option by its last part", nothing, "train ring --momentum .9", r"Unknown option '--momentum'\. Did you mean '--model\.G-optimizer\.momentum' or '--model\.D-optimizer\.momentum'\?"),
    ("a short part with a slip", nothing, "train ring --lrr 3", r"Did you mean '--model\.G-optimizer\.lr' or '--model\.D-optimizer\.lr'\?"),
    ("a part with a slip", nothing, "train ring --dropuot-hidden .9", r"Did you mean '--model\.D\.dropout-hidden'\?"),
    ("three rates of learning", nothing, "train ring-bigan --lr .1", r"'--model\.G-optimizer\.lr' or '--model\.D-optimizer\.lr' or '--model\.E-optimizer\.lr'\?"),
    ("a switch that is neither", nothing, "train ring --trainer.warn maybe", r"'trainer\.warn' must be True or False, got maybe\."),
    ("a switch without a value", nothing, "theory --failures=", r"'failures' must be True or False, got nothing\."),
    ("a switch off and on", nothing, "evaluate run --no-quality=True", r"'--no-quality' must be given without a value, got True\."),
    ("an option that is no switch, off", nothing, "evaluate run --no-seed", r"Unknown option '--no-seed'\."),
    ("epochs that are none", nothing, "train ring --epochs many", r"'epochs' must be a number, got many\."),
    ("epochs and updates", nothing, "train ring --epochs 2 --steps 5", r"'epochs' must be given without --steps, the number of updates, got both\."),
    ("epochs of data that are not there", nothing, "train array --epochs 2", r"'data\.path' must be the \.npy, \.npz or \.csv file to train on, got nothing\."),
    ("no shell", nothing, "completion", r"'SHELL' must be one of bash, zsh, fish, got nothing\."),
    ("an unknown shell", nothing, "completion powershell", r"Unknown shell 'powershell'\."),
    ("an unknown recipe to describe", nothing, "recipes mnits", r"Unknown recipe 'mnits'\. Did you mean 'mnist'\?"),
    ("an unknown option of sample", nothing, "sample run --count 5", r"Unknown option '--count'\..* Valid: --out, --n, --seed"),
    ("a word for a number", nothing, "train ring --trainer.steps many", r"'trainer\.steps' must be an integer, got many\."),
    ("a fraction for an integer", nothing, "train ring --model.k 1.5", r"'model\.k' must be an integer, got 1\.5\."),
    ("an unknown word", nothing, "train ring --model.order parallel", r"'model\.order' must be one of alternating, simultaneous, got parallel\."),
    ("a number out of range", nothing, "train ring --model.k 0", r"'model\.k' must be a number that is at least 1, got 0\."),
    ("a rate that is no rate", nothing, "train ring --model.G_optimizer.lr -1", r"'model\.G_optimizer\.lr' must be a number above 0, got -1\.0\."),
    ("no value", nothing, "train ring --seed", r"'seed' must be an integer, got nothing\."),
    ("no run to sample", nothing, "sample", r"'RUN' must be given: the folder of a run, got nothing\."),
    ("a stray word", nothing, "train ring 12", r"Unknown argument '12'\."),
    ("a GPU where there is none", nothing, "train ring --device cuda", r"'device' must be cpu: torch finds no CUDA GPU here, got cuda\."),
    ("an unknown precision", nothing, "train ring --model.precision bf16", r"'model\.precision' must be one of auto, float32, bfloat16, got bf16\."),
    ("no figure", nothing, "figure", r"'figure' must be the first word: one of 1, 2, 3, got nothing\."),
    ("an unknown figure", nothing, "figure 7 run", r"Unknown figure '7'\. Valid: 1, 2, 3\."),
    ("no run for a figure", nothing, "figure 2", r"'RUN' must be given: the folder of a run, got nothing\."),
    ("no run to report on", nothing, "report", r"'RUN' must be given: the folder of a run, got nothing\."),
    ("an unknown option of report", nothing, "report run --seed 1", r"Unknown option '--seed'\. Valid: --out, --checkpoint, --data\.path, --data\.root\."),
    # configurations
    ("a missing TOML file", nothing, "train my.toml", r"my\.toml: no such file; give the path of a TOML configuration\."),
    ("a file that is no TOML", toml("a = = 1"), "train my.toml", r"my\.toml: is not valid TOML: "),
    ("an unknown key", toml("sede = 1"), "train my.toml", r"Unknown key 'sede'\. Did you mean 'seed'\? Valid: recipe, seed"),
    ("a key that is missing", toml("seed = 1"), "train my.toml", r"'data' must be given, got nothing\."),
    ("an unknown kind of data", toml("[data]\nkind = 'minst'\n[model]\nkind = 'game'"), "train my.toml", r"Unknown kind of DataConfig, data\.kind = 'minst'\. Did you mean 'mnist'\?"),
    ("a text for a number", toml("seed = 'one'\n[data]\nkind='ring'\n[model]\nkind='game'"), "train my.toml", r"'seed' must be an integer, got 'one'\."),
    # IDX files
    ("no folder of MNIST", nothing, "train mnist --data.root mnist", r"mnist/train-images-idx3-ubyte\.gz: no such file; --data\.root or \$ADVNETS_DATA must be the folder"),
    ("a missing IDX file", image_file(shape=(60_000, 28, 28)), "train mnist --data.root mnist", r"train-labels-idx1-ubyte\.gz: no such file"),
    ("a number beyond 2^63", nothing, "train ring --model.z_dim 9223372036854775808", r"z_dim' must be a whole number of at most 9223372036854775807, got 9223372036854775808\."),
    ("a number below float32", nothing, "train ring --model.D.irange 1e-320", r"irange' must be a number (above 0|that float32 holds: 0, or from 1\.18e-38)"),
    ("a bias that is no number", nothing, "train demo --model.G.sigmoid_bias nan", r"sigmoid_bias' must be "),
    ("minibatches without end", nothing, "train ring --model.k 1000000000000 --folder new", r"'model' must be such that it fits in the [\d.,]+ GiB of memory here, got 1000000000000 minibatches"),
    ("samples without end", nothing, "train ring --evaluation.samples 1000000000000000 --folder new", r"'evaluation\.samples' must be such that it fits in the"),
    ("examples without end", nothing, "train ring --data.examples 1000000000000000 --folder new", r"'data\.examples' must be such that it fits in the"),
    ("more samples than memory", a_run, "sample run --n 1000000000000000", r"'n' must be such that it fits in the"),
    ("a sample number beyond 2^63", a_run, "sample run --start 9223372036854775807", r"'start \+ n' must be a whole number of at most 9223372036854775807"),
    ("the home of nobody", nothing, "train images --data.path ~nobodyhere/x --folder new", r"~nobodyhere/x: must begin with the name of a user of this machine"),
    ("a folder in the home of nobody", nothing, "train ring --folder ~nobodyhere/x", r"~nobodyhere/x: must begin with the name of a user of this machine"),
    ("a place of other data", a_run, "evaluate run --data.root x", r"'data\.root' must be left out: data of kind 'ring' takes no place, got a path\."),
    ("a truncated IDX file", image_file(drop=5), "train mnist --data.root mnist", r"train-images-idx3-ubyte\.gz: truncated: its header asks for 4704 bytes of data, got 4699\."),
    ("an IDX file that is too long", image_file(drop=-3), "train mnist --data.root mnist", r"too long: its header asks for 4704 bytes of data, got at least 4705\."),
    ("a truncated gzip file", cut_gzip, "train mnist --data.root mnist", r"train-images-idx3-ubyte\.gz: truncated or damaged gzip file"),
    ("a wrong magic", image_file(magic=0x0D03), "train mnist --data.root mnist", r"must be an IDX file of unsigned bytes \(magic 0x000008NN\), got magic 0x00000d03\."),
    ("images of another size", image_file(shape=(6, 20, 20)), "train mnist --data.root mnist", r"must hold 60000 images of 28 x 28, got shape \(6, 20, 20\)\."),
    # arrays
    ("no array file", nothing, ON_ARRAY, r"x\.npy: no such file; give a \.npy, \.npz or \.csv file with --data\.path\."),
    ("no array named", nothing, "train array", r"'data\.path' must be the \.npy, \.npz or \.csv file to train on, got nothing\."),
    ("a file that is no array", lambda f: (f / "x.npy").write_text("hello"), ON_ARRAY, r"x\.npy: must be a \.npy or \.npz file of numbers, got "),
    ("an array with NaN", array(with_nan(uniform(50, 4), 17)), ON_ARRAY, r"'data' must be finite everywhere, got NaN or infinity, first in row 17\."),
    ("an array with one row", array(uniform(1, 4)), ON_ARRAY, r"'data' must be an array of at least 10 rows \(examples\), got 1\."),
    ("values that a sigmoid cannot reach", array(uniform(50, 4) * 3 - 1), ON_ARRAY, r"'data' must lie in \[0, 1\] for a sigmoid output, got values from -0\.\d+ to 1\.\d+"),
    ("an array of words", array(np.array([["a"] * 3] * 20)), ON_ARRAY, r"'data' must be an array of real numbers, got <U1\."),
    ("an array of one axis", array(uniform(50)), ON_ARRAY, r"'data' must be of shape \(n, d\), .*, got shape \(50\)\."),
    ("a mapped file that is cut short", cut_array, ON_ARRAY + " --data.resident False", r"x\.npy: truncated, before or under the run: its header asks for 928 bytes, got 900\."),
    ("an archive that is not to be resident", lambda f: np.savez(f / "x.npz", x=uniform(50, 4)), ON_ARRAY.replace("npy", "npz") + " --data.resident False", r"'data\.resident' must be left out or True for a \.npz archive, which cannot be memory-mapped, got False\."),
    ("a batch larger than the data", array(uniform(50, 4)), ON_ARRAY.replace("batch_size 10", "batch_size 64"), r"'batch_size' must be at most the number of training examples, 40, got 64\."),
    # contexts
    ("a conditional game on data without labels", array(uniform(50, 4)), ON_ARRAY + " --model.context labels", r"'model\.context' must be 'none' for data without labels \(.*\), got 'labels'\."),
    ("a word for what is told", nothing, "train ring --model.context label", r"'model\.context' must be one of none, labels, got label\."),
    ("labels with NaN", lambda f: np.savez(f / "x.npz", x=uniform(50, 4), y=with_nan(uniform(50, 2), 17)), ON_ARRAY.replace("npy", "npz") + " --model.context labels", r"'labels' must be finite everywhere, got NaN or infinity, first in row \d+\."),
    ("a class of an unconditional run", a_run, "sample run --class 7", r"'class' must be left out: the run is not conditional \(train one with --model\.context labels\), got 7\."),
    ("a class that does not exist", conditional(np.arange(200) % 3), "sample run --class 3 --out x.npy", r"Unknown class '3'\. Valid: 0, 1, 2\."),
    ("one class of several that does not exist", conditional(np.arange(200) % 3), "sample run --class 0 cat --out x.npy", r"Unknown class 'cat'\. Valid: 0, 1, 2\."),
    ("a class where vectors are told", conditional(uniform(200, 2)), "sample run --class 3 --out x.npy", r"'class' must be left out: the contexts of this run are vectors of 2 numbers, got 3\."),
    # networks
    ("a convolutional pair for points", toml("batch_size = 8\n[data]\nkind='ring'\n[model]\nkind='game'\n[model.G]\nkind='conv'\noutput='linear'"), "train my.toml", r"'examples' must be of shape \(C, H, W\), images, for a convolutional network, got shape \(2\)\."),
    ("an unknown kind of G", toml("[data]\nkind='ring'\n[model]\nkind='game'\n[model.G]\nkind='cnn'"), "train my.toml", r"Unknown kind of GeneratorKind, model\.G\.kind = 'cnn'\..* Valid: mlp, transposed-conv, conv, unet\."),
    ("kernels that leave an edge", array(uniform(50, 9, 9)), "train cifar10-conv --dry_run --model.G.stride 0", r"'model\.G\.stride' must be a number that is at least 1, got 0"),
    ("unknown units", nothing, "train cifar10 --model.G.units relu tanh", r"'model\.G\.units' must be a list, each one of relu, sigmoid, got relu tanh\."),
    ("units for some layers", nothing, "train cifar10 --model.G.units relu", r"'model\.G\.units' must be one for each hidden layer, 2, or none, got 1\."),
    ("windows that leave pixels out", array(uniform(50, 9, 9)), "train cifar10-conv --model.D.pools 4 4", r"'model\.D\.pools' must be one for each convolution, 3, got 2\."),
    ("no first stage", nothing, "train tfd --model.first 0", r"'model\.first' must be a number that is at least 1, got 0\."),
    ("units for other layers below", nothing, "train tfd --model.below_units relu", r"'model\.below_units' must be one for each new layer and one more, 2, got 1\."),
    ("a contrast of nothing", nothing, "train cifar10 --data.contrast 0", r"'data\.contrast' must be a number above 0, got 0"),
    # tables
    ("no table", nothing, "table", r"Unknown table ''\. Valid: 1, 2\."),
    ("an unknown table", nothing, "table 3", r"Unknown table '3'\. Valid: 1, 2\."),
    ("an unknown model", nothing, "table 1 --quick --models rbmm", r"Unknown model 'rbmm'\. Did you mean 'rbm'\? Valid: dbn, stacked-cae, gsn, adversarial, rbm, dbm, sbn, dae, vae\."),
    ("an unknown option of table", nothing, "table 1 --form runs", r"Unknown option '--form'\. Did you mean '--from'\? Valid: --mnist, --tfd, --from, --train"),
    ("runs from nowhere", nothing, "table 1 --quick --from runs", r"runs: must be a folder of runs, got nothing\."),
    ("runs from a file", lambda f: (f / "runs").write_text(""), "table 1 --quick --from runs", r"runs: must be a folder of runs, got a file\."),
    ("a table without MNIST", nothing, "table 1 --mnist digits", r"digits/train-images-idx3-ubyte\.gz: no such file"),
    ("a table without the faces", nothing, "table 1 --quick --tfd faces.mat", r"faces\.mat: no such file; give the file TFD_48x48\.mat\."),
    ("faces without a fold", lambda f: write_faces(f / "faces.mat", folds=faces()["folds"][:, :4]), "table 1 --quick --tfd faces.mat", r"faces\.mat: must be a file with fold 4, got 'folds' of shape \(40, 4\)\."),
    # CIFAR-10
    ("a root without CIFAR-10", cifar(), "train cifar.toml", r"c/data_batch_1\.bin: no such file; --data\.root or \$ADVNETS_DATA must be cifar-10-binary\.tar\.gz, or a folder"),
    ("a truncated file of CIFAR-10", cifar(("data_batch_1.bin", b"x" * 5)), "train cifar.toml", r"data_batch_1\.bin: truncated: must be 10000 images of 3073 bytes each, 30730000, got 5\."),
    ("an archive that is none", cifar(("cifar-10-binary.tar.gz", b"x" * 5)), "train cifar.toml", r"cifar-10-binary\.tar\.gz: truncated or damaged gzip file \("),
    ("a label that is none", cifar(("data_batch_1.bin", bytes(3073) + b"\x0b" + bytes(30_730_000 - 3074))), "train cifar.toml", r"data_batch_1\.bin: must hold labels from 0 to 9, got 11, first in image 1\."),
    ("an archive that lacks a file", cifar_archive, "train cifar.toml", r"has no data_batch_1\.bin in it; --data\.root"),
    # pictures
    ("no pictures named", nothing, "train images", r"'data\.path' must be the folder or zip of pictures to train on, got nothing\."),
    ("no such folder", nothing, ON_PICTURES, r"photos: no such folder or zip; give the pictures with --data\.path\."),
    ("a folder without images", photos({"a.txt": b"x"}), ON_PICTURES, r"photos: must hold pictures, got none among 1 other files\."),
    ("a file that is no zip", lambda f: (f / "photos").write_bytes(b"x" * 50), ON_PICTURES, r"photos: must be a folder or a whole zip, got a file that is not: it has no central directory at its end\."),
    ("a zip with a path that leads outside", zip_of({"../a.png": pictures.png(0)}), ON_PICTURES, r"photos: must hold relative paths without '\.\.', got '\.\./a\.png'\."),
    ("a class without a picture", photos(pictures.classes(9) | {"bird/x.txt": b""}), ON_PICTURES, r"photos: class 'bird' must have at least one picture, got none \(or choose --data\.labels none\)\."),
    ("a table of a file that is not there", photos(pictures.classes(9) | {"labels.csv": b"z.png,a\n"}), ON_PICTURES, r"photos/labels\.csv: must hold names of pictures that are there, got 1 not there, first 'z\.png'\."),
    ("too few pictures", photos(pictures.classes(4)), ON_PICTURES, r"photos: must hold at least 10 pictures, got 8\."),
    ("a picture that is refused", photos(pictures.classes(9) | {"cat/z.png": b""}), ON_PICTURES + " --data.unreadable refuse", r"photos: cat/z\.png: zero bytes; take it out, or choose --data\.unreadable skip\."),
    ("a decompression bomb", photos(pictures.classes(9) | {"cat/z.png": pictures.bomb(60_000, 60_000)}), ON_PICTURES + " --data.unreadable refuse", r"photos: cat/z\.png: must have at most 134,217,728 pixels, got 3600000000 pixels \(a decompression bomb\?\); take it out, or choose"),
    ("a class that may be a split", photos({f"{c}/{i}.png": pictures.png(i) for c in ("bus", "train") for i in range(6)}), ON_PICTURES, r"photos: must hold train/ and test/ or validation/ to have splits, got train/ beside bus; if it is a class, choose --data\.splits none\."),
    ("splits below classes", photos({f"{c}/{s}/{i}.png": pictures.png(i) for c in "ab" for s in ("train", "test") for i in range(6)}), ON_PICTURES, r"photos: must hold its splits at the top \(train/CLASS/\), got them in a/; "),
    ("pictures of no size", nothing, "train images --data.size 0", r"'data\.size' must be a number that is at least 1, got 0\."),
    ("pictures of no shape", nothing, "train images --data.size 48,64", r"'data\.size' must be pixels on a side, such as 32, or HEIGHTxWIDTH, such as 48x64, got 48,64\."),
    ("pictures of no height", nothing, "train images --data.size 0x64", r"'data\.size' must be a number that is at least 1, got 0\."),
    ("labels that there are not", nothing, "train images --data.labels some", r"'data\.labels' must be one of auto, none, got some\."),
    # run folders
    ("a run folder that exists", a_run, "train small.toml --folder run", r"run: exists already\. Go on with: advnets train --resume run\. Or choose another folder with --folder\."),
    ("a folder of other things", lambda f: (f / "run" / "thesis").mkdir(parents=True), "train ring --folder run", r"run: exists already\. Choose another folder with --folder\."),
    ("a folder that is no run", lambda f: (f / "run").mkdir(), "evaluate run", r"run: is not a run folder \(it has no config\.toml\)\."),
    ("no folder", nothing, "train --resume run", r"run: is not a run folder"),
    ("another recipe's run", a_run, "train ring --resume run", r"run: must be a run of recipe 'ring', got one of 'small'\."),
    ("another model's checkpoint", foreign_checkpoint, "train --resume run", r"00000040\.safetensors: is of another run: its 'model\.G\.hidden' is \[9\], this run's is \[7\]\."),
    ("a setting changed by hand", edited_config, "train --resume run", r"is of another run: its 'model\.D_loss_weight' is 0\.5, this run's is 3\.0\."),
    ("two folders", a_run, "train --resume run --folder other", r"'folder' must be left out with --resume"),
    ("an unreadable checkpoint", folder_for_a_checkpoint, "train --resume run", r"00000040\.safetensors: cannot be read \(Is a directory\)"),
    ("samples to a kind of file that there is not", a_run, "sample run --out a.tif", r"'out' must be NAME\.png, NAME\.jpg, NAME\.jpeg, NAME\.webp, NAME\.npy or the name of a folder, got a\.tif\."),
    ("a report that is no page", a_run, "report run --out run/config.toml", r"'out' must be NAME\.html, got run/config\.toml\."),
    ("a sample in a run's own folder", a_run, "sample run --out run/checkpoints/x.png", r"'out' must be another file than those that the run .*run is made of, got run/checkpoints/x\.png\."),
    ("facts of another shape", facts('{"event_shape": "2", "low": 0, "high": 1}'), "sample run", r"run/data\.json: missing or damaged \(event_shape: expected array, got str\)\."),
    ("a number beyond all others", toml(f"seed = {2**63}\n[data]\nkind='ring'\n[model]\nkind='game'"), "train my.toml", r"my\.toml: 'seed' must be a number between -2\^63 and 2\^63, got 9223372036854775808\."),
    ("a number that is none", toml("[data]\nkind='ring'\nstd=nan\n[model]\nkind='game'"), "train my.toml", r"my\.toml: 'data\.std' must be a finite number, got nan\."),
    ("a configuration without a floor", toml("a = " + "[" * 100_000), "train my.toml", r"my\.toml: is not valid TOML: nested too deeply\."),
    ("a configuration that is a folder", lambda f: (f / "my.toml").mkdir(), "train my.toml", r"my\.toml: cannot be read \(Is a directory\)"),
    ("a flag that is neither", nothing, "train ring --model.G.bias_from_marginals maybe", r"'model\.G\.bias_from_marginals' must be True or False, got maybe\."),
    ("sizes beyond all memory", nothing, "train ring --model.G.hidden 100000000000 --folder run", r"'model\.G\.hidden' must be such that it fits in the .* of memory here, got \[100000000000\]"),
    ("a changed precision", a_run, "train --resume run --model.precision bfloat16", r"'model\.precision' must be 'float32' to resume run, got 'bfloat16': it changes the run\."),
    ("a changed setting", a_run, "train --resume run --model.k 2", r"'model\.k' must be 1 to resume run, got 2: it changes the run\. Start a new one with --folder\."),
    ("a changed seed", a_run, "train --resume run --seed 5", r"'seed' must be 0 to resume run, got 5"),
    ("fewer steps than were made", a_run, "train --resume run --trainer.steps 3", r"'trainer\.steps' must be at least 40, where the run stands, got 3\."),
    ("changed data", other_data, "train --resume run", r"'data \(\w+\)' must be .* to resume run, got "),
    ("no whole checkpoint", all_damaged, "train --resume run", r"00000040\.safetensors: damaged checkpoint \("),
    ("no whole checkpoint to sample", all_damaged, "sample run", r"best\.safetensors: damaged checkpoint \("),
    ("no checkpoint yet", no_checkpoints, "sample run", r"run: has no checkpoint yet; go on with: advnets train --resume run"),
    ("facts that are cut short", facts_cut_short, "sample run", r"run/data\.json: missing or damaged \("),
    ("facts that lack some", facts_of_another_time, "sample run", r"run/data\.json: missing or damaged \(object missing required field event_shape\)"),
    ("a name that the system does not take", nothing, "train ring --trainer.steps 2 --folder " + "x" * 300, r"x: File name too long\."),
    ("weights that there are not", a_run, "sample run --weights mean", r"Unknown weights 'mean'\. .*Valid: raw, averaged\."),
    ("no samples", a_run, "sample run --n 0", r"'n' must be a number that is at least 1, got 0\."),
    ("points as pictures", a_run, "sample run --out pictures", r"'samples' must be of shape \(n, 1, H, W\) or \(n, 3, H, W\) for PNGs"),
    ("a flag of evaluate that is neither", nothing, "evaluate run --quality maybe", r"'quality' must be True or False, got maybe\."),
    ("a report on a folder that is no run", lambda f: (f / "run").mkdir(), "report run", r"run: is not a run folder \(it has no config\.toml\)\."),
    ("a report without checkpoints", no_checkpoints, "report run", r"run: has no checkpoint yet; go on with: advnets train --resume run"),
    ("a figure without checkpoints", no_checkpoints, "figure 2 run", r"run: has no checkpoint yet; go on with: advnets train --resume run"),
    ("a figure of a folder that is no run", nothing, "figure 3 run", r"run: is not a run folder"),
    ("neighbours of points", a_run, "figure 2 run", r"run: must be a run on images, \(1, H, W\) or \(3, H, W\), for Figure 2, got examples of shape \(2\)\."),
    ("a line through points", a_run, "figure 3 run", r"run: must be a run on images, \(1, H, W\) or \(3, H, W\), for Figure 3, got examples of shape \(2\)\."),
    ("a pair in one dimension of points in the plane", a_run, "figure 1 run", r"run: must be a run on data in one dimension, \(1\), for Figure 1, got examples of shape \(2\)\."),
    ("a film of a figure that stands still", a_run, "figure 2 run --out a.gif", r"'out' must be NAME\.png, NAME\.jpg, NAME\.jpeg or NAME\.webp, got a\.gif\."),
    ("Figure 1 to another kind of file", a_run, "figure 1 run --out a.svg", r"'out' must be NAME\.png, NAME\.jpg, NAME\.jpeg, NAME\.webp or NAME\.gif, got a\.svg\."),
    ("a figure of weights that there are not", a_run, "figure 2 run --weights mean", r"Unknown weights 'mean'\. .*Valid: raw, averaged\."),
    ("a figure to another kind of file", a_run, "figure 2 run --out a.svg", r"'out' must be NAME\.png, NAME\.jpg, NAME\.jpeg or NAME\.webp, got a\.svg\."),
    ("zero chains", nothing, "train dae --model.chain.chains 0", r"'model\.chain\.chains' must be a number that is at least 1, got 0"),
    ("a contraction that expands", nothing, "train cae --model.contraction -1", r"'model\.contraction' must be a number that is at least 0, got -1"),
    ("a stack of other heights", nothing, "train stacked-cae --model.hidden 10 9 8", r"'model\.hidden' must be|'updates' must be as many numbers as 3 layers need, 2, got 1"),
    ("a corruption that there is not", nothing, "train dae --model.corruption salt", r"'model\.corruption' must be one of masking, salt-and-pepper, gaussian, got salt\."),
    ("the cross-entropy of points", autoencoder, "train small.toml", r"'data' must lie in \[0, 1\] for a sigmoid output, got values from .*choose --model\.loss squared-error\."),
    ("a GSN of points", of_points(GSNConfig()), "train small.toml", r"'data' must lie in \[0, 1\] for a sigmoid output, got values from .*; rescale the data\."),
    ("a Bernoulli VAE of points", of_points(VAEConfig()), "train small.toml", r"'data' must lie in \[0, 1\] .*or choose --model\.likelihood gaussian\."),
    ("no walkback", nothing, "train gsn --model.walkback 0", r"'model\.walkback' must be a number that is at least 1, got 0\."),
    ("more salt and pepper than pixels", nothing, "train gsn --model.salt_and_pepper 2", r"'model\.salt_and_pepper' must be from 0 to 1, got 2\.0\."),
    ("a VAE without z", nothing, "train vae --model.z_dim 0", r"'model\.z_dim' must be a number that is at least 1, got 0\."),
    ("a variance of nothing", nothing, "train vae --model.min_stdev 0", r"'model\.min_stdev' must be a number above 0, got 0"),
    ("samples of what has no sampler", a_run_of_codes, "sample run", r"'model' must be one that can be sampled, got 'autoencoder', which has no sampler\."),
    ("a place where nothing can be written", a_run, "sample run --out small.toml/x.npy", r"small\.toml/x\.npy: could not be saved \("),
]  # fmt: skip


def contents(folder):
    return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize(
    ("prepare", "command", "words"), [c[1:] for c in CASES], ids=[c[0] for c in CASES]
)
def test_bad_input_gets_one_line(prepare, command, words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    prepare(tmp_path)
    before = contents(tmp_path)
    capsys.readouterr()
    assert main(command.split()) == 2
    out, err = capsys.readouterr()
    assert re.search(words, err), err
    assert err.startswith("advnets: ")
    assert err.count("\n") == 1
    assert "Traceback" not in out + err
    assert contents(tmp_path) == before, "something was left, lost or changed"


def test_no_numbers_to_download_from_is_one_line(tmp_path, monkeypatch, capsys):
    from advnets.data import mnist

    monkeypatch.setattr(mnist.pooch, "os_cache", lambda name: tmp_path / name)
    monkeypatch.setattr(mnist.download, "__defaults__", (("http://127.0.0.1:9/",), None))
    assert main(["train", "mnist", "--folder", str(tmp_path / "run")]) == 2
    assert re.search(
        r"http://127\.0\.0\.1:9/train-images-idx3-ubyte\.gz: could not be downloaded \(.*give the files with --data\.root\.",
        capsys.readouterr().err,
    )
    assert not (tmp_path / "run").exists()


def test_the_one_before_a_damaged_checkpoint_is_used_and_it_says_so(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    a_run(tmp_path)
    whole = (tmp_path / "run" / "metrics.jsonl").read_bytes()
    newest = tmp_path / "run" / "checkpoints" / "00000040.safetensors"
    newest.write_bytes(newest.read_bytes()[:-7])
    assert main(["train", "--resume", "run"]) == 0
    err = capsys.readouterr().err
    assert re.search(
        r"00000040\.safetensors: damaged checkpoint \(.*\)\. Using the newest that is whole: 00000036\.safetensors\.",
        err,
    )
    assert "going on from update 36" in err
    assert (tmp_path / "run" / "metrics.jsonl").read_bytes() == whole


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
def test_a_full_disk_while_saving_keeps_what_was_saved(number, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    config = small_run(
        trainer=TrainerConfig(steps=40, log_every=5, score_every=10, checkpoint_every=10)
    )
    (tmp_path / "small.toml").write_text(config.to_toml())
    real, calls = files._sync, []

    def full_from_the_third_on(handle):
        calls.append(handle.name)
        if len(calls) > 6:
            raise OSError(number, os.strerror(number))
        real(handle)

    monkeypatch.setattr(files, "_sync", full_from_the_third_on)
    assert main(["train", "small.toml", "--folder", "run"]) == 2
    err = capsys.readouterr().err.splitlines()[-1]
    assert re.search(
        rf"could not be saved \({os.strerror(number)}\); what was saved before is kept", err
    )
    assert not list(tmp_path.rglob("*.part"))
    monkeypatch.setattr(files, "_sync", real)
    assert run_folder.RunDir("run").latest(print).update >= 10
    assert main(["train", "--resume", "run"]) == 0


def test_a_loss_that_is_not_finite_stops_the_run_and_names_it(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    wild = OptimizerConfig(lr=1e25, momentum=0.0)
    config = small_run(
        model=small_config(order="alternating", G_optimizer=wild, D_optimizer=wild),
        trainer=TrainerConfig(steps=40, log_every=1, score_every=0, checkpoint_every=0),
    )
    (tmp_path / "wild.toml").write_text(config.to_toml())
    assert main(["train", "wild.toml", "--folder", "run"]) == 2
    err = capsys.readouterr().err.splitlines()[-1]
    assert re.search(
        r"^advnets: \w+ is (nan|inf|-inf) at update \d+\. The run stops; its last good checkpoint is kept",
        err,
    )
    for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines():
        assert all(np.isfinite(v) for v in json.loads(line).values())


def test_a_chain_shorter_than_its_burn_in_and_a_runaway_are_named():
    class Doubling:
        event_shape = (1,)

        def init(self, chains, *, rng):
            return torch.ones(chains, 1)

        def step(self, state, *, rng):
            return 2 * state

        def observe(self, state, *, rng):
            return state

    with pytest.raises(
        ValueError, match=r"'length' must be above the burn-in, 5 states, .*, got a chain of 5\."
    ):
        MarkovChain(Doubling(), burn_in=5).walk(5, seed=0)
    with pytest.raises(
        FloatingPointError, match=r"state reaches 128 at step 7 \(bound 100\): the feedback loop"
    ):
        MarkovChain(Doubling(), bound=100).sample(9, seed=0)
    with pytest.raises(ValueError, match=r"'chains' must be a number that is at least 1, got 0\."):
        MarkovChain(Doubling(), chains=0)


def test_real_values_are_refused_by_binary_units_that_were_told_to():
    u = torch.zeros(3)
    words = r"'x' must be 0 or 1 everywhere \(or choose --model.binarise sample\), got 0\.25\."
    with pytest.raises(ValueError, match=words):
        binarise(torch.tensor([0.0, 0.25, 1.0]), "refuse", u)
    for how in ("refuse", "sample"):
        with pytest.raises(ValueError, match=r"'x' must be in \[0, 1\] for binary units, got -2\."):
            binarise(torch.tensor([0.0, -2.0, 1.0]), how, u)


def test_a_parameter_that_is_not_finite_is_never_saved(tmp_path, monkeypatch, capsys):
    from advnets.game import Game

    monkeypatch.chdir(tmp_path)
    (tmp_path / "small.toml").write_text(small_run().to_toml())
    real = Game.step

    def poisoned(self, batches, *, rng):
        info = real(self, batches, rng=rng)
        if self.minibatches == 23:
            with torch.no_grad():
                next(self.G.parameters())[0, 0] = float("nan")
            info = {"V": torch.tensor(-1.0)}
        return info if self.minibatches < 23 else {"V": torch.tensor(-1.0)}

    monkeypatch.setattr(Game, "step", poisoned)
    assert main(["train", "small.toml", "--folder", "run"]) == 2
    err = capsys.readouterr().err.splitlines()[-1]
    assert re.search(
        r"learner\.G\.network\.net\.0\.weight is nan at update 2[4-8]\. The run stops", err
    )
    last = run_folder.RunDir("run").latest(print)
    assert last.update == 20
    assert all(t.isfinite().all() for t in last.tensors.values() if t.is_floating_point())


def test_two_processes_cannot_train_in_one_folder(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    a_run(tmp_path)
    with run_folder.RunDir("run").lock():
        assert main(["train", "--resume", "run"]) == 2
    assert "run: another process is training in this folder." in capsys.readouterr().err


def test_bfloat16_without_a_processor_for_it_is_slower_and_goes_on(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(train, "has_bfloat16", lambda: False)
    slow = small_run(model=small_config(precision="bfloat16"))
    (tmp_path / "small.toml").write_text(slow.to_toml())
    assert main(["train", "small.toml", "--folder", "run"]) == 0
    said = capsys.readouterr().err
    assert said.count("This processor does not compute in bfloat16") == 1
    assert "slower than float32; it goes on all the same." in said


@pytest.mark.parametrize(
    ("kind", "stages"), [("dbm", (1, 3)), ("dbn", (4,)), ("stacked_cae", (4,))]
)
def test_a_run_that_ends_in_its_pretraining_says_so(kind, stages):
    config = getattr(recipes, kind)()
    model = replace(config.model, updates=stages)
    for steps, said in ((4, 1), (5, 0)):
        trainer = TrainerConfig(steps=steps)
        lines = train.notices(replace(config, model=model, trainer=trainer))
        assert len([line for line in lines if "pretraining, which has 4 updates" in line]) == said


def test_too_few_samples_for_a_measure_is_a_line_beside_the_scores(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    a_run(tmp_path)
    assert main(["evaluate", "run"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    for name, need in (("Frechet distance", 20), ("classes covered", 80)):
        words = f"'{name}' must be measured on at least {need} samples and as many real examples, got 16."
        assert words in out
    assert "training mean" in out


def test_a_damaged_cache_of_features_is_named_and_made_anew(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    np.save("x.npy", uniform(200, 20))
    a_run_on_array(tmp_path)
    assert main(["evaluate", "run"]) == 0
    (kept,) = (tmp_path / "cache" / "advnets" / "features").iterdir()
    kept.write_bytes(b"hello")
    capsys.readouterr()
    assert main(["evaluate", "run"]) == 0
    err = capsys.readouterr().err
    assert re.search(rf"{kept.name}: damaged checkpoint \(.*\)\. It is trained anew\.", err)
    kept.unlink()
    kept.parent.rmdir()
    kept.parent.write_text("in the way")
    assert main(["evaluate", "run"]) == 0
    assert re.search(
        r"could not be saved \(.*\); .* The next evaluation will train it again\.",
        capsys.readouterr().err,
    )


def test_a_missing_extra_is_named(monkeypatch, capsys, tmp_path):
    monkeypatch.setitem(__import__("sys").modules, "mlxtend.data", None)
    assert main(["train", "demo", "--folder", str(tmp_path / "run")]) == 2
    assert "'mlxtend' is not installed; run: pip install 'advnets[demo]'" in capsys.readouterr().err


AXIS = torch.linspace(-3, 3, 61, dtype=torch.float64)


def bell(s=1.0, axis=AXIS):
    values = torch.exp(-((axis / s) ** 2) / 2) / (s * math.sqrt(2 * math.pi))
    return Density(values=values, axes=(axis,))


HALVES = torch.tensor([0.5, 0.5])
NARROW = bell(0.3)


@pytest.mark.parametrize(
    ("call", "need"),
    [
        pytest.param(
            lambda: divergences.C(HALVES, torch.tensor([0.5, 0.4])),
            r"'p_g' must be probabilities that sum to 1, got a sum of 0\.9\d*\.",
            id="sum",
        ),
        pytest.param(
            lambda: optimum.D_star(torch.tensor([1.2, -0.2]), HALVES),
            r"'p_data' must be finite and at least 0 everywhere, got -0\.2\.",
            id="negative",
        ),
        pytest.param(
            lambda: divergences.KL(torch.tensor([0.5, math.nan]), HALVES),
            r"'p' must be finite and at least 0 everywhere, got nan\.",
            id="nan",
        ),
        pytest.param(
            lambda: divergences.JSD(HALVES, torch.tensor([0.2, 0.3, 0.5])),
            r"'q' must be over the outcomes of 'p', a table of shape \(2\), got a table of shape \(3\)\.",
            id="other table",
        ),
        pytest.param(
            lambda: divergences.C(NARROW, bell(0.3, AXIS + 0.05)),
            r"'p_g' must be over the outcomes of 'p_data', a grid of 61 cells from -3 to 3, "
            r"got a grid of 61 cells from -2\.95 to 3\.05\.",
            id="other grid",
        ),
        pytest.param(
            lambda: divergences.C(NARROW, HALVES),
            r"'p_g' must be over the outcomes of 'p_data', a grid .*, got a table of shape \(2\)\.",
            id="table and grid",
        ),
        pytest.param(
            lambda: divergences.C(bell(), NARROW),
            r"'p_data' must be a density with an integral of 1 over its grid, got 0\.997\d*: "
            r"the grid misses 0\.002\d* of the mass\.",
            id="missed mass",
        ),
        pytest.param(
            lambda: divergences.C(NARROW, bell(0.02)),
            r"'p_g' must be a density with .*, got 1\.99\d*: the grid is too coarse for it or it is "
            r"not scaled: 0\.99\d* of the mass too much\.",
            id="coarse grid",
        ),
        pytest.param(
            lambda: Density(values=HALVES, axes=(torch.tensor([0.0, 1.0, 2.0]),)),
            r"'values' must be of shape \(n\) or \(n, m\), as long as its 1 axes: \(3,\), "
            r"got shape \(2\)\.",
            id="axis",
        ),
        pytest.param(
            lambda: Density(values=torch.ones(3) / 3, axes=(torch.tensor([0.0, 1.0, 3.0]),)),
            r"'axes' must be of at least 2 increasing, evenly spaced values each, got 0, 1, 3\.",
            id="uneven",
        ),
        pytest.param(
            lambda: Density(values=torch.ones(1), axes=(torch.ones(1),)),
            r"'axes' must be of at least 2 increasing, evenly spaced values each, got 1\.",
            id="one cell",
        ),
        pytest.param(
            lambda: optimum.V(torch.zeros(3), HALVES, HALVES),
            r"'a' must be of shape \(2,\), got shape \(3\)\.",
            id="logits",
        ),
        pytest.param(
            lambda: tabular_game.play(HALVES, HALVES, k=0, steps=1),
            r"'k' must be a number that is at least 1, got 0\.",
            id="k",
        ),
        pytest.param(
            lambda: tabular_game.play(HALVES, HALVES, k=1, steps=1, lr=-1.0),
            r"'lr' must be a number above 0, got -1\.0\.",
            id="lr",
        ),
        pytest.param(
            lambda: tabular_game.descend(HALVES, HALVES, steps=1, step_size=2.5),
            r"'step_size' must be above 0 and at most 2, got 2\.5\.",
            id="step size",
        ),
        pytest.param(
            lambda: tabular_game.descend(HALVES, HALVES, steps=-1),
            r"'steps' must be a number that is at least 0, got -1\.",
            id="steps",
        ),
    ],
)
def test_what_is_no_distribution_or_no_game_on_one_gets_one_line(call, need):
    with pytest.raises(errors.BadValue, match=rf"^{need}$"):
        call()


def test_a_damaged_log_is_named_by_its_line(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    a_run(tmp_path)
    (tmp_path / "run" / "metrics.jsonl").write_text('[]\n{"update": 1}\n')
    capsys.readouterr()
    assert main(["train", "--resume", "run"]) == 2
    words = (
        r"advnets: run/metrics\.jsonl: missing or damaged \(line 1: expected object, got array\)\."
    )
    assert re.fullmatch(words, capsys.readouterr().err.splitlines()[-1])
