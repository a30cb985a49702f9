"""The option `augment`: what is drawn for each image, and what it does to it."""
