# SPDX-License-Identifier: ISC
"""The fixtures of the API tests, and the verifier of the build under test."""
import importlib.util
import os
import sys

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
_path = os.path.join(HERE, "..", "api", "conftest.py")
_spec = importlib.util.spec_from_file_location("ax_api_conftest", _path)
_api = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_api)
globals().update({k: v for k, v in vars(_api).items()
                  if k in ("ax", "make_ax") or k.startswith("pytest_")})

import axlib  # noqa: E402
import both  # noqa: E402


@pytest.fixture(scope="session")
def verifier():
    """archillx-verify."""
    return both.find_verifier(axlib.find_build())
