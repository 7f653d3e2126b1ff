"""A fuzz test over all parameters of both classifiers with hostile data.

A setting is a small program: parameters, data and calls, each as source text. It follows from the class, a seed and a
number alone. Its text is a script that repeats it. The judge runs the calls one by one and checks that each of them keeps
the promises: a result is right, or an error or a warning names the user's argument, and nothing else has changed.

    python tests/contract/fuzzing --settings 1500 --seed 0
    python tests/contract/fuzzing --seed 0 --number 17 --estimator BackpropClassifierCV

The first command prints the outcomes, and for each kind of defect a script that is as small as possible. The second
command runs one setting and prints its text and all of its defects. ``python -m fuzzing`` does the same with tests/contract
on the path.

``user_objects`` and ``data`` are what the texts use, ``names`` lists it, ``values`` and ``settings`` draw the texts,
``trial`` runs and judges them by means of ``messages`` and ``state``, and ``run`` goes through many settings.
"""

from fuzzing.names import *
from fuzzing.names import NAMES
from fuzzing.run import SHARE, run, run_many, smallest
from fuzzing.settings import draw_setting

__all__ = [*NAMES, "SHARE", "draw_setting", "run", "run_many", "smallest"]  # noqa: PLE0604, NAMES has strings as keys
