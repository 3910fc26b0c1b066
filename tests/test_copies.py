"""Copies of a network, and what is hooked into one: no quick path passes a hook by."""

import copy
import pickle

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, spectral_norm, weight_norm

import advnets
from advnets.base.errors import BadValue
from advnets.game.passes import Passes
from advnets.networks import ConvolutionalDConfig, DiscriminatorConfig, SpectralDConfig
from advnets.nn import convolution, dropout, linear, maxout
from advnets.nn import spectral_norm as spectral
from advnets.optim.ema import EMA

PAIRS = {
    "mlp": (DiscriminatorConfig(units=(300, 8), pieces=5), (784,)),
    "maxout-conv": (
        ConvolutionalDConfig(
            channels=(3,), sizes=(3,), padding=(1,), pools=(2,), pool_strides=(2,), units=(6,)
        ),
        (1, 8, 8),
    ),
    "conv": (SpectralDConfig(width=4), (1, 8, 8)),
}
OURS = (
    linear.Affine,
    linear.ProjectionHead,
    maxout.Maxout,
    dropout.Stochastic,
    convolution.MaxoutConv,
    convolution.CeilPool,
    spectral.SpectralConv,
    spectral.SpectralAffine,
    spectral.SpectralProjectionHead,
)


def build(kind):
    config, event = PAIRS[kind]
    return config.build(event_shape=event, rng=torch.Generator().manual_seed(0)), event


def halve_input(module, arguments):
    return (arguments[0] * 0.5, *arguments[1:])


def halve_output(module, arguments, y):
    return y * 0.5


def halve_gradient(module, along_inputs, along_outputs):
    return tuple(None if d is None else d * 0.5 for d in along_inputs)


HOOKS = {
    "pre": lambda m: m.register_forward_pre_hook(halve_input),
    "forward": lambda m: m.register_forward_hook(halve_output),
    "backward": lambda m: m.register_full_backward_hook(halve_gradient),
}


def player_of(D):
    rule = torch.optim.SGD(D.parameters(), 0.1)
    return advnets.optim.train_state.TrainState(D, rule, None)


@pytest.mark.parametrize("rows", [3, 200])
@pytest.mark.parametrize("hook", HOOKS)
@pytest.mark.parametrize("kind", ["mlp", "maxout-conv"])
def test_a_hook_on_any_layer_acts_on_data_and_samples_alike(kind, hook, rows):
    """What the game computes is what a plain call of D on all rows gives, with each hook in turn."""
    D, event = build(kind)
    D.eval()
    player, rng = player_of(D), torch.Generator().manual_seed(1)
    x, x_g = torch.rand(2, rows, *event, generator=rng)
    with torch.no_grad():
        untouched = D(torch.cat((x, x_g))).flatten()
    acted = 0
    for module in D.modules():
        if module is not D and not isinstance(module, OURS):
            continue
        handle = HOOKS[hook](module)
        own = x_g.clone().requires_grad_()
        logits = Passes(player).discriminate(None, (x,), (own,)).a
        found = torch.autograd.grad(logits.sum(), [*player.weights, own], allow_unused=True)
        whole = torch.cat((x, x_g)).requires_grad_()
        plain = D(whole).flatten()
        expected = list(
            torch.autograd.grad(plain.sum(), [*player.weights, whole], allow_unused=True)
        )
        expected[-1] = expected[-1][rows:]
        torch.testing.assert_close(logits, plain)
        torch.testing.assert_close(list(found), expected, rtol=1e-4, atol=1e-6)
        acted += not torch.allclose(logits, untouched, rtol=1e-6, atol=0)
        handle.remove()
    assert acted > 0 or hook == "backward"


@pytest.mark.parametrize("rows", [10, 200])
@pytest.mark.parametrize("wrap", [spectral_norm, weight_norm, parametrizations.spectral_norm])
@pytest.mark.filterwarnings("ignore:.*weight_norm.*:FutureWarning")
def test_a_weight_computed_from_others_has_a_gradient_at_every_size(wrap, rows):
    D, _ = build("mlp")
    layer = wrap(D.maxouts[0].affine)
    D(torch.rand(rows, 784)).sum().backward()
    moved = [p for name, p in layer.named_parameters() if "weight" in name]
    assert moved
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in moved)


def test_forward_pair_of_a_class_above_does_not_speak_for_another_forward():
    class Doubled(advnets.networks.Discriminator):
        def forward(self, x, c=None):
            return 2 * super().forward(x, c)

    D = Doubled(DiscriminatorConfig(units=(4,)), event_shape=(2,), rng=torch.Generator())
    assert not advnets.optim.train_state.has_forward_pair(D)
    assert advnets.optim.train_state.has_forward_pair(build("mlp")[0])


NORMS = {
    "ours": lambda: spectral.SpectralAffine(16, 16),
    "hook": lambda: spectral_norm(nn.Linear(16, 16)),
    "parametrization": lambda: parametrizations.spectral_norm(nn.Linear(16, 16)),
}


@pytest.mark.parametrize("norm", NORMS)
def test_the_largest_singular_value_of_the_average_is_1(norm):
    torch.manual_seed(0)
    net = nn.Sequential(NORMS[norm](), nn.ReLU(), nn.BatchNorm1d(16))
    spectral.init_vectors(net, rng=torch.Generator().manual_seed(0))
    average = EMA(net, decay=0.95, every=1)
    own = [p for n, p in net.named_parameters() if n.startswith("0") and "bias" not in n]
    for update in range(1, 60):
        net(torch.randn(8, 16))
        with torch.no_grad():
            own[0].add_(torch.randn(16, 16), alpha=0.3)
        average.update(net, update)
    layer = average.network.eval()[0]
    eye = torch.eye(16)
    with torch.no_grad():
        W = layer(eye) - layer(0 * eye)
    assert torch.linalg.svdvals(W)[0].item() == pytest.approx(1, abs=0.01)
    assert average.network[2].num_batches_tracked == net[2].num_batches_tracked


def test_other_buffers_are_copied_to_the_average():
    net = nn.Linear(2, 2)
    net.register_buffer("scale", torch.tensor(1.0))
    average = EMA(net, decay=0.9, every=1)
    for update in range(1, 5):
        net.scale.fill_(update)
        average.update(net, update)
    assert average.network.scale == 4


def pair(G=None, D=None, **options):
    torch.manual_seed(0)
    G = G or nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 2))
    D = D or nn.Sequential(nn.Linear(2, 16), nn.ReLU(), nn.Linear(16, 1))
    rules = {
        f"{name}_optimizer": torch.optim.Adam(n.parameters(), 1e-3)
        for name, n in (("G", G), ("D", D))
    }
    return advnets.Game(G, D, prior=advnets.Gaussian(8), **rules | options)


def fit(game, steps=3, x=None, **options):
    x = torch.randn(40, 2, generator=torch.Generator().manual_seed(0)) if x is None else x
    advnets.fit(game, x, advnets.TrainerConfig(steps=steps), **options)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("wrap", [spectral_norm, weight_norm, parametrizations.spectral_norm])
@pytest.mark.filterwarnings("ignore:.*weight_norm.*:FutureWarning")
def test_networks_that_torch_normalises_play_after_a_first_call(wrap, precision):
    G = nn.Sequential(wrap(nn.Linear(8, 16)), nn.ReLU(), nn.Linear(16, 2))
    D = nn.Sequential(wrap(nn.Linear(2, 16)), nn.ReLU(), nn.Linear(16, 1))
    G(torch.zeros(2, 8)), D(torch.zeros(2, 2))
    game = pair(G, D, precision=precision)
    before = [p.clone() for p in (*G.parameters(), *D.parameters())]
    fit(game)
    assert not any(map(torch.equal, before, (*G.parameters(), *D.parameters())))
    assert game.samplers()["averaged"].sample(3, seed=0).dtype == torch.float32


def test_lazy_layers_get_their_weights():
    fit(pair(nn.Sequential(nn.LazyLinear(16), nn.ReLU(), nn.LazyLinear(2)), nn.LazyLinear(1)))


def test_a_hook_that_comes_later_acts_in_bfloat16_too():
    game, seen = pair(precision="bfloat16"), []
    game.D[0].register_forward_hook(lambda module, arguments, y: seen.append(y.dtype))
    fit(game, steps=2)
    assert torch.bfloat16 in seen


class Unwilling(nn.Linear):
    def __deepcopy__(self, memo):
        raise RuntimeError("no copies")


class Pair(nn.Module):
    def __init__(self):
        super().__init__()
        self.line = nn.Linear(2, 1)

    def forward(self, x):
        return self.line(x), x


REFUSED = {
    "a G without a copy": (lambda: pair(Unwilling(8, 2)), r"'network' must be one that copy"),
    "a tuple": (lambda: pair(D=Pair()), r"'D\(x\)' must be a tensor of logits.* got a tuple"),
    "a sigmoid": (
        lambda: pair(D=nn.Sequential(nn.Linear(2, 1), nn.Sigmoid(), nn.Flatten(0))),
        r"'D\(x\)' must be a logit.* got Sigmoid",
    ),
    "another z": (lambda: pair(nn.Linear(9, 2)), r"'G' must be one that takes z of shape \(2, 8\)"),
    "another D": (lambda: pair(D=nn.Linear(3, 1)), r"'D' must be one that takes G's samples"),
    "wider data": (lambda: fit(pair(), x=torch.zeros(9, 3)), r"'x' must be of shape \(m, 2\)"),
    "LBFGS": (
        lambda: advnets.optim.train_state.refuse_optimizer(
            torch.optim.LBFGS([torch.zeros(1)]), None
        ),
        r"'optimizer' must be one whose step\(\) needs no closure",
    ),
    "torch's scheduler": (
        lambda: pair(schedules=(torch.optim.lr_scheduler.ExponentialLR, None)),
        r"'schedules' must be an advnets\.optim\.schedules\.Schedule or None",
    ),
    "words": (lambda: fit(pair(), x="data"), r"'data' must be Batches, a tensor.* got a str"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_played_is_refused_in_one_line(case):
    call, words = REFUSED[case]
    with pytest.raises(BadValue, match=words):
        call()


def test_one_example_is_too_few_for_batch_normalisation():
    D = nn.Sequential(nn.Linear(2, 8), nn.BatchNorm1d(8), nn.Linear(8, 1))
    fit(pair(D=D), x=torch.randn(101, 2))  # the last one joins the batch before
    with pytest.raises(BadValue, match="'minibatch' must be at least 2 examples"):
        fit(pair(D=D), x=torch.randn(1, 2))


@pytest.mark.parametrize("again", [copy.deepcopy, lambda game: pickle.loads(pickle.dumps(game))])
def test_a_game_that_was_pickled_goes_on_alike(again):
    game = pair()
    fit(game)
    twin = again(game)
    fit(game), fit(twin)
    state = twin.state()
    assert all(torch.equal(t, state[name]) for name, t in game.state().items())
