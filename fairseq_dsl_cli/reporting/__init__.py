"""The parts of ``fairseq-dsl report``."""
