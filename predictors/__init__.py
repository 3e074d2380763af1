"""Predictors of latency and quality, and the targets on which latency is measured.

The tables below are the only place where a variant is registered: one file, one line.
"""

from supernets.registry import Registry

PREDICTORS: Registry = Registry(
    "predictor",
    {
        "bayesian_linear": "predictors.latency.bayesian_linear:BayesianLinear",
        "gaussian_process": "predictors.quality.gaussian_process:GaussianProcess",
        "graph_transfer": "predictors.quality.graph_transfer:GraphTransfer",
        "imported_mlp": "predictors.quality.imported_mlp:ImportedMlp",
        "kernel_sum": "predictors.latency.kernels:KernelSum",
        "latency_surface": "predictors.latency.surface:LatencySurface",
        "mlp_ensemble": "predictors.quality.mlp_ensemble:MlpEnsemble",
        "operator_table": "predictors.latency.operators:OperatorTable",
        "quality_transfer": "predictors.quality.transfer:QualityTransfer",
        "roofline_proxy": "predictors.latency.proxy:RooflineProxy",
        "transfer": "predictors.latency.transfer:FewShotTransfer",
        "trees": "predictors.latency.trees:GradientTrees",
    },
)

TARGETS: Registry = Registry(
    "target kind",
    {
        "agent": "predictors.targets.agent:AgentTarget",
        "cpu": "predictors.targets.cpu:CpuTarget",
        "cpu_parallel": "predictors.targets.cpu_parallel:CpuParallelTarget",
        "table": "predictors.targets.table:TableTarget",
    },
)

__all__ = ["PREDICTORS", "TARGETS"]
