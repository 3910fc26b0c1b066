"""The commands `advnets export` and `advnets push`: a generator for other programs and people."""

from advnets.base import errors
from advnets.base.terminal import tell
from advnets.cli.options import ExportOptions, PushOptions
from advnets.export import export as export_run
from advnets.export import output
from advnets.export.average import load_average
from advnets.export.push import files_to_push, upload
from advnets.runs import hub, loaded
from advnets.storage.shared_folder import TensorFacts


def export(options: ExportOptions) -> int:
    """The command `advnets export`."""
    output(options.run, options.to, options.out)  # refused before anything is loaded
    if options.average:
        need = "left out with --average, which names the checkpoints"
        errors.require(options.checkpoint is None, "checkpoint", need, options.checkpoint)
        run = load_average(options.run, options.average, options.weights)
    else:
        run = loaded.load(options.run, checkpoint=options.checkpoint or "best")
    done = export_run(
        run, options.out, to=options.to, weights=options.weights, license=options.license
    )
    facts, parity = done.facts, done.parity
    takes = " and ".join(map(_shape, facts.inputs))
    tell(f"{facts.weights} weights of update {facts.update} ({facts.checkpoint}): {done.path}")
    tell(f"{takes} to {_shape(facts.output)}; n is any number. {_values(facts.output)}")
    tell(f"z is drawn as {facts.prior.draw}.")
    tell(
        f"Largest difference from the run, of {parity.samples} samples by {parity.reader}: "
        f"{parity.max_abs_difference:.2g} ({parity.allowed:.2g} is allowed)."
    )
    return 0


def _shape(tensor: TensorFacts) -> str:
    shape = ", ".join(map(str, tensor.shape))
    return f"{tensor.name} ({shape}{',' if len(tensor.shape) == 1 else ''})"


def _values(tensor: TensorFacts) -> str:
    return f"The data has values from {tensor.low:g} to {tensor.high:g}."


def push(options: PushOptions) -> int:
    """The command `advnets push`."""
    if options.repo is None:
        raise errors.bad_value("repo", "given: --repo user/name", "nothing")
    repo = hub.repository(options.repo)
    run = loaded.load(options.run, checkpoint=options.checkpoint)
    files = files_to_push(run, weights=options.weights, license=options.license)
    kind = "private" if options.private else "public"
    for name, raw in files.items():
        tell(f"{name}: {len(raw):,} bytes")
    if options.dry_run:
        tell(f"Nothing is sent. It would go to {hub.endpoint()}/{repo}, {kind}.")
        return 0
    tell(f"Uploaded: {upload(repo, files, private=options.private)}")
    tell(f'Load it: advnets.load("{hub.PREFIX}{repo}")')
    return 0
