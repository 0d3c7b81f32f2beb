#!/usr/bin/env python3
"""Fails if a file under src/ includes what the ladder in docs/architecture.md does not allow.

  tests/check_layers.py [ROOT]

The two tables of that document are the rule: "| folder | ... | may use |", transitive, and
"| header | seen by |".
"""

import pathlib
import re
import sys

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')


def tables(text):
    """Every markdown table as a list of rows of stripped cells, the header row first."""
    found, rows = [], []
    for line in [*text.splitlines(), ""]:
        if line.startswith("|"):
            rows.append([cell.strip() for cell in line.strip().strip("|").split("|")])
        elif rows:
            found.append([rows[0], *rows[2:]])
            rows = []
    return found


def names(cell):
    return re.findall(r"[A-Za-z0-9_./]+", cell.replace("`", ""))


def read_rules(document):
    allowed, headers = {}, {}
    for table in tables(document.read_text(encoding="utf-8")):
        if table[0][0] == "folder":
            for folder, _, uses in table[1:]:
                folder = folder.strip("`")
                above = list(allowed) if uses == "all" else [n for n in names(uses) if n in allowed]
                if uses not in ("–", "all") and above != names(uses):
                    raise SystemExit(f"{document}: {folder} uses a folder that is not above it")
                allowed[folder] = set().union({folder}, above, *(allowed[a] for a in above))
        elif table[0][0] == "header":
            for header, seen_by in table[1:]:
                for prefix in names(header):
                    headers[prefix] = set(names(seen_by))
    if not allowed or not headers:
        raise SystemExit(f"{document}: a table is missing")
    return allowed, headers


def violations(root):
    allowed, headers = read_rules(root / "docs" / "architecture.md")
    for path in sorted((root / "src").rglob("*")):
        if path.suffix not in (".h", ".cc"):
            continue
        folder = path.relative_to(root / "src").parts[0]
        if folder not in allowed:
            yield f"{path.relative_to(root)}: src/{folder} is not on the ladder"
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            match = INCLUDE.match(line)
            if not match:
                continue
            quote, target = match.groups()
            place = f"{path.relative_to(root)}:{number}"
            if quote == '"':
                other = target.split("/")[0]
                if "/" not in target or target.startswith("."):
                    yield f"{place}: \"{target}\" is not a path from src/"
                elif other not in allowed[folder]:
                    yield f"{place}: {folder} may not use {other} ({target})"
            for prefix, seen_by in headers.items():
                if target.startswith(prefix) and folder not in seen_by:
                    yield f"{place}: {folder} may not see <{target}>"


def main():
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parents[1])
    found = list(violations(root))
    print("\n".join(found) if found else "every include keeps to the ladder")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
