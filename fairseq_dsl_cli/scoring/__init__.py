"""Parts of ``fairseq-dsl score`` and ``fairseq-dsl filter``: the texts, and the file of scores."""
