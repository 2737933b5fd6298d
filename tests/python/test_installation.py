"""Real wheels and real pip: beside Microsoft's packages, in any order, whichever is removed, what is left imports.

Virtual environments are made without pip and filled from outside (`pip --python`), then copied: pip finds a
distribution's files relative to the environment.
"""

from __future__ import annotations

import shutil
import sys
import zipfile
from pathlib import Path

import pytest
from support import ROOT, Outcome, run, wheel

pytestmark = pytest.mark.timeout(240)

# six: azure-iot-hub 2.7.0 imports it and does not require it, with or without us.
OFFICIAL = ["azure-iot-device==2.14.0", "azure-iot-hub==2.7.0", "six"]
MODULES = ("azure.iot.device", "azure.iot.hub")


class Environment:
    """A virtual environment to install into."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.python = folder / "bin" / "python"

    @classmethod
    def new(cls, folder: Path) -> Environment:
        assert run(sys.executable, "-m", "venv", "--without-pip", folder).code == 0
        return cls(folder)

    def copy(self) -> Environment:
        return Environment(shutil.copytree(self.folder, self.folder.with_name("copy"), symlinks=True))

    def pip(self, *arguments: str | Path) -> None:
        command = [
            sys.executable,
            "-m",
            "pip",
            "--python",
            self.python,
            "--disable-pip-version-check",
            *arguments,
        ]
        done = run(*command, timeout=200)
        assert done.code == 0, done.err

    def install_ours(self) -> None:
        self.pip("install", wheel("ferrohub"), wheel("ferrohub_azure"))

    def install_official(self) -> None:
        self.pip("install", *OFFICIAL)

    def run(self, code: str, **env: str) -> Outcome:
        return run(self.python, "-c", code, env=env)

    def owner(self, module: str) -> tuple[str, str]:
        """Whose module it is that imports under this name, and the warnings."""
        ran = self.run(f"import {module} as module; print(module.__file__)")
        assert ran.code == 0, ran.err
        return ("ours" if "_ferrohub_azure" in ran.out else "official"), ran.err


@pytest.fixture(scope="module", params=["ours first", "official first"])
def both(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """An environment with both, installed in this order."""
    environment = Environment.new(tmp_path_factory.mktemp("both") / "venv")
    steps = [environment.install_ours, environment.install_official]
    for step in steps if request.param == "ours first" else reversed(steps):
        step()
    return environment


def test_with_both_ours_imports_and_names_the_remedy(both: Environment) -> None:
    for module in MODULES:
        owner, warning = both.owner(module)
        assert owner == "ours"
        assert "`python -m pip uninstall azure-iot-device azure-iot-hub`" in warning
        assert "`python -m pip uninstall ferrohub-azure`" in warning


def test_the_warning_comes_once_and_points_at_the_user(both: Environment) -> None:
    ran = both.run("import azure.iot.hub\nimport azure.iot.device\nimport azure.iot.device.exceptions")
    assert ran.err.count("RuntimeWarning") == 1
    assert ran.err.startswith("<string>:1: RuntimeWarning")


def test_official_removed_ours_stays_whole(both: Environment) -> None:
    left = both.copy()
    try:
        left.pip("uninstall", "--yes", "azure-iot-device", "azure-iot-hub")
        assert [left.owner(module) for module in MODULES] == [("ours", ""), ("ours", "")]
        assert left.run("import azure.iot.hub.models, azure.iot.device.exceptions").code == 0
    finally:
        shutil.rmtree(left.folder)


def test_ours_removed_official_stays_whole(both: Environment) -> None:
    left = both.copy()
    try:
        left.pip("uninstall", "--yes", "ferrohub-azure", "ferrohub")
        assert [left.owner(module)[0] for module in MODULES] == ["official", "official"]
        assert left.run("import azure.iot.hub.models, azure.iot.device.exceptions").code == 0
        assert not list(left.folder.rglob("*ferrohub*.py"))
    finally:
        shutil.rmtree(left.folder)


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """An environment with ours, and neighbours of the azure namespace."""
    environment = Environment.new(tmp_path_factory.mktemp("ours") / "venv")
    environment.install_ours()
    environment.pip("install", "azure-core", "azure-identity", "azure-eventhub")
    return environment


def test_the_azure_neighbours_import_beside_it(ours: Environment) -> None:
    names = "azure.iot.hub, azure.core, azure.identity, azure.eventhub, azure.iot.device"
    for order in (names, ", ".join(reversed(names.split(", ")))):
        assert ours.run(f"import {order}") == Outcome(0, "", "")


def test_nothing_is_warned_of_alone(ours: Environment) -> None:
    assert [ours.owner(module) for module in MODULES] == [("ours", ""), ("ours", "")]


def test_found_where_nobody_reads_pth_files(ours: Environment) -> None:
    site_packages = next(ours.folder.glob("lib/python*/site-packages"))
    for module in MODULES:
        # -S: without site there are no .pth files, as with `pip install --target` and PYTHONPATH.
        code = f"import {module} as module, {module}.models; print(module.__name__, module.__file__)"
        code = code if module == "azure.iot.hub" else code.replace(f", {module}.models", f", {module}.exceptions")
        ran = run(sys.executable, "-S", "-c", code, env={"PYTHONPATH": str(site_packages)})
        assert (ran.code, ran.err) == (0, "")
        assert ran.out.startswith(f"{module} {site_packages}")


def test_without_ferrohub_the_error_names_the_command(ours: Environment) -> None:
    left = ours.copy()
    left.pip("uninstall", "--yes", "ferrohub")
    for module in MODULES:
        ran = left.run(f"import {module}")
        assert ran.code == 1
        assert 'Run `python -m pip install "ferrohub[azure]"`' in ran.err.splitlines()[-1]


def test_the_wheels_hold_what_they_promise() -> None:
    native, dropin = wheel("ferrohub"), wheel("ferrohub_azure")
    assert native.stat().st_size <= 10_000_000
    names = set(zipfile.ZipFile(native).namelist())
    assert {"ferrohub/py.typed", "ferrohub/_native.pyi"} <= names
    assert any(name.endswith("licenses/THIRD-PARTY-LICENSES.txt") for name in names)
    assert not any(name.startswith("azure/") for name in names)
    names = set(zipfile.ZipFile(dropin).namelist())
    assert {f"_ferrohub_azure/azure/iot/{name}/py.typed" for name in ("hub", "device")} <= names
    assert not any(name.endswith(("azure/__init__.py", "iot/__init__.py")) for name in names)


def test_no_file_has_the_name_of_an_official_one(both: Environment) -> None:
    def files(*distributions: str) -> set[str]:
        records = [
            next(both.folder.glob(f"lib/python*/site-packages/{name}-*.dist-info/RECORD")) for name in distributions
        ]
        return {line.split(",")[0] for record in records for line in record.read_text().splitlines()}

    assert not files("ferrohub", "ferrohub_azure") & files("azure_iot_device", "azure_iot_hub")


def test_the_versions_agree() -> None:
    import ferrohub

    version = ferrohub.__version__
    assert f'version = "{version}"' in (ROOT / "Cargo.toml").read_text()
    assert f'azure = ["ferrohub-azure=={version}"]' in (ROOT / "pyproject.toml").read_text()
    dropin = (ROOT / "dropin" / "pyproject.toml").read_text()
    assert f'version = "{version}"' in dropin
    assert f'"ferrohub=={version}"' in dropin
    assert f"## {version}" in (ROOT / "CHANGELOG.md").read_text()
