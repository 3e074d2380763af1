import numpy as np

from predictors.quality.mlp_ensemble import MEMBERS, Members, MlpEnsemble, _gradients, answer, started
from tests.predictors.toy import FAMILY, archs, noisy, scope_for, true_value


def test_gradients_are_those_of_the_mean_squared_error():
    rng = np.random.default_rng(0)
    members = Members(*(value + 0.1 * rng.standard_normal(value.shape) for value in started(5, rng)))
    inputs, target = rng.standard_normal((MEMBERS, 7, 5)), rng.standard_normal((MEMBERS, 7))

    def loss(changed):
        return np.square(answer(changed, inputs) - target).mean(axis=1).sum()

    gradients = _gradients(members, inputs, target)
    for name, value, gradient in zip(Members._fields, members, gradients, strict=True):
        direction = rng.standard_normal(value.shape)
        step = 1e-6
        up, down = (members._replace(**{name: value + sign * step * direction}) for sign in (1, -1))
        numeric = (loss(up) - loss(down)) / (2 * step)
        np.testing.assert_allclose((gradient * direction).sum(), numeric, rtol=1e-5)


def test_members_differ_and_more_rows_help():
    unseen = archs(400, seed=7)[200:]
    truth = true_value("accuracy", unseen)
    errors = []
    for n in (20, 200):
        model = MlpEnsemble(FAMILY, scope_for("accuracy"))
        model.fit(archs(n), noisy("accuracy", archs(n)))
        errors.append(np.abs(model.predict(unseen)[0] - truth).mean())
    assert errors[1] < 0.7 * errors[0]
    assert (answer(model._members, model._inputs(unseen)).std(axis=0) > 0).all()


def test_another_seed_is_another_ensemble():
    population = archs(40)
    first, second = (MlpEnsemble(FAMILY, scope_for("accuracy"), seed) for seed in (0, 1))
    for model in (first, second):
        model.fit(population, noisy("accuracy", population))
    assert (first.predict(population)[0] != second.predict(population)[0]).any()
