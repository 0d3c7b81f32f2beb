#!/usr/bin/env python3
"""Fails if a test exists that no CMakeLists.txt registers, or a source that no library compiles.

  tests/check_registered.py [ROOT]

A test is *_test.cc, *_fuzz.cc, *_test.py or *_test.sh under tests/. It counts as registered if a
CMakeLists.txt (or a .cmake file, which one includes) in its folder or one above it, up to tests/,
names it by its path from there; for NAME_fuzz.cc, dermlens_fuzz(NAME ...) is enough. Every .cc under
src/ must be named in the same way.
"""

import pathlib
import re
import sys

TESTS = ("_test.cc", "_fuzz.cc", "_test.py", "_test.sh")
SKIPPED = {"__pycache__", "node_modules", "corpus"}


def named_in_lists(path, top):
    for folder in path.parents:
        for lists in [folder / "CMakeLists.txt", *folder.glob("*.cmake")]:
            if not lists.exists():
                continue
            code = re.sub(r"#.*", "", lists.read_text(encoding="utf-8"))
            relative = re.escape(path.relative_to(folder).as_posix())
            if re.search(rf"(?<![\w./-]){relative}(?![\w.-])|/{relative}(?![\w.-])", code):
                return True
            if path.name.endswith("_fuzz.cc"):
                if re.search(rf"dermlens_fuzz\(\s*{path.name[:-len('_fuzz.cc')]}\b", code):
                    return True
        if folder == top:
            return False
    return False


def unregistered(root):
    for path in sorted((root / "tests").rglob("*")):
        if path.name.endswith(TESTS) and not SKIPPED & set(path.parts):
            if not named_in_lists(path, root / "tests"):
                yield path
    for path in sorted((root / "src").rglob("*.cc")):
        if not named_in_lists(path, root / "src"):
            yield path


def main():
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parents[1])
    root = root.resolve()
    missing = list(unregistered(root))
    for path in missing:
        print(f"{path.relative_to(root)}: no CMakeLists.txt names it")
    if not missing:
        print("every test and every source is registered")
    sys.exit(1 if missing else 0)


if __name__ == "__main__":
    main()
