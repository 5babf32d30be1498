#!/usr/bin/env python3
"""The old name of `fairseq-dsl evaluate`."""

import renamed

if __name__ == "__main__":
    renamed.run("evaluate")
