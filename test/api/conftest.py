# SPDX-License-Identifier: ISC
"""Fixtures of the API tests.

ax        one daemon for the whole test module.  A module changes its settings
          with a dict AX_SETTINGS at its top.
make_ax   a factory: make_ax(SETTING=value, ...) starts a further daemon that
          ends with the test.  Other arguments are those of axlib.Daemon.

A test that fails gets the tail of every running daemon's log in its report,
and those daemons' folders are kept.  Every test has a bound of 120 s, or that
of @pytest.mark.limit(seconds).
"""
import os
import signal
import sys

import pytest

sys.path.insert(0, os.path.dirname(__file__))
import axlib  # noqa: E402

live = []


def pytest_configure(config):
    config.addinivalue_line("markers", "limit(seconds): bound of this test")
    config.addinivalue_line("markers", "root: needs root")
    config.addinivalue_line("markers", "quick: the core of the suite")
    config.addinivalue_line("markers", "heavy: not under sanitizers")


def pytest_collection_modifyitems(config, items):
    if axlib.IS_ROOT:
        return
    for item in items:
        if item.get_closest_marker("root"):
            item.add_marker(pytest.mark.skip(reason="needs root"))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_call(item):
    m = item.get_closest_marker("limit")
    bound = (m.args[0] if m else 120) * axlib.SLOW

    def late(*_):
        raise axlib.TestError("test ran longer than %.0f s" % bound)

    old = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, bound)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, old)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    rep = (yield).get_result()
    if not rep.failed:
        return
    for d in live:
        d.keep = True
        rep.sections.append(("log of %s" % d.base, d.log_tail()))


def _start(**kw):
    d = axlib.Daemon(autostart=False, **{k: v for k, v in kw.items()
                                         if k not in ("autostart", "ready")})
    live.append(d)
    if kw.get("autostart", True):
        d.start(ready=kw.get("ready", True))
    return d


def _end(d):
    try:
        d.close()
    finally:
        live.remove(d)


def _end_all(mine):
    errors = []
    for d in mine:
        try:
            _end(d)
        except Exception as e:
            errors.append(e)
    if errors:
        raise errors[0]


@pytest.fixture(scope="module")
def ax(request):
    before = list(live)
    try:
        yield _start(**getattr(request.module, "AX_SETTINGS", {}))
    finally:
        _end_all([d for d in live if d not in before])


@pytest.fixture
def make_ax():
    mine = []

    def make(**kw):
        before = list(live)
        try:
            return _start(**kw)
        finally:
            mine.extend(d for d in live if d not in before)

    yield make
    _end_all(mine)
