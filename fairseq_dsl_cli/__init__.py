"""The commands of ``fairseq-dsl``, beside the plugin as `fairseq_cli` is beside `fairseq`.

Importing the plugin imports torch and fairseq, which takes seconds. This package does without, and so a command imports
what it needs of the plugin once its arguments are known to be right.
"""
