"""Sphinx configuration: `python -m sphinx -W -b html docs docs/_build/html` builds the site, without a network."""

import os
import sys
from importlib.metadata import version as version_of
from pathlib import Path

from sphinx.domains.math import MathDomain
from sphinx_gallery.sorting import FunctionSortKey

sys.path.insert(0, str(Path(__file__).parent))  # for drawings.py

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

project = "skbp"
author = "The skbp developers"
copyright = author
release = version = version_of("skbp")

extensions = [
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.doctest",
    "sphinx_copybutton",
    "sphinx_gallery.gen_gallery",
    "sphinx.ext.mathjax",
    "sphinx-mathjax-offline",
    "drawings",
]
smartquotes = False  # "adam" is a value, f' a derivative
exclude_patterns = ["_build", "auto_examples/**/*.ipynb"]
templates_path = ["_templates"]

html_theme = "pydata_sphinx_theme"
html_title = "skbp"
html_baseurl = "https://skbp.readthedocs.io/en/stable/"
html_static_path = ["_static"]
html_css_files = ["skbp.css"]
html_sidebars = {"architecture": [], "core": [], "benchmarks": []}  # they have no pages below them
html_show_sourcelink = False
html_theme_options = {
    "show_prev_next": True,
    "navigation_depth": 2,
    "show_toc_level": 2,
    "header_links_before_dropdown": 6,
    "navbar_align": "left",
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
}

math_number_all = False
math_eqref_format = "({number})"
numfig = False

autosummary_generate = True
autodoc_typehints = "none"  # the docstrings say the types
# The inherited methods and the requests of metadata routing have scikit-learn's docstrings. They refer to labels and a
# glossary of its site, which cannot be resolved without a network. api.rst names these methods.
autodoc_default_options = {
    "members": True,
    "inherited-members": False,
    "exclude-members": "set_fit_request, set_partial_fit_request, set_predict_request, set_score_request, "
    "set_transform_request",
}
toc_object_entries_show_parents = "hide"  # the column beside the page has no room for them
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False
nitpicky = False

# A new example must be named here. Bound to the list, `index` can be pickled with the configuration, unlike a function.
TEACHING_ORDER = [
    "compare_with_logistic_regression.py",
    "plot_logic_gates.py",
    "plot_inside_a_network.py",
    "plot_training_curves.py",
    "plot_hidden_features.py",
    "plot_output_coding.py",
    "plot_imbalanced.py",
    "plot_calibrated_ensemble.py",
    "plot_solvers_compared.py",
    "plot_hessian_spectrum.py",
    "train_from_file.py",
]
sphinx_gallery_conf = {
    "examples_dirs": ["../examples"],
    "gallery_dirs": ["auto_examples"],
    "filename_pattern": r"plot_|compare_with_logistic_regression",
    "within_subsection_order": FunctionSortKey(TEACHING_ORDER.index, "TEACHING_ORDER"),
    "default_thumb_file": str(Path(__file__).parent / "_static/quality.png"),
    "remove_config_comments": True,
    "show_memory": False,
    "download_all_examples": False,
    "show_signature": False,
    "capture_repr": (),
    # SKBP_DOCS_GALLERY=0 shows the examples without running them. This takes a fraction of the time.
    "plot_gallery": os.environ.get("SKBP_DOCS_GALLERY", "1") != "0",
    "abort_on_example_error": True,
}


class Equations(MathDomain):
    """The label of an equation is its number in skbp._network.equations, on every page."""

    def note_equation(self, docname, labelid, location=None):
        super().note_equation(docname, labelid, location)
        self.equations[labelid] = docname, int(labelid)


def setup(app):
    app.add_domain(Equations, override=True)
