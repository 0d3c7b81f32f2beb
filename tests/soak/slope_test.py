"""The soak's judge is judged: a leak is found, noise is none, steps of noise do not count twice."""

import random
import unittest

import slope


class Slope(unittest.TestCase):
    def test_a_straight_line_is_found_exactly(self):
        line = slope.Line(list(range(0, 1000, 10)), [7 + 3 * x for x in range(0, 1000, 10)])
        self.assertAlmostEqual(line.slope, 3)
        self.assertLess(line.error, 1e-6)

    def test_noise_alone_is_within_the_bounds_around_nothing(self):
        outside = 0
        for seed in range(200):
            draw = random.Random(seed)
            places = list(range(0, 2000, 20))
            low, high = slope.Line(places, [draw.gauss(0, 5000) for _ in places]).bounds()
            outside += not low <= 0 <= high
        self.assertLessEqual(outside, 8)

    def test_a_leak_in_noise_is_seen(self):
        for seed in range(50):
            draw = random.Random(seed)
            places = list(range(0, 8000, 25))
            values = [40 * x + draw.gauss(0, 30000) for x in places]
            self.assertGreater(slope.Line(places, values).bounds()[0], 20)

    def test_samples_that_resemble_each_other_count_less(self):
        draw = random.Random(1)
        places = list(range(100))
        free = [draw.gauss(0, 1) for _ in places]
        held = [free[x - x % 10] for x in places]
        self.assertGreater(slope.Line(places, held).error, 1.5 * slope.Line(places, free).error)


if __name__ == "__main__":
    unittest.main()
