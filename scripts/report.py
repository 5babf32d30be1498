#!/usr/bin/env python3
"""The old name of `fairseq-dsl report`."""

import renamed

if __name__ == "__main__":
    renamed.run("report")
