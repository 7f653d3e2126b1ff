"""Many settings, and the smallest setting that shows a defect."""

from __future__ import annotations

import argparse
import re
from collections import Counter
from dataclasses import replace

from fuzzing.names import ESTIMATORS
from fuzzing.settings import draw_setting
from fuzzing.trial import Trial

# How many settings of each class are drawn for one setting of BackpropClassifier. The ensemble takes longer.
SHARE = {"BackpropClassifier": 1.0, "BackpropClassifierCV": 0.6}


def run(estimator, seed, number):
    """Run one setting."""
    return Trial(draw_setting(estimator, seed, number)).run()


def run_many(estimator, seed, numbers):
    """Count outcomes and defects, and keep one defect of each kind and place."""
    outcomes, counts, examples = Counter(), Counter(), {}
    for number in numbers:
        trial = run(estimator, seed, number)
        outcomes[trial.outcome] += 1
        for defect in trial.defects:
            counts[defect.key] += 1
            examples.setdefault(defect.key, defect)
    return outcomes, counts, examples


def smallest(defect, tries=250):
    """The same defect in a smaller setting: things are left out as long as the defect stays."""
    found = defect
    while tries > 0:
        for setting in _smaller(found.setting):
            tries -= 1
            again = [other for other in Trial(setting).run().defects if other.key == defect.key]
            if again:
                found = again[0]
                break
        else:
            break
    return found


def _smaller(setting):
    """Settings with one thing left out."""
    for k in range(len(setting.operations)):
        if len(setting.operations) > 1:
            yield replace(setting, operations=setting.operations[:k] + setting.operations[k + 1 :])
    if setting.numpy_raises:
        yield replace(setting, numpy_raises=False)
    for view in setting.views:
        yield replace(setting, views=tuple(other for other in setting.views if other != view))
    for name in setting.data:
        if name not in {"X", "y"}:
            data = {other: text for other, text in setting.data.items() if other != name}
            yield replace(setting, data=data, operations=tuple(op.without(name) for op in setting.operations))
    for name in setting.params:
        # Without max_iter a fit would take long.
        if name != "max_iter" or "max_iter" in str(setting.operations):
            yield replace(setting, params={other: text for other, text in setting.params.items() if other != name})
    plain = {"X": r", '[^']*', '[^']*'\)$", "y": r", '[^']*'(, rare=True)?\)$"}
    for name, tail in plain.items():
        text = re.sub(tail, ")", setting.data[name])
        if text != setting.data[name]:
            yield replace(setting, data={**setting.data, name: text})


def report(estimator, seed, n_settings, shrink=True):
    """Run settings from number 0 on and print the results. Return the number of kinds of defects."""
    outcomes, counts, examples = run_many(estimator, seed, range(n_settings))
    print(f"{estimator}: {n_settings} settings of seed {seed}")
    for outcome, count in outcomes.most_common():
        print(f"{count:6d}  {outcome}")
    print(f"{len(examples)} kinds of defects")
    for key, count in counts.most_common():
        defect = smallest(examples[key]) if shrink else examples[key]
        print(f"\n{count} x {defect}")
    print()
    return len(examples)


def main():
    parser = argparse.ArgumentParser(prog="fuzzing", description="Random settings of both classifiers on hostile data.")
    parser.add_argument(
        "--settings", type=int, default=1500, help="how many of BackpropClassifier; 0.6 times as many of the other"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--number", type=int, help="run only this setting")
    parser.add_argument("--estimator", choices=[*ESTIMATORS], help="run only this class")
    parser.add_argument("--as-drawn", action="store_true", help="do not make the snippets small")
    arguments = parser.parse_args()
    chosen = [arguments.estimator] if arguments.estimator else [*ESTIMATORS]
    found = 0
    for estimator in chosen:
        if arguments.number is not None:
            trial = run(estimator, arguments.seed, arguments.number)
            print(f"{trial.setting.snippet()}\n# {trial.outcome}, views {trial.setting.views}\n")
            for defect in trial.defects:
                print(f"{defect}\n")
            found += len(trial.defects)
        else:
            n_settings = round(arguments.settings * SHARE[estimator])
            found += report(estimator, arguments.seed, n_settings, shrink=not arguments.as_drawn)
    return 1 if found else 0
