"""Settings: small programs of parameters, data and calls, as source text."""

from __future__ import annotations

import inspect
import random
from dataclasses import dataclass, replace

import numpy as np

from fuzzing.names import ESTIMATORS, value_of
from fuzzing.values import (
    ACTIVATIONS,
    BAD_KINDS,
    BAD_TRAITS,
    DENSE_KINDS,
    LABEL_WEIGHTS,
    LABELS,
    ODD_KINDS,
    ODD_OPTIONS,
    ODD_TARGETS,
    ODD_TRAITS,
    OPTIONS,
    OTHER_WEIGHTS,
    PLAIN_TRAITS,
    POOLS,
    VIEWS,
    WEIGHTS,
    texts,
)


@dataclass(frozen=True)
class Operation:
    """A call that trains, or a call of set_params, with the names and texts of its arguments."""

    method: str
    arguments: tuple[tuple[str, str], ...]

    @property
    def text(self):
        return f"clf.{self.method}({', '.join(f'{name}={text}' for name, text in self.arguments)})"

    def without(self, argument):
        return replace(self, arguments=tuple(pair for pair in self.arguments if pair[1] != argument))


@dataclass(frozen=True)
class Setting:
    """Parameters, data and calls.

    Parameters
    ----------
    estimator : str
    seed, number : int
        The setting follows from these two and the estimator.
    params, data : dict of str to str
        Texts of values.
    operations : tuple of Operation
        The calls that train.
    views : tuple of str
        The rows to predict for: see `other_rows`.
    numpy_raises : bool
        Whether the calls run under ``np.errstate(all="raise")``.
    """

    estimator: str
    seed: int
    number: int
    params: dict[str, str]
    data: dict[str, str]
    operations: tuple[Operation, ...]
    views: tuple[str, ...]
    numpy_raises: bool = False

    @property
    def preparation(self):
        """The statements before the calls."""
        params = ", ".join(f"{name}={text}" for name, text in self.params.items())
        data = [f"{name} = {text}" for name, text in self.data.items()]
        return [*data, f"clf = {self.estimator}({params})"]

    def snippet(self, calls=None):
        """The program as text, with its own calls or the given ones."""
        lines = [
            "from fuzzing import *  # with tests/contract on the path",
            f"np.random.seed({self.number})",
            *self.preparation,
        ]
        if self.numpy_raises:
            lines.append('np.seterr(all="raise")')
        return "\n".join([*lines, *([op.text for op in self.operations] if calls is None else calls)])


def draw_setting(estimator, seed, number):
    """The setting that follows from the class, the seed and the number alone."""
    return _Drawer(estimator, seed, number).setting()


class _Drawer:
    """Draws a setting."""

    def __init__(self, estimator, seed, number):
        self.estimator, self.seed, self.number = estimator, seed, number
        self.rng = random.Random(f"{estimator} {seed} {number}")
        self.cross_validates = estimator == "BackpropClassifierCV"
        self.names = [n for n in inspect.signature(ESTIMATORS[estimator].__init__).parameters if n != "self"]
        slots = [*self.names, *["X", "y", "sample_weight"] * 3, "calls", "groups", "X_val", "y_val", "coef_init"]
        # Most settings have no invalid value. Otherwise few fits would succeed, and there would be nothing to predict with.
        n_bad = self.rng.choices((0, 1, 2), (0.75, 0.2, 0.05))[0]
        self.bad = set(self.rng.sample(slots, n_bad))
        self.odd = self.rng.choice((0.0, 0.1, 0.3, 0.6))
        self.rows = self.rng.choice((1, 2, 3, 5, 8, 12, 20, 20, 30, 40, 60))
        self.columns = self.rng.choice((1, 2, 3, 4, 8))

    def setting(self):
        data = {"X": self._table(self.rows, "X"), "y": self._target()}
        params = self._params()
        fit_arguments = {}
        if self._often(0.3, "sample_weight"):
            fit_arguments["sample_weight"] = self._weights(self.rows, "sample_weight")
        fit_arguments |= self._groups() if self.cross_validates else {**self._own_validation(), **self._initial(params)}
        data |= fit_arguments
        operations = self._operations(tuple(fit_arguments), params)
        views = ("same", *self.rng.sample(VIEWS, self.rng.choice((0, 1, 2))))
        raises_ = self.rng.random() < 0.25
        return Setting(self.estimator, self.seed, self.number, params, data, tuple(operations), views, raises_)

    def _often(self, share, name):
        return name in self.bad or self.rng.random() < share

    def _pick(self, pools, name):
        """One of the texts: an invalid one if the name is to be bad, else a valid or a borderline one."""
        valid, borderline, invalid = pools
        if name in self.bad:
            return self.rng.choice(invalid)
        return self.rng.choice(borderline if self.rng.random() < self.odd else valid)

    def _seed(self):
        return self.rng.randrange(1000)

    def _table(self, rows, name):
        kind = self.rng.choice(ODD_KINDS if self.rng.random() < self.odd / 2 else DENSE_KINDS)
        trait = self.rng.choice(ODD_TRAITS if self.rng.random() < self.odd else PLAIN_TRAITS)
        columns = self.columns
        if name in self.bad:
            flaw = self.rng.choice(("kind", "trait", "trait", "rows", "columns", "other"))
            kind = self.rng.choice(BAD_KINDS) if flaw == "kind" else kind
            trait = self.rng.choice(BAD_TRAITS) if flaw == "trait" else trait
            rows, columns = rows * (flaw != "rows"), columns * (flaw != "columns")
            if flaw == "other":
                return self.rng.choice(texts('None | "abc" | [] | 1.0 | {} | [[]] | object() | np.array(1.0)'))
        return f"table({self._seed()}, {rows}, {columns}, {kind!r}, {trait!r})"

    def _target(self):
        rng = self.rng
        self.multilabel = 0
        self.labels = "[0, 1]"
        if "y" in self.bad:
            kind = rng.choice([*ODD_TARGETS])
            return ODD_TARGETS[kind].format(seed=self._seed(), rows=self.rows)
        if rng.random() < 0.2:
            self.multilabel = rng.choice((2, 3, 5))
            self.labels = str(list(range(self.multilabel)))
            container = rng.choice(("array", "array", "list", "csr", "csr matrix", "frame", "bool", "float"))
            trait = rng.choice(("plain", "plain", "plain", "zeros", "ones", "one-hot"))
            return f"label_matrix({self._seed()}, {self.rows}, {self.multilabel}, {container!r}, {trait!r})"
        kind = rng.choices([*LABELS], LABEL_WEIGHTS)[0]
        self.labels = LABELS[kind]
        containers = ["array", "array", "array", "list", "series", "categorical", "column", "tuple"]
        # scikit-learn refuses numbers of type object as labels.
        containers += ["object"] if "'" in self.labels or rng.random() < self.odd else []
        container = rng.choice(containers)
        rare = ", rare=True" if "rare" in kind else ""
        return f"labels({self._seed()}, {self.rows}, {self.labels}, {container!r}{rare})"

    def _weights(self, rows, name):
        if name in self.bad and self.rng.random() < 0.2:
            return self.rng.choice(OTHER_WEIGHTS)
        return f"weights({self._seed()}, {rows}, {self._pick(WEIGHTS, name)!r})"

    def _params(self):
        params = {}
        self.hidden = params["hidden_layer_sizes"] = self._pick(POOLS["hidden_layer_sizes"], "hidden_layer_sizes")
        self.n_hidden = _n_layers(self.hidden)
        shares = {"max_iter": 1.0, "random_state": 0.92, "solver": 0.6, "activation": 0.5, "dtype": 0.3, "cv": 0.7}
        shares |= {"class_weight": 0.2, "early_stopping": 0.2, "warm_start": 0.2}
        for name in self.names[1:]:
            if self._often(shares.get(name, 0.1), name):
                params[name] = self._value(name, params)
        if params.get("max_iter") in {"1", "2"} and self.rng.random() < 0.1:
            # More iterations than any machine can do, and a time limit. No arithmetic with max_iter may fail.
            params |= {"max_iter": "10**400", "max_time": "0.01", "n_iter_no_change": "1"}
        elif self.rng.random() < 0.06:  # divergence
            params |= {"solver": '"sgd"', "learning_rate_init": self.rng.choice(("10.0", "1e3", "1e6", "1e100"))}
        return params

    def _value(self, name, params):
        rng = self.rng
        if name == "activation" and name not in self.bad and rng.random() < 0.25:
            return self._list(lambda: rng.choice(ACTIVATIONS), self.n_hidden)
        if name == "alpha" and name not in self.bad and rng.random() < 0.25:
            return self._list(lambda: rng.choice(("0.0", "0.1", "1", "np.float32(0.5)")), self.n_hidden + 1)
        if name == "dropout" and name not in self.bad and rng.random() < 0.25:
            return self._list(lambda: rng.choice(("0.0", "0.1", "0.5")), self.n_hidden)
        if name == "class_weight":
            return self._class_weight()
        if name == "solver_options":
            return self._solver_options(params.get("solver", '"adam"').strip('"'))
        return self._pick(POOLS[name], name).replace("{rows}", str(self.rows))

    def _list(self, one, n):
        return rf"[{', '.join(one() for _ in range(n))}]"

    def _class_weight(self):
        if "class_weight" in self.bad:
            value = self.rng.choice(
                texts("-1.0 | np.nan | np.inf | 'a' | None | [1.0] | 10**400 | 1j | {} | pd.NA | -10**400 | object()")
            )
            whole = (
                "'unbalanced' | [] | 1.0 | [1.0] | {'no label': 3.0} | 'auto' | object() | [{}] | [None] | {None: 1.0}"
            )
            if self.rng.random() < 0.4:
                return self.rng.choice(texts(whole))
        else:
            odd = texts("1e300 | 1e-300 | 0.0 | 10**30 | np.float32(2) | Fraction(1, 2) | True | 1e40 | 5e-324")
            value = self.rng.choice(odd if self.rng.random() < self.odd else texts("0.5 | 2.0 | 3"))
        if self.rng.random() < 0.3:
            return "'balanced'"
        if self.multilabel:
            return rf"[{{0: 1.0, 1: {value}}}] * {self.multilabel}"
        first = f"{self.labels}[{self.rng.choice((0, -1))}]"
        more = self.rng.choice([""] * 8 + texts(", 'no label': 2.0 | , None: 2.0 | , 10**400: 1.0"))
        return rf"{{{first}: {value}{more}}}"

    def _solver_options(self, solver):
        if "solver_options" in self.bad or self.rng.random() < self.odd:
            return self.rng.choice(ODD_OPTIONS)
        return self.rng.choice(OPTIONS.get(solver, ["None"]))

    def _own_validation(self):
        if not (self.rng.random() < 0.2 or {"X_val", "y_val"} & self.bad):
            return {}
        rows = self.rng.choice((1, 3, 10, 15))
        y = f"label_matrix({self._seed()}, {rows}, {self.multilabel})"
        if not self.multilabel:
            y = f"labels({self._seed()}, {rows}, {self.labels})"
        if "y_val" in self.bad:
            kind = self.rng.choice([*ODD_TARGETS, "unseen", "unseen"])
            y = f"labels(0, {rows}, [0, 1, 2, 99])" if kind == "unseen" else ODD_TARGETS[kind].format(seed=0, rows=rows)
        X = f"table(0, {rows}, {self.columns + 1})" if "X_val" in self.bad and self.rng.random() < 0.3 else None
        given = {"X_val": X or self._table(rows, "X_val"), "y_val": y}
        if self.rng.random() < 0.3:
            given["sample_weight_val"] = self._weights(rows, "sample_weight_val")
        for name in ("X_val", "y_val"):
            if self.rng.random() < 0.05:
                del given[name]
        return given

    def _initial(self, params):
        if not self._often(0.08, "coef_init"):
            return {}
        if "coef_init" in self.bad and self.rng.random() < 0.5:
            odd = texts(
                "[] | 'abc' | 1.0 | [None] | [[['a']]] | [np.eye(3)] * 7 | {} | [np.nan] | object() | np.eye(2) "
                "| [[[1], [1, 2]]]"
            )
            return {self.rng.choice(("coef_init", "intercept_init")): self.rng.choice(odd)}
        n_outputs = len(value_of(self.labels))
        one_unit = n_outputs == 2 and not self.multilabel and params.get("out_activation", '"auto"') == '"auto"'
        units = [self.columns, *_hidden_units(self.hidden), 1 if one_unit else n_outputs]
        scale = self.rng.choice((["1e300", "1e40", "0.0", "1e-300", "np.nan"], ["0.5"])[self.rng.random() > self.odd])
        whats = {"coef_init": "weights", "intercept_init": "biases"}
        chosen = self.rng.choice((["coef_init"], ["intercept_init"], [*whats]))
        return {name: f"initial({self._seed()}, {units}, {whats[name]!r}, {scale})" for name in chosen}

    def _groups(self):
        if not self._often(0.12, "groups"):
            return {}
        good = (
            "np.arange({rows}) // 3 | ['a', 'b', 'c'] * 20 | np.zeros({rows}) | list(range({rows})) | [0, 1, 2, 3] * 15"
        )
        bad = (
            "[0, 1] | 'abc' | [None] * {rows} | [np.nan, 1.0] * {rows} | 1 | np.zeros(({rows}, 2)) | {} | [[0], [1, 2]]"
        )
        text = self.rng.choice(texts(bad if "groups" in self.bad else good))
        return {"groups": text.replace("{rows}", str(self.rows))}

    def _operations(self, fit_arguments, params):
        """The calls that train: mostly a fit, then others."""
        fit = Operation("fit", tuple((name, name) for name in ("X", "y", *fit_arguments)))
        if self.cross_validates:
            kinds = self.rng.choice(([], [], [], ["fit"], ["set_params", "fit"]))
        else:
            # Only two solvers have partial_fit.
            share = 3.0 if params.get("solver") in {None, '"adam"', '"sgd"'} else 0.3
            kinds = self.rng.choices(
                ("fit", "partial_fit", "set_params"), (3, share, 2), k=self.rng.choice((0, 0, 1, 2, 3))
            )
        first = "partial_fit" if not self.cross_validates and self.rng.random() < 0.07 * share else "fit"
        plain = tuple(pair for pair in fit.arguments if pair[0] in {"X", "y", "sample_weight"})
        made = {
            "fit": lambda: fit,
            "partial_fit": lambda: Operation("partial_fit", (*plain, *self._classes())),
            "set_params": lambda: Operation("set_params", (self._change(),)),
        }
        return [made[kind]() for kind in (first, *kinds)]

    def _classes(self):
        if "calls" in self.bad:
            odd = "[] | 'abc' | [0, 'a'] | [None] | [np.nan, 1.0] | 5 | [[0, 1]] | [10**400] | [0, 7, 99] | {} | [0.5, 1.5]"
            return [("classes", self.rng.choice(texts(odd)))]
        same, other = self.labels, [f"{self.labels}[::-1]", f"{self.labels} * 2", f"np.array({self.labels})", "None"]
        return [("classes", self.rng.choice([same, same, same, *other]))] if self.rng.random() < 0.85 else []

    def _change(self):
        if "calls" in self.bad:
            name = self.rng.choice(self.names)
            if name in POOLS:
                return name, self.rng.choice(POOLS[name][2]).replace("{rows}", str(self.rows))
        name = self.rng.choice(("warm_start", "max_iter", "solver", "hidden_layer_sizes", "dtype", "early_stopping"))
        if name not in self.names:
            name = "solver"
        return name, self.rng.choice(POOLS[name][0])


def _hidden_units(text):
    """The layer widths that a text stands for. For an invalid text they are arbitrary."""
    value = value_of(text)
    try:
        units = [int(size) for size in value] if np.iterable(value) else [int(value)]
    except (TypeError, ValueError, OverflowError):
        return [5]
    return units if all(0 < size < 1000 for size in units) else [5] * len(units)


def _n_layers(text):
    return len(_hidden_units(text))
