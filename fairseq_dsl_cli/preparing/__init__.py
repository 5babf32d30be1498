"""From text to data folders, for `fairseq-dsl prepare` and the recipes: begin reading at `recipe.prepare`."""
