"""What the benchmark commands share: their options, times, memory, tables and files."""

import argparse
import csv
import importlib.util
import math
import os
import platform
import re
import time
import tracemalloc
import warnings
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from statistics import median

import numpy as np
from threadpoolctl import threadpool_info

MEGABYTE = 1e6
# Seconds of rest before each measurement: BLAS threads spin for a while after their last product and take time from what
# runs next.
REST = 0.03
THREAD_VARIABLES = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
PACKAGES = {"numpy": "NumPy", "scipy": "SciPy", "sklearn": "scikit-learn", "torch": "PyTorch"}


# Options


def options(description, *, quick=None, repeats=None, csv=True, plot=False):
    """The parser of a command, with those of the common options that it has.

    `quick` says what --quick leaves out, `repeats` is the default of --repeats; None means no such option.
    """
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    if quick:
        parser.add_argument("--quick", action="store_true", help=quick)
    if repeats:
        parser.add_argument("--repeats", type=int, default=repeats, help=f"repeats of each time (default {repeats})")
    if csv:
        parser.add_argument("--csv", metavar="FILE", help="also write the figures to this file")
    if plot:
        parser.add_argument("--plot", metavar="FILE", help="also draw the figures to this file")
    return parser


# The machine and the libraries


def is_installed(module):
    return importlib.util.find_spec(module) is not None


def versions(*peers, threads=None):
    """The libraries and the machine, in two lines. Every command prints them first.

    `threads` is the number of BLAS threads of the measurement if it is not the number that this process has now.
    """
    named = [f"Python {platform.python_version()}"]
    for module in ("skbp", "numpy", "scipy", "sklearn", *peers):
        version = importlib.import_module(module).__version__ if is_installed(module) else "absent"
        named.append(f"{PACKAGES.get(module, module)} {version}")
    found = [library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"]
    threads = threads or max(found, default="unknown")
    machine = f"{processor()}, {os.cpu_count()} cores, BLAS threads: {threads}, {time.strftime('%Y-%m-%d')}"
    return f"{', '.join(named)}\n{machine}"


def processor():
    """The name of the processor. Linux knows it only from a file."""
    file = Path("/proc/cpuinfo")
    found = re.search(r"^model name\s*: (.+)$", file.read_text(), re.MULTILINE) if file.exists() else None
    return found[1] if found else platform.processor() or platform.machine()


@contextmanager
def one_thread_in_new_processes():
    """Processes that start inside this block have one BLAS thread."""
    before = {name: os.environ.get(name) for name in THREAD_VARIABLES}
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def in_own_process(function, *arguments):
    """What a function returns in a new process, where no memory of earlier calls is left."""
    ignore_warnings = {"initializer": warnings.simplefilter, "initargs": ("ignore",)}
    with ProcessPoolExecutor(1, mp_context=get_context("spawn"), **ignore_warnings) as executor:
        return executor.submit(function, *arguments).result()


# Time and memory


def timed(function, *arguments, clock=time.perf_counter):
    """Seconds that a call takes, and what it returns."""
    time.sleep(REST)
    start = clock()
    returned = function(*arguments)
    return clock() - start, returned


class Stopwatch:
    """Times several runs in turns, so that other work on the machine slows all of them alike.

    Parameters
    ----------
    runs : dict of str to callable
        Functions without arguments, by name.
    clock : callable, default=time.perf_counter
        Gives seconds; time.process_time counts those of the processor.

    Attributes
    ----------
    seconds : dict of str to list of float
        The times of each run, one for each round.
    returned : dict of str to object
        What each run returned the last time.
    """

    def __init__(self, runs, clock=time.perf_counter):
        self.runs = runs
        self.clock = clock
        self.seconds = {name: [] for name in runs}
        self.returned = {}

    def rounds(self, repeats):
        """Time every run `repeats` times more."""
        for _ in range(repeats):
            for name, run in self.runs.items():
                seconds, self.returned[name] = timed(run, clock=self.clock)
                self.seconds[name].append(seconds)
        return self

    def least(self):
        return {name: min(seconds) for name, seconds in self.seconds.items()}

    def median(self):
        return {name: median(seconds) for name, seconds in self.seconds.items()}


def peak_memory(function, *arguments):
    """The most bytes that are allocated at one time during a call, and what it returns.

    tracemalloc counts them; NumPy reports its arrays to it. What exists before the call does not count.
    """
    tracemalloc.start()
    returned = function(*arguments)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak, returned


# Figures


def ratio(figures, over, under):
    """One figure divided by another; nan if one of them is absent."""
    return figures.get(over, math.nan) / figures.get(under, math.nan)


def geometric_mean(ratios):
    return math.exp(sum(map(math.log, ratios)) / len(ratios)) if ratios else math.nan


def with_error(values, digits):
    """The mean of an array with its standard error in brackets."""
    error = np.std(values, ddof=1) / math.sqrt(len(values)) if len(values) > 1 else math.nan
    return f"{np.mean(values):+.{digits}f} ({error:.{digits}f})"


# Tables and files


class Table:
    """A table in plain text. Each line is printed as soon as its figures are known.

    Parameters
    ----------
    *columns : tuple of (str, str)
        The heading of each column and its format specification: alignment, width and, for numbers, more, as in ">9.2f".
        Text takes the alignment and the width only. None and nan give an empty cell. A space is between two columns.
    """

    def __init__(self, *columns):
        headings, self.formats = zip(*columns, strict=True)
        self.line(*headings)

    def line(self, *cells):
        print(" ".join(map(self._formatted, cells, self.formats)).rstrip(), flush=True)

    @staticmethod
    def _formatted(cell, specification):
        if cell is None or (isinstance(cell, float) and math.isnan(cell)):
            cell = ""
        if isinstance(cell, str):
            specification = re.match(r"[<>]\d+", specification)[0]
        return format(cell, specification)


def number(value):
    return "" if math.isnan(value) else f"{value:.2f}"


def print_markdown(lines):
    """A Markdown table; the first line has the headings."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in (lines[0], ["-" * width for width in widths], *lines[1:]):
        print("| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |")


def print_targets(targets):
    """A Markdown table of tuples (work, target, measured, whether the target is met)."""
    print("\nTargets, on what was measured here:\n")
    lines = [[*texts, "yes" if met else "no"] for *texts, met in targets]
    print_markdown([["work", "target", "measured", "met"], *lines])


def write_csv(path, headings, lines):
    """Write the lines to a file if a path is given."""
    if path:
        with open(path, "w", newline="") as file:
            csv.writer(file).writerows([headings, *lines])


@contextmanager
def drawing(path, n_rows, n_columns, **parameters):
    """A figure and the array of its axes; the figure is saved to a file at the end of the block."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=parameters.pop("figsize"), layout="constrained")
    yield figure, figure.subplots(n_rows, n_columns, squeeze=False, **parameters)
    figure.savefig(path, dpi=150)


def legend_below(figure, axes, n_columns):
    """One legend for all axes, below them."""
    handles_and_labels = axes.get_legend_handles_labels()
    figure.legend(*handles_and_labels, loc="outside lower center", fontsize="small", ncols=n_columns)
