"""Once-for-all's tables of operators: the names, the sum, and what is refused."""

import numpy as np
import pytest

from predictors.errors import FitError, PredictorFileError
from predictors.latency.operators import OperatorTable, operators_of, read_operators
from predictors.predictor import load
from predictors.scope import Scope
from supernets.families.mobilenet_v3 import MobileNetV3
from supernets.spaces.layers import LayerSpec
from tests.predictors.toy import FAMILY, archs, noisy, operators, scope_for, true_value

OFA = MobileNetV3()
SCOPE = scope_for("latency_ms")


def test_operators_of_the_largest_net_are_named_as_once_for_all_names_them():
    names = operators_of(OFA.layers(OFA.space().max()))
    assert names[:4] == [
        "Conv-input:224x224x3-output:112x112x16",
        "expanded_conv-input:112x112x16-output:112x112x16-expand:16-kernel:3-stride:1-idskip:1-se:0-hs:0",
        "expanded_conv-input:112x112x16-output:56x56x24-expand:96-kernel:7-stride:2-idskip:0-se:0-hs:0",
        "expanded_conv-input:56x56x24-output:56x56x24-expand:144-kernel:7-stride:1-idskip:1-se:0-hs:0",
    ]
    # Stages 2 to 5 begin at the 7th, 11th, 15th and 19th operator.
    assert [names[index] for index in (6, 10, 14, 18)] == [
        "expanded_conv-input:56x56x24-output:28x28x40-expand:144-kernel:7-stride:2-idskip:0-se:1-hs:0",
        "expanded_conv-input:28x28x40-output:14x14x80-expand:240-kernel:7-stride:2-idskip:0-se:0-hs:1",
        "expanded_conv-input:14x14x80-output:14x14x112-expand:480-kernel:7-stride:1-idskip:0-se:1-hs:1",
        "expanded_conv-input:14x14x112-output:7x7x160-expand:672-kernel:7-stride:2-idskip:0-se:1-hs:1",
    ]
    assert names[22:] == [
        "Conv_1-input:7x7x160-output:7x7x960",
        "AvgPool2D-input:7x7x960-output:1x1x960",
        "Conv_2-input:1x1x960-output:1x1x1280",
        "Logits-input:1x1x1280-output:1000",
    ]


def test_odd_sides_and_shallow_stages_follow_the_net():
    space = OFA.space()
    arch = space.arch({**space.min().as_dict(), "resolution": 176})
    names = operators_of(OFA.layers(arch))
    assert len(names) == 2 + 10 + 4
    assert (
        "expanded_conv-input:11x11x112-output:6x6x160-expand:336-kernel:3-stride:2-idskip:0-se:1-hs:1"
        in names
    )


def test_a_latency_is_the_sum_over_the_operators_of_the_arch():
    scope = Scope(supernet="w", space_sha256=OFA.space().sha256, metric="latency_ms", target="t")
    table = {name: 1 + hash_of(name) for name in operators(OFA)}
    predictor = OperatorTable(OFA, scope, operators=table)
    with pytest.raises(FitError, match="import a file"):
        OperatorTable(OFA, scope).sum(OFA.space().encode([OFA.space().min()]))
    population = OFA.space().sample(np.random.default_rng(0), 50)
    wanted = [
        sum(table[name] for name in operators_of(OFA.layers(arch))) for arch in OFA.space().decode(population)
    ]
    np.testing.assert_allclose(predictor.sum(population), wanted)


def hash_of(name):
    return (sum(ord(letter) * (index + 1) for index, letter in enumerate(name)) % 97) / 97


def test_missing_operators_are_counted_and_the_first_are_named():
    table = operators()
    lacking = {name: mean for name, mean in table.items() if "kernel:5" not in name}
    count = len(table) - len(lacking)
    with pytest.raises(
        PredictorFileError, match=rf"{count} of {len(table)} are missing: expanded_conv-.*kernel:5.*…"
    ):
        OperatorTable(FAMILY, SCOPE, operators=lacking)


def test_without_a_measured_net_it_answers_as_it_is_and_stays_uncertain():
    predictor = OperatorTable(FAMILY, SCOPE, operators={**operators(), "of another net": 1.0})
    predictor.adopt()
    again = load(predictor.dump(), FAMILY, SCOPE)
    population = archs(40)
    mean, std = again.predict(population)
    np.testing.assert_allclose(mean, predictor.sum(population))
    assert again.rows == 0 and (std > 0.25 * mean).all()
    assert (again.quantile(population, 0.95) > 1.4 * mean).all()
    again.fit(population, noisy("latency_ms", population))
    calibrated, spread = again.predict(archs(80)[40:])
    truth = true_value("latency_ms", archs(80)[40:])
    assert np.median(np.abs(calibrated / truth - 1)) < 0.1 < 0.3 and (spread < std.max()).all()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"- a\n- b\n", "by name, got list"),
        (b"{}", "got 0 operators"),
        (b"Conv: {mean: 1.0\n", "must be YAML"),
        (b"Conv\x80: {mean: 1}", "must be YAML"),
        (b"Conv: !!python/object/apply:os.system ['true']\n", "must be YAML"),
        (b"Conv: {count: 3}\n", "'mean' above 0.*1 have not.*Conv"),
        (b"Conv: {mean: .nan}\nLogits: {mean: 1}\n", "1 have not"),
        (b"Conv: {mean: true}\n", "1 have not"),
        (b"Conv: {mean: 0}\nLogits: -2\n", "2 have not"),
        (b"1: {mean: 2}\n", "1 have not"),
    ],
)
def test_files_that_are_no_tables_of_operators_are_refused(text, said):
    with pytest.raises(PredictorFileError, match=said):
        read_operators(text)


def test_a_table_of_operators_is_read_and_bounded(monkeypatch):
    assert read_operators(b"Conv-input:8x8x1:\n  count: 100\n  mean: 0.25\n") == {"Conv-input:8x8x1": 0.25}
    monkeypatch.setattr("predictors.latency.operators.MOST_BYTES", 4)
    with pytest.raises(PredictorFileError, match="at most 4 bytes"):
        read_operators(b"Conv: {mean: 1}")


def test_layers_that_such_tables_have_no_word_for_are_refused():
    row = LayerSpec("block0.attention", "linear", 8, 8, 4, 4)
    with pytest.raises(FitError, match="blocks of mobilenet_v3, got layers"):
        operators_of([row])
