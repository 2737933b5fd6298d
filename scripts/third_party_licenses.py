"""Write THIRD-PARTY-LICENSES.txt: the licence texts of every crate that ends up in the wheel.

`make licenses` runs it; `make lint` runs it with `--check`, so that the file can't fall behind Cargo.lock.
Texts that several crates share stand once, under all their names.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).parent.parent
TARGET = ROOT / "THIRD-PARTY-LICENSES.txt"
NAMES = ("LICENSE*", "LICENCE*", "COPYING*", "NOTICE*", "license*")
RULE = "\n" + "=" * 100 + "\n"


def cargo(*arguments: str) -> str:
    """What cargo prints."""
    command = ["cargo", *arguments, "--locked", "--features", "python"]
    return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout


def crates_of_the_wheel() -> set[tuple[str, str]]:
    """Name and version of each crate that is linked, on any target; build-time crates are not."""
    lines = cargo("tree", "--edges", "normal", "--target", "all", "--prefix", "none", "--format", "{p}").splitlines()
    crates = {(line.split()[0], line.split()[1].lstrip("v")) for line in lines if line.strip()}
    return {crate for crate in crates if crate[0] != "ferrohub"}


def texts_of(folder: Path) -> list[str]:
    """The licence texts a crate ships."""
    files = {path for name in NAMES for path in folder.glob(name) if path.is_file()}
    return ["\n".join(path.read_text("utf-8").split("\r\n")).strip() for path in sorted(files)]


def render() -> str:
    """The whole file."""
    wanted = crates_of_the_wheel()
    names_of_text: dict[str, list[str]] = defaultdict(list)
    without_text = []
    for package in json.loads(cargo("metadata", "--format-version", "1"))["packages"]:
        if (package["name"], package["version"]) not in wanted:
            continue
        name = f"{package['name']} {package['version']} ({package['license']})"
        texts = texts_of(Path(package["manifest_path"]).parent)
        for text in texts:
            names_of_text[text].append(name)
        if not texts:
            without_text.append(f"{name}, {package['repository']}")
    parts = ["FerroHub's compiled module contains the following Rust crates, under these licences."]
    parts += ["\n".join(sorted(names)) + "\n\n" + text for text, names in sorted(names_of_text.items(), key=by_name)]
    if without_text:
        parts.append(
            "These ship no licence text; the named licence's standard text applies:\n\n"
            + "\n".join(sorted(without_text))
        )
    return RULE.join(parts) + "\n"


def by_name(entry: tuple[str, list[str]]) -> tuple[str, str]:
    """Order by the first crate, then by the text itself: the same tree gives the same file."""
    text, names = entry
    return min(names), text


def main() -> int:
    """Write the file, or with `--check` say whether it is up to date."""
    text = render()
    if "--check" not in sys.argv[1:]:
        TARGET.write_text(text, "utf-8")
        return 0
    if TARGET.exists() and TARGET.read_text("utf-8") == text:
        return 0
    print("THIRD-PARTY-LICENSES.txt does not match Cargo.lock: run `make licenses`.", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
