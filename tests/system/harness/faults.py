"""The testbed's fault proxy, for tests that put it in front of a service."""

import importlib.util
from pathlib import Path

_spec = importlib.util.spec_from_file_location("fault_proxy", Path(__file__).resolve().parents[2] / "testbed" / "fault_proxy.py")
_module = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_module)
FaultProxy = _module.FaultProxy
