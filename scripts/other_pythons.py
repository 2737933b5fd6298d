"""Run the tutorial on each Python named that this machine has, from the wheels: `other_pythons.py WHEELS VERSION...`.

One abi3 wheel serves them all; this shows it does. A version that isn't found gets a line that says so.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

REQUIRED_IN_CI = ("3.9", "3.13")
# Also what is loaded only when it is asked for.
IMPORTS = """
import importlib, pkgutil
import azure.iot.device, azure.iot.device.exceptions, azure.iot.hub, azure.iot.hub.models, ferrohub
for module in pkgutil.walk_packages(ferrohub.__path__, "ferrohub."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
"""
ROOT = Path(__file__).parent.parent


def find(version: str) -> Path | None:
    """The Python of this version: of pyenv, or on the PATH."""
    candidates = [path / "bin" / "python" for path in Path.home().glob(f".pyenv/versions/{version}.*")]
    if on_path := shutil.which(f"python{version}"):
        candidates.append(Path(on_path))
    for candidate in candidates:
        command = [str(candidate), "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]
        # pyenv's shims are on the PATH whether or not their Python is active: only running one tells.
        asked = subprocess.run(command, capture_output=True, text=True, check=False)
        if asked.stdout.strip() == version:
            return candidate
    return None


def smoke(python: Path, wheels: Path, folder: Path) -> bool:
    """Install the wheels into a new environment, import everything, run the tutorial."""
    subprocess.run([python, "-m", "venv", "--without-pip", folder], check=True)
    own = str(folder / "bin" / "python")
    pip = [sys.executable, "-m", "pip", "--python", own, "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, *map(str, sorted(wheels.glob("*.whl")))], check=True)
    commands = [[own, "-W", "error", "-c", IMPORTS], [own, str(ROOT / "scripts" / "tutorial.py")]]
    return all(subprocess.run(command, check=False).returncode == 0 for command in commands)


def main() -> int:
    """Each version in turn; exit code 1 if one that is there fails."""
    wheels, versions = Path(sys.argv[1]), sys.argv[2:]
    failed = []
    for version in versions:
        if version == "{}.{}".format(*sys.version_info):
            print(f"Python {version}: the suite runs on it")
            continue
        python = find(version)
        if python is None:
            print(f"Python {version}: skipped, not on this machine")
            if version in REQUIRED_IN_CI and os.environ.get("CI"):
                failed.append(version)
            continue
        print(f"Python {version}: {python}", flush=True)
        with tempfile.TemporaryDirectory() as folder:
            if not smoke(python, wheels, Path(folder) / "venv"):
                failed.append(version)
    if failed:
        print(f"Failed on Python {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
