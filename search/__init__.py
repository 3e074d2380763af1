"""Which archs to try next: fronts, limits, problems and the algorithms that search them. No torch, no models.

A new algorithm is one file in ``search/algorithms/`` and one line here; the contract tests run over the table.
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
