"""The command `advnets label-curve`."""

import shlex

from advnets.base import files
from advnets.base.terminal import say, tell
from advnets.cli.extension_options import LabelCurveOptions
from advnets.cli.parsing import parse
from advnets.experiments import label_curve
from advnets.runs import loaded


def measure(words: list[str]) -> int:
    """Measure, and write the page and the table."""
    options = parse(LabelCurveOptions, words, prog="advnets label-curve")
    place = options.run.resolve()  # '.' has no name
    out = files.folder_of_runs(options.out or place.with_name(f"{place.name}-labels"))
    small = {"draws": 1, "long_draws": 1, "updates": 20, "test": 200} if options.quick else {}
    asked = {n: getattr(options, n) for n in ("labels", "draws", "long_draws", "updates")}
    plan = label_curve.Plan(**asked | small)
    data = {"data_path": options.data.path, "data_root": options.data.root}
    run = loaded.load(options.run, checkpoint=options.checkpoint, **data)
    command = shlex.join(["advnets", "label-curve", *words])
    curve = label_curve.measure(run, plan, out=out / "points", command=command, say=say)
    written = label_curve.write(curve, out)
    tell(label_curve.table.markdown(curve))
    tell(f"Label curve: {', '.join(map(str, written))}")
    return 0
