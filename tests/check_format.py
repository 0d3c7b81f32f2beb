#!/usr/bin/env python3
"""Fails if clang-format would change a C++ file under src/, tests/ or bench/.

  tests/check_format.py [ROOT]
"""

import pathlib
import shutil
import subprocess
import sys


def main():
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parents[1])
    if not shutil.which("clang-format"):
        print("SKIPPED: no clang-format here")
        sys.exit(77)
    files = [str(path) for folder in ("src", "tests", "bench")
             for path in sorted((root / folder).rglob("*")) if path.suffix in (".h", ".cc")]
    result = subprocess.run(["clang-format", "--dry-run", "-Werror", *files], cwd=root)
    print(f"{len(files)} files looked at")
    sys.exit(result.returncode)


if __name__ == "__main__":
    main()
