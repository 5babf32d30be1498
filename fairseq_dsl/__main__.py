"""``python -m fairseq_dsl`` prints what to give to ``--user-dir`` when the package is installed elsewhere."""

from pathlib import Path

print(Path(__file__).resolve().parent)
