"""What can be searched, trained, cut out and shipped.

The tables below are the only place where a variant is registered: one file, one line. They hold
strings, so that listing names imports nothing (and needs no torch).
"""

from supernets.registry import Registry

FAMILIES: Registry = Registry(
    "family",
    {
        "bert": "supernets.families.bert:Bert",
        "gpt": "supernets.families.gpt:Gpt",
        "mobilenet_v3": "supernets.families.mobilenet_v3:MobileNetV3",
        "proxyless": "supernets.families.proxyless:Proxyless",
        "resnet50": "supernets.families.resnet50:ResNet50",
        "table": "supernets.families.table:TableFamily",
        "traced": "supernets.families.traced:Traced",
        "vit": "supernets.families.vit:Vit",
    },
)

TASKS: Registry = Registry(
    "task",
    {
        "image_classification": "supernets.tasks.image_classification:ImageClassification",
        "image_regression": "supernets.tasks.image_regression:ImageRegression",
        "language_modelling": "supernets.tasks.language_modelling:LanguageModelling",
        "self_supervised_images": "supernets.tasks.self_supervised_images:SelfSupervisedImages",
        "text_classification": "supernets.tasks.text_classification:TextClassification",
    },
)

SAMPLERS: Registry = Registry(
    "sampler",
    {
        "attentive": "supernets.recipes.samplers.attentive:AttentiveSampler",
        "ends": "supernets.recipes.samplers.ends:EndsSampler",
        "instatune": "supernets.recipes.samplers.instatune:InstatuneSampler",
        "poa": "supernets.recipes.samplers.poa:PoaSampler",
        "sandwich": "supernets.recipes.samplers.sandwich:SandwichSampler",
        "shift": "supernets.recipes.samplers.shift:ShiftSampler",
        "shift_learned": "supernets.recipes.samplers.shift_learned:LearnedShiftSampler",
        "uniform": "supernets.recipes.samplers.uniform:UniformSampler",
    },
)

LOSSES: Registry = Registry(
    "loss",
    {
        "alpha_divergence": "supernets.recipes.losses.alpha_divergence:AlphaDivergence",
        "inplace_distillation": "supernets.recipes.losses.inplace_distillation:InplaceDistillation",
        "instatune": "supernets.recipes.losses.instatune:InstatuneLoss",
        "labels_and_teacher": "supernets.recipes.losses.labels_and_teacher:LabelsAndTeacher",
        "poa": "supernets.recipes.losses.poa:PoaLoss",
    },
)

CONTROLLERS: Registry = Registry(
    "controller",
    {
        "gradient_split": "supernets.recipes.controllers.gradient_split:GradientSplit",
        "self_expanding": "supernets.recipes.controllers.self_expanding:SelfExpanding",
        "stages": "supernets.recipes.controllers.stages:Stages",
    },
)

HOOKS: Registry = Registry(
    "hook",
    {
        "masked": "supernets.recipes.hooks.masked:MaskedGradients",
        "opening_ramp": "supernets.recipes.hooks.opening_ramp:OpeningRamp",
    },
)

PRUNERS: Registry = Registry(
    "pruner",
    {
        "dhspg": "supernets.recipes.pruners.dhspg:Dhspg",
        "hesso": "supernets.recipes.pruners.hesso:Hesso",
        "hesso_cric": "supernets.recipes.pruners.hesso_cric:HessoCric",
    },
)

DATA_SOURCES: Registry = Registry(
    "data source",
    {
        "digits": "supernets.data.sources.digits:Digits",
        "fashion_mnist": "supernets.data.sources.fashion_mnist:FashionMnist",
        "cifar10": "supernets.data.sources.cifar10:Cifar10",
        "folder": "supernets.data.sources.folder:FolderSource",
        "parquet": "supernets.data.sources.parquet:ParquetSource",
        "stream": "supernets.data.sources.stream:StreamSource",
        "hub": "supernets.data.sources.hub:HubSource",
        "text": "supernets.data.sources.text:TextSource",
        "corpus": "supernets.data.sources.corpus:CorpusSource",
        "python_source": "supernets.data.sources.python_source:PythonSource",
    },
)

PRETRAINED: Registry = Registry(
    "model_type of a pretrained network",
    {
        "bert": "supernets.pretrained.bert:BertWeights",
        "distilbert": "supernets.pretrained.distilbert:DistilBertWeights",
        "gpt2": "supernets.pretrained.gpt2:Gpt2Weights",
        "vit": "supernets.pretrained.vit:VitWeights",
    },
)

EXPORTERS: Registry = Registry(
    "exporter",
    {
        "onnx": "supernets.export.onnx:OnnxExporter",
        "pt2": "supernets.export.pt2:Pt2Exporter",
    },
)

__all__ = [
    "CONTROLLERS",
    "DATA_SOURCES",
    "EXPORTERS",
    "FAMILIES",
    "HOOKS",
    "PRUNERS",
    "LOSSES",
    "PRETRAINED",
    "SAMPLERS",
    "TASKS",
    "Registry",
]
