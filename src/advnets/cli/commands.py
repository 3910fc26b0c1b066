"""The commands sample, evaluate, figure, table, report, theory and studio."""

import contextlib
import dataclasses
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from torch import Tensor

from advnets import report
from advnets.base import errors, files
from advnets.base.distributed import Ranks, init_process_group
from advnets.base.progress import counting, display
from advnets.base.protocols import Chain
from advnets.base.terminal import say, tell
from advnets.cli import table2
from advnets.cli.options import (
    EvaluateOptions,
    FigureOptions,
    ReportOptions,
    SampleOptions,
    StudioOptions,
    TableOptions,
    TheoryOptions,
)
from advnets.cli.parsing import parse
from advnets.cli.show import show, show_inception, show_quality
from advnets.evaluation.inception import USUAL, InceptionConfig
from advnets.evaluation.protocol import Evaluation
from advnets.experiments import FIGURES, FILMS, TABLES, failures, theorems
from advnets.plotting import film, images
from advnets.runs import loaded as trained
from advnets.runs.run import Run
from advnets.sampling import samplers
from advnets.storage import checkpoints
from advnets.studio import serve


def sample(options: SampleOptions) -> int:
    """The command `advnets sample`."""
    n = options.n if options.n is not None else 10 if len(options.class_) > 1 else 64
    errors.at_least(1, n=n)
    folder = options.run.parent if options.run.is_file() else options.run
    out = options.out or folder / "samples.png"
    files.output(out, (*images.FORMATS, ".npy", ""))
    loaded = trained.load(options.run, checkpoint=options.checkpoint)
    if options.class_:
        named = samplers.classes_named(loaded.sampler(options.weights), options.class_)
        options = dataclasses.replace(options, class_=tuple(named))
    with init_process_group() as own:
        x = _drawn(loaded, n, options, own)
    if not own.first:
        return 0
    with errors.saving(out):
        out.parent.mkdir(parents=True, exist_ok=True)
    if out.suffix == "":
        _save_singles(out, x, n, options, loaded.span())
    else:
        with checkpoints.atomic_path(out) as aside:
            if out.suffix.lower() == ".npy":
                samplers.save_array(aside, x)
            else:
                columns = n if len(options.class_) > 1 else None
                images.save_samples(aside, x, span=loaded.span(), columns=columns)
    which_sampler = options.weights or next(iter(loaded.samplers()))
    what = f"{which_sampler} samples of update {loaded.update}"
    each = f", of each class {' '.join(options.class_)}" if options.class_ else ""
    tell(f"{n} {what}{each}: {out}")
    return 0


def _save_singles(
    out: Path, x: Tensor, n: int, options: SampleOptions, span: tuple[float, float]
) -> None:
    """A folder of single pictures, with one in it for each named class."""
    parts = zip(options.class_ or (None,), torch.split(x, n), strict=True)
    with files.made_aside(out) as aside, _shown("pictures written", len(x)) as show:
        for i, (name, part) in enumerate(parts):
            folder = aside if name is None else aside / files.file_name(name)
            own = show and samplers.counted_from(i * n, show)
            images.save_singles(folder, part, start=options.start, span=span, show=own)


@contextlib.contextmanager
def _shown(what: str, n: int) -> Iterator[Callable[[int], object] | None]:
    """Inside, what shows the progress of many; None for few."""
    if n <= samplers.CHUNK:
        yield None
    else:
        with counting(what, n) as show:
            yield show


def _drawn(loaded: Run, n: int, options: SampleOptions, own: Ranks) -> Tensor:
    """The requested samples: of any class, or n of each named class."""
    classes, weights = options.class_, options.weights
    seed, start, accept = options.seed, options.start, options.accept
    parts = own.world == 1 and not isinstance(loaded.sampler(weights), Chain)
    with _shown("samples", n * max(1, len(classes)) if parts else 0) as show:
        if classes:
            errors.require(accept == "none", "accept", "'none' where classes are asked for", accept)
            return loaded.of_classes(classes, n, seed=seed, start=start, weights=weights, show=show)
        return loaded.sample(
            n, seed=seed, start=start, weights=weights, accept=accept, ranks=own, show=show
        )


def evaluate(options: EvaluateOptions) -> int:
    """The command `advnets evaluate`."""
    loaded = _loaded(options)
    protocol = loaded.config.evaluation
    if options.samples is not None:
        protocol = dataclasses.replace(protocol, samples=options.samples)
    inception = _inception(options)

    def scored(result: Evaluation) -> None:
        if own.first:
            show(result, title=f"{options.run}, update {loaded.update} ({loaded.checkpoint})")
            if result.quality is not None:
                show_quality(result.quality)
            _keep(loaded, result, options)

    with init_process_group() as own:
        if inception is not None and inception.device != "cpu":
            errors.require(own.world == 1, "inception-device", "cpu with several processes", "cuda")
        result = loaded.evaluate(
            protocol,
            seed=options.seed,
            quality=options.quality,
            inception=inception,
            ranks=own,
            scored=scored,
        )
    if own.first and result.inception is not None:
        show_inception(result.inception)
        _keep(loaded, result, options)
    return 0


def _keep(loaded: Run, result: Evaluation, options: EvaluateOptions) -> None:
    """Save scores and say where; a person who sees them has them, so a full disk is a warning."""
    try:
        loaded.keep(result, seed=options.seed)
    except errors.CannotWrite as refused:
        say(f"advnets: {errors.not_kept(refused)}")
        return
    picture = options.run / "evaluation.png"
    tell(f"\nThe first of the samples scored ({result.lines[0].name}): {picture}")
    tell(f"Scores: {options.run / 'evaluation.json'}")


def _inception(options: EvaluateOptions) -> InceptionConfig | None:
    """The settings of Inception's features, where they are asked for."""
    if options.inception is None:
        given = options.inception_device
        errors.require(given == "cpu", "inception-device", "given with --inception", given)
        return None
    return InceptionConfig(
        weights=options.inception,
        samples=options.samples or USUAL,
        device=options.inception_device,
    )


def _loaded(options: EvaluateOptions | FigureOptions | ReportOptions) -> Run:
    at = options.data
    which = options.checkpoint
    return trained.load(options.run, checkpoint=which, data_path=at.path, data_root=at.root)


def figure(words: list[str]) -> int:
    """The command `advnets figure`."""
    number, words = (words[0], words[1:]) if words else ("", [])
    if not number:
        need = f"the first word: one of {', '.join(FIGURES)}"
        raise errors.bad_value("figure", need, "nothing")
    if number not in FIGURES:
        raise errors.unknown("figure", number, FIGURES)
    options = parse(FigureOptions, words, prog=f"advnets figure {number}")
    out = options.out or options.run / f"figure{number}.png"
    files.output(out, (*images.FORMATS, ".gif") if number in FILMS else (*images.FORMATS,))
    loaded = _loaded(options)
    drawn = FILMS if out.suffix.lower() == ".gif" else FIGURES
    pixels = drawn[number](loaded, seed=options.seed, weights=options.weights)
    with checkpoints.atomic_path(out) as aside:
        if isinstance(pixels, list):
            film.save(aside, pixels, fps=10, hold=2.0, colours=64)
        else:
            images.save_picture(aside, pixels)
    weights = options.weights or next(iter(loaded.samplers()))
    tell(f"Figure {number}, {weights} weights of update {loaded.update}: {out}")
    return 0


def table(words: list[str]) -> int:
    """The command `advnets table`."""
    number, words = (words[0], words[1:]) if words else ("", [])
    if number not in TABLES:
        raise errors.unknown("table", number, TABLES)
    if number == "2":
        return table2.make(words)
    options, made = parse(TableOptions, words, prog=f"advnets table {number}"), TABLES[number]
    files.folder_of_runs(options.out)
    plan = made.Plan(
        out=options.out,
        mnist=options.mnist,
        tfd=options.tfd,
        folders=options.from_,
        models=options.models or tuple(made.MODELS),
        train=options.train or not options.from_,
        quick=options.quick,
    )
    finished = made.make(
        plan,
        command=shlex.join(["advnets", "table", number, *words]),
        say=display().say,
        display=display,
    )
    if finished is None:
        tell("Stopped, and saved. Go on with the same command.")
        return 130
    written = made.write(finished, options.out)
    tell(made.markdown(finished))
    tell(f"Table {number}: {', '.join(map(str, written))}")
    return 0


def write_report(options: ReportOptions) -> int:
    """The command `advnets report`."""
    out = files.output(options.out or options.run / "report.html", (".html",))
    loaded = _loaded(options)
    page = report.page(loaded, say=say)
    checkpoints.write_atomically(out, page.encode())
    tell(f"Report: {out}")
    return 0


def write_theory(options: TheoryOptions) -> int:
    """The command `advnets theory`."""
    if options.failures:
        out = files.output(options.out or Path("failures.html"), (".html", ".md"))
        played = failures.measure(quick=options.quick, mnist=options.mnist, say=say)
        markdown = out.suffix.lower() == ".md"
        text = failures.write(played, out.parent) if markdown else failures.page(played)
        checkpoints.write_atomically(out, text.encode())
        tell(f"Failures: {out}")
        return 0
    if options.quick or options.mnist:
        name = "quick" if options.quick else "mnist"
        raise errors.bad_value(name, "given with --failures", "without it")
    out = files.output(options.out or Path("theory.html"), (".html",))
    claims = []
    for measure in theorems.CLAIMS:
        claims.append(measure())
        tell(claims[-1].verdict)
    checkpoints.write_atomically(out, theorems.page(claims).encode())
    tell(f"Theory: {out}")
    return 0 if all(claim.holds for claim in claims) else 1


def studio(options: StudioOptions) -> int:
    """The command `advnets studio`."""
    errors.require(0 <= options.port < 2**16, "port", "from 0 to 65535", options.port)
    return serve.command(
        options.runs, out=options.out, port=options.port, how=options.weights, say=say, tell=tell
    )
