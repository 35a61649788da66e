# SPDX-License-Identifier: ISC
"""The fixtures of the API tests, for the hostile battery."""
import importlib.util
import os

_path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "api",
                     "conftest.py")
_spec = importlib.util.spec_from_file_location("ax_api_conftest", _path)
_api = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_api)
globals().update({k: v for k, v in vars(_api).items()
                  if k in ("ax", "make_ax") or k.startswith("pytest_")})
