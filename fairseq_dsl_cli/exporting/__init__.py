"""Writing one direction of a pair in other formats than fairseq's."""
