"""Instructions of the compiled core for one step, counted by Valgrind.

    python benchmarks/instructions.py [--check]

A clock is noisy; a count of instructions is not. The figures are those of the core's own code for one step of Adam on one
thread: the matrix products of BLAS and the exponentials of NumPy are left out, because they depend on the processor. What
remains depends on the compiler. --check compares with the figures below, where they are for this compiler, and fails if one
is off by more than 5 %. A change that needs more instructions must raise a figure here.

It takes about two minutes, and needs valgrind and a C compiler. Without them it says so and ends.
"""

import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from skbp import _core

# The widths of the layers, the rows of a batch and the type.
NETWORKS = {
    "16-8-1, 32 rows, float64": ((16, 8, 1), 32, np.float64),
    "64-100-10, 200 rows, float32": ((64, 100, 10), 200, np.float32),
    "50-256-128-10, 200 rows, float32": ((50, 256, 128, 10), 200, np.float32),
}
# By compiler and processor. Measured with Cython 3.3.
EXPECTED = {
    "gcc 12, x86_64": {
        "16-8-1, 32 rows, float64": 15_073,
        "64-100-10, 200 rows, float32": 229_511,
        "50-256-128-10, 200 rows, float32": 758_941,
    }
}
N_STEPS = 20


def steps(units, n_rows, dtype):
    """Some steps of Adam on random data."""
    from skbp._network.parameters import Parameters
    from skbp._network.tape import Tape

    rng = np.random.default_rng(0)
    params = Parameters(units, np.dtype(dtype))
    gradient, mean, square = params.like(), np.zeros_like(params.vector), np.zeros_like(params.vector)
    params.vector[...] = 0.05 * rng.normal(size=params.vector.size)
    X = rng.normal(size=(1000, units[0])).astype(dtype)
    target = rng.integers(2, size=(1000, 1)) == 1 if units[-1] == 1 else rng.integers(units[-1], size=1000)
    activations = [_core.ACTIVATIONS["relu"]] * (len(units) - 2)
    options = {"softmax": units[-1] > 1, "alpha": [1e-4] * (len(units) - 1), "most_strength": 1e9}
    kernel = _core.BatchKernel(params.weights, params.biases, activations, **options)
    kernel.write_gradient_to(gradient.weights, gradient.biases)
    kernel.use_tape(Tape(n_rows, units, params.vector.dtype))
    indices = rng.permutation(1000)[:n_rows]
    kernel.use_rows(X, target, None)  # Valgrind begins a new file here
    for _ in range(N_STEPS):
        kernel.value_and_gradient(indices, float(n_rows))
        _core.adam(params.vector, gradient.vector, mean, square, 0.9, 0.999, 1e-3, 1e-8)


def own_instructions(path):
    """The instructions of the core's modules in a file of callgrind."""
    names, here, total, is_call = {}, "", 0, False
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("ob="):
            number, name = re.match(r"ob=(\(\d+\))(?: (.*))?", line).groups()
            here = names.setdefault(number, name)
        elif line.startswith("calls="):
            is_call = True  # the next line is the cost of the function that is called
        elif re.match(r"[0-9+*-]", line):
            if not is_call and "skbp/_core/" in here:
                total += int(line.split()[1])
            is_call = False
        elif match := re.match(r"cob=(\(\d+\)) (.*)", line):
            names.setdefault(*match.groups())
    return total


def measured():
    """Instructions of a step for each network."""
    with tempfile.TemporaryDirectory() as folder:
        command = ["valgrind", "--tool=callgrind", "--dump-before=*use_rows*", f"--callgrind-out-file={folder}/out"]
        # Valgrind runs one thread at a time: those of BLAS would take turns with ours.
        environ = os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
        subprocess.run([*command, sys.executable, __file__, "--steps"], check=True, capture_output=True, env=environ)
        # The first part ends at the first network. The last, without a number, begins with the last network.
        parts = [*sorted(Path(folder).glob("out.*"), key=lambda path: int(path.suffix[1:]))[1:], Path(folder) / "out"]
        return {name: own_instructions(part) // N_STEPS for name, part in zip(NETWORKS, parts, strict=True)}


def compiler():
    """The compiler's name and major version, and the processor's."""
    said = subprocess.run(["cc", "--version"], check=True, capture_output=True, text=True).stdout.splitlines()[0]
    name = "clang" if "clang" in said else "gcc"
    major = re.search(r"(\d+)\.\d+", said)[1]
    return f"{name} {major}, {platform.machine()}"


def main():
    if "--steps" in sys.argv:
        for network in NETWORKS.values():
            steps(*network)
        return 0
    absent = [name for name in ("valgrind", "cc") if shutil.which(name) is None]
    if absent or _core.BatchKernel is None:
        print("skipped: there is no", ", ".join(absent) or f"compiled core: {_core.why_absent}")
        return 0
    key, off = compiler(), 0
    expected = EXPECTED.get(key, {})
    for name, n in measured().items():
        change = f"{n / expected[name] - 1.0:+.1%}" if name in expected else f"nothing to compare with for {key}"
        print(f"{name}: {n} instructions a step ({change})")
        off += name in expected and abs(n / expected[name] - 1.0) > 0.05
    return int("--check" in sys.argv and off > 0)


if __name__ == "__main__":
    sys.exit(main())
