"""Run the test files of azure-iot-hub 2.7.0 against our `azure.iot.hub`, unmodified, and count what passes.

    .venv/bin/python scripts/official_service_tests.py

The files come from the source distribution on PyPI, into build/official-tests, and are not kept in the repository. Exit
status 0 only if all public cases pass: those of `TestFromConnectionString` that look at nothing but the class and its
errors. docs/service.md tells why the others can't.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import xml.etree.ElementTree as ET
from collections import Counter
from pathlib import Path

WORK = Path(__file__).parent.parent / "build" / "official-tests"
DISTRIBUTION = "azure-iot-hub==2.7.0"
# Without their dependencies: msrest and azure-core are here already, and `azure` must stay ours.
NEEDED_BY_THE_TESTS = ["pytest-mock==3.17.0", "pytest-testdox==3.1.0", "uamqp==1.6.11", "six==1.17.0"]
PUBLIC = "TestFromConnectionString.test_instantiates_with"
PUBLIC_CASES = 24
# A test that mocks what ours does not use asks a hub that does not exist, and would wait for it.
SECONDS_FOR_A_TEST = 2


def pip(*arguments: str) -> None:
    """Run pip of this Python."""
    subprocess.run([sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments], check=True)


def fetch() -> Path:
    """The folder with the official test files."""
    site, source = WORK / "site", WORK / "azure_iot_hub-2.7.0"
    if not site.exists():
        pip("install", "--no-deps", "--target", str(site), *NEEDED_BY_THE_TESTS)
    if not source.exists():
        pip("download", "--no-deps", "--no-binary", "azure-iot-hub", "--dest", str(WORK), DISTRIBUTION)
        with tarfile.open(WORK / "azure_iot_hub-2.7.0.tar.gz") as archive:
            archive.extractall(WORK, filter="data")
    return source / "tests"


def run(tests: Path) -> list[tuple[str, bool]]:
    """Name of each test, `file.Class.test[case]`, and whether it passed."""
    report = WORK / "report.xml"
    options = ["-q", "-W", "ignore", "-p", "no:cacheprovider", "--continue-on-collection-errors", "--tb=no"]
    command = [sys.executable, "-m", "pytest", "-c", os.devnull, f"--rootdir={tests}", *options]
    command += [f"--timeout={SECONDS_FOR_A_TEST}", f"--junit-xml={report}", str(tests)]
    environment = {**os.environ, "PYTHONPATH": str(WORK / "site")}
    subprocess.run(command, check=False, stdout=subprocess.DEVNULL, env=environment)
    cases = ET.parse(report).iter("testcase")  # noqa: S314 - pytest has just written it
    return [
        (f"{case.get('classname')}.{case.get('name')}", not [child for child in case if child.tag != "properties"])
        for case in cases
    ]


def main() -> int:
    """Print what passes, file by file."""
    results = run(fetch())
    collected: Counter[str] = Counter()
    passed: Counter[str] = Counter()
    for name, ok in results:
        file = next(part for part in name.split(".") if part.startswith("test_"))
        collected[file] += 1
        passed[file] += ok
    for file in sorted(collected):
        print(f"{file}: {passed[file]} of {collected[file]}")
    public = [(name, ok) for name, ok in results if PUBLIC in name]
    for name, ok in public:
        if not ok:
            print(f"fails: {name}")
    print(f"{passed.total()} of {collected.total()} pass; of the public cases {sum(ok for _, ok in public)}")
    return 0 if sum(ok for _, ok in public) == PUBLIC_CASES else 1


if __name__ == "__main__":
    sys.exit(main())
