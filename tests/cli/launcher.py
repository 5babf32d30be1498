"""``fairseq-train`` as one of torchrun's workers, on the CPU: torchrun -m does not tell fairseq of the others."""

import os
import sys

if __name__ == "__main__":
    from fairseq_cli.train import cli_main

    sys.argv += ["--distributed-world-size", os.environ["WORLD_SIZE"], "--distributed-rank", os.environ["RANK"]]
    sys.argv += ["--device-id", os.environ["LOCAL_RANK"], "--distributed-init-method", "env://"]
    sys.argv += ["--distributed-no-spawn", "--distributed-backend", "gloo", "--ddp-backend", "legacy_ddp"]
    cli_main()
