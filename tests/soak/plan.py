"""The faults of a soak and their order. All of it comes from the seed, and nothing from the machine."""
import random
from collections import namedtuple

# pause_s: before it. hurried: the next one does not wait until all is well again. random: for what it decides itself.
Step = namedtuple("Step", "pause_s name hurried random")

HURRIED_SHARE = 0.25


class Plan:
    """Steps without end."""

    def __init__(self, seed, weights):
        """weights: how often each fault comes in comparison with the others."""
        self.random = random.Random(seed)
        self.names = sorted(weights)
        self.weights = [weights[name] for name in self.names]

    def next(self):
        return Step(self.random.uniform(0.5, 4), self.random.choices(self.names, self.weights)[0],
                    self.random.random() < HURRIED_SHARE, random.Random(self.random.getrandbits(64)))
