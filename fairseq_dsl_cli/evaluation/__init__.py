"""The parts of ``fairseq-dsl evaluate``."""
