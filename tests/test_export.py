"""An exported generator is the run's own: for every kind of model and every format."""

import functools
import importlib.util
import re
import shlex
import subprocess
import sys
from typing import get_args

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import advnets
from advnets import errors
from advnets.base.choices import ExportFormat
from advnets.cli import main
from advnets.export import compared, export, formats
from advnets.export.formats import torch_export
from advnets.export.portable import portable
from advnets.storage.shared_folder import facts_of
from conftest import ROOT, small_config
from exported import CLASSES, GENERATORS, KINDS, game, made
from test_contract import CASES
from test_rundir import no_space

needs_onnx = pytest.mark.skipif(
    not all(map(importlib.util.find_spec, ("onnx", "onnxscript", "onnxruntime"))),
    reason="the extra 'export' is not installed",
)
GRAPHS = ("conv of classes", "transposed conv", "unet", "coordinated-0", "vae-1")
SINCE_2_7 = ("conv of classes", "unet", "coordinated-0")
"""Graphs that torch 2.6 does not translate to ONNX: most have batch normalisation."""
OTHERS = ("second stage", "coordinated-1", "vectors", "vae-0")


@pytest.fixture(scope="module", autouse=True)
def one_registry():
    """torch's table of ONNX operations, made once for all exports here: it takes two seconds."""
    with pytest.MonkeyPatch.context() as patch:
        if importlib.util.find_spec("onnxscript"):
            from torch.onnx._internal.exporter._registration import ONNXRegistry

            once = staticmethod(functools.cache(ONNXRegistry.from_torchlib))
            patch.setattr(ONNXRegistry, "from_torchlib", once)
        yield


def test_every_format_is_a_file_and_an_option():
    assert sorted(get_args(ExportFormat)) == formats.names()


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_shared_draws_what_the_run_draws_bit_for_bit(kind, tmp_path):
    run = KINDS[kind](tmp_path)
    *_, weights = run.samplers()  # `averaged`, where there are several
    done = export(run, to="safetensors", weights=weights)
    assert done.parity.max_abs_difference == 0
    own = run.sample(9, seed=3, start=2, weights=weights)
    assert torch.equal(advnets.load(done.path).sample(9, seed=3, start=2), own)


@pytest.mark.parametrize("kind", OTHERS)
def test_torch_runs_the_graph(kind, tmp_path):
    run = KINDS[kind](tmp_path)
    done = export(run, to="torch-export")
    assert 0 <= done.parity.max_abs_difference <= 1e-5
    told = {torch_export.FACTS: ""}
    program = torch.export.load(done.path, extra_files=told).module()
    z = run.sampler().latents(5, seed=4)
    if done.facts.inputs[-1].name == "z":
        assert torch.allclose(program(z), run.sampler().decode(z), atol=1e-6)
    assert facts_of(done.path, told[torch_export.FACTS]) == done.facts


@needs_onnx
@pytest.mark.parametrize("kind", GRAPHS)
def test_onnxruntime_runs_the_graph(kind, tmp_path):
    run = KINDS[kind](tmp_path)
    if kind in SINCE_2_7 and torch.__version__.startswith("2.6."):
        with pytest.raises(errors.BadValue, match="'G' must be"):
            export(run)
        return
    check_onnx(run)


def check_onnx(run):
    """The ONNX file of a run, checked."""
    import onnx

    done = export(run)
    assert done.path == run.folder.path / "generator.onnx"
    assert 0 <= done.parity.max_abs_difference <= 1e-5
    model = onnx.load(done.path)
    told = {prop.key: prop.value for prop in model.metadata_props}
    facts = facts_of(done.path, told["advnets"])
    assert facts == done.facts
    for given, value in zip(facts.inputs, model.graph.input, strict=True):
        dims = value.type.tensor_type.shape.dim
        assert given.name == value.name
        assert [d.dim_param or d.dim_value for d in dims] == list(given.shape)
    assert str(ROOT).encode() not in done.path.read_bytes()
    return done.path


def test_bfloat16_training_gives_float32_weights(tmp_path):
    run = made(tmp_path, small_config(precision="bfloat16"))
    done = export(run, to="safetensors")
    assert done.facts.precision == "bfloat16" and done.facts.model["precision"] == "float32"
    assert {t.dtype for t in load_file(done.path).values()} == {torch.float32}


# A program without this library

PAGE = (ROOT / "docs" / "how-to" / "export.md").read_text()


@needs_onnx
def test_the_program_of_the_page_draws_without_torch_and_advnets(tmp_path):
    (program,) = re.findall(r"```py\n(.*?)```", PAGE, re.DOTALL)
    run = KINDS["classes"](tmp_path)
    folder = check_onnx(run).parent
    absent = "import sys; sys.modules.update({'advnets': None, 'torch': None})\n"
    code = f"{absent}{program}\nnp.save('z.npy', z); np.save('x.npy', x)"
    subprocess.run([sys.executable, "-c", code], cwd=folder, check=True, capture_output=True)
    z, x = (torch.from_numpy(np.load(folder / f"{name}.npy")) for name in "zx")
    labels = CLASSES.rows[[0] * len(z)]
    assert torch.allclose(run.sampler().decode(z, context=labels), x, atol=1e-6)
    assert x.shape == (64, 1, 4, 3) and z.abs().max() < 3**0.5


# What is refused


@pytest.mark.parametrize("kind", sorted({*CASES} - {*GENERATORS}))
def test_a_model_without_a_generator_is_refused(kind, tmp_path):
    run = made(tmp_path, CASES[kind][0])
    before = sorted(run.folder.path.iterdir())
    with pytest.raises(errors.BadValue, match=r"^'(run|model)' must be .*, got a? ?'[\w-]+'"):
        export(run, to="safetensors")
    assert sorted(run.folder.path.iterdir()) == before


def test_a_difference_above_rounding_is_refused_and_nothing_is_written(tmp_path, monkeypatch):
    class Wrong(torch_export.TorchExport):
        def run(self, content, inputs):
            return super().run(content, inputs) + 1e-2

    monkeypatch.setattr(torch_export, "FORMAT", Wrong())
    run = game(tmp_path)
    message = r"^'x' must be within 0\.000\d* of the run's own samples when torch .* runs G, got 0\.01 apart; nothing is written\.$"
    with pytest.raises(errors.BadValue, match=message):
        export(run, tmp_path / "new" / "a.pt2", to="torch-export")
    assert not (tmp_path / "new").exists()


def test_numbers_that_are_not_finite_are_a_difference(tmp_path):
    class Nan(torch_export.TorchExport):
        def run(self, content, inputs):
            return torch.full((len(inputs["z"]), 1, 4, 3), float("nan"))

    with pytest.raises(errors.BadValue, match="inf apart"):
        compared(Nan(), b"", portable(game(tmp_path)))


class Lacking(torch.nn.Module):
    """A G of an operation that ONNX has not."""

    def __init__(self, G):
        super().__init__()
        self.G = G

    def forward(self, z):
        return torch.special.airy_ai(self.G(z))


class Branching(Lacking):
    """A G that looks at its numbers, which no graph can."""

    def forward(self, z):
        return self.G(z) if z.sum() > 0 else self.G(-z)


@needs_onnx
def test_an_operation_that_onnx_lacks_is_one_line(tmp_path):
    run = game(tmp_path)
    run.learner.G = Lacking(run.learner.G)
    message = r"^'G' must be made of operations that ONNX has \(--to torch-export takes any\), got aten\.special_airy_ai\.$"
    with pytest.raises(errors.BadValue, match=message):
        export(run)
    assert export(run, to="torch-export").parity.max_abs_difference < 1e-6
    run.learner.G = Branching(run.learner.G.G)
    with pytest.raises(errors.BadValue, match=r"^'G' must be a module whose graph torch\.export"):
        export(run, to="torch-export")


def test_a_missing_package_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    monkeypatch.setitem(sys.modules, "onnx", sys)
    with pytest.raises(errors.MissingExtra, match=r"pip install 'advnets\[export\]'"):
        export(game(tmp_path))


@pytest.mark.parametrize("to", ["torch-export", "safetensors", "hub-folder"])
def test_a_full_disk_leaves_nothing_half_written(to, tmp_path, monkeypatch):
    run = game(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    monkeypatch.setattr("os.fsync", no_space)
    with pytest.raises(errors.CannotWrite, match=r"could not be saved \(No space left on device\)"):
        export(run, to=to)
    assert sorted(tmp_path.rglob("*")) == before


MISTAKES = [
    ("--to pdf", r"'to' must be one of hub-folder, onnx, safetensors, torch-export, got pdf\."),
    ("--out a.png --to safetensors", r"'out' must be NAME\.safetensors, got a\.png\."),
    ("--to hub-folder --out full", r"'out' must be a new or an empty folder, got full, .*"),
    ("--to hub-folder --out run/checkpoints", r"'out' must be another file than those .*"),
    ("--to safetensors --weights ema", r"Unknown weights 'ema'\. Valid: raw, averaged\."),
    ("--to safetensors --license ''", r"'license' must be a name such as cc-by-4\.0, got \."),
    (
        "--average 9 11 --checkpoint last",
        r"'checkpoint' must be left out with --average, .*got last\.",
    ),
    ("--average best", r"'average' must be at least two checkpoints, got 1\."),
    ("--average best 3", r"'checkpoint' must be an update .* is kept \(9, 11\), got 3\."),
    ("--average best best", r"'average' must be different checkpoints, got updates 7, 7\."),
    ("--average best first", r"'average' must be 'best', 'last' or update numbers, got first\."),
]


@pytest.mark.parametrize(("words", "message"), MISTAKES, ids=[m[0] for m in MISTAKES])
def test_a_mistake_at_the_command_is_one_line(words, message, tmp_path, monkeypatch, capsys):
    game(tmp_path, updates=(7, 9, 11))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").write_text("")
    before = sorted(tmp_path.rglob("*"))
    assert main(["export", "run", *shlex.split(words)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert re.fullmatch(f"advnets: {message}", line), line
    assert sorted(tmp_path.rglob("*")) == before


def test_a_generator_in_one_file_is_drawn_from_and_exported_beside_itself(tmp_path, capsys):
    game(tmp_path)
    (tmp_path / "own").mkdir()
    file = str(tmp_path / "own" / "g.safetensors")
    words = ["export", str(tmp_path / "run"), "--to", "safetensors", "--out", file]
    assert main(words) == main(["sample", file, "--n", "2"]) == 0
    assert main(["export", file, "--to", "hub-folder"]) == 0
    assert {p.name for p in (tmp_path / "own").iterdir()} == {"g.safetensors", "samples.png", "hub"}


def test_an_address_of_the_hub_is_refused_as_it_was_typed(capsys):
    assert main(["sample", "hf://user/name"]) == 2
    assert capsys.readouterr().err == (
        "advnets: 'run' must be a folder or a file here; advnets.load reads addresses of the Hub, "
        "got hf://user/name.\n"
    )


def test_the_command_says_what_it_wrote(tmp_path, capsys):
    game(tmp_path)
    run = str(tmp_path / "run")
    assert main(["export", run, "--to", "safetensors", "--weights", "averaged"]) == 0
    out = capsys.readouterr().out
    assert "averaged weights of update 7 (best.safetensors)" in out
    assert "z (n, 3) to x (n, 1, 4, 3); n is any number." in out
    assert "uniform between -sqrt(3) and +sqrt(3)" in out
    assert "Largest difference from the run, of 64 samples by advnets" in out
