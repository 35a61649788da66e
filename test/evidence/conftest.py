# SPDX-License-Identifier: ISC
"""Fixtures: those of the API tests, and the verifier of the build."""
import os
import sys

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "api")]

import axlib  # noqa: E402
import both  # noqa: E402
from conftest_api import *  # noqa: E402,F401,F403


@pytest.fixture(scope="session")
def verifier():
    return both.find_verifier(axlib.find_build())
