"""What can be searched, trained, cut out and shipped.

The tables below are the only place where a variant is registered: one file, one line. They hold
strings, so that listing names imports nothing (and needs no torch).
"""

from supernets.registry import Registry

FAMILIES: Registry = Registry(
    "family",
    {
        "mobilenet_v3": "supernets.families.mobilenet_v3:MobileNetV3",
    },
)

SAMPLERS: Registry = Registry(
    "sampler",
    {
        "sandwich": "supernets.recipes.samplers.sandwich:SandwichSampler",
    },
)

LOSSES: Registry = Registry(
    "loss",
    {
        "inplace_distillation": "supernets.recipes.losses.inplace_distillation:InplaceDistillation",
    },
)

EXPORTERS: Registry = Registry(
    "exporter",
    {
        "onnx": "supernets.export.onnx:OnnxExporter",
    },
)

__all__ = ["EXPORTERS", "FAMILIES", "LOSSES", "SAMPLERS", "Registry"]
