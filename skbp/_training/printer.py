"""Progress as lines of text."""

from __future__ import annotations

import math
import shutil
import sys
import textwrap
import time

# A live line is written at most once in so many seconds.
LIVE_SECONDS = 0.1

LINE_WIDTH = 80


class Printer:
    """Prints a line for every epoch, or one line that is written again and again. No line has more than 80 characters.

    Parameters
    ----------
    verbose : bool or int
        1 prints a line for every epoch. 2 writes one line again and again, if the output is a terminal.
    score_is_loss : bool
        Whether the validation score is a loss with its sign changed. It is shown as a loss then.
    """

    def __init__(self, verbose, score_is_loss=False):
        self._live = verbose > 1 and sys.stdout.isatty()
        self._sign = -1.0 if score_is_loss else 1.0
        self._score_name = "validation loss" if score_is_loss else "validation score"
        self._pending = ""
        self._written = -math.inf

    def begin_epoch(self):
        """Nothing is printed before an epoch."""

    def end_epoch(self, loss, params, learning_rate, figures, monitor):  # noqa: ARG002, a watcher's signature
        """Print the figures of an epoch."""
        history = monitor.history
        cells = [f"Iteration {history.n_iter:>4}", f"loss {_figure(history.mean(loss)):8}"]
        if history.validates:
            cells.append(f"{self._score_name} {_figure(self._sign * history.mean(figures[0])):9}")
        if learning_rate is not None:
            cells.append(f"rate {_figure(learning_rate):8}")
        seconds = monitor.seconds
        cells.append(f"{seconds:4.1f} s" if seconds < 100.0 else f"{seconds:.0f} s")
        line = _narrow(cells)
        if not self._live:
            print(line)
            return
        self._pending = line
        if time.perf_counter() - self._written >= LIVE_SECONDS:
            self._write()

    def stall(self, history, decision):
        """Print that nothing has improved, and what follows."""
        what = self._score_name.capitalize() if history.early_stopping else "Training loss"
        self.close()
        line = (
            f"{what} did not improve more than tol={history.tol:g} for {history.n_iter_no_change} consecutive epochs. "
            f"{decision}"
        )
        print(textwrap.fill(line, LINE_WIDTH))

    def close(self):
        """Write the last figures to the live line, if there are any, and end it."""
        if self._pending:
            self._write()
            print(flush=True)
            self._pending = ""

    def _write(self):
        # Go back to the start of the line, write the figures, then erase the rest of a longer line. A line wider than the
        # terminal would continue in the next line, and "\r" does not return from there to its start.
        line = self._pending[: shutil.get_terminal_size().columns - 1]
        print(f"\r{line}\x1b[K", end="", flush=True)
        self._written = time.perf_counter()


def _figure(number):
    """A number of four significant digits; "" for nan."""
    if math.isnan(number):
        return ""
    if number == 0.0 or 1e-3 <= abs(number) < 9999.5:
        return f"{number:.4g}"
    mantissa, _, exponent = f"{number:.3e}".partition("e")
    return f"{mantissa}e{int(exponent)}" if math.isfinite(number) else str(number)


def _narrow(cells):
    """Cells as a line that fits: without columns if figures are long, and at last without the seconds."""
    line = "  ".join(cells)
    if len(line) > LINE_WIDTH:
        cells = [" ".join(cell.split()) for cell in cells]
        line = " ".join(cells)
    return line if len(line) <= LINE_WIDTH else " ".join(cells[:-1])
