"""How Sphinx builds the documentation: Markdown by MyST, the look by furo."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from argos import VERSION

project = "Argos"
author = "the Argos developers"
copyright = author
version = release = VERSION

extensions = ["myst_parser"]
myst_enable_extensions = ["colon_fence", "deflist", "fieldlist"]
myst_heading_anchors = 3
exclude_patterns = ["explanations/decisions/template.md"]

html_theme = "furo"
html_title = f"Argos {VERSION}"
html_copy_source = False
html_show_sphinx = False
html_use_index = False
