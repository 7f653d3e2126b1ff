"""Ctrl-C at a chosen iteration of a fit."""

import contextlib
import io
import re
import signal
import threading

import pytest


class Hook(io.StringIO):
    """A standard output that calls a function when a verbose line announces a given iteration for the n-th time."""

    def __init__(self, iteration, action, n=1):
        super().__init__()
        self.line, self.action, self.left = re.compile(rf"Iteration +{iteration} "), action, n

    def write(self, text):
        if self.line.match(text):
            self.left -= 1
            if self.left == 0:
                self.action()
        return super().write(text)


@contextlib.contextmanager
def interrupt_at(iteration, n=1):
    """Raise the signal that the keyboard sends when a verbose fit announces an iteration for the n-th time."""
    if threading.current_thread() is not threading.main_thread():
        pytest.fail("Signals reach Python in its main thread only.")
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with contextlib.redirect_stdout(Hook(iteration, lambda: signal.raise_signal(signal.SIGINT), n)):
            yield
    finally:
        signal.signal(signal.SIGINT, before)
