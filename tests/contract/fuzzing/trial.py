"""The judge: it runs the calls of a setting and compares the result of each call with the promises.

The promises are: a result is right, or an error or a warning names the user's argument, and nothing else has changed.
"""

from __future__ import annotations

import contextlib
import functools
import io
import pickle
import re
import traceback
import warnings
from dataclasses import dataclass, field
from numbers import Integral

import numpy as np
import pandas as pd
import scipy.sparse as sp
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError

from fuzzing import user_objects
from fuzzing.messages import (
    CLEAR_TYPES,
    SKLEARN_MESSAGES,
    documented_attributes,
    is_of_skbp,
    package_of,
    place_of,
    raises_there,
    words,
)
from fuzzing.names import ESTIMATORS, NAMES
from fuzzing.settings import Setting
from fuzzing.state import (
    TookTooLongError,
    changes,
    comparable,
    differences,
    frozen,
    parameters,
    process_state,
    recorded,
    watchdog,
    works,
)
from fuzzing.values import texts

# The file name of the calls. A warning must point there.
STATEMENT = "<setting>"
# Where errors and warnings are the user's own: the calls and the user's functions.
USERS_FILES = {STATEMENT, user_objects.__file__}


@dataclass(frozen=True)
class Defect:
    """A broken promise.

    Parameters
    ----------
    kind : str
        Which promise.
    where : str
        The line of skbp that is the cause, if it is known. Otherwise the call.
    detail : str
        The message, or what was found.
    setting : Setting
    calls : tuple of str
        The calls up to the one that broke the promise.
    """

    kind: str
    where: str
    detail: str
    setting: Setting = field(repr=False)
    calls: tuple[str, ...] = field(repr=False)

    @property
    def key(self):
        return self.kind, self.where

    def __str__(self):
        made = f"{self.setting.estimator}, seed {self.setting.seed}, number {self.setting.number}"
        return f"{self.kind}\n  at {self.where}\n  {self.detail}\n  ({made})\n{self.setting.snippet(self.calls)}"


@dataclass
class Reply:
    """The result of a call: a value or an error, and the warnings."""

    value: object = None
    error: BaseException | None = None
    warned: list = field(default_factory=list)


class Trial:
    """Runs a setting and judges it.

    Attributes
    ----------
    outcome : str
        How the first call that trains ended.
    defects : list of Defect
    """

    def __init__(self, setting):
        self.setting = setting
        self.outcome = ""
        self.defects: list[Defect] = []
        self._calls: list[str] = []
        self._names = dict(NAMES)
        self._words = words(ESTIMATORS[setting.estimator])
        self._divergence = self._convergence = False

    def run(self):
        rng = np.random.mtrand._rand  # the global generator
        state = rng.get_state()
        rng.seed(self.setting.number)
        try:
            self._run()
        finally:
            rng.set_state(state)
        return self

    def _run(self):
        for statement in self.setting.preparation:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                prepared = self._evaluated(statement)
            if prepared.error is not None and not statement.startswith("clf = "):
                raise prepared.error
            if prepared.error is not None:  # an Activation that cannot be made
                self.outcome = self._judge_error(prepared, statement)
                return
        data = {name: frozen(self._names[name]) for name in self.setting.data}
        outcomes = [self._train(operation) for operation in self.setting.operations]
        self.outcome = next((outcome for outcome in outcomes if outcome), "no training")
        if self._fitted():
            self._predict_all()
            self._copies()
        else:
            self._unfitted()
            self._copies()
        for name, before in data.items():
            if frozen(self._names[name]) != before:
                self._found("the user's data have been changed", name, self.setting.data[name])

    # Calls

    def call(self, statement):
        """Run a statement. Judge its warnings, its error, and what it has changed."""
        self._calls.append(statement)
        clf = self._names["clf"]
        before, process = frozen(vars(clf)), process_state()
        reply = self._evaluated(statement, raises=self.setting.numpy_raises)
        for change in changes(process, process_state(), self._may_draw_globally()):
            self._found(f"process state changed: {change}", statement.split("(")[0], "")
        for warned in reply.warned:
            self._judge_warning(warned)
        after = frozen(vars(clf))
        if reply.error is not None and after != before:
            self._found("an error has changed the estimator", statement.split("(")[0], differences(before, after))
        if reply.error is None and not re.match(r"clf\.(fit|partial_fit|set_params)", statement) and after != before:
            self._found("a call has changed the estimator", statement.split("(")[0], differences(before, after))
        params, old = parameters(after, clf), parameters(before, clf)
        if not statement.startswith("clf.set_params") and params != old:
            self._found("parameters have been changed", statement.split("(")[0], differences(old, params))
        return reply

    def _evaluated(self, statement, raises=False):
        """Evaluate an expression, or an assignment of one to a name."""
        target, _, expression = re.fullmatch(r"(?:(\w+) (=) )?(.*)", statement, re.DOTALL).groups()
        reply = Reply()
        code = compile(expression, STATEMENT, "eval")
        quiet = contextlib.redirect_stdout(io.StringIO())
        with recorded(reply.warned), quiet, watchdog(), np.errstate(all="raise" if raises else None):
            try:
                self._names["_filters"] = list(warnings.filters)
                reply.value = eval(code, self._names)
            except (Exception, TookTooLongError) as error:  # noqa: BLE001, the error is judged later
                reply.error = error
            if warnings.filters != self._names["_filters"]:
                self._found("process state changed: warnings.filters", statement, "")
            if raises and set(np.geterr().values()) != {"raise"}:
                self._found("process state changed: np.geterr()", statement, "")
        if target and reply.error is None:
            self._names[target] = reply.value
        return reply

    def _may_draw_globally(self):
        given = self.setting.params.get("random_state", "None")
        return given in {"None", "np.random", "np.random.mtrand._rand"}

    def _found(self, kind, where, detail):
        # Predictions change nothing, so only the last one is needed.
        changing = re.compile(r"clf\.(fit|partial_fit|set_params)|(again|F) = ")
        before = [call for call in self._calls[:-1] if changing.match(call)]
        rows = [call for call in self._calls[:-1] if call.startswith("rows = ")][-1:]
        uses_rows = [*rows] if "(rows" in "".join(self._calls[-1:]) else []
        calls = (*before, *uses_rows, *self._calls[-1:])
        defect = Defect(kind, where, str(detail)[:400], self.setting, calls)
        if defect.key not in {known.key for known in self.defects}:
            self.defects.append(defect)

    def _hold(self, condition, kind, where, detail=""):
        if not condition:
            self._found(kind, where, detail)

    # Errors and warnings

    def _judge_error(self, reply, statement):
        """The outcome that follows from an error."""
        error = reply.error
        name, message = type(error).__name__, str(error)
        frames = traceback.extract_tb(error.__traceback__)
        where = place_of(frames)
        detail = f"{name}: {message}"
        if isinstance(error, TookTooLongError):
            self._found("a call takes too long", where, detail)
        elif self._is_own(error, frames):
            return "the user's own error"
        elif isinstance(error, AttributeError) and "has no attribute 'partial_fit'" in message:
            return "clear error: AttributeError of partial_fit"
        elif isinstance(error, FloatingPointError) and self._of_own_scoring(frames):
            return "an error of scikit-learn's metrics under np.seterr(all='raise')"
        elif type(error) not in CLEAR_TYPES and not is_of_skbp(type(error)):
            self._found(f"bare error: {name}", where, detail)
        elif not self._is_clear(message, frames):
            self._found("bare error: names no argument", where, detail)
        else:
            return f"clear error: {name} of {self._named(message) or 'scikit-learn about the data'}"
        return f"bare error: {name}"

    def _is_own(self, error, frames):
        """Whether a function of the user raised it."""
        in_own = frames[-1].filename in USERS_FILES and frames[-1].name != "<module>"
        return isinstance(error, user_objects.Own) or in_own or str(error).startswith("<lambda>() takes")

    def _named(self, message):
        named = [word for word in self._words if re.search(rf"(?<![\w]){word}(?!\w)", message)]
        return min(named, key=lambda word: re.search(rf"(?<![\w]){word}(?!\w)", message).start()) if named else ""

    def _is_clear(self, message, frames):
        last = frames[-1]
        if package_of(last.filename) == "sklearn":
            of_splitter_or_score = re.search(r"model_selection[\\/]_split|sklearn[\\/]metrics", last.filename)
            return bool(self._named(message) or SKLEARN_MESSAGES.search(message) or of_splitter_or_score)
        if package_of(last.filename) == "skbp":
            return raises_there(last) and bool(self._named(message))
        # An error from numpy, scipy or pandas is clear only if scikit-learn lets it pass on purpose.
        by_sklearn = any(package_of(frame.filename) == "sklearn" for frame in frames[-6:])
        return by_sklearn and bool(SKLEARN_MESSAGES.search(message))

    def _judge_warning(self, warned):
        message, category = str(warned["message"]), warned["category"]
        frames, filename = warned["frames"], warned["filename"]
        issuer = next((frame for frame in reversed(frames) if "warnings.py" not in frame.filename), frames[-1])
        package = package_of(issuer.filename)
        if issuer.filename in USERS_FILES:
            return  # the user's own warning
        if issubclass(category, ConvergenceWarning):
            self._convergence = True
            self._divergence |= "diverged" in message
        where, detail = place_of(frames), f"{category.__name__}: {message}"
        bad = (RuntimeWarning, DeprecationWarning, PendingDeprecationWarning, FutureWarning)
        if issubclass(category, bad) or category.__module__.split(".")[0] in {"numpy", "scipy"}:
            if not self._of_own_scoring(frames):
                self._found(f"warning not for the user: {category.__name__}", where, detail)
        elif package in {"numpy", "scipy"}:
            self._found(f"warning of {package}", where, detail)
        elif package == "skbp":
            self._hold(issubclass(category, UserWarning), "warning that is no UserWarning", where, detail)
            self._hold(self._named(message), "warning names no argument", where, detail)
            # skbp skips its own frames and those of scikit-learn's wrapper to find the user's line.
            self._hold(filename == STATEMENT, "warning points at another file", where, f"{filename}: {detail}")

    def _of_own_scoring(self, frames):
        """Whether the warning comes from a metric of scikit-learn, which the user chose by `scoring` or `score`."""
        return any(re.search(r"sklearn[\\/]metrics", frame.filename) for frame in frames)

    # Training

    def _train(self, operation):
        self._convergence = self._divergence = False
        reply = self.call(operation.text)
        if operation.method == "set_params":
            return ""
        if reply.error is not None:
            return self._judge_error(reply, operation.text)
        self._hold(reply.value is self._names["clf"], "fit does not return the estimator", operation.text, reply.value)
        check = self._fitted_ensemble if "CV" in self.setting.estimator else self._fitted_network
        with np.errstate(all="ignore"):
            self._fitted_at_all()
            check()
        if self._divergence:
            return "fitted after divergence"
        return "fitted, with a ConvergenceWarning" if self._convergence else "fitted"

    def _fitted(self):
        return bool({"coefs_", "members_"} & set(vars(self._names["clf"])))

    def _fitted_at_all(self):
        """Check what both classes document."""
        clf, X = self._names["clf"], self._names["X"]
        for name in documented_attributes(type(clf)):
            if name != "feature_names_in_":
                self._hold(hasattr(clf, name), "a documented attribute is missing", name, "")
        shape = np.shape(X) if not sp.issparse(X) else X.shape
        self._hold(clf.n_features_in_ == shape[1], "n_features_in_ is wrong", "n_features_in_", clf.n_features_in_)
        named = isinstance(X, pd.DataFrame) and all(isinstance(name, str) for name in X.columns)
        self._hold(hasattr(clf, "feature_names_in_") == named, "feature_names_in_ is wrong", "feature_names_in_", named)
        self._hold(type(clf.n_iter_) is int and clf.n_iter_ >= 0, "n_iter_ is wrong", "n_iter_", repr(clf.n_iter_))
        most = _most_iterations(clf)
        self._hold(clf.n_iter_ <= most, "more iterations than allowed", "n_iter_", f"{clf.n_iter_!r} of {most!r}")

    def _fitted_network(self):
        clf = self._names["clf"]
        finite = all(np.isfinite(array).all() for array in (*clf.coefs_, *clf.intercepts_))
        self._hold(finite, "weights that are not finite", "coefs_, intercepts_")
        types = {array.dtype.name for array in (*clf.coefs_, *clf.intercepts_)}
        self._hold(types in ({"float32"}, {"float64"}), "weights of a wrong type", "coefs_, intercepts_", types)
        self._hold(len(clf.loss_curve_) >= clf.n_iter_, "loss_curve_ is too short", "loss_curve_", len(clf.loss_curve_))
        for name in ("loss_curve_", "learning_rate_curve_", "validation_scores_", "validation_loss_curve_"):
            curve = getattr(clf, name)
            floats = curve is None or all(type(value) is float for value in curve)
            self._hold(floats, "a curve has what is no float", name, repr(curve))
        for name in ("loss_curve_", "learning_rate_curve_"):
            # A call with a solver without a learning rate leaves nan.
            curve = [value for value in getattr(clf, name) or [] if name == "loss_curve_" or value == value]
            self._hold(np.isfinite(curve).all(), "a curve is not finite", name, repr(curve))
        self._hold(type(clf.loss_) is float, "no Python float", "loss_", repr(clf.loss_))
        as_documented = np.isfinite(clf.loss_) or clf.n_iter_ == 0 or self._divergence
        self._hold(as_documented, "loss_ is not finite", "loss_", repr(clf.loss_))
        for name in ("best_loss_", "best_validation_score_"):
            value = getattr(clf, name)
            self._hold(value is None or type(value) is float, "no Python float", name, repr(value))
        self._hold(type(clf.t_) is int and clf.t_ >= 0, "no Python int", "t_", repr(clf.t_))
        for name in ("best_iter_", "n_layers_", "n_outputs_"):
            self._hold(isinstance(getattr(clf, name), int), "no Python int", name, repr(getattr(clf, name)))

    def _fitted_ensemble(self):
        clf = self._names["clf"]
        arrays = [array for member in clf.members_ for array in (*member.coefs_, *member.intercepts_)]
        self._hold(all(np.isfinite(a).all() for a in arrays), "weights that are not finite", "members_")
        if "nan_beyond_3" in str(self.setting.params):
            return
        temperature = clf.temperature_
        positive = type(temperature) is float and 0.0 < temperature < np.inf
        self._hold(positive, "temperature_ is no positive float", "temperature_", repr(temperature))
        if clf.oof_indices_ is None:
            return
        covered = np.unique(np.concatenate(clf.oof_indices_))
        proba = clf.oof_proba_[covered]
        self._hold(np.isfinite(proba).all(), "oof_proba_ is not finite", "oof_proba_", proba)
        self._hold(((proba >= 0) & (proba <= 1)).all(), "oof_proba_ is no probability", "oof_proba_", proba)
        decision = clf.oof_decision_function_[covered]
        self._hold(
            np.isfinite(decision).all(), "oof_decision_function_ is not finite", "oof_decision_function_", decision
        )
        loss, score = clf.oof_log_loss_, clf.oof_score_
        good_loss = type(loss) is float and np.isfinite(loss)
        self._hold(good_loss, "oof_log_loss_ is no finite float", "oof_log_loss_", repr(loss))
        good_score = type(score) is float and 0.0 <= score <= 1.0
        self._hold(good_score, "oof_score_ is no share", "oof_score_", repr(score))

    def _unfitted(self):
        reply = self.call("clf.predict(X)")
        unfitted = isinstance(reply.error, NotFittedError)
        self._hold(unfitted, "predict of an unfitted estimator", "clf.predict", repr(reply.error))

    # Predictions

    def _predict_all(self):
        for view in self.setting.views:
            made = self._evaluated(f"rows = other_rows(X, {view!r})")
            if made.error is None:  # a later fit may have refused X
                self._calls.append(f"rows = other_rows(X, {view!r})")
                self._predict(view)
        if not (self.setting.views and self._trains_on_the_data()):
            return
        reply = self.call("clf.score(X, y)")
        if reply.error is not None:
            outcome = self._judge_error(reply, "clf.score")
            refused = self.outcome.startswith("fitted") and outcome.startswith("clear")
            self._hold(not refused, "score refuses the data of fit", "clf.score", repr(reply.error))
        else:
            self._hold(0.0 <= reply.value <= 1.0, "score is no share", "clf.score", repr(reply.value))
        if "CV" not in self.setting.estimator:
            self._objective()

    def _trains_on_the_data(self):
        """Whether the first call that trains succeeded on these data."""
        return self.outcome.startswith("fitted")

    def _predict(self, view):
        methods = ["predict", "predict_proba", "predict_log_proba", "decision_function"]
        replies = {}
        for method in methods:
            reply = replies[method] = self.call(f"clf.{method}(rows)")
            if reply.error is not None:
                outcome = self._judge_error(reply, method)
                refused = view in {"same", "one row"} and self._trains_on_the_data() and outcome.startswith("clear")
                self._hold(not refused, "refuses rows that it was trained on", method, repr(reply.error))
        if any(reply.error is not None for reply in replies.values()):
            return
        values = [reply.value for reply in replies.values()]
        if "nan_beyond_3" in str(self.setting.params) or "raising" in str(self.setting.params):
            return
        with np.errstate(all="ignore"):
            self._consistent(view, *values)
            self._others(view, values[1])

    def _consistent(self, view, labels, proba, log_proba, decision):
        """Check that the four kinds of prediction are right and agree."""
        clf, where = self._names["clf"], f"rows: {view}"
        labels = labels.toarray() if sp.issparse(labels) else np.asarray(labels)
        multilabel = labels.ndim == 2
        single = proba.dtype == np.float32 or "CV" in self.setting.estimator
        close = 1e-5 if single else 1e-9
        n_classes = len(clf.classes_)
        self._hold(proba.shape[1] == n_classes, "predict_proba has a wrong shape", where, proba.shape)
        finite = {"predict_proba": proba, "predict_log_proba": log_proba, "decision_function": decision}
        for name, array in finite.items():
            self._hold(np.isfinite(array).all(), f"{name} is not finite", where, array[~np.isfinite(array)][:5])
        if not all(np.isfinite(array).all() for array in finite.values()):
            return
        self._hold(((proba >= 0) & (proba <= 1)).all(), "predict_proba is no probability", where, proba)
        if not multilabel:
            sums = np.abs(proba.sum(axis=1, dtype=np.float64) - 1.0).max()
            self._hold(
                sums <= (1e-5 if proba.dtype == np.float32 else 1e-9), "predict_proba does not sum to 1", where, sums
            )
            self._hold(np.isin(labels, clf.classes_).all(), "predict gives unknown classes", where, labels)
        else:
            self._hold(np.isin(labels, (0, 1)).all(), "predict gives unknown classes", where, labels)
        large = proba > 1e-6
        off = np.abs(np.log(proba[large].astype(np.float64)) - log_proba[large]) / (1.0 + np.abs(log_proba[large]))
        off = off.max(initial=0.0)
        self._hold(off <= 10 * close, "predict_log_proba is no logarithm of predict_proba", where, off)
        self._same_label(where, labels, proba.astype(np.float64), decision.astype(np.float64), multilabel, close)

    def _same_label(self, where, labels, proba, decision, multilabel, close):
        """Check that predict agrees with probabilities and decision function, except for ties."""
        classes = self._names["clf"].classes_
        if multilabel:
            by_proba, sure = proba > 0.5, np.abs(proba - 0.5) > close
            by_decision, clear = decision > 0.0, np.abs(decision) > close
            self._hold((by_proba == labels)[sure].all(), "predict is not what predict_proba says", where)
            self._hold((by_decision == labels)[clear].all(), "predict is not what decision_function says", where)
            return
        codes = np.array([int(np.flatnonzero(classes == label)[0]) for label in labels])
        of_label = proba[np.arange(len(codes)), codes]
        best = proba.max(axis=1)
        self._hold((of_label >= best - close).all(), "predict is not what predict_proba says", where, [of_label, best])
        if len(classes) == 2:
            clear = np.abs(decision) > close
            says = ((decision > 0.0) == (codes == 1))[clear]
            self._hold(decision.ndim == 1, "decision_function has a wrong shape", where, decision.shape)
            self._hold(says.all(), "predict is not what decision_function says", where, decision)
        elif len(classes) > 2:
            best = decision.max(axis=1)
            of_label = decision[np.arange(len(codes)), codes]
            enough = of_label >= best - close * (1.0 + np.abs(best))
            self._hold(enough.all(), "predict is not what decision_function says", where, [of_label, best])

    def _others(self, view, proba):
        """Check what only one of the two classes has."""
        if "CV" in self.setting.estimator:
            reply = self.call("clf.predict_proba_members(rows)")
            if reply.error is not None:
                self._judge_error(reply, "predict_proba_members")
                return
            off = np.abs(np.tensordot(self._names["clf"].member_weights_, reply.value, 1) - proba).max()
            self._hold(off <= 1e-5, "predict_proba is no weighted mean over the members", f"rows: {view}", off)
            return
        layers = texts('-1 | 0 | -1 | 0 | np.int64(0) | 5 | "a" | None | 10**400 | 0.0')
        reply = self.call(f"clf.hidden_features(rows, {layers[self.setting.number % len(layers)]})")
        if reply.error is not None:
            self._judge_error(reply, "hidden_features")
            return
        same_length = len(reply.value) == len(proba) and reply.value.dtype == proba.dtype
        self._hold(same_length, "hidden_features has a wrong shape or type", f"rows: {view}", reply.value.shape)
        if view in {"same", "random", "zeros"} and not re.search("1e300|wild|scales|cubing", str(self.setting)):
            finite = np.isfinite(reply.value).all()
            self._hold(finite, "hidden_features is not finite", f"rows: {view}", reply.value)

    def _objective(self):
        reply = self.call("F = clf.objective(X, y)")
        if reply.error is not None:
            self._judge_error(reply, "objective")
            return
        function = reply.value
        for statement in ("F.value_and_gradient(F.theta0)", "F.hessp(F.theta0, F.theta0)"):
            reply = self.call(statement)
            if reply.error is not None:
                self._judge_error(reply, statement)
            elif "hessp" in statement:
                same = reply.value.shape == function.theta0.shape and reply.value.dtype == np.float64
                self._hold(same, "hessp has a wrong shape or type", statement, reply.value.shape)
            else:
                value, gradient = reply.value
                self._hold(type(value) is float, "the objective is no Python float", statement, repr(value))
                same = gradient.shape == function.theta0.shape and gradient.dtype == np.float64
                self._hold(same, "the gradient has a wrong shape or type", statement, gradient.shape)

    # Copies

    def _copies(self):
        """Check pickle, clone, get_params and set_params if the parameters allow them."""
        clf = self._names["clf"]
        if works(pickle.dumps, clf.get_params(deep=False)):
            reply = self.call("again = pickle.loads(pickle.dumps(clf))")
            if reply.error is not None:
                self._judge_error(reply, "pickle")
            elif self._fitted():
                self._same_after_pickle(self._evaluated("rows = other_rows(X, 'same')"))
        if all(works(functools.partial(clone, safe=False), value) for value in clf.get_params(deep=False).values()):
            reply = self.call("clone(clf)")
            if reply.error is not None:
                self._judge_error(reply, "clone")
            else:
                fresh, old = reply.value.get_params(deep=False), clf.get_params(deep=False)
                bare = set(vars(reply.value)) == set(old)
                self._hold(bare, "a clone has more than parameters", "clone", sorted(vars(reply.value)))
                self._hold(comparable(fresh) == comparable(old), "a clone has other parameters", "clone", "")
        if "cv" not in self.setting.params:  # the deep parameters of a splitter belong to scikit-learn
            reply = self.call("clf.set_params(**clf.get_params())")
            if reply.error is not None:
                self._judge_error(reply, "set_params")

    def _same_after_pickle(self, made):
        if made.error is not None:
            return
        methods = ("predict", "predict_proba", "predict_log_proba", "decision_function")
        for method in methods:
            with np.errstate(all="ignore"):
                before, after = self._evaluated(f"clf.{method}(rows)"), self._evaluated(f"again.{method}(rows)")
            same = (before.error is None) == (after.error is None) and frozen(before.value) == frozen(after.value)
            self._hold(same, "other predictions after pickling", method, repr(after.error or ""))


def _most_iterations(clf):
    """max_iter, unless a method of SciPy is given its own maxiter."""
    given = None if clf.solver in {"adam", "sgd"} else (clf.solver_options or {}).get("maxiter")
    return given if isinstance(given, Integral) else clf.max_iter
