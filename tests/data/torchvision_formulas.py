"""torchvision's formulas for colours, in plain NumPy: of 8-bit images (height, width, 3) that are red, green, blue."""

import numpy as np

EXACT = 1e-6  # what is an integer is one, whatever the last bit says: torchvision itself has float32


def blended(image, other, factor):
    mixed = factor * image.astype(np.float64) + (1 - factor) * np.asarray(other, np.float64)
    return (mixed + EXACT).clip(0, 255).astype(np.uint8)


def grey(image):
    if image.shape[2] == 1:
        return image
    red, green, blue = np.moveaxis(image.astype(np.float64), 2, 0)
    return (0.2989 * red + 0.587 * green + 0.114 * blue + EXACT).astype(np.uint8)[:, :, None]


def brightness(image, factor):
    return blended(image, np.zeros_like(image), factor)


def contrast(image, factor):
    return blended(image, grey(image).mean(), factor)


def saturation(image, factor):
    return image if image.shape[2] == 1 else blended(image, grey(image), factor)


def hue(image, shift):
    """By way of HSV, pixel by pixel as in Foley and van Dam."""
    if image.shape[2] == 1:
        return image
    colours = image.astype(np.float64) / 255
    red, green, blue = np.moveaxis(colours, 2, 0)
    most, least = colours.max(2), colours.min(2)
    spread = np.where(most == least, 1, most - least)
    from_red, from_green, from_blue = ((most - channel) / spread for channel in (red, green, blue))
    angle = np.where(
        most == red,
        from_blue - from_green,
        np.where(most == green, 2 + from_red - from_blue, 4 + from_green - from_red),
    )
    angle = (angle / 6 + 1 + shift) % 1 * 6
    strength = np.where(most == 0, 0, (most - least) / np.where(most == 0, 1, most))
    sector = np.floor(angle)
    part = angle - sector
    p, q, t = most * (1 - strength), most * (1 - strength * part), most * (1 - strength * (1 - part))
    choices = [(most, t, p), (q, most, p), (p, most, t), (p, q, most), (t, p, most), (most, p, q)]
    turned = np.stack(
        [np.choose(sector.astype(int) % 6, [choice[channel] for choice in choices]) for channel in range(3)], 2
    )
    return (turned * 255.999).astype(np.uint8)


def gray(image, amount=1):
    return np.repeat(grey(image), image.shape[2], 2)
