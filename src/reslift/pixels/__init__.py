"""Pure tensor functions on pixels: colour, resizing, tiles. Knows no file, model or recipe."""
