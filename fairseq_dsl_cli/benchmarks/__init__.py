"""The parts of ``fairseq-dsl benchmark``."""
