"""The soak's mix is judged: it asks for every route of the page's document, and a route that it does
not ask for is named."""

import json
import re
import unittest

import mix

DOCUMENT = json.loads((mix.ROOT / "web/openapi.json").read_text(encoding="utf-8"))
ROUNDS = 12  # 300 requests


def asked():
    """(method, path) of all that a soak sends, reloads aside."""
    result = "0" * 32
    soak = mix.Mix("skin7-b0", "1.0.0", b"a photo", ("input", [1, 3, 2, 2]))
    asks = [ask for turn in range(ROUNDS) for ask in soak.round(turn)]
    asks += [ask for turn in range(3) for ask in mix.visits(result, turn)]
    asks += mix.stay("dermlens_session=x; Path=/", 8000)
    return [ask.route or ("", "") if isinstance(ask, mix.Abort) else (ask.method, ask.path)
            for ask in asks]


def missing(document):
    routes = mix.Routes(document)
    for method, path in asked():
        routes.answered(method, path)
    return {path for _, path in routes.missing}


class TheMix(unittest.TestCase):
    def test_it_asks_for_every_route_but_reloads(self):
        self.assertEqual(missing(DOCUMENT), {f"/v2/repository/models/{{model}}/{what}"
                                             for what in ("load", "unload")})

    def test_a_route_that_nobody_asks_for_is_named(self):
        document = {"paths": {**DOCUMENT["paths"], "/api/v1/{new}/route": {"get": {}}}}
        self.assertIn("/api/v1/{new}/route", missing(document))

    def test_a_round_is_as_long_as_another(self):
        soak = mix.Mix("m", "1", b"a photo", ("input", [1]))
        self.assertEqual({len(soak.round(turn)) for turn in range(ROUNDS)}, {25})

    def test_a_path_answers_for_its_own_route_alone(self):
        pattern = re.compile(mix.Routes.pattern_of("/v1/models/{model}"))
        self.assertTrue(pattern.fullmatch("/v1/models/a.b"))
        self.assertFalse(pattern.fullmatch("/v1/models/a:predict"))
        self.assertFalse(pattern.fullmatch("/v1/models/a/b"))


if __name__ == "__main__":
    unittest.main()
