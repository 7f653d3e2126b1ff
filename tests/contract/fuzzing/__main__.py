import sys
from pathlib import Path

if not __package__:  # the folder was given to Python by its path
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from fuzzing.run import main

sys.exit(main())
