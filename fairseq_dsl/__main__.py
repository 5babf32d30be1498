"""``python -m fairseq_dsl COMMAND ...`` is ``fairseq-dsl COMMAND ...``.

Without a command it prints what to give to ``--user-dir`` when the package is installed elsewhere.
"""

import sys

from fairseq_dsl_cli.main import main

main(sys.argv[1:] or ["user-dir"])
