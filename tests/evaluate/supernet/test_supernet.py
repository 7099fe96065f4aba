"""Every network of a supernet computes what its own module computes, from parts of the same tensors."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nas.core.errors import InputError
from nas.core.records import Architecture
from nas.evaluate.cost.known_costs import KnownCosts
from nas.evaluate.cost.make_domain import limited_domain
from nas.evaluate.cost.table import CostTable
from nas.evaluate.objective.limits import Limit, Limits
from nas.evaluate.proxy.distillation import Distillation
from nas.evaluate.proxy.small_maps import use_small_maps
from nas.evaluate.supernet.affordable import affordable_parts
from nas.evaluate.supernet.ends import largest_and_smallest
from nas.evaluate.supernet.form import Form
from nas.evaluate.supernet.largest import places_of, shared_tensors
from nas.evaluate.supernet.layout import COUNTER, entries
from nas.evaluate.supernet.sandwich import SandwichStep
from nas.evaluate.supernet.supernet import Supernet
from nas.search_spaces import space as spaces
from nas.search_spaces.blocks import Block
from nas.search_spaces.catalogue import load_space, reference_network, space_names
from nas.search_spaces.genotype import genotype_of
from nas.search_spaces.module import NetworkModule
from nas.search_spaces.network import Network
from nas.search_spaces.parts import Head, Stage, Stem
from nas.search_spaces.stage_table import StageTableSpace
from nas.training.recipe import Recipe
from tests.toys import TINY_FORM

IMAGES = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def supernet_of(space: Any, classes: int = 3) -> Supernet:
    """Return a supernet whose BatchNorms have statistics and scales that differ from channel to channel."""
    generator = torch.Generator().manual_seed(0)
    made = Supernet.initial(space, classes, generator)
    with torch.no_grad():
        for name, tensor in (*made.named_parameters(), *made.named_buffers()):
            if "/norm/" in name:
                tensor.uniform_(0.5, 1.5, generator=generator)
    return made.eval()


def check_same(supernet: Supernet, architecture: Architecture) -> None:
    network = supernet.network(architecture)
    module = supernet.extract(architecture)
    use_small_maps(module)  # as the supernet does on a CPU; other kernels round differently
    with torch.no_grad():
        own, shared = module(IMAGES), supernet(IMAGES, architecture)
    torch.testing.assert_close(own, shared, rtol=1e-6, atol=1e-6)
    state = NetworkModule(network).state_dict()
    assert {name: value.shape for name, value in module.state_dict().items()} == {
        name: value.shape for name, value in state.items()
    }


@pytest.mark.parametrize("name", space_names())
def test_shipped_spaces(name: str) -> None:
    space = load_space(name)
    supernet = supernet_of(space)
    generator = np.random.default_rng(0)
    for _ in range(4):
        check_same(supernet, spaces.sample(space, generator))


def some(*options: Any) -> st.SearchStrategy[Any]:
    """Return a strategy for a fixed value or a list of different options."""
    return st.one_of(st.sampled_from(options), st.lists(st.sampled_from(options), min_size=2, max_size=3, unique=True))


STAGES = st.fixed_dictionaries(
    {
        "op": some("mbconv", "mbconv1", "mbconv3", "dsconv", "conv", "basic", "bottleneck"),
        "kernel": some(1, 3, 5),
        "stride": st.sampled_from([1, 2]),
        "channels": some(1, 4, 8, 12),
        "layers": some(1, 2, 3),
        "se": some(0, 0.25, 0.5),
        "skip": some("none", "identity", "pooling", "projection"),
        "activation": some("relu", "swish"),
    }
)
FORMS = st.fixed_dictionaries(
    {
        "name": st.just("any"),
        "resolution": st.just(32),
        "classes": st.just(3),
        "width": some(0.5, 1, 2),
        "stem": st.fixed_dictionaries({"op": st.just("conv"), "channels": some(4, 8), "kernel": some(3, 5)}),
        "stages": st.lists(st.tuples(STAGES, st.booleans()), min_size=1, max_size=3),
        "head": st.fixed_dictionaries({"channels": some(0, 8), "hidden": some(0, 6)}),
    }
)


@settings(max_examples=25, deadline=None)
@given(FORMS, st.integers(0, 2**31))
def test_spaces_of_users(form: dict[str, Any], seed: int) -> None:
    """Stages may be absent, except the first."""
    rows = []
    for index, (row, is_optional) in enumerate(form["stages"]):
        layers = row["layers"] if isinstance(row["layers"], list) else [row["layers"]]
        rows.append({**row, "layers": [*layers, 0] if is_optional and index else row["layers"]})
    form = {**form, "width": [1, 1.5], "stages": rows}
    space = StageTableSpace(form)
    supernet, generator = supernet_of(space), np.random.default_rng(seed)
    for _ in range(3):
        check_same(supernet, spaces.sample(space, generator))


class OwnSpace:
    """A space in Python, with more genotypes than are listed."""

    name, gene_sizes = "own", (3, 2, 2, 4, 200)

    def decode(self, architecture: Architecture) -> Network:
        channels, layers, kernel, expand, _ = architecture.genes
        stage = Stage(8 * (1 + channels), layers=1 + layers, kernel=3 + 2 * kernel, expand=1 + expand)
        return Network(32, 10, Stem(8), (stage, stage), Head(16), self.name)


def test_a_space_in_python() -> None:
    space, generator = OwnSpace(), np.random.default_rng(0)
    assert spaces.size(space) > 4096
    supernet = supernet_of(space)
    for _ in range(6):
        check_same(supernet, spaces.sample(space, generator))


def test_a_space_without_stage_tables_is_refused() -> None:
    class Table:
        name, gene_sizes = "measured", (3, 2)

    with pytest.raises(InputError, match="shares the weights of stage tables, and 'measured' has none"):
        shared_tensors(Table(), 10)


def test_a_network_that_was_not_known_is_refused() -> None:
    class Growing(OwnSpace):
        most = 1

        def decode(self, architecture: Architecture) -> Network:
            genes = tuple(min(self.most, gene) for gene in architecture.genes)
            return super().decode(Architecture("own", genes))

    space = Growing()
    supernet = supernet_of(space)
    space.most = 2
    with pytest.raises(InputError, match=r"supernet of 'own': stages\.0\.0\.\S+ of this network has the shape"):
        supernet(IMAGES, Architecture("own", (2, 0, 0, 0, 0)))
    with pytest.raises(InputError, match="expected an architecture of space 'own'"):
        supernet(IMAGES, Architecture("other", (0, 0, 0, 0, 0)))


def architecture_of(space: StageTableSpace, **values: Any) -> Architecture:
    """Return the genotype with these values, and the first option of every other gene."""
    genes = [
        decision.options.index(values.get(decision.name.replace(".", "_"), decision.options[0]))
        for decision in space.decisions
    ]
    return Architecture(space.name, tuple(genes))


def test_every_tensor_is_a_view_of_the_first_channels_and_the_centre_of_the_kernel() -> None:
    space = StageTableSpace(TINY_FORM)
    supernet = supernet_of(space)
    small = supernet.tensors(architecture_of(space))
    large = supernet.tensors(
        architecture_of(space, stage1_expand=2, stage1_kernel=5, stage1_layers=2, stage2_channels=24, stage2_se=0.25)
    )
    owners = {tensor.untyped_storage().data_ptr() for tensor in (*supernet.parameters(), *supernet.buffers())}
    assert all(tensor.untyped_storage().data_ptr() in owners for tensor in (*small.values(), *large.values()))
    # Stage 1 expands by 1 in the small network, so its first step is the depthwise convolution.
    depthwise = large["stages.0.0.blocks.1.0.weight"]
    assert torch.equal(small["stages.0.0.blocks.0.0.weight"], depthwise[:8, :, 1:4, 1:4])
    assert torch.equal(small["stages.1.0.blocks.2.0.weight"], large["stages.1.0.blocks.3.0.weight"][:8, :16])
    assert torch.equal(small["stages.1.0.blocks.2.1.running_var"], large["stages.1.0.blocks.3.1.running_var"][:8])
    assert torch.equal(small["head.0.weight"], large["head.0.weight"][:, :8])


def test_an_absent_stage_leaves_the_weights_of_the_later_ones_where_they_are() -> None:
    form = {**TINY_FORM, "stages": [*TINY_FORM["stages"], {"op": "conv", "channels": 8, "layers": [1, 2]}]}
    form["stages"][1] = {**form["stages"][1], "layers": [0, 1], "stride": 1, "channels": 8}
    space = StageTableSpace(form)
    supernet = supernet_of(space)
    without, present = architecture_of(space), architecture_of(space, stage2_layers=1)
    assert places_of(space, without, 2) == (0, 2) and places_of(space, present, 3) == (0, 1, 2)
    tensors = [supernet.tensors(one) for one in (without, present)]
    assert torch.equal(tensors[0]["stages.1.0.blocks.0.0.weight"], tensors[1]["stages.2.0.blocks.0.0.weight"])
    check_same(supernet, without)
    check_same(supernet, present)


def test_training_one_network_changes_its_parts_alone() -> None:
    space = StageTableSpace(TINY_FORM)
    supernet = supernet_of(space).train()
    small = architecture_of(space)
    before = {name: tensor.clone() for name, tensor in supernet.state_dict().items()}
    supernet(IMAGES, small).square().sum().backward()
    network = supernet.network(small)
    used = {entry.key: entry.shape for entry in entries(network, places_of(space, small, len(network.stages)))}
    for key, parameter in supernet.weights.items():
        if key not in used:
            assert parameter.grad is None
            continue
        assert parameter.grad is not None
        own = torch.zeros_like(parameter, dtype=torch.bool)
        inside = tuple(
            slice((most - size) // 2 if dimension > 1 else 0, (most + size) // 2 if dimension > 1 else size)
            for dimension, (most, size) in enumerate(zip(parameter.shape, used[key], strict=True))
        )
        own[inside] = True
        assert not parameter.grad[~own].any()
    for name, tensor in supernet.named_buffers():
        if name == COUNTER:
            continue
        changed = tensor != before[name]
        assert not changed[used[name][0] :].any() if name in used else not changed.any()
        assert name not in used or changed[: used[name][0]].any()


def test_the_first_weights_follow_the_generator() -> None:
    space = StageTableSpace(TINY_FORM)
    one, same, other = (
        Supernet.initial(space, 3, torch.Generator().manual_seed(seed)).state_dict() for seed in (1, 1, 2)
    )
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not torch.equal(one["weights.stem/weight"], other["weights.stem/weight"])
    assert COUNTER not in one
    spread = one["weights.stage1/layer0/mbconv/expand/weight"].std().item()
    assert spread == pytest.approx((2 / 16) ** 0.5, rel=0.3)  # N(0, 2 / outputs) for a 1x1 convolution


def test_own_statistics_are_those_of_the_module_and_leave_the_shared_ones() -> None:
    space = StageTableSpace(TINY_FORM)
    supernet = supernet_of(space)
    architecture = spaces.sample(space, np.random.default_rng(0))
    before = {name: tensor.clone() for name, tensor in supernet.state_dict().items()}
    batches = [IMAGES, IMAGES.flip(0) * 2, IMAGES - 1]
    statistics = supernet.calibrate(architecture, batches)
    assert all(torch.equal(tensor, before[name]) for name, tensor in supernet.state_dict().items())
    module = supernet.extract(architecture)
    for part in module.modules():
        if isinstance(part, torch.nn.BatchNorm2d):
            part.reset_running_stats()
            part.momentum = None
        elif isinstance(part, torch.nn.Dropout):
            part.p = 0.0
        elif isinstance(part, Block):
            part.drop_rate = 0.0
    module.train()
    for images in batches:
        module(images)
    module.eval()
    state = module.state_dict()
    for name, tensor in statistics.items():
        torch.testing.assert_close(tensor, state[name])
    with torch.no_grad():
        torch.testing.assert_close(supernet(IMAGES, architecture, statistics), module(IMAGES), rtol=1e-5, atol=1e-6)


def sandwich(supernet: Supernet, architectures: list[Architecture], most_norm: float | None = None) -> SandwichStep:
    optimizer = torch.optim.SGD(supernet.parameters(), 0.1, momentum=0.9)
    step = SandwichStep(supernet, optimizer, Recipe(label_smoothing=0.0), 3, None, most_norm=most_norm)
    step.architectures = architectures
    return step


@pytest.mark.parametrize("share", [1.0, 0.5])
def test_a_step_trains_the_largest_on_labels_and_the_others_on_its_outputs_too(share: float) -> None:
    space = StageTableSpace(TINY_FORM)
    supernet = supernet_of(space).train()
    largest = architecture_of(space, stage1_expand=2, stage1_kernel=5, stage1_layers=2, stage2_channels=24)
    smallest = architecture_of(space)
    labels = torch.tensor([0, 2])
    generators = [torch.manual_seed(3).get_state() for _ in range(2)]
    step = sandwich(supernet, [largest, smallest])
    step.distillation = Distillation(weight=share)
    loss = step.gradients(IMAGES, labels)
    gradients = {name: tensor.grad for name, tensor in supernet.named_parameters()}
    supernet.zero_grad()
    torch.set_rng_state(generators[1])
    logits = supernet(IMAGES, largest)
    first = torch.nn.functional.cross_entropy(logits, labels)
    target = logits.detach().softmax(1)
    plain = supernet(IMAGES, smallest, regularised=False)
    second = -share * (target * plain.log_softmax(1)).sum(1).mean()
    second = second + (1 - share) * torch.nn.functional.cross_entropy(plain, labels)
    (first + second).backward()
    torch.testing.assert_close(loss, first.detach())
    for name, tensor in supernet.named_parameters():
        torch.testing.assert_close(tensor.grad, gradients[name], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("regularised", [True, False])
def test_dropout_acts_where_it_is_asked_for(regularised: bool) -> None:
    space = StageTableSpace({**TINY_FORM, "drop_connect": 0.5, "head": {"channels": 32, "dropout": 0.5}})
    supernet, architecture = supernet_of(space).train(), architecture_of(space, stage1_layers=2)
    first, second = (supernet(IMAGES, architecture, regularised=regularised) for _ in range(2))
    assert torch.equal(first, second) != regularised


def test_a_few_steps_lower_the_loss_of_every_network() -> None:
    space = StageTableSpace(TINY_FORM)
    supernet = Supernet.initial(space, 3, torch.Generator().manual_seed(0)).train()
    generator = np.random.default_rng(0)
    labels = torch.arange(24) % 3
    noise = torch.rand(24, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    images = noise + torch.nn.functional.one_hot(labels, 3)[:, :, None, None]  # the class is the brightest channel
    largest = architecture_of(
        space, stage1_expand=2, stage1_kernel=5, stage1_layers=2, stage2_channels=24, stage2_se=0.25
    )
    step = sandwich(supernet, [])
    for _ in range(25):
        step.architectures = [largest, architecture_of(space), spaces.sample(space, generator)]
        step(images, labels)
    supernet.eval()
    for architecture in (largest, architecture_of(space), *(spaces.sample(space, generator) for _ in range(3))):
        statistics = supernet.calibrate(architecture, [images])
        with torch.no_grad():
            found = supernet(images, architecture, statistics).argmax(1)
        assert (found == labels).float().mean() > 0.8


@pytest.mark.parametrize(("metric", "high"), [("macs", 8e6), ("params", 60e3)])
def test_a_limit_keeps_the_parts_of_the_networks_inside_it_alone(metric: str, high: float) -> None:
    """Compared with the tensors of every network inside the limit of a small space."""
    space = load_space("small-images")
    assert isinstance(space, StageTableSpace)
    table, limits = CostTable(space), Limits((Limit(metric, high),))
    domain = limited_domain(space, KnownCosts(space), limits)
    drawn = domain.sample_genes(np.random.default_rng(0), 3000)
    assert drawn is not None
    shared = shared_tensors(space, 3, affordable_parts(table, limits))
    needed: dict[str, tuple[int, ...]] = {}
    for row in drawn.tolist():
        architecture = Architecture(space.name, tuple(row))
        network = space.decode(architecture).at(classes=3)
        for entry in entries(network, places_of(space, architecture, len(network.stages))):
            needed[entry.key] = tuple(map(max, needed.get(entry.key, entry.shape), entry.shape))
    assert needed.keys() <= shared.keys()
    assert all(one <= most for key, shape in needed.items() for one, most in zip(shape, shared[key].shape, strict=True))
    whole = shared_tensors(space, 3)
    held, all_of_them = (sum(math.prod(one.shape) for one in found.values()) for found in (shared, whole))
    assert held < all_of_them
    assert shared_tensors(space, 3, affordable_parts(table, Limits())) == whole


def test_layers_beside_a_shortcut_begin_as_zero() -> None:
    """Where no activation follows, and only where every network has the shortcut."""
    space = StageTableSpace(
        {
            **TINY_FORM,
            "stages": [
                {"op": ["mbconv", "conv", "basic"], "channels": 8, "stride": 2, "layers": [1, 2], "skip": "identity"},
                {"op": "mbconv", "channels": [8, 16], "layers": [1, 2], "skip": "projection"},
            ],
        }
    )
    weights = Supernet.initial(space, 3, torch.Generator().manual_seed(0)).weights
    zero = {key for key, tensor in weights.items() if key.endswith("/norm/weight") and not tensor.any()}
    assert zero == {
        "stage0/layer1/mbconv/project/norm/weight",
        "stage0/layer1/basic/convolution1/norm/weight",
        "stage1/layer0/mbconv/project/norm/weight",
        "stage1/layer1/mbconv/project/norm/weight",
    }


def test_a_form_sets_resolution_and_regularisation() -> None:
    space = StageTableSpace({**TINY_FORM, "resolution": [16, 32]})
    form = Form(24, 32, dropout=0.3, drop_connect=0.1, norm_momentum=0.2)
    supernet = Supernet.initial(space, 3, torch.Generator().manual_seed(0), form).eval()
    small, large = (architecture_of(space, resolution=side) for side in (16, 32))
    networks = [supernet.network(one) for one in (small, large)]
    assert [network.resolution for network in networks] == [12, 24]
    assert all(
        (network.head.dropout, network.drop_connect, network.norm_momentum) == (0.3, 0.1, 0.2) for network in networks
    )
    resized = torch.nn.functional.interpolate(IMAGES, (12, 12), mode="bilinear", antialias=True)
    with torch.no_grad():
        assert torch.equal(supernet(IMAGES, small), supernet(resized, small))


def test_the_ends_of_a_budget() -> None:
    space = load_space("small-images")
    assert isinstance(space, StageTableSpace)
    limits = Limits((Limit("macs", 8e6, 4e6),))
    domain = limited_domain(space, KnownCosts(space), limits)
    largest, smallest = largest_and_smallest(domain, np.random.default_rng(0))
    macs = [domain.costs(np.array([one.genes]))["macs"][0] for one in (largest, smallest)]
    assert 7.9e6 < macs[0] <= 8e6 and 4e6 <= macs[1] < 4.1e6
    whole = limited_domain(space, KnownCosts(space), Limits((Limit("macs", 1e15),)))
    ends = largest_and_smallest(whole, np.random.default_rng(0))
    low, high = CostTable(space).macs_range()
    assert [whole.costs(np.array([one.genes]))["macs"][0] for one in ends] == [high, low]


def test_gradients_are_clipped_together() -> None:
    space = StageTableSpace(TINY_FORM)
    supernet = supernet_of(space).train()
    step = sandwich(supernet, [architecture_of(space), architecture_of(space)], most_norm=0.01)
    step(IMAGES, torch.tensor([0, 2]))
    norms = [tensor.grad.norm() for tensor in supernet.parameters() if tensor.grad is not None]
    assert torch.stack(norms).norm().item() == pytest.approx(0.01, rel=1e-3)


@pytest.mark.parametrize("name", ["efficientnet", "small-images"])
def test_a_trained_network_is_placed_where_it_is_in_the_space(name: str) -> None:
    """Its outputs are the same, although the space's largest network has larger kernels and more channels."""
    space = load_space(name)
    assert isinstance(space, StageTableSpace)
    architecture = spaces.sample(space, np.random.default_rng(4))
    network = space.decode(architecture).at(classes=3)
    found = genotype_of(space, replace(network, name="other"))
    assert space.decode(found).at(classes=3).signature() == network.signature()
    module = supernet_of(space).extract(architecture)
    use_small_maps(module)
    made = Supernet.initial(space, 3, torch.Generator().manual_seed(9)).eval()
    made.place(found, module.state_dict())
    with torch.no_grad():
        torch.testing.assert_close(made(IMAGES, found), module(IMAGES), rtol=1e-6, atol=1e-6)


def test_the_genotype_of_b0() -> None:
    space = load_space("efficientnet")
    assert isinstance(space, StageTableSpace)
    b0 = reference_network("efficientnet_b0")
    assert space.decode(genotype_of(space, b0)).at(classes=1000).signature() == b0.signature()
    with pytest.raises(InputError, match=r"'mobilenet_v2' is not in space 'efficientnet': no option equals its"):
        genotype_of(space, reference_network("mobilenet_v2"))


def test_the_same_layers_in_other_stages_are_other_networks() -> None:
    stage = {"op": "mbconv", "expand": 2, "kernel": 3, "stride": 1, "channels": 8, "layers": [1, 2]}
    space = StageTableSpace({**TINY_FORM, "stages": [stage, stage]})
    supernet = supernet_of(space)
    first, second = (architecture_of(space, **{f"stage{number}_layers": 2}) for number in (1, 2))
    assert supernet.network(first).signature() == supernet.network(second).signature()
    check_same(supernet, first)
    check_same(supernet, second)


def test_of_several_resolutions_the_networks_own_is_found() -> None:
    space = StageTableSpace({**TINY_FORM, "resolution": [16, 32]})
    for resolution in (16, 32):
        found = genotype_of(space, space.decode(architecture_of(space, resolution=resolution)))
        assert space.decode(found).resolution == resolution
    assert space.decode(genotype_of(space, space.decode(found).at(resolution=24))).resolution == 32
