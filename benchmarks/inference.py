"""What does an encoder know of a trained G, and what do reconstructions keep?

    python benchmarks/inference.py runs/mnist [--fit-steps 5000]     (a plain run: E is fitted here)
    python benchmarks/inference.py runs/mnist-bigan                  (a run with an E of its own)
    python benchmarks/inference.py --quick     (CI: a few updates, to see that it runs)

Published for BiGAN on MNIST (jeffdonahue/bigan, README; z of 50 coordinates): ||x - G(E(x))|| over
the same with a random pair 1.00 untrained, .72 at epoch 25, .61 at 200; 1-NN accuracy in E's last
hidden layer 96.84% untrained and 97.39% trained. So what is printed beside 1-NN in the hidden layer
are raw pixels and three untrained encoders of the same size: the gain over them is the result.
"""

import argparse
import math
import tempfile
import time
from pathlib import Path

import torch
from tiny_run import tiny_run
from torch import Tensor, nn

import advnets
from advnets.base.rng import generator
from advnets.data import Splits
from advnets.evaluation import features
from advnets.evaluation.features import FeatureSpace, class_labels
from advnets.evaluation.neighbours import nearest
from advnets.extensions.inference import regression
from advnets.extensions.inference.bigan import BiGAN
from advnets.extensions.inference.regression import Fit, RegressionConfig
from advnets.extensions.inference.search import Found, search
from advnets.networks.encoder import Encoder, EncoderConfig
from advnets.runs import inference
from advnets.runs.run import Run
from advnets.sampling.samplers import GeneratorSampler
from advnets.storage.environment import environment

UNTRAINED = 3
"""Encoders of other first weights, whose 1-NN accuracy says what an encoder has learnt."""


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("run", nargs="?", default="runs/mnist")
    parser.add_argument("--fit-steps", type=int, default=5_000)
    parser.add_argument("--test", type=int, default=2_000)
    parser.add_argument("--searched", type=int, default=128)
    parser.add_argument("--search-steps", type=int, default=300)
    parser.add_argument("--starts", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--checkpoint", choices=("best", "last"), default="best")
    parser.add_argument("--out", type=Path, default=Path())
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    if options.quick:
        with tempfile.TemporaryDirectory() as scratch:
            options.run, options.out = quick_run(Path(scratch)), Path(scratch)
            options.fit_steps, options.test, options.searched = 20, 40, 8
            options.search_steps = 10
            report(options)
    else:
        report(options)


def quick_run(folder: Path) -> Path:
    """A few updates of the plain game."""
    return tiny_run(folder, advnets.GameConfig())


def encoder(run: Run, options: argparse.Namespace) -> Encoder:
    """The run's own E, or one fitted to its G here and kept nowhere."""
    if isinstance(run.learner, BiGAN):
        assert isinstance(run.learner.E, Encoder)
        return run.learner.E.eval()
    sampler = sampler_of(run)
    config = RegressionConfig(steps=options.fit_steps)
    began = time.process_time()
    E = regression.fit(sampler.G, sampler.prior, config)
    seconds = time.process_time() - began
    fit = regression.assess(E, sampler.G, sampler.prior, min(10_000, 20 * options.test))
    print(f"E fitted by {config.steps:,} updates, {seconds:.0f} seconds of CPU.")
    show_fit(fit, min(10_000, 20 * options.test))
    return E


def sampler_of(run: Run) -> GeneratorSampler:
    """The run's G and prior."""
    return inference.generator_of(run.sampler(), run.config.model.kind)


def show_fit(fit: Fit, n: int) -> None:
    """What can be read off G's samples, coordinate by coordinate."""
    both, r2 = fit.variance + fit.mse, fit.r2
    counts = torch.histc(r2.float().clamp(0, 1), bins=5, min=0, max=1).int().tolist()
    print(
        f"On {n:,} fresh samples: MSE a coordinate {fit.mse.mean():.3f}, Var(E) + MSE "
        f"{both.mean():.3f} (least {both.min():.3f}, most {both.max():.3f}; 1 at the optimum, and "
        f"each is known to {math.sqrt(2 / n):.3f} at most)."
    )
    print(f"R2 = 1 - MSE: mean {r2.mean():.3f}; coordinates in fifths of [0, 1]: {counts}.\n")


def report(options: argparse.Namespace) -> None:
    """Measure a run and print what came out."""
    began, run = time.process_time(), advnets.load(options.run, checkpoint=options.checkpoint)
    about, splits = environment(), run.splits()
    print(f"{options.run}, update {run.update}, a '{run.config.model.kind}'.")
    print(f"Commit {about.get('commit')}; {about.get('processor')}; seed {options.seed}.")
    E, sampler = encoder(run, options), sampler_of(run)
    known = class_labels(splits.train)
    if known is None or splits.test.context is None:
        raise SystemExit(f"{options.run}: must be a run on classes of at least ten examples each.")
    x = splits.test.x[: options.test]
    labels = splits.test.context[: len(x)]
    space = features.learn(splits, say=lambda _: None)
    print(space.describe)

    def class_of(images: Tensor) -> Tensor:
        found: Tensor = known[0][space.labels(images)]
        return found

    reconstruction(E, sampler, x, labels, class_of(x), space, known[0])
    codes(E, sampler, x, options.seed)
    searched(E, sampler, x, labels, space, known[0], options)
    neighbours(E, splits, x, labels)
    print(f"\n{time.process_time() - began:.0f} seconds of CPU.")


def distances(found: Tensor, x: Tensor) -> Tensor:
    """||found - x|| of each example, `(N,)`."""
    apart: Tensor = torch.linalg.vector_norm((found - x).flatten(1), dim=1)
    return apart


def ratio(of: Tensor, over: Tensor) -> str:
    """A ratio of means with its standard error, by the delta method."""
    r = of.mean() / over.mean()
    se = (of - r * over).std() / math.sqrt(len(of)) / over.mean()
    return f"{r:.3f} +- {se:.3f}"


def reconstruction(
    E: Encoder,
    sampler: GeneratorSampler,
    x: Tensor,
    labels: Tensor,
    seen: Tensor,
    space: FeatureSpace,
    names: Tensor,
) -> None:
    """X beside G(E(x)), and the same of G's own samples."""
    found = sampler.decode(inference.encode(E, x))
    own, random = distances(found, x), distances(found, x.roll(1, 0))
    kept = (names[space.labels(found)] == labels).double().mean()
    print(f"\nReal examples ({len(x):,} of the test set)")
    print(f"  ||x - G(E(x))|| {own.mean():.3f}, random pair {random.mean():.3f}: ", end="")
    print(ratio(own, random))
    print(f"  root mean square error a number {own.square().mean().div(x[0].numel()).sqrt():.4f}")
    whole = (seen == labels).double().mean()
    print(f"  class kept {kept:.1%} (of the examples themselves {whole:.1%})")
    made = sampler.sample(len(x), seed=1)
    again = sampler.decode(inference.encode(E, made))
    own, random = distances(again, made), distances(again, made.roll(1, 0))
    print(
        f"G's own samples: {own.mean():.3f}, random pair {random.mean():.3f}: {ratio(own, random)}"
    )


def codes(E: Encoder, sampler: GeneratorSampler, x: Tensor, seed: int) -> None:
    """The law of E(x) beside that of z."""
    z = inference.encode(E, x)
    prior = sampler.prior.sample(len(x), rng=generator(seed, "z beside E(x)"))
    told = (z.var(dim=0).mean(), z.mean(dim=0).abs().mean(), prior.var(dim=0).mean())
    print("E(x): variance {:.3f}, mean |mean| {:.3f}; of z {:.3f} and 0.".format(*told))


def searched(
    E: Encoder,
    sampler: GeneratorSampler,
    x: Tensor,
    labels: Tensor,
    space: FeatureSpace,
    names: Tensor,
    options: argparse.Namespace,
) -> None:
    """Search from E(x), from random starts and from both, on real examples and on G(z)."""
    n, numbers = options.searched, x[0].numel()
    print(f"\nSearch, {options.search_steps} updates, on {n} examples:")
    print("| x | starts | RMSE a number | class kept | ||G(z*) - x|| below 1% of ||x|| |")
    print("|---|---|---|---|---|")
    for name, given in (("test", x[:n]), ("G(z)", sampler.sample(n, seed=2))):
        z = inference.encode(E, given)
        rest = [sampler.latents(n, seed=3 + i) for i in range(options.starts)]
        cases = {"E(x)": [z], "random": rest, "both": [z, *rest]}
        truth = labels[:n] if name == "test" else names[space.labels(given)]
        rows = {"G(E(x)), no search": _ended(sampler, given, [z], 0, options.seed)}
        for starts, of in cases.items():
            rows[starts] = _ended(sampler, given, of, options.search_steps, options.seed)
        for starts, found in rows.items():
            kept = (names[space.labels(sampler.decode(found.z))] == truth).double().mean()
            rms = (found.error.mean() / numbers).sqrt()
            near = found.error.sqrt() < 0.01 * given.flatten(1).norm(dim=1)
            cells = f"{rms:.4f} | {kept:.1%} | {near.double().mean():.1%}"
            print(f"| {name} | {starts} | {cells} |", flush=True)


def _ended(
    sampler: GeneratorSampler, x: Tensor, starts: list[Tensor], steps: int, seed: int
) -> Found:
    return search(sampler.G, sampler.prior, x, torch.stack(starts), steps=steps, seed=seed)


def neighbours(E: Encoder, splits: Splits, x: Tensor, labels: Tensor) -> None:
    """1-NN accuracy in E's hidden layer, in E(x), in pixels, and in untrained encoders."""
    train, own = splits.train.x[:], splits.train.context
    assert own is not None
    print(f"\n1-NN accuracy on {len(x):,} test examples, {len(train):,} training examples")

    def accuracy(of: nn.Module | None, hidden: bool) -> float:
        def rows(t: Tensor) -> Tensor:
            if of is None:
                return t.flatten(1)
            with torch.no_grad():
                parts = torch.split(t, 1_000)
                return torch.cat([of.features(p) if hidden else of(p) for p in parts])  # type: ignore[operator]

        return (own[nearest(rows(x), rows(train)).number] == labels).double().mean().item()

    se = math.sqrt(0.03 * 0.97 / len(x))
    print(f"  raw pixels           {accuracy(None, False):.2%} (+- {se:.2%} at 97%)")
    print(f"  E's hidden layer     {accuracy(E, True):.2%}")
    print(f"  E(x)                 {accuracy(E, False):.2%}")
    width = E.last.in_features
    config = EncoderConfig(hidden=tuple(m.out_features for m in E.body if isinstance(m, nn.Linear)))
    for seed in range(UNTRAINED):
        rng = generator(seed, "an untrained encoder")
        net = config.build(event_shape=E.event_shape, z_dim=E.z_dim, rng=rng)
        print(f"  untrained, seed {seed}    {accuracy(net, True):.2%} ({width} units)", flush=True)


if __name__ == "__main__":
    main()
