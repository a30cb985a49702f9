"""Losses as functions of arrays: values and gradients per term, unweighted and unreduced."""
