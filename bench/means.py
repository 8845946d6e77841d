"""Means over seeds or books, with their standard errors, as the tables show them."""
import math


def mean(values):
    return sum(values) / len(values)


def error(values):
    """Of the mean; nan of one value."""
    if len(values) == 1:
        return float("nan")
    return math.sqrt(sum((v - mean(values)) ** 2 for v in values) / (len(values) - 1) / len(values))


def shown(values, digits):
    text = f"{mean(values):.{digits}f}"
    return text if len(values) == 1 else f"{text} ± {error(values):.{digits}f}"
