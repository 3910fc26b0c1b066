"""The documentation site: `make docs` writes it to docs/_build/html.

Everything is local: the theme's files, KaTeX's fonts, the equations (set while the site is built,
by node) and the index of the search. A page makes no request to another site. Warnings are errors.
"""

import os
import sys
import warnings
from importlib import metadata
from pathlib import Path
from urllib.parse import urlsplit

import matplotlib

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE / "_ext"), str(HERE.parent / "examples")]
os.environ.setdefault("SOURCE_DATE_EPOCH", "0")  # nothing on a page depends on the day
matplotlib.use("agg")
warnings.filterwarnings("error", module="advnets")

project = "advnets"
author = "The advnets maintainers"
copyright = author  # noqa: A001 -- Sphinx's name
version = release = metadata.version("advnets")
extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    "sphinx_gallery.gen_gallery",
    "sphinxcontrib.katex",
    "sphinx_copybutton",
    "sphinx_sitemap",
    "notfound.extension",
    "accessible",
    "contents",
    "command_help",
    "interface",
]
exclude_patterns = ["_build", "README.md", "gallery/*.ipynb", "gallery/*.py", "gallery/*.json"]
nitpicky = True
# Names of other libraries are no links: their documentation is on other sites.
nitpick_ignore_regex = [
    (r"py:.*", r"(?!advnets\.).*"),
    (r"py:.*", r"advnets\.(cli|html|studio)\..*"),  # packages without pages here
    (r"py:.*", r"advnets\..*\.(T|V|C|Network|Result|Trained)"),  # variables of types
    (r"py:.*", r"advnets\..*\._\w+"),  # private bases
]
suppress_warnings = ["config.cache"]  # functions among the settings of the gallery

# Markdown that GitHub shows too
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 4
myst_dmath_double_inline = True

# API
autosummary_generate = False  # the pages of packages hold their modules
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_default_options = {"members": True, "show-inheritance": True}
autodoc_preserve_defaults = True
python_maximum_signature_line_length = 80
python_use_unqualified_type_names = True
default_role = "literal"
napoleon_numpy_docstring = False
napoleon_use_rtype = False

# Equations, set while the site is built
katex_prerender = True
katex_css_path = "katex/katex.min.css"

# Examples
sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "gallery",
    "filename_pattern": r"[\\/]\d\d_",
    "default_thumb_file": str(Path(__file__).parent / "results/figure2.png"),  # of words alone
    "ignore_pattern": r"(common|own_images|feedback_loop)\.py",
    "plot_gallery": os.environ.get("DOCS_QUICK", "") == "",
    "abort_on_example_error": True,
    "download_all_examples": False,  # an archive holds the time at which it was made
    "write_computation_times": False,
    "min_reported_time": 1e9,
    "show_memory": False,
    "remove_config_comments": True,
    "within_subsection_order": "FileNameSortKey",
    "nested_sections": False,
}

# The page
html_theme = "furo"
html_title = f"advnets {version}"
html_static_path = ["_static"]
html_favicon = "_static/favicon.svg"
html_css_files = ["site.css"]
html_baseurl = os.environ.get("DOCS_URL", "http://localhost:8000/")
html_show_sphinx = False
html_theme_options = {"navigation_with_keys": False, "top_of_page_buttons": []}
pygments_style = "a11y-high-contrast-light"
pygments_dark_style = "a11y-high-contrast-dark"
sitemap_url_scheme = "{link}"
sitemap_excludes = ["search.html", "genindex.html", "py-modindex.html", "404.html"]
notfound_urls_prefix = urlsplit(html_baseurl).path
