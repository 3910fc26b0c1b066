"""The words of every error a user can cause: name, need, got.

Each function here returns the exception to raise, so that one file holds all the sentences and
`tests/test_errors.py` can hold a case for each. The command prints a `UserError` as one line and
exits with 2; anything else is our own mistake and keeps its traceback.
"""

import contextlib
import difflib
import shlex
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path


class UserError(Exception):
    """Something the user can mend. The message is one line that says how."""


class BadValue(UserError, ValueError):
    """A value, name or array outside what is allowed."""


class BadFile(UserError, ValueError):
    """A file or folder that is missing, damaged or of another kind."""


class Unusable(BadFile):
    """One picture among many that cannot be used; says why, without its name."""


class Bomb(Unusable):
    """A picture that would fill the memory when it is decoded."""


class DamagedHeader(BadFile):
    """The header of an array's file; says what is wrong with it, without the file's name."""


class WrongMoment(UserError, RuntimeError):
    """A call that is right in itself, made at the wrong moment."""


class Diverged(UserError, FloatingPointError):
    """The game left the finite numbers."""


class CannotWrite(UserError, OSError):
    """The disk did not take what was to be saved."""


class OthersLost(UserError, ConnectionError):
    """A process of a run of several is gone, so that the run cannot go on."""


class MissingExtra(UserError, ImportError):
    """An optional package is needed and is not installed."""


def short(words: object, most: int = 300) -> str:
    """Words that may come from a file, cut to what a person reads."""
    text = str(words)
    return text if len(text) <= most else f"{text[:most]} ..."


# Values


def bad_value(name: str, need: str, got: object) -> BadValue:
    """A value outside what is allowed: `'k' must be at least 1, got 0.`."""
    return BadValue(f"'{name}' must be {need}, got {got}.")


def require(condition: bool, name: str, need: str, got: object) -> None:
    """Raise `bad_value(name, need, got)` unless the condition holds."""
    if not condition:
        raise bad_value(name, need, got)


LARGEST = 2**63 - 1
"""The largest whole number that torch and numpy hold."""
SMALL, LARGE = 2.0**-126, (2 - 2**-23) * 2.0**127
"""The smallest and largest positive numbers of float32 at full precision."""


def representable(name: str, value: object) -> None:
    """Raise unless a value, or each in a list, is one that torch, TOML and the system can hold."""
    if isinstance(value, tuple | list):
        for item in value:
            representable(name, item)
    elif isinstance(value, int):
        require(abs(value) <= LARGEST, name, f"a whole number of at most {LARGEST}", value)
    elif isinstance(value, float):
        need = f"a number that float32 holds: 0, or from {SMALL:.3g} to {LARGE:.3g} in size"
        require(value == 0 or SMALL <= abs(value) <= LARGE, name, need, value)
    elif isinstance(value, str):
        text = value.encode(errors="replace").decode() == value and "\0" not in value
        require(text, name, "text that UTF-8 can write, without NUL", repr(value)[1:-1])


def at_least(minimum: float, **values: float) -> None:
    """Raise unless every named value is a finite number that is at least `minimum`."""
    for name, value in values.items():
        if isinstance(value, int):
            representable(name, value)
        require(
            minimum <= value < float("inf"), name, f"a number that is at least {minimum}", value
        )


def positive(**values: float) -> None:
    """Raise unless every named value is a finite number above 0."""
    for name, value in values.items():
        require(0 < value < float("inf"), name, "a number above 0", value)
        representable(name, value)


def probability(**values: float) -> None:
    """Raise unless every named value lies in (0, 1]."""
    for name, value in values.items():
        require(0 < value <= 1, name, "above 0 and at most 1", value)


def one_of(valid: Iterable[str], **values: str) -> None:
    """Raise unless every named word is a valid one."""
    for name, value in values.items():
        if value not in valid:
            raise unknown(name, value, valid)


def unknown(what: str, name: str, valid: Iterable[str]) -> BadValue:
    """An unknown recipe, option, key or word; names the nearest valid one and all of them."""
    names = list(valid)
    near = difflib.get_close_matches(name, names, n=1)
    hint = f" Did you mean '{near[0]}'?" if near else ""
    return BadValue(f"Unknown {what} '{name}'.{hint} Valid: {', '.join(names)}.")


def wrong_shape(name: str, need: str, got: Iterable[int]) -> BadValue:
    """An array or tensor whose shape does not fit."""
    return bad_value(name, f"of shape {need}", f"shape ({', '.join(map(str, got))})")


def not_conditional() -> BadValue:
    """A context was given to a sampler that takes none."""
    return bad_value("context", "None: this model is not conditional", "a context")


def no_context() -> BadValue:
    """A conditional model is not told the context that it needs."""
    return bad_value("context", "given: this model is conditional", "nothing")


def no_whole_packs(n: int, pack: int, world: int = 1) -> BadValue:
    """A minibatch, or a process's share of one, that `pack` does not divide."""
    share = f" in each of {world} processes" if world > 1 else ""
    need = f"a multiple of pack, {pack}{share}, for every minibatch (the last of an epoch too)"
    return bad_value("batch_size", need, n)


def term_not_compiled(term: str) -> BadValue:
    """A term is to be compiled, whose second derivatives torch's compiler cannot capture."""
    return bad_value("compiled", f"False in a game with a term beside V ({term})", True)


def too_many_passes(passes: int) -> BadValue:
    """A term asks D more often than it said."""
    return bad_value("passes", "the number of times the term asks D", f"{passes}, and one more")


def not_compiled(rule: str, world: int) -> BadValue:
    """A game is to be compiled whose update is more than a function of this process's tensors."""
    need = "False but for the momentum rule in one process"
    return bad_value("model.compiled", need, f"True with {rule} in {world}")


def not_captured(why: object) -> BadValue:
    """The step cannot be compiled by this torch, for this network or on this system."""
    lines = [line.strip() for line in str(why).splitlines() if line.strip()]
    reason = (lines or ["no reason given"])[0][:200]
    return bad_value("model.compiled", f"False here ({reason})", True)


def not_copied(network: str, why: object) -> BadValue:
    """A network of which Python cannot make a copy, for the average of G or for bfloat16."""
    reason = " ".join(str(why).split())[:200]
    return bad_value("network", "one that copy.deepcopy takes", f"a {network} ({reason})")


def not_a_tensor(name: str, need: str, got: object) -> BadValue:
    """What a network gives is no tensor."""
    return bad_value(name, f"a tensor of {need}", f"a {type(got).__name__}")


def does_not_play(network: str, need: str, why: object) -> BadValue:
    """A network that fails on what the game gives it."""
    reason = " ".join(str(why).split())[:200]
    return bad_value(network, need, f"{type(why).__name__}: {reason}")


def needs_closure(rule: str) -> BadValue:
    """An optimiser that asks for the loss again and again."""
    need = "one whose step() needs no closure, such as torch.optim.Adam"
    return bad_value("optimizer", need, rule)


def not_a_schedule(got: str) -> BadValue:
    """A scheduler of torch where the game's own schedule belongs."""
    need = (
        "an advnets.optim.momentum.Schedule or None (call a torch scheduler's step() after "
        "game.step() in a loop of your own)"
    )
    return bad_value("schedules", need, got)


def not_logits(last: str) -> BadValue:
    """A D whose output is a probability already."""
    return bad_value("D(x)", "a logit: leave out what squashes it at D's end", last)


@contextlib.contextmanager
def normalising(examples: int) -> Iterator[None]:
    """Inside, torch's word on a minibatch of one under batch normalisation becomes ours."""
    try:
        yield
    except ValueError as error:
        if not str(error).startswith("Expected more than 1 value per channel"):
            raise
        raise too_few_to_normalise(examples) from error


def too_few_to_normalise(got: int) -> BadValue:
    """A minibatch over which batch normalisation has no variance."""
    need = "at least 2 examples for batch normalisation (a larger size, or drop the last)"
    return bad_value("minibatch", need, got)


def not_minibatches(got: object) -> BadValue:
    """Training data of a kind that has no minibatches."""
    need = (
        "Batches, a tensor or numpy array (n, ...), a TensorDataset, or a DataLoader with a length "
        "(a Dataset of another kind goes into a DataLoader, for fit)"
    )
    return bad_value("data", need, f"a {type(got).__name__}")


def not_numbers(name: str, why: object) -> BadValue:
    """An array that does not become a tensor."""
    return bad_value(name, "an array of numbers", why)


def goes_on_elsewhere(update: int, changed: str) -> str:
    """The notice where a run goes on on another machine than before."""
    return (
        f"From update {update:,} on the run is not bit for bit what it would have been: {changed}."
    )


def no_labels(reading: str = "") -> BadValue:
    """A conditional model is to be trained on data without labels; `reading` says what was read."""
    need = "'none' for data without labels (an archive's array 'y', folders that are classes)"
    error = bad_value("model.context", need, "'labels'")
    return BadValue(f"{error} {reading}") if reading else error


def no_classes(size: int, got: str) -> BadValue:
    """A class is asked of a run whose contexts are vectors."""
    need = f"left out: the contexts of this run are vectors of {size} numbers"
    return bad_value("class", need, got)


def not_conditional_run(got: str) -> BadValue:
    """A class is asked of a run that knows of none."""
    need = "left out: the run is not conditional (train one with --model.context labels)"
    return bad_value("class", need, got)


def batch_too_large(size: int, rows: int) -> BadValue:
    """A batch larger than the training set."""
    return bad_value("batch_size", f"at most the number of training examples, {rows}", size)


def not_binary(name: str, got: float) -> BadValue:
    """Real values for binary units that were told to refuse them."""
    need = "0 or 1 everywhere (or choose --model.binarise sample)"
    return bad_value(name, need, f"{got:g}")


# Several processes


def uneven_batch(size: int, world: int) -> BadValue:
    """A minibatch that cannot be shared out evenly."""
    return bad_value("batch_size", f"a multiple of the number of processes, {world}", size)


def last_batch_too_short(size: int, world: int) -> BadValue:
    """An epoch's last minibatch that leaves a process without an example."""
    need = f"such that the last one of an epoch has an example for each of {world} processes"
    return bad_value("batch_size", need, f"{size} left for it")


def too_many_ranks(got: int, places: int, what: str) -> BadValue:
    """More processes than the machine has room for."""
    return bad_value("nproc_per_node", f"at most the number of {what} here, {places}", got)


def not_by_torchrun(name: str, world: int) -> BadValue:
    """The environment speaks of several processes, and not of how they meet."""
    need = f"set where WORLD_SIZE is {world} (torchrun sets it; unset WORLD_SIZE to run alone)"
    return bad_value(name, need, "nothing")


def others_missing(world: int, address: str, seconds: int, why: object) -> OthersLost:
    """A process of several that meets none of the others."""
    first = (str(why).splitlines() or ["no reason given"])[0][:120]
    return OthersLost(
        f"'WORLD_SIZE' must be the number of processes that meet at {address} within {seconds} s, "
        f"got {world} and not all of them ({first}). Start them by torchrun, or unset WORLD_SIZE."
    )


def not_one_by_one(network: str, why: str) -> BadValue:
    """A network that several processes would play differently from one."""
    need = "a network that treats every example by itself, to be played by several processes"
    return bad_value(network, need, why)


@contextlib.contextmanager
def reaching_the_others() -> Iterator[None]:
    """Inside, what a process says when another one is gone is worded as ours."""
    try:
        yield
    except RuntimeError as error:
        if not any(word in str(error) for word in ("gloo", "NCCL", "onnection", "timed out")):
            raise
        raise others_lost(error) from None


def others_lost(why: object) -> OthersLost:
    """Another process of the run died, or was killed."""
    first = str(why).splitlines()[0][:120]
    return OthersLost(
        f"Another process of this run is gone ({first}). All stop; what was saved before is kept. "
        "If it did not say why itself, go on with the same command and --resume RUN."
    )


def no_gpu() -> BadValue:
    """A GPU is asked for where torch finds none."""
    return bad_value("device", "cpu: torch finds no CUDA GPU here", "cuda")


def compiling() -> str:
    """The notice where an update takes its time."""
    return "The step is compiled in one of the first updates, which takes about half a minute."


def slow_bfloat16() -> str:
    """The notice where bfloat16 is not in the processor."""
    return (
        "This processor does not compute in bfloat16 (no AVX512-BF16, no AMX), so "
        "--model.precision bfloat16 will be slower than float32; it goes on all the same."
    )


def outside_binary(low: float, high: float) -> BadValue:
    """Data outside [0, 1] for binary visible units."""
    need = "in [0, 1] for binary visible units (or choose --model.visible gaussian)"
    return bad_value("x", need, f"values from {low:g} to {high:g}")


def too_many_states(limit: int, n_v: int, n_h: int) -> BadValue:
    """A partition function that is too long a sum."""
    need = f"asked of a machine with at most {limit} binary units on one side"
    return bad_value("log_Z", need, f"{n_v} visible and {n_h} hidden units")


# Samplers


def no_sampler(kind: str) -> BadValue:
    """Samples are asked of a model that has none, as a plain autoencoder has none."""
    return bad_value("model", "one that can be sampled", f"'{kind}', which has no sampler")


# Chains


def chain_too_short(length: int, burn_in: int) -> BadValue:
    """A chain of which nothing is left after its burn-in."""
    need = f"above the burn-in, {burn_in} states, of which none is kept"
    return bad_value("length", need, f"a chain of {length}")


def runaway_chain(value: float, step: int, bound: float) -> Diverged:
    """A feedback loop whose activations grow without bound; names the step and the value."""
    return Diverged(
        f"The chain's state reaches {value:g} at step {step} (bound {bound:g}): the feedback loop "
        "has no bound of its own. Sigmoid or tanh units have one; piecewise linear units do not."
    )


def samples_not_finite(row: int) -> Diverged:
    """What a model gives is no number: its weights are not, or its output overflows."""
    return Diverged(
        f"The samples must be finite, got NaN or infinity, first in sample {row}: weights of the "
        "model are not finite, or its output overflows."
    )


def checkpoint_not_finite(path: Path, name: str) -> BadFile:
    """A checkpoint whose numbers are no numbers: nothing that it gives means anything."""
    return BadFile(f"{path}: '{name}' must be finite, got NaN or infinity; use another checkpoint.")


# Quality


def too_few_samples(name: str, need: int, got: int) -> BadValue:
    """A measure of quality that so few samples, or examples beside them, cannot give."""
    return bad_value(name, f"measured on at least {need} samples and as many real examples", got)


def trained_anew(damaged: BadFile) -> str:
    """The notice where a cached network of features cannot be used."""
    return f"{damaged} It is trained anew."


def not_cached(refused: CannotWrite) -> str:
    """The notice where the cache of features takes nothing."""
    return f"{refused} The next evaluation will train it again."


# Distributions


def not_a_mass(name: str, got: float) -> BadValue:
    """A probability or density that is negative, infinite or no number."""
    return bad_value(name, "finite and at least 0 everywhere", f"{got:g}")


def not_one(name: str, total: float) -> BadValue:
    """Probabilities that do not sum to one."""
    return bad_value(name, "probabilities that sum to 1", f"a sum of {total:.9g}")


def misses_mass(name: str, total: float) -> BadValue:
    """A density whose integral over its grid is not one."""
    off = abs(1 - total)
    why = "the grid misses" if total < 1 else "the grid is too coarse for it or it is not scaled:"
    more = "" if total < 1 else " too much"
    need = "a density with an integral of 1 over its grid"
    return bad_value(name, need, f"{total:.9g}: {why} {off:.3g} of the mass{more}")


def another_grid(name: str, other: str, need: str, got: str) -> BadValue:
    """Two distributions over different outcomes."""
    return bad_value(name, f"over the outcomes of '{other}', {need}", got)


def uneven_axis(got: list[float]) -> BadValue:
    """The cells' centres of a grid are not evenly spaced."""
    few = ", ".join(f"{v:g}" for v in got[:4]) + (", ..." if len(got) > 4 else "")
    return bad_value("axes", "of at least 2 increasing, evenly spaced values each", few or "none")


# Arrays


def array_not_finite(name: str, row: int) -> BadValue:
    """An array with NaN or infinity."""
    return bad_value(name, "finite everywhere", f"NaN or infinity, first in row {row}")


def other_channels(got: Iterable[int]) -> BadValue:
    """Images of two channels, of four (RGBA) or more."""
    shape = ", ".join(map(str, got))
    return bad_value(
        "data",
        "images of 1 or 3 channels, (n, H, W), (n, C, H, W) or (n, H, W, C)",
        f"shape ({shape}); drop the alpha channel, as in x[..., :3], or flatten them to (n, d)",
    )


def array_too_short(name: str, need: int, got: int) -> BadValue:
    """An array with too few rows to be split into training, validation and test."""
    return bad_value(name, f"an array of at least {need} rows (examples)", f"{got}")


def outside_unit_interval(
    name: str, low: float, high: float, *, choose: str | None = "--model.G.output linear"
) -> BadValue:
    """Data outside [0, 1] for a network whose output is a sigmoid; `choose` another, if it can."""
    return BadValue(
        f"'{name}' must lie in [0, 1] for a sigmoid output, got values from {low:g} to {high:g}; "
        f"rescale the data{f' or choose {choose}' if choose else ''}."
    )


def bad_array_file(path: Path, need: str, got: object) -> BadFile:
    """A file of arrays that does not hold what is asked of it."""
    return BadFile(f"{path}: must be {need}, got {got}.")


# Files


def missing_file(path: Path, hint: str) -> BadFile:
    """A file that is not there."""
    return BadFile(f"{path}: no such file; {hint}.")


def unreadable(path: Path, why: Exception) -> BadFile:
    """A file that the system does not let us read."""
    return BadFile(f"{path}: cannot be read ({getattr(why, 'strerror', None) or why}).")


def not_a_file(path: Path, got: str) -> BadFile:
    """Something that is no file, where a file is to be read or written."""
    return BadFile(f"{path}: must be a regular file, got {got}.")


def file_too_large(path: Path, most: int, got: int) -> BadFile:
    """A file that is too large for what it should hold."""
    return BadFile(f"{path}: must have at most {most:,} bytes, got {got:,}.")


def damaged_header(why: object) -> DamagedHeader:
    """A `.npy` header that cannot be read, or asks for an array that cannot be."""
    lines = str(why).splitlines() or ["it cannot be read"]
    return DamagedHeader(f"a damaged header ({lines[0][:80]})")


def file_shrank(path: Path, need: int, got: int) -> BadFile:
    """A memory-mapped file that is shorter than its header says, or has become so."""
    return BadFile(
        f"{path}: truncated, before or under the run: its header asks for {need} bytes, got {got}."
    )


def system_refused(why: OSError) -> BadFile:
    """Whatever else the system refuses."""
    return BadFile(f"{why.filename or 'the system'}: {why.strerror or why}.")


def too_large(name: str, size: float, room: float, got: object) -> BadValue:
    """A size that this machine cannot hold, seen before anything is made."""
    need = f"such that it fits in the {room / 2**30:,.1f} GiB of memory here"
    return bad_value(name, need, f"{got}, which takes {size / 2**30:,.1f} GiB")


def unknown_home(path: object) -> BadFile:
    """A path in the home folder of nobody."""
    return BadFile(f"{path}: must begin with the name of a user of this machine after '~'.")


def out_of_memory(why: object) -> BadValue:
    """Sizes that the machine cannot hold."""
    first = (str(why).splitlines() or ["no reason given"])[0]
    return BadValue(f"The sizes asked for do not fit in memory ({first[:120]}).")


def idx_wrong_magic(path: Path, got: int) -> BadFile:
    """A file that does not begin as an IDX file of bytes does."""
    return BadFile(
        f"{path}: must be an IDX file of unsigned bytes (magic 0x000008NN), got magic {got:#010x}."
    )


def idx_wrong_label(path: Path, got: int, image: int) -> BadFile:
    """A file of MNIST's labels with one that is no digit."""
    return BadFile(f"{path}: must hold labels from 0 to 9, got {got}, first of image {image}.")


def idx_wrong_size(path: Path, need: int, got: int) -> BadFile:
    """An IDX file that is shorter or longer than its header says."""
    what, more = ("truncated", "") if got < need else ("too long", "at least ")
    return BadFile(f"{path}: {what}: its header asks for {need} bytes of data, got {more}{got}.")


def idx_wrong_shape(path: Path, need: str, got: tuple[int, ...]) -> BadFile:
    """An IDX file of another number or size of images."""
    return BadFile(f"{path}: must hold {need}, got shape {got}.")


def cifar_wrong_size(path: Path, images: int, record: int, got: int) -> BadFile:
    """A file of CIFAR-10 that is shorter or longer than its images."""
    what, more = ("truncated", "") if got < images * record else ("too long", "at least ")
    need = f"{images} images of {record} bytes each, {images * record}"
    return BadFile(f"{path}: {what}: must be {need}, got {more}{got}.")


def cifar_wrong_label(path: Path, got: int, image: int) -> BadFile:
    """A file of CIFAR-10 with a label that is none."""
    return BadFile(f"{path}: must hold labels from 0 to 9, got {got}, first in image {image}.")


def other_classes(path: Path, need: Sequence[str], got: Sequence[str]) -> BadFile:
    """Pictures that are not of the classes of a known data set."""
    found = ", ".join(got[: len(need)]) or "none"
    return BadFile(f"{path}: must hold pictures of the classes {', '.join(need)}, got {found}.")


def lacks_file(path: Path, name: str, hint: str) -> BadFile:
    """An archive without a file that has to be in it."""
    return BadFile(f"{path}: has no {name} in it; {hint}.")


# Pictures


def data_lies_otherwise(name: str, other: str, kind: str) -> BadValue:
    """The place of data is given in the words of another kind of data."""
    return bad_value(name, f"left out: data of kind '{kind}' takes {other}", "a path")


def not_pictures(path: Path) -> BadFile:
    """A source of pictures that is none."""
    return BadFile(f"{path}: no such folder or zip; give the pictures with --data.path.")


def no_pictures(path: Path, others: int, left: int, first: str) -> BadFile:
    """A folder or zip without a picture; the first that was left out says why."""
    more = f" and {left} left out, first {first}" if left else ""
    got = f"none among {others} other files{more}" if others or left else "an empty one"
    return BadFile(f"{path}: must hold pictures, got {got}.")


def too_few_pictures(path: Path, need: int, got: int, skipped: int, first: str) -> BadFile:
    """Not enough pictures that can be used for three splits; the first left out says why."""
    more = f" and {skipped} that cannot be used, first {first}" if skipped else ""
    return BadFile(f"{path}: must hold at least {need} pictures, got {got}{more}.")


def no_training_pictures(path: Path, skipped: int, first: str) -> BadFile:
    """A training set of which no picture can be used."""
    more = f" and {skipped} that cannot be used, first {first}" if skipped else ""
    return BadFile(f"{path}: must hold training pictures, got none{more}.")


def empty_class(path: Path, name: str, what: str, first: str = "") -> BadFile:
    """A class without a picture; the first that cannot be used says why."""
    why = f", first {first}" if first else ""
    return BadFile(
        f"{path}: class '{name}' must have at least one {what}, got none{why} "
        "(or choose --data.labels none)."
    )


def split_or_class(path: Path, name: str, beside: Iterable[str]) -> BadFile:
    """A folder whose name is a split's, and that may be a class."""
    others = f" beside {', '.join(beside)}" if beside else ""
    return BadFile(
        f"{path}: must hold train/ and test/ or validation/ to have splits, got {name}/{others}; "
        "if it is a class, choose --data.splits none."
    )


def splits_too_deep(path: Path, parent: str) -> BadFile:
    """Splits below classes."""
    return BadFile(
        f"{path}: must hold its splits at the top (train/CLASS/), got them in {parent}; "
        "if they are folders like others, choose --data.splits none."
    )


def bad_labels(path: Path, need: str, got: object) -> BadFile:
    """A table of classes that does not fit the pictures."""
    return BadFile(f"{path}: must hold {need}, got {got}.")


def unusable(why: object) -> Unusable:
    """A picture that cannot be used, in one line."""
    lines = str(why).splitlines() or ["no reason given"]
    return Unusable(lines[0][:120])


def bomb(most: str, got: str) -> Bomb:
    """A picture of so many pixels, or bytes, that it may be meant to fill the memory."""
    return Bomb(f"must have at most {most}, got {got} (a decompression bomb?)")


def unusable_picture(path: Path, problem: str) -> BadFile:
    """A picture that ends the reading; `problem` is its name and what is wrong with it."""
    return BadFile(f"{path}: {problem}; take it out, or choose --data.unreadable skip.")


def pictures_skipped(n: int, first: str, folder: Path) -> str:
    """The notice of pictures that are left out."""
    return f"Pictures left out: {n:,}, first {first}; all are named in {folder}/skipped.txt."


def nearly_black(path: Path, brightest: int) -> str:
    """The notice of pictures that show next to nothing."""
    return (
        f"{path}: nearly black: the brightest value of all pictures is {brightest} of 255. Colour "
        "pictures of 16 bits that use fewer are read so: save them with 8 bits."
    )


def cache_damaged(folder: Path) -> str:
    """The notice of a cache whose files are not as they were written."""
    return f"{folder}: this cache is damaged (a checksum is wrong); the pictures are decoded again."


def bad_zip(path: Path, why: object) -> BadFile:
    """A zip that is cut, damaged, or something else."""
    return BadFile(f"{path}: must be a folder or a whole zip, got a file that is not: {why}.")


def outside_the_zip(path: Path, name: str) -> BadFile:
    """A zip with a member that would be unpacked elsewhere."""
    return BadFile(f"{path}: must hold relative paths without '..', got '{name}'.")


def encrypted_zip(path: Path, name: str) -> BadFile:
    """A zip with an encrypted member."""
    return BadFile(f"{path}: must not be encrypted, got '{name}', which is.")


def damaged_gzip(path: Path, why: object) -> BadFile:
    """A compressed file that does not decompress."""
    return BadFile(f"{path}: truncated or damaged gzip file ({why}).")


def wrong_checksum(url: str, need: str) -> BadFile:
    """A download whose bytes are not the published ones; nothing of it is kept."""
    return BadFile(
        f"{url}: the download's checksum is not {need}; nothing was kept. "
        "Try again, or give the files with --data.root."
    )


def no_download(url: str, why: object) -> BadFile:
    """A download that did not happen."""
    return BadFile(f"{url}: could not be downloaded ({why}); give the files with --data.root.")


def bad_toml(path: Path, why: object) -> BadFile:
    """A configuration that is not TOML."""
    return BadFile(f"{path}: is not valid TOML: {why}.")


def missing_extra(package: str, extra: str) -> MissingExtra:
    """An optional package that is not installed."""
    return MissingExtra(f"'{package}' is not installed; run: pip install 'advnets[{extra}]'")


# Run folders


def folder_exists(path: Path, *, is_run: bool) -> BadFile:
    """A run would be written over something."""
    resume = f"Go on with: advnets train --resume {shlex.quote(str(path))}. Or c" if is_run else "C"
    return BadFile(f"{path}: exists already. {resume}hoose another folder with --folder.")


def not_a_run(path: Path) -> BadFile:
    """A folder that holds no run."""
    return BadFile(f"{path}: is not a run folder (it has no config.toml).")


def not_a_folder(path: Path) -> BadFile:
    """A folder of runs that is not there, or is a file."""
    got = "a file" if path.exists() else "nothing"
    return BadFile(f"{path}: must be a folder of runs, got {got}.")


def another_model(path: Path, need: str, got: str) -> BadFile:
    """A run folder, or a checkpoint in it, of another model than the one asked for."""
    return BadFile(f"{path}: must be a run of {need}, got one of {got}.")


def two_folders() -> BadValue:
    """A run to go on with, and a folder for a new one."""
    return bad_value("folder", "left out with --resume: the run goes on in its own", "a folder")


def renamed(error: BadValue, name: str, full: str) -> BadValue:
    """The same sentence, with the full name of the setting."""
    return BadValue(str(error).replace(f"'{name}'", f"'{full}'", 1))


def bad_config(path: Path, error: BadValue) -> BadFile:
    """A setting in a file that is not allowed."""
    return BadFile(f"{path}: {error}")


def bad_output(path: Path, need: str, got: str = "") -> BadValue:
    """An output of a kind that we do not write, or to what is no file."""
    return bad_value("out", need, f"{path}, {got}" if got else path)


def own_output(path: Path, run: Path) -> BadValue:
    """An output in the place of a run's own file."""
    return bad_value("out", f"another file than those that the run {run} is made of", path)


def output_not_empty(path: Path) -> BadValue:
    """Samples into a folder that holds something, which may be other samples."""
    return bad_value("out", "a new or an empty folder", f"{path}, which holds files already")


def output_is_a_run(path: Path) -> BadValue:
    """A folder of runs is asked for, and a run is named."""
    return bad_value("out", "a folder of runs, or a new one", f"{path}, which is not")


def no_images(path: Path, figure: str, got: Iterable[int]) -> BadFile:
    """A figure of images, asked of a run on other data."""
    need, shape = "a run on images, (1, H, W) or (3, H, W)", ", ".join(map(str, got))
    return BadFile(f"{path}: must be {need}, for Figure {figure}, got examples of shape ({shape}).")


def no_latents(path: Path, figure: str, got: object) -> BadFile:
    """A figure in z space, asked of a model that has none."""
    need = "a run of a model whose z can be chosen"
    return BadFile(f"{path}: must be {need}, for Figure {figure}, got a {got}.")


def no_pair(path: Path, need: str, got: object) -> BadFile:
    """Figure 1, asked of a run that is not of a pair in one dimension."""
    return BadFile(f"{path}: must be {need}, for Figure 1, got {got}.")


def played_otherwise(path: Path, update: int) -> BadFile:
    """A run that, played again, is not the run that it was."""
    return BadFile(
        f"{path}: must end in its own weights when it is played again, for Figure 1, got others at "
        f"update {update}: it was trained on another machine, with another version of torch or by "
        "several processes. Train it here once more."
    )


def no_checkpoint(path: Path) -> BadFile:
    """A run that has saved nothing yet."""
    quoted = shlex.quote(str(path))
    return BadFile(f"{path}: has no checkpoint yet; go on with: advnets train --resume {quoted}")


def board_lost(path: Path, why: Exception) -> str:
    """The notice where TensorBoard's files cannot be written."""
    reason = getattr(why, "strerror", None) or f"{type(why).__name__}: {why}"
    first = (str(reason).splitlines() or [""])[0][:200]
    return f"{path}: TensorBoard's log ends here ({first}); metrics.jsonl and the run go on."


def folder_in_use(path: Path) -> WrongMoment:
    """Two processes would train in one folder."""
    return WrongMoment(f"{path}: another process is training in this folder.")


def damaged_checkpoint(path: Path, why: object) -> BadFile:
    """A checkpoint that cannot be read whole."""
    return BadFile(f"{path}: damaged checkpoint ({short(why)}).")


def not_a_checkpoint(path: Path, why: object) -> BadFile:
    """A file of tensors that this library did not write."""
    return damaged_checkpoint(path, f"it is not a checkpoint of advnets: {why}")


def another_format(path: Path, got: object, ours: int) -> BadFile:
    """A checkpoint that another version of this library wrote."""
    return BadFile(f"{path}: was written by another version (format {got}); this one reads {ours}.")


def used_another(damaged: BadFile, used: Path) -> str:
    """The notice when another checkpoint stands in for a damaged one."""
    return f"{damaged} Using the newest that is whole: {used.name}."


def damaged_facts(path: Path, why: object) -> BadFile:
    """A JSON file of a run folder that cannot be read."""
    return BadFile(f"{path}: missing or damaged ({short(why)}).")


def linked_folder(path: Path) -> BadFile:
    """A folder of a run that is a link, through which files elsewhere would be changed."""
    return BadFile(f"{path}: must be a folder of the run itself, got a symbolic link or a file.")


def folder_replaced(path: Path) -> WrongMoment:
    """The folder of a run is not the one any more that it was when the run began."""
    return WrongMoment(
        f"{path}: was moved away, deleted or replaced under the run, which stops; nothing is "
        "written into what is there now."
    )


def setting_changed(path: Path, name: str, need: object, got: object) -> BadValue:
    """A resumed run would no longer be the same run."""
    return BadValue(
        f"'{name}' must be {short(repr(need))} to resume {path}, got {short(repr(got))}: "
        "it changes the run. Start a new one with --folder."
    )


def rows_as_in_file(path: Path) -> str:
    """The notice where a run was begun before the rows of its data were shuffled."""
    return (
        f"{path}: this run began before advnets shuffled the rows of each split; they are read in "
        "the order of their file, as then."
    )


def foreign_settings(path: Path, name: str, need: object, got: object) -> BadFile:
    """A checkpoint that a run with other settings saved."""
    its, own = short(repr(got)), short(repr(need))
    return BadFile(f"{path}: is of another run: its '{name}' is {its}, this run's is {own}.")


@contextlib.contextmanager
def foreign_checkpoints(path: Path) -> Iterator[None]:
    """Inside, a state that does not fit the model is worded as a checkpoint of another one."""
    try:
        yield
    except BadFile:
        raise
    except BadValue as error:
        raise BadFile(f"{path}: is a checkpoint of another model ({short(error)})") from None
    except (ArithmeticError, LookupError, RuntimeError, TypeError, ValueError) as error:
        # torch's own refusals: a tensor of another size, an optimiser's entry without its parameter
        why = short((str(error).splitlines() or [type(error).__name__])[0])
        raise BadFile(f"{path}: is a checkpoint of another model ({why})") from None


def steps_behind(need: int, got: int) -> BadValue:
    """A resumed run is asked to end before where it stands."""
    return bad_value("trainer.steps", f"at least {need}, where the run stands", got)


@contextlib.contextmanager
def saving(path: Path) -> Iterator[None]:
    """Inside, the system's refusals to write (a full disk, no permission) are worded as ours."""
    try:
        yield
    except UserError:
        raise
    except OSError as error:
        raise disk_full(path, error.strerror or error) from None


def disk_full(path: Path, why: object) -> CannotWrite:
    """Saving failed; what was saved before is untouched."""
    return CannotWrite(f"{path}: could not be saved ({why}); what was saved before is kept.")


def aside_gone(path: Path) -> CannotWrite:
    """A file was taken away while it was written, before it got its name."""
    return disk_full(path, "somebody took the half-written file away")


def not_kept(refused: CannotWrite) -> str:
    """The notice where scores were shown and cannot be kept."""
    return f"The scores are not kept: {refused}"


def scored_anew(damaged: BadFile) -> str:
    """The notice where the scores in a folder cannot be read."""
    return f"{damaged} It is scored anew."


# The game


FAR = 10.0
"""Absolute value above which data is named beside the learning rate when a game diverges."""


def diverged(quantity: str, value: float, update: int, *, largest: float = 1.0) -> Diverged:
    """A value or parameter that is no longer finite: `V is nan at update 812.`, and what to do."""
    cure = "A lower learning rate is the usual cure."
    if largest > FAR:
        cure = f"The data reaches {largest:g}: scale it to about [0, 1] or [-1, 1] first."
    return Diverged(
        f"{quantity} is {value} at update {update}. The run stops; its last good checkpoint "
        f"is kept. {cure}"
    )
