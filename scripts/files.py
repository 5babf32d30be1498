"""The plugin's `written_atomically`, for step.py, which stays in memory while its command trains.

Importing it from the plugin would import torch and fairseq, which takes seconds and memory; its file needs neither.
"""

import runpy
from pathlib import Path

_PLUGIN = Path(__file__).resolve().parents[1] / "fairseq_dsl"
written_atomically = runpy.run_path(str(_PLUGIN / "files.py"))["written_atomically"]
