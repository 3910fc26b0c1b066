"""Other import paths: old ones, with a warning that names the new one, and short ones."""

import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import sys
import warnings
from collections.abc import Sequence
from types import ModuleType

RENAMED = {
    "advnets.baselines": "advnets.models",
    "advnets.autocorrelation": "advnets.evaluation.autocorrelation",
    "advnets.baselines.autoencoder": "advnets.models.autoencoders.autoencoder",
    "advnets.baselines.binary": "advnets.models.bernoulli",
    "advnets.baselines.cae": "advnets.models.autoencoders.cae",
    "advnets.baselines.chained": "advnets.models.autoencoders.chain",
    "advnets.baselines.dae": "advnets.models.autoencoders.dae",
    "advnets.baselines.dbn": "advnets.models.energy.dbn",
    "advnets.baselines.descent": "advnets.models.gradient_learner",
    "advnets.baselines.energy": "advnets.models.energy.energy",
    "advnets.baselines.gsn": "advnets.models.gsn",
    "advnets.baselines.rbm": "advnets.models.energy.rbm",
    "advnets.baselines.stacked_cae": "advnets.models.autoencoders.stacked_cae",
    "advnets.baselines.stages": "advnets.models.greedy",
    "advnets.baselines.vae": "advnets.models.directed.vae",
    "advnets.birthday": "advnets.evaluation.birthday",
    "advnets.bootstrap": "advnets.evaluation.bootstrap",
    "advnets.capture": "advnets.optim.compile",
    "advnets.chains": "advnets.sampling.chains",
    "advnets.checkpoints": "advnets.storage.checkpoints",
    "advnets.checks": "advnets.errors",
    "advnets.config": "advnets.base.config",
    "advnets.contexts": "advnets.base.conditioning",
    "advnets.contrast": "advnets.data.contrast",
    "advnets.convolution": "advnets.nn.convolution",
    "advnets.corruption": "advnets.models.autoencoders.corruption",
    "advnets.curves": "advnets.plotting.curves",
    "advnets.dropout": "advnets.nn.dropout",
    "advnets.environment": "advnets.storage.environment",
    "advnets.experiments.theory": "advnets.experiments.theorems",
    "advnets.feature_network": "advnets.evaluation.feature_network",
    "advnets.features": "advnets.evaluation.features",
    "advnets.kmeans": "advnets.evaluation.kmeans",
    "advnets.layers": "advnets.nn.linear",
    "advnets.learners": "advnets.runs.registry",
    "advnets.maxout": "advnets.nn.maxout",
    "advnets.measures": "advnets.evaluation.metrics",
    "advnets.modes": "advnets.evaluation.modes",
    "advnets.monitor": "advnets.training.monitor",
    "advnets.neighbours": "advnets.evaluation.neighbours",
    "advnets.networks.convolutional": "advnets.networks.maxout_conv",
    "advnets.networks.kinds": "advnets.networks.base",
    "advnets.networks.spectral": "advnets.networks.sngan",
    "advnets.options": "advnets.cli.options",
    "advnets.page": "advnets.html",
    "advnets.pair": "advnets.plotting.gan1d",
    "advnets.parzen": "advnets.evaluation.parzen",
    "advnets.player": "advnets.optim.train_state",
    "advnets.plots": "advnets.plotting.images",
    "advnets.priors": "advnets.sampling.priors",
    "advnets.products": "advnets.nn.kernels",
    "advnets.progress": "advnets.base.progress",
    "advnets.protocols": "advnets.base.protocols",
    "advnets.pushforward": "advnets.theory.pushforward",
    "advnets.quality": "advnets.evaluation.distances",
    "advnets.ranks": "advnets.base.distributed",
    "advnets.rng": "advnets.base.rng",
    "advnets.run": "advnets.runs.train",
    "advnets.rundir": "advnets.storage.run_folder",
    "advnets.spectral": "advnets.nn.spectral_norm",
    "advnets.streaming": "advnets.base.blocks",
    "advnets.table_game": "advnets.theory.tabular_game",
    "advnets.tables": "advnets.theory.distributions",
    "advnets.trained": "advnets.runs.loaded",
    "advnets.trainer": "advnets.training.trainer",
    "advnets.two_stage": "advnets.game.two_stage",
}

SHORT = {"advnets.errors": "advnets.base.errors"}
"""Paths that stay, for what users import."""


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds a module by its old name and gives the one of today."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """A spec for an old name; None for any other."""
        del path, target
        if fullname not in RENAMED and fullname not in SHORT:
            return None
        return importlib.util.spec_from_loader(fullname, self)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        """The module of today."""
        new = SHORT.get(spec.name) or RENAMED[spec.name]
        if spec.name not in SHORT:
            warnings.warn(f"{spec.name} is now {new}.", FutureWarning, stacklevel=2)
        module = importlib.import_module(new)
        spec.loader_state = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        """Give the module back the spec of its own name: it has been executed under that."""
        assert module.__spec__ is not None
        module.__spec__ = module.__spec__.loader_state


def install() -> None:
    """Let `import` find the old names of this package's modules."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())
