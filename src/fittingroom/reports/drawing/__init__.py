"""The one drawing code of all pages: axes, plots and rows of dots as SVG that templates write, and figures of them."""
