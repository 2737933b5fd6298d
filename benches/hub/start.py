"""`ferrohub up`: from its start until it is ready, and the memory that it has then."""

import re
import subprocess
import sys
import time
from pathlib import Path

from measure import tell

began = time.perf_counter()
command = Path(sys.executable).with_name("ferrohub")
with subprocess.Popen([command, "up", "--port", "0"], stdout=subprocess.PIPE, text=True) as hub:
    assert hub.stdout
    while "SharedAccessKey=" not in hub.stdout.readline():
        assert hub.poll() is None, "it has ended"
    seconds = time.perf_counter() - began
    resident = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{hub.pid}/status").read_text())
    assert resident
    hub.terminate()
tell(calls=1, seconds=seconds, cpu=0, memory=int(resident.group(1)) * 1024)
