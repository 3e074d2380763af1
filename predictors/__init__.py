"""What an arch will score, and how we know.

The tables below are the only place where a variant is registered: one file, one line.
"""

from supernets.registry import Registry

PREDICTORS: Registry = Registry(
    "predictor",
    {
        "bayesian_linear": "predictors.latency.bayesian_linear:BayesianLinear",
        "gaussian_process": "predictors.accuracy.gaussian_process:GaussianProcess",
    },
)

TARGETS: Registry = Registry(
    "target kind",
    {
        "cpu": "predictors.targets.cpu:CpuTarget",
    },
)

__all__ = ["PREDICTORS", "TARGETS"]
