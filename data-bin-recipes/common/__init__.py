"""What all recipes share: begin reading at `recipe.prepare`."""
