"""Which of the things that the paper leaves open move the raw Parzen score of its MNIST game?

    python benchmarks/mnist_study.py --root FOLDER run              # all settings, seeds 0 and 1
    python benchmarks/mnist_study.py --root FOLDER run base adam --seeds 2
    python benchmarks/mnist_study.py measure                        # other measures, raw weights
    python benchmarks/mnist_study.py table                          # what has been run, as Markdown
    python benchmarks/mnist_study.py curve --run runs/mnist-long    # one run's validation scores
    python benchmarks/mnist_study.py quick                          # all of it in a minute, for CI

The base is the published game in bfloat16 for 15 epochs, but with Adam (5e-4, .5, .99), whose rate
half a cosine brings to zero: the paper's momentum has not got going by then. Every other setting
makes one change to it. Scores are on the 10,000 validation images, sigma chosen on the
same ones; no test image is read for any of it. A run that is there already is gone on with, or left
alone when it is finished.
"""

import argparse
import itertools
import json
import math
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import advnets
from advnets import cli
from advnets.base.rng import generator
from advnets.evaluation import distances, features, neighbours
from advnets.runs import run_config
from advnets.sampling.samplers import TrainingSet
from advnets.storage.run_folder import RunDir

EPOCHS, BATCHES = 15, 500
COMMON = (
    "--model.precision bfloat16 --evaluation.validation 10000 --trainer.sample_every 2500 "
    "--trainer.checkpoint_every 2500"
)


def both(option: str, value: object) -> str:
    """An option of both players' optimisers."""
    return " ".join(f"--model.{player}_optimizer.{option} {value}" for player in "GD")


MOMENTUM = both("optimizer", "momentum")
BASE = " ".join(
    (both("optimizer", "adam"), both("beta2", 0.99), both("lr", 5e-4), both("anneal", "cosine"))
)
SETTINGS: dict[str, tuple[str, str]] = {
    "base": ("base", ""),
    "gaussian": ("z gaussian", "--model.prior gaussian"),
    "z20": ("z of 20", "--model.z_dim 20"),
    "z400": ("z of 400", "--model.z_dim 400"),
    "alternating": ("alternating", "--model.order alternating"),
    "k2": ("k = 2", "--model.k 2"),
    "published": ("the paper's momentum, rate .1", f"{MOMENTUM} {both('lr', 0.1)}"),
    "momentum3": ("the paper's momentum, rate .3", f"{MOMENTUM} {both('lr', 0.3)}"),
    "beta0": ("no momentum (beta1 0)", both("beta1", 0.0)),
    "beta8": ("momentum .8 (beta1)", both("beta1", 0.8)),
    "lr2": ("rate 2e-4", both("lr", 2e-4)),
    "lr10": ("rate 1e-3", both("lr", 1e-3)),
    "lr20": ("rate 2e-3", both("lr", 2e-3)),
    "lr40": ("rate 4e-3", both("lr", 4e-3)),
    "D-keeps": ("only G's rate decays", "--model.D_optimizer.anneal none"),
    "G-faster": ("G's rate 1e-3", "--model.G_optimizer.lr 1e-3"),
    "D-faster": ("D's rate 1e-3", "--model.D_optimizer.lr 1e-3"),
    "batch50": ("batches of 50", "--batch_size 50"),
    "batch200": ("batches of 200", "--batch_size 200"),
    "input5": ("D keeps .5 of x, not .8", "--model.D.dropout_input 0.5"),
    "hidden3": ("D keeps .3 of hidden units, not .5", "--model.D.dropout_hidden 0.7"),
    "hidden8": ("D keeps .8 of hidden units", "--model.D.dropout_hidden 0.2"),
    "norms": (
        "column norms of 1.9365",
        "--model.G.max_col_norm 1.9365 --model.D.max_col_norm 1.9365",
    ),
    "noise": ("noise of .3 on D's inputs", "--model.D.input_noise 0.3"),
    "D-irange": ("D starts in +-.05, not +-.005", "--model.D.irange 0.05"),
    "bias0": ("G's output starts at .5", "--model.G.bias_from_marginals False"),
}


def words_of(name: str, also: str = "") -> list[str]:
    """The options of one setting, after `advnets train mnist`."""
    change = SETTINGS[name][1].split()
    per_epoch = BATCHES
    if "--batch_size" in change:
        per_epoch = BATCHES * 100 // int(change[change.index("--batch_size") + 1])
    steps = EPOCHS * per_epoch
    length = f"--trainer.steps {steps} --trainer.score_every {steps}"
    options = dict(pairs(f"{COMMON} {length} {BASE}".split()) | pairs(change) | pairs(also.split()))
    return [word for pair in options.items() for word in pair]


def pairs(words: Sequence[str]) -> dict[str, str]:
    """`--a 1 --b 2` as a dictionary."""
    return dict(zip(words[::2], words[1::2], strict=True))


def play(name: str, seed: int, root: Path, runs: Path, also: str = "") -> None:
    """Train one setting with one seed, or go on with it."""
    folder = runs / f"{name}-{seed}"
    if folder.exists():
        if finished(folder) is None:
            command(["train", "--resume", str(folder)])
        return
    where = ["--data.root", str(root), "--seed", str(seed), "--folder", str(folder)]
    command(["train", "mnist", *words_of(name, also), *where])


def command(words: list[str]) -> None:
    """Run a command of the library, and end where it fails."""
    if cli.main(words) != 0:
        raise SystemExit(1)


def finished(folder: Path) -> dict[str, Any] | None:
    """The validation scores at a run's last update, raw and averaged; None before that."""
    steps = run_config.config_of(folder).trainer.steps
    for record in RunDir(folder).records():
        if record["update"] == steps and "validation" in record:
            scores: dict[str, Any] = record["validation"]
            return scores
    return None


def measured(folder: Path) -> dict[str, str]:
    """Frechet distance, precision and recall of 5,000 samples against validation images."""
    kept = folder / "quality.json"
    if not kept.exists():
        return {}
    found: dict[str, str] = json.loads(kept.read_text(encoding="utf-8"))
    return found


def measure(folders: Sequence[Path]) -> None:
    """Take the other measures of finished runs, each once."""
    left = [f for f in folders if f.exists() and finished(f) is not None and not measured(f)]
    if not left:
        return
    splits = advnets.load(left[0], checkpoint="last").splits()
    space = features.learn(splits)
    y = space.features(TrainingSet(splits.validation.x).sample(SAMPLES, seed=0))
    for folder in left:
        x = space.features(advnets.load(folder, checkpoint="last").sample(SAMPLES, seed=0))
        balls = neighbours.neighbourhoods(x, y, rng=generator(0, "study"))
        found = {"frechet": distances.frechet_distance(x, y, rng=generator(0, "study"))}
        found |= {name: getattr(balls, name) for name in MEASURES[1:]}
        shown = {name: str(estimate).split(" ")[0] for name, estimate in found.items()}
        (folder / "quality.json").write_text(json.dumps(shown), encoding="utf-8")
        print(folder, shown, flush=True)


def seconds(folder: Path) -> float:
    """How long a run has trained."""
    return max((r["seconds"] for r in RunDir(folder).records("clock")), default=math.nan)


def rows(runs: Path) -> Iterator[str]:
    """One line of Markdown a setting: scores of every seed, their mean, the change to the base."""
    means: dict[str, float] = {}
    for name, (what, _) in SETTINGS.items():
        folders = [runs / f"{name}-{seed}" for seed in range(10)]
        found = [f for f in folders if f.exists() and finished(f) is not None]
        scores = [finished(f) or {} for f in found]
        if not scores:
            continue
        raw, averaged = ([s[w] for s in scores] for w in ("raw", "averaged"))
        means[name] = sum(s["mean"] for s in raw) / len(raw)
        change = f"{means[name] - means['base']:+.1f}" if "base" in means else ""
        minutes = sum(map(seconds, found)) / len(found) / 60
        cells = [
            what,
            ", ".join(f"{s['mean']:.1f}" for s in raw),
            f"{raw[0]['standard_error']:.1f}",
            f"{raw[0]['sigma']:.3f}",
            ", ".join(f"{s['mean']:.1f}" for s in averaged),
            f"{means[name]:.1f}",
            change,
            *(", ".join(measured(f).get(m, "-") for f in found) for m in MEASURES),
            f"{minutes:.1f}",
        ]
        yield f"| {' | '.join(cells)} |"


SAMPLES = 5_000
MEASURES = ("frechet", "precision", "recall", "coverage")
HEAD = (
    "| setting | raw, seed by seed (nats) | standard error | sigma | averaged | raw, mean "
    f"| to base | {' | '.join(MEASURES)} | minutes |\n{'|---' * (8 + len(MEASURES))}|"
)


def curve(folder: Path) -> Iterator[str]:
    """A run's validation scores, ever further apart."""
    batches = run_config.config_of(folder).batch_size
    shown, step = 0.0, 10
    yield "| epoch | raw | averaged | sigma, raw | D(x) | D(G(z)) |\n|---|---|---|---|---|---|"
    seen: dict[str, float] = {}
    for record in RunDir(folder).records():
        seen = record if "D_x" in record else seen
        epoch = record["update"] * batches / 50_000
        if "validation" not in record or epoch < shown + step:
            continue
        shown, step = epoch, max(10, int(epoch / 40) * 10)
        raw, averaged = (record["validation"][w] for w in ("raw", "averaged"))
        cells = [f"{epoch:.0f}", f"{raw['mean']:.1f}", f"{averaged['mean']:.1f}"]
        cells += [f"{raw['sigma']:.3f}", f"{seen['D_x']:.2f}", f"{seen['D_Gz']:.2f}"]
        yield f"| {' | '.join(cells)} |"


QUICK = (
    "--trainer.steps 20 --trainer.score_every 20 --evaluation.samples 300 "
    "--evaluation.validation 300 --model.G.hidden 30 --model.D.units 30"
)


def quick(root: Path) -> None:
    """Every step of the study on two small games, and whether all options exist."""
    for name in SETTINGS:
        command(["train", "mnist", *words_of(name), "--data.root", str(root), "--dry-run"])
    with tempfile.TemporaryDirectory() as scratch:
        runs = Path(scratch)
        for name in ("base", "noise"):
            play(name, 0, root, runs, also=QUICK)
        measure([runs / "base-0", runs / "noise-0"])
        print(HEAD, *rows(runs), *curve(runs / "base-0"), sep="\n")


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", type=Path, default=Path("mnist"))
    parser.add_argument("--runs", type=Path, default=Path("runs/study"))
    parser.add_argument("--run", type=Path, default=Path("runs/mnist-long"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("do", choices=["run", "measure", "table", "curve", "commands", "quick"])
    parser.add_argument("settings", nargs="*", default=list(SETTINGS))
    options = parser.parse_args()
    if options.do == "table":
        print(HEAD, *rows(options.runs), sep="\n")
    elif options.do == "measure":
        named = itertools.product(options.settings, options.seeds)
        measure([options.runs / f"{name}-{seed}" for name, seed in named])
    elif options.do == "quick":
        quick(options.root)
    elif options.do == "curve":
        print(*curve(options.run), sep="\n")
    elif options.do == "commands":
        print(json.dumps({name: " ".join(words_of(name)) for name in options.settings}, indent=1))
    else:
        for seed in options.seeds:
            for name in options.settings:
                play(name, seed, options.root, options.runs)


if __name__ == "__main__":
    main()
