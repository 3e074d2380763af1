"""SMS-EMOA (Beume et al. 2007, doi:10.1016/j.ejor.2006.08.008) with pymoo: survival by hypervolume contribution."""

from __future__ import annotations

from pymoo.algorithms.moo.sms import SMSEMOA
from pymoo.core.population import Population as Individuals

from search.pymoo_search import PymooSearch


class SMSEMOASearch(PymooSearch):
    """Each new arch replaces one; with five objectives, computing contributions would take 50 ms each."""

    name = "smsemoa"
    min_objectives = 2
    max_objectives = 4

    def _engine(self) -> SMSEMOA:
        return SMSEMOA(pop_size=self.population, eliminate_duplicates=False, **self.operators())

    def _survive(self, engine: SMSEMOA, new: Individuals) -> Individuals:
        before = self.scores[self.violations <= 0]
        corners = {}
        if len(before):
            corners = {"ideal": before.min(axis=0), "nadir": before.max(axis=0) + 1e-32}
        return engine.survival.do(
            self.problem,
            Individuals.merge(engine.pop, new),
            n_survive=self.population,
            algorithm=engine,
            random_state=self.rng,
            **corners,
        )
