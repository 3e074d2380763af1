"""Multi-objective search: fronts, constraints, problems and search algorithms. No torch, no models.

A new algorithm is one file in ``search/algorithms/`` and one line here. The contract tests run all of them.
"""

from supernets.registry import Registry

ALGORITHMS = Registry(
    "search algorithm",
    {
        "nsga2": "search.algorithms.nsga2:NSGA2",
        "random": "search.algorithms.random:RandomSearch",
        "exhaustive": "search.algorithms.exhaustive:Exhaustive",
        "evolution": "search.algorithms.evolution:RegularisedEvolution",
        "local": "search.algorithms.local:LocalSearch",
        "unsga3": "search.algorithms.unsga3:UnifiedNSGA3",
        "smsemoa": "search.algorithms.smsemoa:SMSEMOASearch",
        "moead": "search.algorithms.moead:MOEADSearch",
        "surrogate": "search.algorithms.surrogate:SurrogateSearch",
    },
)
