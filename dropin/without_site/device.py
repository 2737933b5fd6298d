"""Where nobody reads .pth files (PYTHONPATH, `pip install --target`), this finds the real `azure.iot.device`."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent.parent / "_ferrohub_azure"))
del sys.modules[__name__]
import azure.iot.device  # noqa: E402
