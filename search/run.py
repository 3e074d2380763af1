"""What a search job calls, step by step: each function is pure and repeats exactly from its seed.

A job goes round :func:`propose` (which archs to evaluate next), true evaluation, refitting the surrogates,
and again; :func:`measured_front` then judges by true values alone. :func:`optimise` and :func:`profile` ask
predictors only.
"""

from search.measured import MeasuredFront, Miss, measured_front
from search.optimise import Progress, Result, Stall, TracePoint, default_algorithm, optimise
from search.profile import Profile, Range, profile
from search.propose import propose

__all__ = [
    "MeasuredFront",
    "Miss",
    "Profile",
    "Progress",
    "Range",
    "Result",
    "Stall",
    "TracePoint",
    "default_algorithm",
    "measured_front",
    "optimise",
    "profile",
    "propose",
]
