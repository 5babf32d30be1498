#!/usr/bin/env python3
"""The old name of `fairseq-dsl benchmark`."""

import renamed

if __name__ == "__main__":
    renamed.run("benchmark")
