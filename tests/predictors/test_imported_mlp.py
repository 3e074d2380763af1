"""Somebody else's accuracy network: its layout, what is refused, and how its interval is come by."""

import io

import numpy as np
import pytest
import torch

from predictors.errors import FitError, PredictorFileError
from predictors.predictor import load
from predictors.quality.imported_mlp import ImportedMlp, Layout, read_layers
from supernets import FAMILIES
from tests.predictors.toy import FAMILY, SPACE, archs, linear_layers, scope_for, true_value

OFA = FAMILIES.load("mobilenet_v3").from_config({})
SCOPE = scope_for("accuracy")


def npz(layers):
    buffer = io.BytesIO()
    arrays = {}
    for index, (weight, bias) in enumerate(layers):
        arrays |= {f"{2 * index}.weight": weight, f"{2 * index}.bias": bias}
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def released(width=128, hidden=400):
    """A network of the released shape, with weights made up here."""
    torch.manual_seed(0)
    sizes = [width, hidden, hidden, hidden, 1]
    layers = []
    for inputs, outputs in zip(sizes, sizes[1:], strict=False):
        layers += [torch.nn.Linear(inputs, outputs), torch.nn.ReLU()]
    return torch.nn.Sequential(*layers[:-1])


def test_the_layout_is_the_released_one():
    """Kernel one-hots of 20 blocks, their expansions, 8 slots of resolution from 112; zero where skipped."""
    space = OFA.space()
    layout = Layout(space)
    assert layout.width == 128
    choices = {"resolution": 160}
    for stage in range(1, 6):
        choices[f"stage{stage}.depth"] = 3
        for block in range(1, 4):
            choices[f"stage{stage}.block{block}.kernel"] = 5
            choices[f"stage{stage}.block{block}.expand"] = 6
    [row] = layout(space.encode([space.arch(choices)]))
    expected = np.zeros(128)
    for index in range(20):
        if index % 4 < 3:
            expected[3 * index + 1] = 1  # the middle of 3, 5, 7
            expected[60 + 3 * index + 2] = 1  # the last of 3, 4, 6
    expected[120 + (160 - 112) // 16] = 1
    np.testing.assert_array_equal(row, expected)


@pytest.mark.parametrize("wrapped", [False, True], ids=["bare", "state_dict"])
@pytest.mark.parametrize("legacy", [False, True], ids=["archive", "legacy"])
def test_a_released_checkpoint_answers_as_torch_does(wrapped, legacy):
    net = released()
    state = {"state_dict": net.state_dict()} if wrapped else net.state_dict()
    buffer = io.BytesIO()
    torch.save(state, buffer, _use_new_zipfile_serialization=not legacy)
    scope = scope_for("accuracy", space_sha256=OFA.space().sha256)
    model = ImportedMlp(OFA, scope, layers=read_layers(buffer.getvalue()))
    model.adopt()
    population = OFA.space().sample(np.random.default_rng(0), 40)
    with torch.no_grad():
        expected = net(torch.from_numpy(Layout(OFA.space())(population)).float())[:, 0].numpy()
    np.testing.assert_allclose(model._raw(population), expected, atol=1e-6)
    np.testing.assert_allclose(model.predict(population)[0], np.clip(expected, 0, 1), atol=1e-6)


def test_a_checkpoint_with_code_in_it_is_not_run(tmp_path):
    class Evil:
        def __reduce__(self):
            return (open, (str(tmp_path / "touched"), "w"))

    buffer = io.BytesIO()
    torch.save({"0.weight": Evil()}, buffer)
    with pytest.raises(PredictorFileError, match="checkpoint of tensors"):
        read_layers(buffer.getvalue())
    pickled = io.BytesIO()
    np.savez(pickled, **{"0.weight": np.array([Evil()], dtype=object)})
    with pytest.raises(PredictorFileError):
        read_layers(pickled.getvalue())
    assert not (tmp_path / "touched").exists()


def changed(change):
    layers = [(w.copy(), b.copy()) for w, b in linear_layers()]
    change(layers)
    return layers


def set_bias(layers):
    layers[0] = (layers[0][0], layers[0][1][:-1])


def set_outputs(layers):
    layers[1] = (np.repeat(layers[1][0], 2, axis=0), np.zeros(2))


def set_nan(layers):
    layers[0][0][0, 0] = np.nan


def set_chain(layers):
    layers[1] = (layers[1][0][:, :-1], layers[1][1])


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        (changed(set_bias), r"0.bias must have shape \(\d+,\), got"),
        (changed(set_outputs), r"2.weight must have shape \(1, \d+\), what the layer before it gives, got"),
        (changed(set_chain), r"2.weight must have shape \(1, \d+\)"),
        (changed(set_nan), "finite"),
        ([(np.zeros((400, 128)), np.zeros(400)), (np.zeros((1, 400)), np.zeros(1))], r"got \(400, 128\)"),
    ],
    ids=["bias", "outputs", "chain", "nan", "another space"],
)
def test_shapes_that_do_not_fit_are_refused_with_both_sides(layers, message):
    with pytest.raises(PredictorFileError, match=message):
        ImportedMlp(FAMILY, SCOPE, layers=read_layers(npz(layers)))


@pytest.mark.parametrize(
    "data", [b"", b"text", b"\x80nonsense", npz([]), npz(linear_layers())[:-50]], ids=range(5)
)
def test_files_that_are_no_network_are_refused(data):
    with pytest.raises(PredictorFileError):
        read_layers(data)


def test_unknown_names_are_listed():
    buffer = io.BytesIO()
    np.savez(buffer, **{"fc.weight": np.zeros((1, 3)), "fc.bias": np.zeros(1)})
    with pytest.raises(PredictorFileError, match=r"got fc.bias, fc.weight"):
        read_layers(buffer.getvalue())


def test_without_rows_it_answers_as_it_is_and_promises_next_to_nothing():
    model = ImportedMlp(FAMILY, SCOPE, layers=linear_layers())
    model.adopt()
    population = archs(50, seed=8)
    mean, std = model.predict(population)
    np.testing.assert_allclose(mean, model._raw(population))
    assert not model.calibrated and (std >= 0.1).all()
    loaded = load(model.dump(), FAMILY, SCOPE)
    assert isinstance(loaded, ImportedMlp) and not loaded.calibrated
    np.testing.assert_array_equal(loaded.quantile(population, 0.9), model.quantile(population, 0.9))


def test_rows_move_it_to_where_it_belongs_and_make_its_interval():
    """The toy network says 2 points too little; twenty rows tell."""
    model = ImportedMlp(FAMILY, SCOPE, layers=linear_layers())
    population, unseen = archs(20, seed=1), archs(200, seed=2)[20:]
    model.fit(population, true_value("accuracy", population))
    truth = true_value("accuracy", unseen)
    assert abs((model.predict(unseen)[0] - truth).mean()) < 0.25 * 0.02
    inside = (model.quantile(unseen, 0.05) <= truth) & (truth <= model.quantile(unseen, 0.95))
    assert model.calibrated and inside.mean() > 0.8
    again = model.fresh()
    assert again.rows == 0
    again.fit(population, true_value("accuracy", population))
    assert again.dump() == model.dump()


def test_it_is_made_of_weights_or_not_at_all():
    model = ImportedMlp(FAMILY, SCOPE)
    with pytest.raises(FitError, match="needs weights before anything else"):
        model.fit(archs(20), true_value("accuracy", archs(20)))
    assert SPACE.d == archs(1).shape[1]
