"""A straight line through samples, and how sure one may be of it."""

import math


class Line:
    """Least squares of `values` on `places`; `error` is the slope's standard error. Neighbouring
    samples of memory resemble each other, so the error counts only as many samples as are
    independent."""

    def __init__(self, places, values):
        count = len(places)
        if count < 5:
            raise ValueError(f"too few samples for a slope ({count}, 5)")
        middle, mean = sum(places) / count, sum(values) / count
        spread = sum((x - middle) ** 2 for x in places)
        self.slope = sum((x - middle) * (y - mean) for x, y in zip(places, values)) / spread
        rest = [y - mean - self.slope * (x - middle) for x, y in zip(places, values)]
        variance = sum(r * r for r in rest)
        likeness = sum(a * b for a, b in zip(rest, rest[1:])) / variance if variance else 0.0
        likeness = min(max(likeness, 0.0), 0.95)
        independent = max(3.0, count * (1 - likeness) / (1 + likeness))
        self.error = math.sqrt(variance / count / max(independent - 2, 1)
                               / (spread / count))

    def bounds(self, errors=2.6):
        """Where the true slope lies in 99 of 100 cases."""
        return self.slope - errors * self.error, self.slope + errors * self.error
