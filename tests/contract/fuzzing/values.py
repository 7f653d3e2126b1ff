"""The texts that parameters, data and arguments are drawn from."""

from __future__ import annotations


def texts(text):
    """The parts of a text between its bars."""
    return text.split(" | ")


NO_NUMBERS = texts(
    'np.nan | np.inf | -1 | -0.5 | "1" | None | [0.5] | (1, "a") | 1j | np.array([0.5]) | {} | -np.inf | -10**400 '
    '| object() | np.datetime64("2020-01-01") | np.float32("nan") | raises | b"1" | [None] | pd.NA '
    '| Decimal("0.5") | np.array(None)'
)
NO_FLAGS = texts('0 | 1 | 2 | -1 | "yes" | None | [] | np.nan | [True] | np.array([True, False]) | 1.5 | object()')
NO_NAMES = texts(
    '"unknown" | "" | None | 1 | b"adam" | [] | {} | ("a",) | np.nan | object() | np.array("adam") | 10**400'
)

ACTIVATIONS = texts(
    '"identity" | "logistic" | "tanh" | "softsign" | "relu" | "leaky_relu" | "relu6" | "elu" | "selu" | "gelu" | "silu" '
    '| "softplus" | "mish"'
)
SOLVERS = texts('"adam" | "sgd" | "lbfgs" | "bfgs" | "cg" | "newton-cg" | "trust-ncg" | "trust-krylov" | "tnc"')

# For each parameter: texts of valid values, of borderline values and of invalid values. The judge does not know the
# kind of a value. It checks only that the value is accepted or refused correctly.
POOLS = {
    "hidden_layer_sizes": (
        texts("() | 5 | (7,) | [4, 3] | (6, 5, 4) | (3, 4, 3, 2) | 20"),
        texts(
            "1 | (1, 1) | np.array([5, 4]) | np.int64(6) | np.array(5) | range(2, 5) | [np.int32(3)] | np.uint8(4) | True "
            "| np.array([]) | (True, 2) | []"
        ),
        texts(
            '0 | -3 | "5" | None | np.nan | 10**400 | (5, 0) | [[3]] | [3.0] | 2.5 | (5, None) | "abc" | {3} | {5: 3} '
            "| np.array([[3, 4]]) | Fraction(5) | np.float64(5) | [10**400] | (3, np.inf) | (np.nan,) | object() "
            "| -10**400 | [10**400, 10**400] | pd.Series([3, 4]) | iter([3])"
        ),
    ),
    "activation": (
        ACTIVATIONS,
        texts("doubling | cubing | nan_beyond_3 | raising | np.str_('tanh')"),
        NO_NAMES
        + texts(
            '["relu"] * 7 | [None] | ["unknown"] | {"relu": 1} | {"relu"} | np.array(["relu"]) | raises '
            "| Activation(double, two, initial_scale=-1.0) | Activation(double, two, initial_scale=np.nan) "
            "| Activation(double, two, initial_scale=0.0) | Activation(double, two, initial_scale=1e300) "
            "| Activation(double, two, initial_scale='a') | Activation(double, two, initial_scale=None) "
            "| Activation(double, two, initial_scale=10**400) | Activation(double, None) | Activation(raises, two) "
            "| Activation(double, gives(None)) | Activation(double, two, gives(np.nan)) | Activation"
        ),
    ),
    "solver": (SOLVERS, ["np.str_('lbfgs')"], NO_NAMES),
    "alpha": (
        texts("0.0 | 1.0 | 1e-4 | 10 | 0.1"),
        texts(
            "1e300 | 1e-320 | np.float32(0.1) | True | Fraction(1, 3) | np.array(0.5) | 10**400 | np.float64(1) | -0.0 "
            "| np.array([0.5]) | 1e40 | np.uint8(3) | np.float16(0.1) | np.longdouble(1) | [10**400]"
        ),
        [*NO_NUMBERS, "[0.1, None]", "[[0.1]]", "[0.1] * 9", "{0.1}", '["a"]', "[np.nan, 0.1]", "[-1.0]", "()"],
    ),
    "batch_size": (
        texts('"auto" | 1 | 7 | 200'),
        texts("1000 | 10**400 | np.int64(3) | np.uint8(200) | True"),
        [*NO_NUMBERS, "0", "2.0", '"all"', "0.5", "Fraction(5)"],
    ),
    "learning_rate": (
        texts('"constant" | "invscaling" | "adaptive" | "cosine" | "linear" | "one-cycle" | half'),
        texts(
            "gives(0.0) | gives(1e300) | gives(Fraction(1, 2)) | gives(True) | gives(np.float32(0.5)) | gives(1e-320) "
            "| gives(2) | gives(-0.0) | gives(np.array(0.5))"
        ),
        [
            *NO_NAMES,
            *texts(
                'gives(np.nan) | gives(None) | gives("a") | gives(np.ones(2)) | gives(-1.0) | gives(np.inf) | gives(1j) '
                "| raises | gives(10**400) | gives(Decimal(1)) | gives([0.5]) | lambda: 1.0"
            ),
        ],
    ),
    "learning_rate_init": (
        texts("0.001 | 0.01 | 0.1 | 1"),
        texts(
            "1e-300 | 1e300 | 10**400 | np.float32(0.1) | Fraction(1, 100) | True | np.array(0.1) | 1e-320 | 100.0 "
            "| np.longdouble(0.1) | 1e10"
        ),
        [*NO_NUMBERS, "0", "0.0"],
    ),
    "power_t": (texts("0.5 | 0.0 | 1.0"), texts("1e300 | 100 | 10**400 | np.float32(1)"), NO_NUMBERS),
    "max_iter": (
        [str(n) for n in range(1, 9)],
        texts("np.int64(3) | np.uint8(4) | True | np.int32(2)"),
        [*NO_NUMBERS, "0", "2.0", "0.5", "Fraction(3)"],
    ),
    "shuffle": (texts("True | False"), texts("np.True_ | np.False_"), NO_FLAGS),
    "random_state": (
        [str(n) for n in range(6)],
        texts("np.random.RandomState(3) | None | np.int64(3) | np.random.mtrand._rand | True | 2**32 - 1"),
        texts('np.random | -1 | "a" | 2**40 | np.random.default_rng(0) | 1.5 | np.nan | 10**400 | [] | object()'),
    ),
    "tol": (
        texts("1e-4 | 0.0 | 1e-8 | 0.1"),
        texts(
            "1e9 | 1e-300 | 1e300 | 10**400 | Fraction(1, 1000) | np.float32(1e-3) | 0 | True | np.array(1e-3) "
            "| 1e-320 | np.longdouble(1e-3)"
        ),
        NO_NUMBERS,
    ),
    "verbose": (
        texts("False | True"),
        texts("0 | 1 | 2 | 5 | np.int64(1) | 10**400 | np.True_"),
        ["np.nan", "-1", '"1"', "None", "[]", "0.5", "np.inf"],
    ),
    "warm_start": (texts("True | False"), ["np.True_"], NO_FLAGS),
    "momentum": (
        texts("0.0 | 0.5 | 0.9"),
        texts("1.0 | 1 | np.float32(0.5) | True | np.array(0.5) | -0.0 | 1e-320"),
        [*NO_NUMBERS, "1.1", "10**400"],
    ),
    "nesterovs_momentum": (texts("True | False"), ["np.True_"], NO_FLAGS),
    "early_stopping": (texts("True | True | False"), ["np.True_"], NO_FLAGS),
    "validation_fraction": (
        texts("0.1 | 0.3 | 0.5"),
        texts("0.0 | 0 | 0.999 | 1e-300 | np.float32(0.3) | 1e-320 | np.array(0.2) | False"),
        [*NO_NUMBERS, "1.0", "1", "3", "10**400"],
    ),
    "beta_1": (
        texts("0.0 | 0.5 | 0.99"),
        texts("0 | np.float32(0.9) | 1 - 2.0**-53 | False | 1e-320 | np.array(0.5)"),
        [*NO_NUMBERS, "1.0", "1", "10**400"],
    ),
    "beta_2": (
        texts("0.0 | 0.5 | 0.9999"),
        texts("0 | np.float32(0.9) | 1 - 2.0**-53 | False | 1e-320 | np.array(0.5)"),
        [*NO_NUMBERS, "1.0", "1", "10**400"],
    ),
    "epsilon": (
        texts("1e-8 | 1e-3 | 1.0"),
        texts("1e-300 | 1e-320 | 1e300 | 10**400 | np.float32(1e-8) | True | np.array(1e-8)"),
        [*NO_NUMBERS, "0", "0.0"],
    ),
    "n_iter_no_change": (
        texts("1 | 3 | 10 | np.inf"),
        texts("10**400 | np.int64(2) | True | np.float32('inf') | float('inf')"),
        [*NO_NUMBERS[:1], *NO_NUMBERS[2:], "0", "2.0", "0.5"],
    ),
    "max_fun": (
        texts("1 | 5 | 15000"),
        texts("10**400 | np.int64(2) | True"),
        [*NO_NUMBERS, "0", "2.0"],
    ),
    "out_activation": (texts('"auto" | "softmax" | "logistic"'), ["np.str_('softmax')"], NO_NAMES),
    "scoring": (
        texts('None | "loss" | "accuracy" | "neg_log_loss" | "balanced_accuracy" | "f1_macro" | share_right'),
        texts(
            '"roc_auc" | "f1" | "roc_auc_ovr" | "average_precision" | "neg_brier_score" | "r2" | gives(1.0) | gives(0) '
            "| gives(np.float32(0.5)) | gives(True) | gives(np.nan) | gives(-np.inf) | gives(np.inf) | gives(np.array(0.5)) "
            "| gives(1e300) | gives(Fraction(1, 2))"
        ),
        [
            *NO_NAMES,
            *texts(
                'raises | gives(None) | gives("a") | gives(np.ones(2)) | gives(1j) | gives({}) | gives(10**400) | lambda: 1 '
                '| gives("0.5") | gives([0.5]) | gives(np.array([0.5])) | {"a": "accuracy"} | ["accuracy"] | gives(pd.NA)'
            ),
        ],
    ),
    "max_time": (
        texts("None | 100.0"),
        texts("1e-9 | 1e-320 | 1e300 | 10**400 | np.float32(9) | True | np.array(50.0)"),
        [*NO_NUMBERS, "0", "0.0"],
    ),
    "dropout": (
        texts("0.0 | 0.2 | 0.5"),
        texts("0.999 | 1 - 2.0**-53 | np.float32(0.3) | Fraction(1, 3) | 1e-320 | np.array(0.3) | 0 | False | -0.0"),
        [*NO_NUMBERS, "1.0", "1", "[0.1, None]", "[[0.1]]", "[0.1] * 9", '["a"]', "[1.0]", "{0.1}", "10**400", "()"],
    ),
    "weight_decay": (
        texts("0.0 | 0.1 | 1.0"),
        texts("1e300 | 1e-300 | 10**400 | np.float32(0.1) | 1e-320 | 800 | True | np.array(0.1)"),
        NO_NUMBERS,
    ),
    "label_smoothing": (
        texts("0.0 | 0.1 | 0.5"),
        texts("0.999 | 1 - 2.0**-53 | 1e-320 | np.float32(0.1) | np.array(0.1) | 0 | False"),
        [*NO_NUMBERS, "1.0", "1", "10**400"],
    ),
    "max_grad_norm": (
        texts("None | 1.0 | 0.1"),
        texts("1e-300 | 1e-320 | 1e300 | 10**400 | np.float32(1) | True | np.array(1.0)"),
        [*NO_NUMBERS, "0", "0.0"],
    ),
    "warmup_fraction": (
        texts("0.0 | 0.3 | 0.5"),
        texts("0.999 | 1 - 2.0**-53 | 1e-300 | 1e-320 | np.float32(0.3) | np.array(0.3) | 0 | False"),
        [*NO_NUMBERS, "1.0", "1", "10**400"],
    ),
    "dtype": (
        texts('None | "float32" | "float64"'),
        ["np.str_('float32')"],
        texts('"float16" | np.float32 | np.dtype("float32") | "f4" | int | "double" | 32 | [] | "" | np.nan | float'),
    ),
    "hessian": (texts('"auto" | "exact" | "gauss-newton"'), ["np.str_('exact')"], NO_NAMES),
    "cv": (
        texts(
            "2 | 3 | 5 | None | KFold(3) | StratifiedKFold(2, shuffle=True, random_state=0) | KFold(2, shuffle=True, "
            "random_state=1) | halves({rows}) | halves({rows}, 3)"
        ),
        texts(
            "1 | 10 | True | np.int64(3) | 10**400 | GroupKFold(2) | ShuffleSplit(2, random_state=0) | LeaveOneOut() "
            "| TimeSeriesSplit(2) | RepeatedKFold(n_splits=2, n_repeats=2, random_state=0) | iter(halves({rows})) "
            "| PredefinedSplit([0, 1, 2] * 20) | (pair for pair in halves({rows})) | KFold(50) | np.uint8(2) "
            "| StratifiedKFold(10) | [(np.arange({rows}) > 3, np.arange({rows}) <= 3)] "
            "| [([0, 1, 2], [3])] | [([-1, -2, -3], [0])] | [([0, 0, 1], [2, 2])] "
            "| [(np.arange(4, {rows}), [0, 1]), ([2, 3], np.arange(4, {rows}))] "
            "| tuple(halves({rows})) | np.array([[[0, 1], [2, 3]], [[2, 3], [0, 1]]]) "
            "| PredefinedSplit([-1, 0] * ({rows} // 2))"
        ),
        texts(
            '0 | -1 | 2.5 | np.nan | np.inf | "kfold" | object() | [] | iter([]) | {} | [None] | [1, 2] '
            '| [([0, 1], [1, 2])] | [(0, 1)] | [[0, 1, 2]] | [("a", "b")] | [([0.5], [1])] | [([0], [10**6])] '
            "| [([], [0])] | [([0, 1], [])] | [([0, 1], None)] | [([0], [1], [2])] | RaisingSplitter() "
            "| [(slice(0, 3), slice(3, 5))] | [([0, 10**400], [2])] | -10**400 | raises | KFold | [([[0, 1]], [[2]])] "
            "| [([np.nan], [1])] "
            "| [(None, [0])] | [([True, False], [0])] "
            '| "ab" | [([0, 1], "ab")] | [([0, "a"], [1])] | [([0], [-10**6])] | [([0, [1, 2]], [3])] | [({0, 1}, {2})] '
            "| pd.NA | [(range(3), [3j])] | 1.0"
        ),
    ),
    "scale": (["True", "False"], ["np.True_"], NO_FLAGS),
    "categorical_features": (
        texts('"from_dtype" | None | [] | [0]'),
        texts("[True] + [False] * 2 | np.array([0, 1]) | (0,) | [-1] | [10**6] | ['column 0'] | [['a']]"),
        texts(
            '"auto" | 1 | 0.5 | {} | object() | [0.5] | [None] | [0, "a"] | [1j] | b"from_dtype" | [np.nan] | [pd.NA]'
        ),
    ),
}

# For each SciPy method some options that it knows. ODD_OPTIONS holds options that most methods must refuse.
OPTIONS = {
    "lbfgs": texts('{"maxcor": 3} | {"ftol": 1e-3} | {"maxls": 2} | {"maxiter": 2} | {"maxfun": 3} | {"gtol": 0.1}'),
    "bfgs": texts('{"norm": 2} | {"xrtol": 0.1} | {"c1": 1e-3, "c2": 0.5} | {"gtol": 0.1}'),
    "cg": texts('{"norm": 2} | {"c1": 1e-3, "c2": 0.5} | {"maxiter": 2} | {"norm": 1.5}'),
    "newton-cg": texts('{"xtol": 0.1} | {"c1": 1e-3, "c2": 0.5} | {"maxiter": 2}'),
    "trust-ncg": texts('{"eta": 0.1} | {"initial_trust_radius": 0.5} | {"max_trust_radius": 2.0} | {"gtol": 0.1}'),
    "trust-krylov": texts('{"inexact": False} | {"initial_trust_radius": 0.5} | {"gtol": 0.1}'),
    "tnc": texts('{"maxCGit": 3} | {"eta": 0.5} | {"stepmx": 2.0} | {"rescale": 1.0} | {"ftol": 0.1} | {"xtol": 0.1}'),
}
ODD_OPTIONS = texts(
    '{} | {"unknown": 1} | {1: 2} | {"gtol": "a"} | {"gtol": np.nan} | {"gtol": None} | {"gtol": -1.0} | {"maxiter": 0} '
    '| {"maxiter": 2.5} | {"maxiter": "3"} | {"maxiter": -1} | {"maxiter": np.int64(2)} | {"maxiter": np.inf} '
    '| {"maxcor": -1} | {"maxcor": 0} | {"maxcor": 2.5} | {"maxcor": "a"} | {"maxls": 0} | {"ftol": None} | {"ftol": [1.0]} '
    '| {"norm": 0} | {"norm": "a"} | {"norm": np.inf} | {"c1": 2.0} | {"c1": "a"} | {"c2": -1.0} '
    '| {"eta": 5.0} | {"eta": "a"} '
    '| {"initial_trust_radius": -1.0} | {"initial_trust_radius": 1e9} '
    '| {"max_trust_radius": 0.0} | {"max_trust_radius": "a"} '
    '| {"hess_inv0": np.eye(3)} | {"hess_inv0": "a"} | {"xrtol": np.nan} | {"xtol": "a"} '
    '| {"xtol": np.nan} | {"scale": [1.0]} '
    '| {"offset": "a"} | {"accuracy": 1e300} | {"accuracy": "a"} | {"stepmx": -1.0} | {"minfev": np.nan} | {"maxCGit": 0} '
    '| {"maxCGit": "a"} | {"rescale": np.nan} | {"inexact": "a"} | {"inexact": None} | {"disp": True} | {"maxfun": 0} '
    '| {"maxfun": -1} | {"maxfun": "a"} | {"maxfun": 10**400} | [] | "gtol" | [("gtol", 1.0)] | 1 | {"gtol": 10**400} '
    '| {"gtol": np.array([0.1])} | {None: 1, "a": 2} | {"gtol": 1j} | {"maxcor": 10**400} | {"eps": 1e-3} | {"jac": None}'
)

DENSE_KINDS = texts("float64 | float64 | float64 | float32 | int64 | bool | csr | frame | list")
ODD_KINDS = texts(
    "csc | csr float32 | csr int64 | csr matrix | float16 | uint8 | object | fortran | strided "
    "| read-only | frame of two types"
)
BAD_KINDS = texts("1-d | 3-d | strings | some strings | ragged | dates | complex128")
PLAIN_TRAITS = texts("plain | plain | plain | plain | constant column | 1e3 | mild scales by column | sparse")
ODD_TRAITS = texts(
    "constant | zeros | 1e30 | 1e150 | 1e300 | 1e-30 | 1e-300 | scales by column | scales by row | wild 1e300 | wild -1e30 "
    "| wild 1e-320"
)
BAD_TRAITS = texts("nan | inf | all nan")
WEIGHTS = (
    texts("random | ones | ints | list | series | float32 | some zero"),
    texts("one positive | 1e-300 | 5e-324 | 1e-40 | 1e300 | 1e40 | 600 decades | 60 decades | one 1e300 | -0.0"),
    texts("zeros | negative | nan | inf | short | column | strings | nones | huge ints"),
)
OTHER_WEIGHTS = texts('2.0 | "a" | None | [] | {} | object() | 0.0 | -1')
VIEWS = texts("one row | float32 | sparse | zeros | 1e30 | float32 1e38 | 1e300 | 1e-300 | random | many")

# For each kind of target the text of its labels, and how often the kind is drawn.
LABELS = {
    "two ints": "[0, 1]",
    "two strings": "['no', 'yes']",
    "three ints": "[0, 1, 2]",
    "three strings": "['a', 'b', 'c']",
    "negative": "[-5, 3, 7]",
    "-1 and 1": "[-1, 1]",
    "bools": "[False, True]",
    "floats": "[1.0, 2.0, 5.0]",
    "big ints": "[-2**62, 0, 2**62]",
    "many": "list(range(30))",
    "one class": "[7]",
    "empty string": "['', 'b']",
    "two, one rare": "[0, 1]",
    "three, one rare": "['a', 'b', 'c']",
}
LABEL_WEIGHTS = (6, 4, 6, 4, 3, 2, 2, 2, 1, 2, 1, 1, 2, 2)
ODD_TARGETS = {
    "continuous": "np.random.RandomState({seed}).normal(size={rows})",
    "counts by column": "np.random.RandomState({seed}).randint(4, size=({rows}, 2))",
    "reals by column": "np.random.RandomState({seed}).normal(size=({rows}, 2))",
    "with nan": "np.array([np.nan, 1.0] * {rows})[:{rows}]",
    "infinite": "np.array([np.inf, 1.0] * {rows})[:{rows}]",
    "None": "None",
    "nones": "np.array([None, 'a'] * {rows}, dtype=object)[:{rows}]",
    "short": "[0, 1] * ({rows} // 2 - 1)",
    "long": "[0, 1] * {rows}",
    "3-d": "np.zeros(({rows}, 2, 2), dtype=int)",
    "mixed": "np.array([0, 'a'] * {rows}, dtype=object)[:{rows}]",
    "bytes": "np.array([b'a', b'b'] * {rows})[:{rows}]",
    "dates": "np.array(['2020-01-01', '2020-01-02'] * {rows}, dtype='datetime64[D]')[:{rows}]",
    "ragged": "[[0], [1, 2]] * {rows}",
    "complex": "np.array([0j, 1j] * {rows})[:{rows}]",
    "a text": "'abc'",
    "a number": "1",
    "huge ints": "[10**400, 1] * {rows}",
    "empty": "[]",
    "sparse reals": "sp.csr_array(np.random.RandomState({seed}).normal(size=({rows}, 2)))",
}
